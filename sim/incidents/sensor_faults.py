"""Faulty sensors: what they make of healthy values, block by block."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from sim.common.streams import Streams
from sim.incidents.active import Occurrence
from sim.incidents.catalogue import SENSOR_FAULTS, SWAPPED
from sim.incidents.observed import OBSERVABLE_SIGMAS, Array, Cells, Departure, Sigma
from sim.incidents.planning import Incident
from sim.model.channels import within_limits

Values = dict[str, Array]
CellIndex = tuple[npt.NDArray[np.integer], ...]

LONGEST_DELAY_S = max(p.high for kind in SENSOR_FAULTS if kind.sensor == "late" for p in kind.parameters)
"""The farthest that a fault may look back; a tick of the past takes 8 bytes for each rack and measured channel."""


@dataclass(frozen=True, slots=True)
class Faulty:
    """The cells of a block that one fault is in: its ticks (n,), its racks, and how to index both in (ticks, racks).

    strength: of the fault, (n, 1). sigma: of the healthy sensor, (n, racks) [channel's unit].
    """

    occurrence: Occurrence
    ticks: npt.NDArray[np.int64]
    cells: CellIndex
    strength: Array
    sigma: Array

    @property
    def channel(self) -> str:
        """The channel whose sensor it is."""
        return self.occurrence.incident.channel

    @property
    def shape(self) -> tuple[int, int]:
        """Number of ticks and racks."""
        return len(self.ticks), len(self.occurrence.incident.racks)

    def parameter(self, name: str) -> float:
        """Return a parameter of the fault."""
        return self.occurrence.incident.parameter(name)


Reread = Callable[[str, Callable[[str], Array], CellIndex], Array]
"""What a healthy sensor would have read of another truth, by channel, in some cells of the block, with its noise."""

Law = Callable[[Array], Array]
"""What a fault makes of the values that a channel would show without it, (n, racks)."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one fault changes of a block: its cells, and its law by channel, whose draws are made."""

    fault: Faulty
    laws: Mapping[str, Law]

    def act(self, values: Values) -> None:
        """Change what of its channels is in `values`, in place."""
        for name in self.laws.keys() & values.keys():
            values[name][self.fault.cells] = self.laws[name](values[name][self.fault.cells])

    def meets(self, other: "Change") -> bool:
        """Return whether another changes a channel of a rack that this one does."""
        racks, theirs = self.fault.occurrence.incident.racks, other.fault.occurrence.incident.racks
        return bool(self.laws.keys() & other.laws.keys()) and not set(racks.tolist()).isdisjoint(theirs.tolist())


class SensorFaults:
    """Applies faults to the values that healthy sensors would give; where there is none nothing is touched or drawn.

    Remembers the truth of past ticks as long as the expected faults need and at least for `keep_s`, the last healthy
    values, and each stuck sensor's.
    """

    def __init__(self, sigma: Sigma, reread: Reread, streams: Streams, tick_s: float, keep_s: float = 0.0) -> None:
        self._sigma = sigma
        self._reread = reread
        self._streams = streams
        self._tick_s = tick_s
        self._keep_ticks = ceil(keep_s / tick_s)
        self._rng: dict[str, np.random.Generator] = {}
        self._stuck_at: dict[int, Array] = {}
        self._last: Values = {}  # healthy values of the tick before the block
        self._past: deque[tuple[int, Values]] = deque()  # blocks of the truth and their first ticks
        self._first_tick, self._truth = 0, dict[str, Array]()
        self._laws = {
            "stuck": self._stick,
            "drift": self._wander,
            "offset": self._wander,
            "spike": self._spike,
            "noise": self._scatter,
            "dropout": self._drop,
            "swap": self._swap,
            "late": self._delay,
        }

    def expect(self, incidents: Iterable[Incident]) -> None:
        """Remember from now on what these may need of the past: a late sensor its delay."""
        for i in incidents:
            if i.kind.sensor == "late":
                self._keep_ticks = max(self._keep_ticks, ceil(i.parameter("delay_s") / self._tick_s))

    def apply(
        self, first_tick: int, healthy: Values, truth: Mapping[str, Array], occurrences: Sequence[Occurrence]
    ) -> Values:
        """Return what sensors show, NaN where a sample is missing; tell occurrences where they are seen."""
        self._first_tick, self._truth = first_tick, dict(truth)
        changes = [change for o in occurrences if (change := self._change(o, healthy, truth))]
        shown = healthy | _changed(changes, {name: healthy[name] for c in changes for name in c.laws})
        self._tell(changes, healthy, shown, truth)
        self._last = {name: values[-1].copy() for name, values in healthy.items()}
        self._remember(first_tick, truth)
        return shown

    def _change(self, o: Occurrence, healthy: Values, truth: Mapping[str, Array]) -> Change | None:
        ticks = np.arange(self._first_tick, self._first_tick + len(healthy["inlet_c"]))
        rows = np.flatnonzero((ticks * self._tick_s >= o.start_s) & (ticks * self._tick_s < o.over_s))
        if not len(rows):
            return None
        strength = np.array([o.strength(tick * self._tick_s)[0] for tick in ticks[rows].tolist()])[:, None]
        cells = np.ix_(rows, o.incident.racks)
        sigma = self._sigma(o.incident.channel, truth[o.incident.channel][cells])
        faulty = Faulty(o, ticks[rows], cells, strength, sigma)
        return Change(faulty, self._laws[o.incident.kind.sensor or ""](faulty, healthy))

    def _tell(self, changes: Sequence[Change], healthy: Values, shown: Values, truth: Mapping[str, Array]) -> None:
        """Tell each fault in which cells its own effect is seen, and all of a cell where only they together are.

        Its own effect is what the sensor shows with it and not without it, whatever others do to the same sensor.
        """
        by_itself, together = (np.zeros(healthy["inlet_c"].shape, dtype=np.bool_) for _ in range(2))
        for change in changes:
            others = [c for c in changes if c is not change and c.meets(change)]
            without = _changed(others, {name: healthy[name] for name in change.laws})
            cells, o = change.fault.cells, change.fault.occurrence
            own = self._apart(shown, without, truth, change.laws, cells)
            by_itself[cells] |= own > OBSERVABLE_SIGMAS
            together[cells] |= self._apart(shown, healthy, truth, change.laws, cells) > OBSERVABLE_SIGMAS
            for i in np.flatnonzero((own > OBSERVABLE_SIGMAS).any(axis=1)).tolist():
                seen = own[i] > OBSERVABLE_SIGMAS
                o.see(int(change.fault.ticks[i]), own[i][seen], o.incident.racks[seen])
        together &= ~by_itself
        for change in changes if together.any() else ():
            rows, columns = np.nonzero(together[change.fault.cells])
            o = change.fault.occurrence
            o.jointly.append(Cells(change.fault.ticks[rows], o.incident.racks[columns]))

    def _apart(
        self, shown: Values, there: Values, truth: Mapping[str, Array], channels: Iterable[str], cells: CellIndex
    ) -> Departure:
        """Return how far what is shown in some cells is from what there would be, in the channel that shows it most."""
        most = np.zeros(np.broadcast_shapes(*(index.shape for index in cells)))
        for name in channels:
            one, other = shown[name][cells], there[name][cells]
            apart = np.abs(one - other) / self._sigma(name, truth[name][cells])
            apart = np.where(np.isnan(one) != np.isnan(other), np.inf, np.nan_to_num(apart, nan=0.0, posinf=np.inf))
            most = np.maximum(most, apart)
        return most.astype(np.float32)

    def _stick(self, f: Faulty, healthy: Values) -> dict[str, Law]:
        number = f.occurrence.number
        if number not in self._stuck_at:
            before = self._value_before(f.channel, int(f.ticks[0]), healthy)
            self._stuck_at[number] = before[f.occurrence.incident.racks]
        return {f.channel: lambda values: np.broadcast_to(self._stuck_at[number], values.shape)}

    def _value_before(self, name: str, tick: int, healthy: Values) -> Array:
        """Return the healthy values of the tick before, (racks,); of the first tick where there is none before."""
        row = tick - 1 - self._first_tick
        return np.asarray(self._last[name] if row < 0 and self._last else healthy[name][max(row, 0)])

    def _wander(self, f: Faulty, _healthy: Values) -> dict[str, Law]:
        return _added(f, f.strength * f.parameter("sigmas") * f.sigma)

    def _spike(self, f: Faulty, _healthy: Values) -> dict[str, Law]:
        drawn = self._stream(f).random((*f.shape, 2))
        sign = np.where(drawn[..., 1] < 0.5, -1.0, 1.0)  # noqa: PLR2004 - either way
        hit = drawn[..., 0] < f.parameter("share")
        return _added(f, hit * sign * f.strength * f.parameter("sigmas") * f.sigma)

    def _scatter(self, f: Faulty, _healthy: Values) -> dict[str, Law]:
        drawn = self._stream(f).standard_normal(f.shape)
        return _added(f, drawn * f.strength * f.parameter("sigmas") * f.sigma)

    def _drop(self, f: Faulty, _healthy: Values) -> dict[str, Law]:
        lost = self._stream(f).random(f.shape) < f.parameter("share") * f.strength
        return {f.channel: lambda values: np.where(lost, np.nan, values)}

    def _swap(self, f: Faulty, healthy: Values) -> dict[str, Law]:
        other = SWAPPED[f.channel]
        one, its = healthy[f.channel][f.cells], healthy[other][f.cells]
        return {f.channel: lambda _: its, other: lambda _: one}

    def _delay(self, f: Faulty, _healthy: Values) -> dict[str, Law]:
        """Return the law of a sensor that reads what was true a while ago, with the noise of now."""
        late = ceil(f.parameter("delay_s") / self._tick_s)
        first = self._past[0][0] if self._past else self._first_tick
        then = np.ix_(np.maximum(f.ticks - late - first, 0), f.occurrence.incident.racks)

        def past(name: str) -> Array:
            return np.asarray(np.concatenate([*(of[name] for _, of in self._past), self._truth[name]])[then])

        shown = self._reread(f.channel, past, f.cells)
        return {f.channel: lambda _: shown}

    def _stream(self, f: Faulty) -> np.random.Generator:
        name = f.occurrence.id
        if name not in self._rng:
            self._rng[name] = self._streams.stream("sensor_fault", name)
        return self._rng[name]

    def _remember(self, first_tick: int, truth: Mapping[str, Array]) -> None:
        if not self._keep_ticks:
            return
        ticks = len(truth["inlet_c"])
        kept = min(ticks, self._keep_ticks)
        self._past.append((first_tick + ticks - kept, {name: values[-kept:].copy() for name, values in truth.items()}))
        oldest = first_tick + ticks - self._keep_ticks
        while len(self._past) > 1 and self._past[1][0] <= oldest:
            self._past.popleft()


def _changed(changes: Iterable[Change], healthy: Values) -> Values:
    """Return what these make of the healthy values of some channels."""
    values = {name: of.copy() for name, of in healthy.items()}
    for change in changes:
        change.act(values)
    return values


def _added(f: Faulty, error: Array) -> dict[str, Law]:
    return {f.channel: lambda values: within_limits(f.channel, values + error)}

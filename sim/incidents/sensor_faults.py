"""Faulty sensors: what they make of healthy values, block by block."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from sim.common.streams import Streams
from sim.incidents.active import Occurrence
from sim.incidents.attribution import Array, Departure, Sigma
from sim.incidents.catalogue import SENSOR_FAULTS, SWAPPED
from sim.incidents.planning import Incident
from sim.model.channels import within_limits

Values = dict[str, Array]

LONGEST_DELAY_S = max(p.high for kind in SENSOR_FAULTS if kind.sensor == "late" for p in kind.parameters)
"""The farthest that a fault may look back; a tick of the past takes 8 bytes for each rack and measured channel."""


@dataclass(frozen=True, slots=True)
class Faulty:
    """The cells of a block that one fault is in: its ticks (n,), its racks, and how to index both in (ticks, racks).

    strength: of the fault, (n, 1). sigma: of the healthy sensor, (n, racks) [channel's unit].
    """

    occurrence: Occurrence
    ticks: npt.NDArray[np.int64]
    cells: tuple[npt.NDArray[np.integer], ...]
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


class SensorFaults:
    """Applies faults to the values that healthy sensors would give; where there is none nothing is touched or drawn.

    Remembers healthy values of past ticks as long as the expected faults need and at least for `keep_s`, and each stuck
    sensor's last one.
    """

    def __init__(self, sigma: Sigma, streams: Streams, tick_s: float, keep_s: float = 0.0) -> None:
        self._sigma = sigma
        self._streams = streams
        self._tick_s = tick_s
        self._keep_ticks = ceil(keep_s / tick_s)
        self._rng: dict[str, np.random.Generator] = {}
        self._stuck_at: dict[int, Array] = {}
        self._past: deque[tuple[int, Values]] = deque()  # blocks of healthy values and their first ticks
        self._first_tick = 0
        self._acts = {
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
        """Remember from now on what these may need of the past: a stuck sensor one tick, a late one its delay."""
        for i in incidents:
            past_s = i.parameter("delay_s") if i.kind.sensor == "late" else self._tick_s if i.kind.sensor else 0.0
            self._keep_ticks = max(self._keep_ticks, ceil(past_s / self._tick_s))

    def apply(
        self, first_tick: int, healthy: Values, truth: Mapping[str, Array], occurrences: Sequence[Occurrence]
    ) -> tuple[Values, Departure]:
        """Return what sensors show, NaN where a sample is missing, and how far off it is [sigmas], (ticks, racks)."""
        shown, self._first_tick = dict(healthy), first_tick
        for o in occurrences:
            channel = o.incident.channel
            for name in (channel, SWAPPED[channel]) if o.incident.kind.sensor == "swap" else (channel,):
                if shown[name] is healthy[name]:
                    shown[name] = healthy[name].copy()
            self._apply(o, first_tick, healthy, shown, truth)
        off = np.zeros(healthy["inlet_c"].shape)
        for name, values in shown.items():
            if values is not healthy[name]:
                apart = np.abs(values - healthy[name]) / self._sigma(name, truth[name])
                lost, nothing = np.isnan(values), np.isnan(healthy[name])
                apart = np.where(lost & nothing, 0.0, np.where(lost | nothing, np.inf, apart))
                np.maximum(off, apart, out=off)
        self._remember(first_tick, healthy)
        return shown, off.astype(np.float32)

    def _apply(
        self, o: Occurrence, first_tick: int, healthy: Values, shown: Values, truth: Mapping[str, Array]
    ) -> None:
        ticks = np.arange(first_tick, first_tick + len(healthy["inlet_c"]))
        rows = np.flatnonzero((ticks * self._tick_s >= o.start_s) & (ticks * self._tick_s < o.over_s))
        if len(rows):
            strength = np.array([o.strength(tick * self._tick_s)[0] for tick in ticks[rows].tolist()])[:, None]
            cells = np.ix_(rows, o.incident.racks)
            sigma = self._sigma(o.incident.channel, truth[o.incident.channel][cells])
            faulty = Faulty(o, ticks[rows], cells, strength, sigma)
            self._acts[o.incident.kind.sensor or ""](faulty, healthy, shown)

    def _stick(self, f: Faulty, healthy: Values, shown: Values) -> None:
        number = f.occurrence.number
        if number not in self._stuck_at:
            before = self._value_before(f.channel, int(f.ticks[0]), healthy)
            self._stuck_at[number] = before[f.occurrence.incident.racks]
        shown[f.channel][f.cells] = self._stuck_at[number]

    def _value_before(self, name: str, tick: int, healthy: Values) -> Array:
        """Return the healthy values of the tick before, (racks,); of the first tick where there is none before."""
        known, first = self._known(name, healthy)
        return np.asarray(known[max(tick - 1 - first, 0)])

    def _wander(self, f: Faulty, _healthy: Values, shown: Values) -> None:
        _add(f, f.strength * f.parameter("sigmas") * f.sigma, shown)

    def _spike(self, f: Faulty, _healthy: Values, shown: Values) -> None:
        drawn = self._stream(f).random((*f.shape, 2))
        sign = np.where(drawn[..., 1] < 0.5, -1.0, 1.0)  # noqa: PLR2004 - either way
        hit = drawn[..., 0] < f.parameter("share")
        _add(f, hit * sign * f.strength * f.parameter("sigmas") * f.sigma, shown)

    def _scatter(self, f: Faulty, _healthy: Values, shown: Values) -> None:
        drawn = self._stream(f).standard_normal(f.shape)
        _add(f, drawn * f.strength * f.parameter("sigmas") * f.sigma, shown)

    def _drop(self, f: Faulty, _healthy: Values, shown: Values) -> None:
        lost = self._stream(f).random(f.shape) < f.parameter("share") * f.strength
        values = shown[f.channel]
        values[f.cells] = np.where(lost, np.nan, values[f.cells])

    def _swap(self, f: Faulty, healthy: Values, shown: Values) -> None:
        other = SWAPPED[f.channel]
        shown[f.channel][f.cells], shown[other][f.cells] = healthy[other][f.cells], healthy[f.channel][f.cells]

    def _delay(self, f: Faulty, healthy: Values, shown: Values) -> None:
        late = int(np.ceil(f.parameter("delay_s") / self._tick_s))
        known, first = self._known(f.channel, healthy)
        rows = np.maximum(f.ticks - late - first, 0)
        shown[f.channel][f.cells] = known[np.ix_(rows, f.occurrence.incident.racks)]

    def _known(self, name: str, healthy: Values) -> tuple[Array, int]:
        """Return the healthy values of remembered ticks and of the block, and the number of the first."""
        if not self._past:
            return healthy[name], self._first_tick
        return np.concatenate([*(values[name] for _, values in self._past), healthy[name]]), self._past[0][0]

    def _stream(self, f: Faulty) -> np.random.Generator:
        name = f.occurrence.id
        if name not in self._rng:
            self._rng[name] = self._streams.stream("sensor_fault", name)
        return self._rng[name]

    def _remember(self, first_tick: int, healthy: Values) -> None:
        if not self._keep_ticks:
            return
        ticks = len(healthy["inlet_c"])
        kept = min(ticks, self._keep_ticks)
        self._past.append(
            (first_tick + ticks - kept, {name: values[-kept:].copy() for name, values in healthy.items()})
        )
        oldest = first_tick + ticks - self._keep_ticks
        while len(self._past) > 1 and self._past[1][0] <= oldest:
            self._past.popleft()


def _add(f: Faulty, error: Array, shown: Values) -> None:
    values = shown[f.channel]
    values[f.cells] = within_limits(f.channel, values[f.cells] + error)

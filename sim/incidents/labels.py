"""Incident labels: how far racks are from their twins, whose departure it is, and what that means for their rows.

A rack's row is *observed* where its truth departs from its twin's by OBSERVABLE_SIGMAS of a healthy sensor in any
channel; gaps of up to QUIET_S between two such rows are counted in, so that "gone for good" means gone for QUIET_S. An
incident owns the rows of the racks that it strikes from its planned start to its planned end, recovery included, and
the observed rows of all racks that it reaches from its start until they are quiet, or until another incident that
reaches the rack takes over. A rack that an incident strikes, or gives load to, is *touched*: as long as that lasts and
is felt, incidents that merely reach the rack neither take its rows nor take over; only one that touches it too does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.incidents.active import Occurrence
from sim.model.channels import MEASURED
from sim.model.episodes import PERSISTENT_S

OBSERVABLE_SIGMAS = 3.0
QUIET_S = 900.0
"""An effect is gone for good once it was not seen for so long; assumed: the hall's own settling time."""

LOOK_AHEAD_S = QUIET_S + PERSISTENT_S
"""How far beyond a row one has to see to know all about it."""

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Departure = npt.NDArray[np.float32]
Sigma = Callable[[str, Array], Array]
"""The standard deviation of a healthy sensor's readings, from the channel's name and its true values."""

_NEVER = -(2**40)


@dataclass(frozen=True, slots=True)
class IncidentLabels:
    """What incidents mean for the rows of a block, (ticks, racks) each.

    incidents, sensors: index of the text in `incident_names`, `sensor_names`; 0 is none. phase: index in PHASES, 0 is
    none. severity: the strongest one's, 0..1. physical, sensor: whether an incident's effect, or a sensor's fault, can
    be observed. persistent: whether it can for at least PERSISTENT_S.
    """

    incidents: npt.NDArray[np.int32]
    incident_names: Sequence[str]
    sensors: npt.NDArray[np.int32]
    sensor_names: Sequence[str]
    phase: npt.NDArray[np.int8]
    severity: npt.NDArray[np.float32]
    physical: npt.NDArray[np.bool_]
    sensor: npt.NDArray[np.bool_]
    persistent: npt.NDArray[np.bool_]


PHASES = ("", "recovery", "onset", "hold")
"""Phases of an incident; where several meet, the later in this list is told."""


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """One time that an incident happened, complete; instants in seconds of the run, None where there is none.

    assets: what it affected. affected: racks that departed from their twins, or whose sensor it was. observable_end_s:
    the first tick at which the departure is gone for good. persistent: whether it was observed for PERSISTENT_S.
    """

    id: str
    kind: str
    group: str
    triggered_by: str | None
    assets: tuple[str, ...]
    affected: tuple[str, ...]
    start_s: float
    end_s: float
    onset_s: float | None
    peak_s: float | None
    observable_end_s: float | None
    severity: float
    ticks: int
    persistent: bool
    saturated: bool
    origin: str


class TwinResidual:
    """Measures how far racks are from their twins; only those that an incident has ever reached can be."""

    def __init__(self, sigma: Sigma, racks: int, channels: Sequence[str] = MEASURED) -> None:
        self._sigma = sigma
        self._channels = channels
        self._reached = np.zeros(racks, dtype=np.bool_)

    def measure(self, truth: Mapping[str, Array], twin: Mapping[str, Array], begun: Sequence[Occurrence]) -> Departure:
        """Return how far each rack is from its twin in the channel that shows it most [sigmas], (ticks, racks)."""
        for o in begun:
            self._reached |= o.incident.reaches | (o.saturated_s is not None)
        racks = np.flatnonzero(self._reached)
        apart: Departure = np.zeros(truth["inlet_c"].shape, dtype=np.float32)
        if len(racks):
            most = np.zeros((len(apart), len(racks)))
            for name in self._channels:
                there = twin[name][:, racks]
                away = np.abs(truth[name][:, racks] - there)
                np.maximum(most, away / self._sigma(name, there), out=most)
            apart[:, racks] = most
        return apart


@dataclass(slots=True, eq=False)
class Owned:
    """The rows of a block that an occurrence owns.

    racks: indices (n,). rows, observed: which rows, and which of them could be observed, (ticks, n). phase: as PHASES.
    """

    occurrence: Occurrence
    racks: npt.NDArray[np.intp]
    rows: Mask
    observed: Mask
    phase: npt.NDArray[np.int8]


@dataclass(slots=True)
class _Tail:
    """What is remembered of an occurrence between blocks: first observed tick, and whether it goes on, (racks,)."""

    seen: npt.NDArray[np.int64]
    alive: Mask


class Attribution:
    """Follows one kind of departure, of the physics or of the sensors, block by block in order."""

    def __init__(self, racks: int, tick_s: float) -> None:
        self._racks = racks
        self._tick_s = tick_s
        self._quiet = int(QUIET_S // tick_s)
        self._lasting = int(np.ceil(PERSISTENT_S / tick_s))
        self._last_seen = np.full(racks, _NEVER, dtype=np.int64)
        self._run_start = np.full(racks, _NEVER, dtype=np.int64)
        self._tails: dict[int, _Tail] = {}

    def block(
        self, first: int, departure: Departure, ahead: Departure, occurrences: Sequence[Occurrence]
    ) -> tuple[list[Owned], Mask]:
        """Return what each occurrence owns of a block, and where what is observed lasts at least PERSISTENT_S.

        departure: of the block's rows, (ticks, racks) [sigmas]; ahead: of the rows after it, as far as they matter.
        """
        ticks = len(departure)
        seen = np.concatenate([departure, ahead]) > OBSERVABLE_SIGMAS
        tick = np.arange(first, first + len(seen))[:, None]
        before = np.maximum.accumulate(np.vstack([self._last_seen, np.where(seen, tick, _NEVER)]))[1:]
        after = np.minimum.accumulate(np.where(seen, tick, -_NEVER)[::-1])[::-1]
        filled = seen | (after - before <= self._quiet)
        persistent = self._persistent(filled, tick, ticks)
        planned, touched = self._planned(first, ticks, occurrences)
        held = touched.copy()
        for o in occurrences:
            held |= self._felt_after(o, first, filled[:ticks], after[:ticks], touched)
        owned = []
        for o in occurrences:
            mine = self._touches(o)
            left, taken = filled[:ticks] & (~held | mine), np.where(mine, touched, planned > 0)
            part = self._own(o, first, seen[:ticks], left, after[:ticks], taken)
            if part is not None:
                self._learn(part, first, departure, persistent)
                owned.append(part)
        self._last_seen = before[ticks - 1]
        return owned, persistent[:ticks]

    def _persistent(self, filled: Mask, tick: npt.NDArray[np.int64], ticks: int) -> Mask:
        """Return where a stretch of filled rows lasts long enough; its start may lie in an earlier block."""
        begins = filled & ~np.vstack([self._run_start[None] != _NEVER, filled[:-1]])
        start = np.maximum.accumulate(np.vstack([self._run_start, np.where(begins, tick, _NEVER)]))[1:]
        holes = np.where(filled, -_NEVER, tick)
        end = np.minimum.accumulate(np.vstack([holes, np.full(holes.shape[1], tick[-1, 0] + 1)])[::-1])[::-1][:-1]
        self._run_start = np.where(filled[ticks - 1], start[ticks - 1], _NEVER)
        return filled & (end - start >= self._lasting)

    def _planned(self, first: int, ticks: int, occurrences: Sequence[Occurrence]) -> tuple[npt.NDArray[np.int16], Mask]:
        """Return how many occurrences are planned to reach each row, and whether one touches it, (ticks, racks)."""
        count = np.zeros((ticks, self._racks), dtype=np.int16)
        touched = np.zeros((ticks, self._racks), dtype=np.bool_)
        for o in occurrences:
            begin, end = self._span(o)
            rows = slice(max(begin - first, 0), max(end + 1 - first, 0))
            count[rows] += o.incident.reaches[None]
            touched[rows] |= self._touches(o)
            late = slice(max(self._coupled(o) - first, rows.start), rows.stop)
            count[late] += ~o.incident.reaches[None]
        return count, touched

    def _touches(self, o: Occurrence) -> Mask:
        """Return the racks that an occurrence strikes or gives load to, (racks,)."""
        racks = np.arange(self._racks)
        return np.isin(racks, o.incident.racks) | np.isin(racks, o.incident.to_racks)

    def _span(self, o: Occurrence) -> tuple[int, int]:
        """Return the first and the last tick of an occurrence as planned, recovery included; a blip has at least one.

        A tick shows what the plant was under since the tick before, but a sensor's fault at its own instant only.
        """
        begin, after = int(np.ceil(o.start_s / self._tick_s)), int(np.ceil(o.over_s / self._tick_s))
        return begin, max(begin, after - 1 if o.incident.kind.sensor else after)

    def _coupled(self, o: Occurrence) -> int:
        """Return the first tick in which the chiller plant passes an occurrence on to the whole hall."""
        return -_NEVER if o.saturated_s is None else int(np.ceil(o.saturated_s / self._tick_s))

    @staticmethod
    def _reaches(o: Occurrence) -> Mask:
        return np.ones_like(o.incident.reaches) if o.saturated_s is not None else o.incident.reaches

    def _own(
        self, o: Occurrence, first: int, seen: Mask, filled: Mask, after: npt.NDArray[np.int64],
        taken: Mask,
    ) -> Owned | None:  # fmt: skip
        begin, end = self._span(o)
        ticks = len(seen)
        if begin >= first + ticks:
            return None
        tail = self._tails.setdefault(
            o.number, _Tail(np.full(self._racks, -_NEVER, dtype=np.int64), np.ones(self._racks, dtype=np.bool_))
        )
        racks = np.flatnonzero(self._reaches(o) & (tail.alive | (end >= first)))
        tick = np.arange(first, first + ticks)[:, None]
        affected = np.isin(racks, o.incident.racks)
        inside = (tick >= begin) & (tick <= end)
        observed = filled[:, racks] & (tick >= begin) & (o.incident.reaches[racks] | (tick >= self._coupled(o)))
        rows = inside & (observed | affected)
        if end < first + ticks - 1:
            going = self._going_on(end, first, tail.alive[racks], observed, after[:, racks], taken[:, racks])
            tail.alive[racks] = going[-1]
            rows |= going & (tick > end) & (observed | affected)
        observed &= rows
        first_seen = np.where(
            (seen[:, racks] & rows).any(axis=0), (seen[:, racks] & rows).argmax(axis=0) + first, -_NEVER
        )
        tail.seen[racks] = np.minimum(tail.seen[racks], first_seen)
        return Owned(o, racks, rows, observed, self._phase(o, tick, tail.seen[racks], rows))

    def _felt_after(self, o: Occurrence, first: int, filled: Mask, after: npt.NDArray[np.int64], touched: Mask) -> Mask:
        """Return the rows after its planned end in which an occurrence is still felt on racks that it touches."""
        rows = np.zeros(filled.shape, dtype=np.bool_)
        begin, end = self._span(o)
        if begin >= first + len(filled) or end >= first + len(filled) - 1:
            return rows
        racks, tail = np.flatnonzero(self._touches(o)), self._tails.get(o.number)
        alive = np.ones(len(racks), dtype=np.bool_) if tail is None else tail.alive[racks]
        tick = np.arange(first, first + len(filled))[:, None]
        observed = filled[:, racks] & (tick >= begin)
        going = self._going_on(end, first, alive, observed, after[:, racks], touched[:, racks])
        rows[:, racks] = going & (tick > end) & (observed | np.isin(racks, o.incident.racks))
        return rows

    def _going_on(
        self, end: int, first: int, alive: Mask, observed: Mask, after: npt.NDArray[np.int64], taken: Mask
    ) -> Mask:
        """Return the rows through which the effect goes on: all up to the planned end, and then as long as it is felt.

        It goes on while it is observed, or where it is first observed so soon after the end that it must be late, and
        until the rack is taken over. alive: where it still did before the block, (racks,).
        """
        tick = np.arange(first, first + len(observed))[:, None]
        going = (observed | ((after - end <= self._quiet) & (tick <= after))) & ~taken | (tick <= end)
        return np.asarray(np.logical_and.accumulate(going & alive, axis=0))

    def _phase(
        self, o: Occurrence, tick: npt.NDArray[np.int64], seen: npt.NDArray[np.int64], rows: Mask
    ) -> npt.NDArray[np.int8]:
        risen_s = o.start_s + (o.incident.rise_s if o.incident.shape == "ramp" else 0.0)
        time_s = tick * self._tick_s
        held = (tick >= seen) & (time_s >= risen_s)
        phase = np.where(time_s >= o.end_s, 1, np.where(held, 3, 2))
        return np.where(rows, phase, 0).astype(np.int8)

    def _learn(self, part: Owned, first: int, departure: Departure, persistent: Mask) -> None:
        """Take into the occurrence what the block says of it."""
        o, at = part.occurrence, departure[:, part.racks]
        felt = part.rows & (at > OBSERVABLE_SIGMAS)
        o.ticks += int(part.rows.any(axis=1).sum())
        if not felt.any():
            return
        o.racks |= set(part.racks[felt.any(axis=0)].tolist())
        lit = np.flatnonzero(felt.any(axis=1)) + first
        o.onset_tick = int(lit[0]) if o.onset_tick is None else o.onset_tick
        o.last_tick = int(lit[-1])
        o.persistent |= bool((felt & persistent[: len(at), part.racks]).any())
        strongest = np.where(felt, at, 0.0).max(axis=1)
        if o.peak_tick is None or float(strongest.max()) > o.peak_sigmas:
            o.peak_sigmas, o.peak_tick = float(strongest.max()), int(strongest.argmax()) + first

    def is_closed(self, o: Occurrence, ticks_known: int) -> bool:
        """Return whether nothing of an occurrence can follow after the ticks that were attributed."""
        _, end = self._span(o)
        tail = self._tails.get(o.number)
        return end < ticks_known - 1 and (tail is None or not tail.alive[self._reaches(o)].any())

    def forget(self, o: Occurrence) -> None:
        """Drop what is remembered of a closed occurrence."""
        self._tails.pop(o.number, None)


def incident_labels(first: int, owned: Sequence[Owned], lasts: npt.NDArray[np.bool_], tick_s: float) -> IncidentLabels:
    """Return what the occurrences that own rows of a block mean for its rows."""
    shape = lasts.shape
    incidents, sensors = _Words(shape), _Words(shape)
    phase, severity = np.zeros(shape, dtype=np.int8), np.zeros(shape, dtype=np.float32)
    physical, sensor = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    for part in sorted(owned, key=lambda p: p.occurrence.number):
        o, columns = part.occurrence, part.racks
        incidents.add(o.id, part)
        if o.incident.kind.sensor:
            sensors.add(o.incident.channel, part)
            sensor[:, columns] |= part.observed
        elif not o.incident.kind.is_normal:
            physical[:, columns] |= part.observed
        phase[:, columns] = np.maximum(phase[:, columns], part.phase)
        severity[:, columns] = np.maximum(severity[:, columns], _severity(part, first, tick_s))
    return IncidentLabels(
        incidents.index, incidents.names, sensors.index, sensors.names, phase, severity, physical, sensor,
        lasts & (physical | sensor),
    )  # fmt: skip


def _severity(part: Owned, first: int, tick_s: float) -> npt.NDArray[np.float32]:
    """Return how strong an occurrence is in the rows that it owns, (ticks, racks of it)."""
    o = part.occurrence
    strong = np.zeros(part.rows.shape, dtype=np.float32)
    busy = np.flatnonzero(part.rows.any(axis=1))
    busy = busy[((first + busy) * tick_s >= o.start_s) & ((first + busy) * tick_s < o.over_s)]
    for i in busy.tolist():
        strength = o.strength((first + i) * tick_s)
        if len(strength) == 1:
            strong[i] = strength[0]
        else:  # in turn: each rack its own
            strong[i, np.searchsorted(part.racks, o.incident.racks)] = strength
    return strong * part.rows


class _Words:
    """Texts for cells, where several joined by | may meet in one."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.index: npt.NDArray[np.int32] = np.zeros(shape, dtype=np.int32)
        self.names = [""]
        self._known = {"": 0}

    def add(self, word: str, part: Owned) -> None:
        """Write a word into the cells that an occurrence owns, after what stands there."""
        cells = self.index[:, part.racks]
        for old in np.unique(cells[part.rows]).tolist():
            name = self.names[old]
            joined = name if word in name.split("|") else f"{name}|{word}" if name else word
            if joined not in self._known:
                self._known[joined] = len(self.names)
                self.names.append(joined)
            cells[part.rows & (cells == old)] = self._known[joined]
        self.index[:, part.racks] = cells

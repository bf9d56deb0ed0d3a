"""Incident labels: what the intervals that incidents own mean for the rows of racks, painted once into arrays."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.incidents.attribution import Claims
from sim.incidents.observed import Mask


@dataclass(frozen=True, slots=True)
class IncidentLabels:
    """What incidents mean for the rows of a block, (ticks, racks) each.

    incidents, observed, sensors: index of the text in `incident_names`, `observed_names`, `sensor_names`; 0 is none.
    incidents: all that own the row; observed: the faults among them that can be observed in it. phase: index in PHASES,
    0 is none. severity: the strongest one's, 0..1, to whichever side. physical, sensor: whether a fault's effect, or a
    sensor's fault, can be observed. persistent: whether one of them can for at least PERSISTENT_S.
    """

    incidents: npt.NDArray[np.int32]
    incident_names: Sequence[str]
    observed: npt.NDArray[np.int32]
    observed_names: Sequence[str]
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

    assets: what it affected. affected: racks that it was seen to change. observable_end_s:
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


def painted(block: range, racks: int, claims: Sequence[Claims], tick_s: float) -> IncidentLabels:
    """Return the labels of a block's rows: what occurrences own of them."""
    shape = len(block), racks
    incidents, observed, sensors = _Words(shape), _Words(shape), _Words(shape)
    phase, severity = np.zeros(shape, dtype=np.int8), np.zeros(shape, dtype=np.float32)
    physical, sensor, persistent = (np.zeros(shape, dtype=np.bool_) for _ in range(3))
    owned = [_Owned(c, block.start, tick_s) for c in claims if c.of_racks]
    for part in sorted(owned, key=lambda p: p.occurrence.number):
        kind, cells = part.occurrence.incident.kind, part.cells
        incidents.add(part.occurrence.id, cells, part.rows)
        if kind.sensor:
            sensors.add(part.occurrence.incident.channel, cells, part.rows)
        if not kind.is_normal:
            (sensor if kind.sensor else physical)[cells] |= part.observed
            persistent[cells] |= part.lasting
            observed.add(part.occurrence.id, cells, part.observed)
        phase[cells] = np.maximum(phase[cells], part.phase())
        severity[cells] = np.maximum(severity[cells], part.severity())
    return IncidentLabels(
        incidents.index, incidents.names, observed.index, observed.names, sensors.index, sensors.names, phase, severity,
        physical, sensor, persistent,
    )  # fmt: skip


def _mask(window: range, columns: Sequence[int], intervals: Iterable[tuple[int, range]]) -> Mask:
    """Return which cells of a window of ticks lie in intervals of racks, (ticks, columns)."""
    mask = np.zeros((len(window), len(columns)), dtype=np.bool_)
    at = {rack: i for i, rack in enumerate(columns)}
    for rack, ticks in intervals:
        mask[max(ticks.start - window.start, 0) : max(ticks.stop - window.start, 0), at[rack]] = True
    return mask


class _Owned:
    """The cells of a block that an occurrence owns, as masks over the ticks and racks that it has any of.

    cells: how to index the block's arrays, (ticks, racks). rows, observed, lasting: which of these cells it owns, in
    which of them it can be observed, and in which of those for PERSISTENT_S.
    """

    def __init__(self, claims: Claims, first: int, tick_s: float) -> None:
        self.occurrence = claims.occurrence
        of = claims.of_racks
        starts, stops = zip(*((t.start, t.stop) for claim in of for t in claim.owned), strict=True)
        window, racks = range(min(starts), max(stops)), [claim.rack for claim in of]
        self.cells = np.ix_(np.arange(window.start - first, window.stop - first), np.array(racks))
        self.rows = _mask(window, racks, ((claim.rack, t) for claim in of for t in claim.owned))
        self.observed = _mask(window, racks, ((claim.rack, s.ticks) for claim in of for s in claim.observed))
        self.lasting = _mask(window, racks, ((claim.rack, s.ticks) for claim in of for s in claim.observed if s.lasts))
        never = window.stop
        self._racks = np.array(racks)
        self._tick = np.arange(window.start, window.stop)
        self._seen = np.array([never if claim.first_seen is None else claim.first_seen for claim in of])
        self._time_s = self._tick * tick_s

    def phase(self) -> npt.NDArray[np.int8]:
        """Return the index in PHASES of each cell, 0 where it is not owned."""
        o, tick, time_s = self.occurrence, self._tick[:, None], self._time_s[:, None]
        rises_s = {"ramp": o.incident.rise_s, "drift": o.incident.duration_s}.get(o.incident.shape, 0.0)
        held = (tick >= self._seen) & (time_s >= o.start_s + rises_s)
        phase = np.where(time_s >= o.end_s, 1, np.where(held, 3, 2))
        return np.where(self.rows, phase, 0).astype(np.int8)

    def severity(self) -> npt.NDArray[np.float32]:
        """Return how strong the occurrence is in each cell, 0 where it is not owned."""
        o = self.occurrence
        strong = np.zeros(self.rows.shape, dtype=np.float32)
        under_way = np.flatnonzero((self._time_s >= o.start_s) & (self._time_s < o.over_s))
        levels = np.abs([o.strength(time_s) for time_s in self._time_s[under_way].tolist()])
        if not len(under_way):
            return strong
        if levels.shape[1] == 1:
            strong[under_way] = levels
        else:  # in turn: each rack its own
            strong[np.ix_(under_way, np.searchsorted(self._racks, o.incident.racks))] = levels
        return strong * self.rows


class _Words:
    """Texts for cells, where several joined by | may meet in one."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.index: npt.NDArray[np.int32] = np.zeros(shape, dtype=np.int32)
        self.names = [""]
        self._known = {"": 0}

    def add(self, word: str, where: tuple[npt.NDArray[np.intp], ...], rows: Mask) -> None:
        """Write a word into some of the cells of a part of the block, after what stands there."""
        cells = self.index[where]
        for old in np.unique(cells[rows]).tolist():
            name = self.names[old]
            joined = name if word in name.split("|") else f"{name}|{word}" if name else word
            if joined not in self._known:
                self._known[joined] = len(self.names)
                self.names.append(joined)
            cells[rows & (cells == old)] = self._known[joined]
        self.index[where] = cells

"""Marks: what the incidents that own rows of a block mean for them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sim.engine.attribution import Owned
from sim.engine.blocks import Marks


def marks(first: int, owned: Sequence[Owned], lasts: npt.NDArray[np.bool_], tick_s: float) -> Marks:
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
    return Marks(
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

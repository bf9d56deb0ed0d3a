"""Readings thinned for the eye, so that peaks survive, and packed for a page.

A bin keeps the smallest and the largest reading of each rack. Numbers are counted in steps of a channel's last digit,
or as many of them as its range needs; a page holds them as differences from bin to bin, compressed.
"""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.model.channels import CHANNELS
from sim.reports.recorded import Array, Grid, Recorded

FOLLOWS = "gpu_energy_j"
"""Is gpu_power_kw over the tick, so no page shows it over time."""
MOST_VALUES = 1_000_000
"""Numbers that a page holds of readings over time where they are two to a bin: about 2 MB."""
FEWEST_BINS = 48
_MOST_STEPS = 65_000
_MISSING = 0
"""Stands for no reading; the smallest reading is 1."""


@dataclass(frozen=True, slots=True)
class Bins:
    """Ticks taken together: `width` each, the last one perhaps fewer."""

    ticks: int
    width: int

    @property
    def count(self) -> int:
        """How many there are."""
        return -(-self.ticks // self.width)

    def ends(self, values: npt.NDArray[np.floating[Any]]) -> tuple[Array, Array]:
        """Return the smallest and the largest value of each bin, NaN where there is none, (bins, racks)."""
        low, high = (self._padded(values, fill) for fill in (np.inf, -np.inf))
        low, high = low.min(axis=1), high.max(axis=1)
        return np.where(np.isfinite(low), low, np.nan), np.where(np.isfinite(high), high, np.nan)

    def most(self, cells: npt.NDArray[np.integer[Any]], kinds: int) -> npt.NDArray[np.uint8]:
        """Return which of `kinds` numbers from 0 most ticks of a bin have, the smaller of equals, (bins, racks)."""
        padded = np.full((self.count * self.width, cells.shape[1]), -1, dtype=np.int64)
        padded[: self.ticks] = cells
        split = padded.reshape(self.count, self.width, -1)
        counts = np.stack([(split == kind).sum(axis=1) for kind in range(kinds)])
        return np.asarray(counts.argmax(axis=0).astype(np.uint8))

    def any(self, cells: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return the bins in which a tick is set."""
        padded = np.zeros((self.count * self.width, cells.shape[1]), dtype=np.bool_)
        padded[: self.ticks] = cells
        return np.asarray(padded.reshape(self.count, self.width, -1).any(axis=1))

    def _padded(self, values: npt.NDArray[np.floating[Any]], fill: float) -> Array:
        padded = np.full((self.count * self.width, values.shape[1]), fill)
        padded[: self.ticks] = np.where(np.isfinite(values), values, fill)
        return padded.reshape(self.count, self.width, -1)


def shown(recorded: Recorded) -> list[str]:
    """Return the channels that a page shows over time: all but FOLLOWS, unless that is the only one."""
    return [name for name in recorded.channels if name != FOLLOWS] or list(recorded.channels)


def bins_for(grid: Grid, channels: int, most_values: int = MOST_VALUES) -> Bins:
    """Return bins that keep a page small: few ticks each, but FEWEST_BINS in any case."""
    wanted = max(FEWEST_BINS, most_values // (2 * channels * len(grid.racks)))
    return Bins(grid.ticks, -(-grid.ticks // min(wanted, grid.ticks)))


def packed_channel(name: str, values: Array, bins: Bins) -> dict[str, Any]:
    """Return a channel as the page reads it: `from` + `step` times (number - 1), by rack, then bin.

    low: the bins' smallest readings; more: how many steps the largest are above, left out where bins are ticks.
    """
    low, high = bins.ends(values)
    base, step = _steps(name, low, high)
    whole = _whole(low, base, step)
    packed = {"from": base, "step": step, "low": packed_bytes(_differences(whole))}
    if bins.width > 1:
        packed["more"] = packed_bytes((_whole(high, base, step) - whole).T.astype(np.uint16))
    return packed


def packed_twin(name: str, recorded: Recorded, bins: Bins, racks: npt.NDArray[np.intp]) -> dict[str, Any]:
    """Return the middle of what some racks would have read without incidents."""
    if recorded.twin is None or name not in recorded.twin:
        return {}
    low, high = bins.ends(recorded.twin[name][:, racks])
    base, step = _steps(name, low, high)
    return {"from": base, "step": step, "low": packed_bytes(_differences(_whole((low + high) / 2, base, step)))}


def _steps(name: str, low: Array, high: Array) -> tuple[float, float]:
    """Return the smallest reading and the step in which others are counted from it."""
    digit = 10.0 ** -CHANNELS[name].decimals
    if not np.isfinite(low).any():
        return 0.0, digit
    least, most = float(np.nanmin(low)), float(np.nanmax(high))
    return least, digit * max(1, int(np.ceil((most - least) / digit / _MOST_STEPS)))


def _whole(values: Array, base: float, step: float) -> npt.NDArray[np.int64]:
    known = np.isfinite(values)
    return np.where(known, np.rint((np.where(known, values, base) - base) / step) + 1, _MISSING).astype(np.int64)


def _differences(whole: npt.NDArray[np.int64]) -> npt.NDArray[np.uint16]:
    """Return each number less the one before it, rack by rack, modulo 65536."""
    return np.diff(whole.T, axis=1, prepend=0).astype(np.uint16)


def packed_bytes(cells: npt.NDArray[np.uint16] | npt.NDArray[np.uint8]) -> str:
    """Return numbers as text: of those of two bytes first all low ones, then all high ones, deflated, in base64."""
    flat = np.ascontiguousarray(cells).reshape(-1)
    planes = flat.view(np.uint8).reshape(-1, 2).T.copy() if flat.dtype == np.uint16 else flat
    return base64.b64encode(zlib.compress(planes.tobytes(), 6)).decode()


def hall(recorded: Recorded, bins: Bins) -> Mapping[str, Any]:
    """Return all channels over time."""
    return {name: packed_channel(name, recorded.readings[name], bins) for name in shown(recorded)}

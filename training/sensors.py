"""Sensors that are silent or frozen, told as what they are: no distance shows that a reading never moves."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim.model.channels import CHANNELS
from training.features import DERIVED_FROM, FEATURES, Floats
from training.labels import runs_by_rack

SILENT_AFTER, SILENT_OF = 3, 10
"""So many of the latest samples without a reading say that its sensor is silent (assumed): fewer get lost."""

FROZEN_LEAST = 5
MARGIN = 1.5
"""A sensor is frozen after so many times the longest run of equal readings among nominal rows (assumed)."""

MOST_EQUAL = 40
"""A reading that stays the same for longer while all is well says nothing when it does (assumed)."""

FELT = 2.0
"""What a silent or frozen sensor adds to a rack's smoothed deviation, in parts of tau_persist (assumed)."""

_OWN: NDArray[np.bool_] = np.array([name not in DERIVED_FROM or name == "gpu_power_kw" for name in FEATURES])
"""The features with a sensor of their own."""

_LIMITS: Floats = np.array([CHANNELS[name].limits for name in FEATURES]).T

_LATENCY, _TOKENS = FEATURES.index("latency_p95_ms"), FEATURES.index("tokens_ps")

Racks = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Told:
    """Which sensors are silent or frozen with each sample (rows, d)."""

    silent: Mask
    frozen: Mask

    @property
    def any(self) -> Mask:
        """Mark the samples with such a sensor (rows,)."""
        marked: Mask = np.logical_or.reduce(self.silent | self.frozen, axis=1)
        return marked

    def text(self, row: int) -> str:
        """Return what a sample's sensors are, in words: `outlet_c silent, pdu_kw frozen`."""
        return text_of(code_of(self)[row])


def code_of(told: Told) -> NDArray[np.int64]:
    """Return one number for each sample (rows,): a bit for each feature that is silent, above them those frozen."""
    bits = 1 << np.arange(2 * len(FEATURES), dtype=np.int64)
    codes: NDArray[np.int64] = np.hstack([told.silent, told.frozen]) @ bits
    return codes


def parts_of(code: int) -> list[tuple[str, str]]:
    """Return the features and conditions (`silent`, `frozen`) of a code."""
    named = [(name, condition) for condition in ("silent", "frozen") for name in FEATURES]
    return [part for k, part in enumerate(named) if code >> k & 1]


def text_of(code: int) -> str:
    """Return the words of a code, empty for 0."""
    return ", ".join(f"{name} {condition}" for name, condition in parts_of(int(code)))


@dataclass(slots=True)
class Sensors:
    """The memory of every rack's sensors.

    frozen_after: as of a model (d,). low, high: about the readings it was learnt from (d,): elsewhere equal ones say
    nothing, for noise that is a part of the reading is lost in its last digit where the reading is small.

    Remembered of a rack, for each feature: the last reading (NaN before there was one), how many samples in a row had
    it, and which of the latest had none, a bit for each, the newest lowest.
    """

    frozen_after: NDArray[np.int64]
    low: Floats
    high: Floats
    _memory: Floats = field(default_factory=lambda: np.empty((0, 3, len(FEATURES))))

    @property
    def memory_size(self) -> int:
        """Numbers that are remembered of a rack."""
        return 3 * len(FEATURES)

    def know(self, racks: int) -> None:
        """Make room for so many racks."""
        fresh = np.zeros((max(0, racks - len(self._memory)), 3, len(FEATURES)))
        fresh[:, 0] = np.nan
        self._memory = np.concatenate([self._memory, fresh])

    def remembered(self, rack: Racks) -> Floats:
        """Return all that is remembered of racks (racks, memory_size), for `recall` to take back, bit for bit."""
        return self._memory[rack].reshape(len(rack), -1)

    def recall(self, rack: Racks, memory: Floats) -> None:
        """Put racks back to what was remembered of them (racks, memory_size)."""
        self._memory[rack] = memory.reshape(-1, 3, len(FEATURES))

    def take(self, rack: Racks, x: Floats) -> Told:
        """Take vectors (rows, d) of racks (rows,), each rack's in time, and tell which sensors do not work."""
        told = Told(np.zeros(x.shape, dtype=bool), np.zeros(x.shape, dtype=bool))
        if not len(x):
            return told
        order, first = runs_by_rack(rack)
        values, own = x[order], rack[order]
        last, equal, lost = np.moveaxis(self._memory[own[first]], 1, 0)
        shown, latest = _carried(values, first, last)
        lacking = ~shown
        lacking[:, _LATENCY] &= values[:, _TOKENS] != 0.0  # of no requests there is none
        same = shown & (values == latest)
        # a sample without a reading neither ends a run of equal ones nor counts
        equal, (absent, lost) = _lengths(same | ~shown, same, first, equal), _lost(lacking, first, lost)
        at = np.flatnonzero(np.append(first[1:], True))
        now = np.where(shown, values, latest)
        self._memory[own[at]] = np.stack([now[at], equal[at], lost], axis=1)
        told.silent[order] = (absent >= SILENT_AFTER) & ~np.isnan(latest) & _OWN
        low, high = np.fmax(_LIMITS[0], self.low), np.fmin(_LIMITS[1], self.high)
        moves = (self.frozen_after > 0) & _OWN & (values > low) & (values < high)
        told.frozen[order] = moves & shown & (equal + 1 >= self.frozen_after)
        return told


def _carried(values: Floats, first: Mask, last: Floats) -> tuple[Mask, Floats]:
    """Return which values are there (rows, d), and the last one before each. last: of each rack before (racks, d)."""
    shown = ~np.isnan(values)
    begin, group = np.flatnonzero(first), np.cumsum(first) - 1
    index = np.where(shown, np.arange(len(values))[:, None], -1)
    before = np.vstack([np.full((1, values.shape[1]), -1), np.maximum.accumulate(index, axis=0)[:-1]])
    inside = before >= begin[group][:, None]
    return shown, np.where(inside, np.take_along_axis(values, np.maximum(before, 0), axis=0), last[group])


def _lengths(going_on: Mask, counted: Mask, first: Mask, earlier: Floats) -> Floats:
    """Return how many rows were counted since the last that does not go on (rows, d), rack by rack.

    earlier: counted of each rack before its first row (racks, d).
    """
    total = np.cumsum(counted, axis=0, dtype=np.float64)
    begin, group = np.flatnonzero(first), np.cumsum(first) - 1
    start = (total[begin] - counted[begin] - earlier)[group]
    broken = np.maximum.accumulate(np.where(going_on, -1, np.arange(len(total))[:, None]), axis=0)
    inside = broken >= begin[group][:, None]
    base = np.where(inside, np.take_along_axis(total, np.maximum(broken, 0), axis=0), start)
    lengths: Floats = total - base
    return lengths


def _lost(absent: Mask, first: Mask, earlier: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return how many of the latest samples had no reading (rows, d), and which, after each rack's last row (racks, d).

    earlier: which had none before each rack's first row, as bits (racks, d).
    """
    bits = earlier.astype(np.int64)
    if not absent.any() and not bits.any():
        return np.zeros(absent.shape, dtype=np.int64), earlier
    begin, group = np.flatnonzero(first), np.cumsum(first) - 1
    number, at = np.arange(len(absent)), np.flatnonzero(np.append(first[1:], True))
    place = number - begin[group]
    count, after = np.zeros(absent.shape, dtype=np.int64), np.zeros(bits.shape, dtype=np.int64)
    for back in range(SILENT_OF):
        known = bits[group] >> np.maximum(back - 1 - place, 0)[:, None] & 1
        mine = np.where((place >= back)[:, None], absent[np.maximum(number - back, 0)], known)
        count += mine
        after |= mine[at] << back
    return count, after.astype(np.float64)


def longest_equal(rack: Racks, x: Floats) -> NDArray[np.int64]:
    """Return the longest run of equal readings of each feature (d,), each rack's vectors (rows, d) in time."""
    order, first = runs_by_rack(rack)
    values = x[order]
    same = np.vstack([np.zeros((1, x.shape[1]), dtype=bool), values[1:] == values[:-1]]) & ~first[:, None]
    none = np.zeros((int(first.sum()), x.shape[1]))
    longest: NDArray[np.int64] = _lengths(same, same, first, none).max(axis=0).astype(np.int64) + 1
    return longest


def frozen_after(longest: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return after how many equal readings a sensor is frozen (d,), 0 where equal readings say nothing."""
    after = np.maximum(FROZEN_LEAST, np.ceil(MARGIN * longest).astype(np.int64))
    return np.where((after > MOST_EQUAL) | ~_OWN, 0, after)

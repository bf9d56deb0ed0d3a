"""Features in context: against the rack's own level, as a mean of minutes, in coordinates whose nominal spread is 1.

A rack differs from its neighbours for good (its coil, its place), and one sample from the next by chance; neither says
that anything is wrong. What is left is whitened: a step of 1 is as unusual in every direction, also in those in which
channels hang together so closely that each by itself looks well. The level is learnt live, by the steps of a Kalman
filter whose innovations are clipped, so that a fault neither moves it far nor is learnt away.

Readings that rise ever faster towards a rack's capacity count by their ratios (`compressed`): a straight line then
holds from a quiet night to a busy hour, and so does what is far from it.

NumPy only. Every sum runs in order, so that one sample gives the same bits as many.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from training.clusters import any_missing
from training.features import FEATURES, MIN_PRESENT, Floats

TICK_S = 60.0
MEAN_KEPT = 2.0 / 3.0
"""Of the short mean after 60 s: its weights are those of three minutes."""

CLIP_SIGMAS = 3.0
FORGET_H = 72.0
"""A level is never believed more than after so many hours, so that it forgets within days (assumed)."""

LONGEST_S = 300.0
"""A sample says nothing about more time than this before it (assumed)."""

LEARNING_H = 1.0
"""A rack's level is told as still being learnt for so long."""

COMPRESSED_FROM: dict[str, float] = {"latency_p95_ms": 20.0, "queue_depth": 20.0}
"""Features that grow without bound as load nears capacity, and from where on [their unit] ratios count (assumed)."""

_COMPRESSED = tuple((FEATURES.index(name), start) for name, start in COMPRESSED_FROM.items())

_H = 3600.0
_CHUNK_ROWS = 4096
_SMALL_ROWS = 32

Racks = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of a hall's racks before they are seen, in whitened coordinates w = whiten z of scaled features.

    whiten: (d, d). between: variance of the racks' levels (d,). hourly: of a rack's hourly means about its level (d,).
    spread: of single samples about the rack's level (d,).
    """

    whiten: Floats
    between: Floats
    hourly: Floats
    spread: Floats

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return int(self.between.size)

    @property
    def state_size(self) -> int:
        """Numbers of a rack's state: the short mean (size), the level (size) and the hours it was learnt in."""
        return 2 * self.size + 1

    def uncertainty(self, hours: Floats) -> Floats:
        """Return the variance of levels after so many hours of samples (d, rows)."""
        b, r = self.between[:, None], self.hourly[:, None]
        variance: Floats = b * r / (r + b * hours)
        return variance

    def placed(self, states: Floats) -> tuple[Floats, Floats]:
        """Return vectors as the clusters see them, and the factors that doubt about the level puts on each coordinate.

        states: of racks after a sample (rows, state_size). Both results are (rows, d): how far the mean is from the
        level, in standard deviations of the mean and of the level together.
        """
        d, columns = self.size, np.ascontiguousarray(states.T)
        doubt = 1.0 / np.sqrt(1.0 + self.uncertainty(columns[-1]))
        return ((columns[:d] - columns[d : 2 * d]) * doubt).T, doubt.T

    def alone(self, z: Floats) -> Floats:
        """Return the states after scaled vectors (rows, d) of racks that were never seen before."""
        racks = Levels(self)
        racks.know(len(z))
        return racks.take(np.arange(len(z)), np.zeros(len(z)), z)

    def after(self, state: Floats, seen_s: float, ts_s: float, z: Floats) -> Floats:
        """Return a rack's state after a scaled vector (d,) at an instant, from its state at an earlier one [s]."""
        rack = Levels(self)
        rack.know(1)
        rack.recall(np.zeros(1, dtype=np.intp), np.append(state, seen_s)[None])
        after: Floats = rack.take(np.zeros(1, dtype=np.intp), np.array([ts_s]), z[None])[0]
        return after


def compressed(x: Floats) -> Floats:
    """Return readings x (rows, d) with c log(1 + x / c) in place of COMPRESSED_FROM's, c being where each begins."""
    out = x.copy()
    for j, start in _COMPRESSED:
        out[:, j] = start * np.log1p(np.maximum(x[:, j], 0.0) / start)
    return out


def expanded(y: Floats) -> Floats:
    """Return the readings x (rows, d) that `compressed` makes y of."""
    out = y.copy()
    for j, start in _COMPRESSED:
        out[:, j] = start * np.expm1(y[:, j] / start)
    return out


def in_order(matrix: Floats, columns: Floats) -> Floats:
    """Return matrix @ columns, (m, d) and (d, rows), summed over d in order, whatever the number of rows."""
    if columns.shape[1] <= _SMALL_ROWS:
        total: Floats = np.add.accumulate(matrix[:, :, None] * columns[None], axis=1)[:, -1]
        return total
    total = matrix[:, 0, None] * columns[0]
    for k in range(1, columns.shape[0]):
        total += matrix[:, k, None] * columns[k]
    return total


@dataclass(slots=True)
class Levels:
    """The short mean and the level of every rack, sample by sample.

    Remembered of a rack: its state, and when it was last sampled [s].
    """

    context: Context
    _memory: Floats = field(init=False)
    _between: Floats = field(init=False)
    _hourly: Floats = field(init=False)
    _spread: Floats = field(init=False)
    _most: Floats = field(init=False)

    def __post_init__(self) -> None:
        c = self.context
        self._memory = np.empty((c.state_size + 1, 0))
        self._between, self._hourly, self._spread = (v[:, None] for v in (c.between, c.hourly, c.spread))
        self._most = CLIP_SIGMAS * np.sqrt(self._between)

    @property
    def memory_size(self) -> int:
        """Numbers that are remembered of a rack."""
        return len(self._memory)

    def know(self, racks: int) -> None:
        """Make room for so many racks."""
        new = racks - self._memory.shape[1]
        if new > 0:
            self._memory = np.hstack([self._memory, _unknown(len(self._memory), new)])

    def remembered(self, rack: Racks) -> Floats:
        """Return all that is remembered of racks (racks, memory_size), for `recall` to take back, bit for bit."""
        return self._memory[:, rack].T

    def recall(self, rack: Racks, memory: Floats) -> None:
        """Put racks back to what was remembered of them (racks, memory_size)."""
        self._memory[:, rack] = memory.T

    def take(self, rack: Racks, ts_s: Floats, z: Floats) -> Floats:
        """Take scaled vectors sorted by time (rows, d) and return their racks' states after each (rows, state_size).

        rack: numbers (rows,), each once at a time. Where a feature is missing, it is what the others make likely; a
        vector with too few of them is NaN and leaves its rack as it is.
        """
        states = np.full((len(z), self.context.state_size), np.nan)
        partly = any_missing(z)
        usable = np.flatnonzero(~refused(z)) if partly else None
        for start in range(0, len(z) if usable is None else usable.size, _CHUNK_ROWS):
            chunk = slice(start, start + _CHUNK_ROWS)
            rows = chunk if usable is None else usable[chunk]
            states[rows] = self._take(rack[rows], ts_s[rows], z[rows], partly=partly).T
        return states

    def _coordinates(self, z: Floats, *, partly: bool) -> Floats:
        columns = np.ascontiguousarray(z.T)
        return in_order(self.context.whiten, np.nan_to_num(columns) if partly else columns)

    def _take(self, rack: Racks, ts_s: Floats, z: Floats, *, partly: bool) -> Floats:
        """Return the states after usable vectors (state_size, rows); the loop has what hangs on the tick before."""
        d, parts = self.context.size, list(ticks(ts_s))
        b, r = self._between, self._hourly
        w = self._coordinates(z, partly=partly)
        kept, hours, known, lasted = self._clock(rack, ts_s, parts)
        states = np.empty((self.context.state_size, ts_s.size))
        means, levels, states[-1] = states[:d], states[d : 2 * d], known
        fresh = (1.0 - kept) * w
        bound = CLIP_SIGMAS * np.sqrt(b * r / (r + b * hours) + self._spread)
        gain = b * lasted / (r + b * known)
        held = parts[0]
        mean, level = self._memory[:d, rack[held]], self._memory[d : 2 * d, rack[held]]
        for tick in parts:
            if tick is not held and not np.array_equal(rack[tick], rack[held]):
                self._memory[:d, rack[held]], self._memory[d : 2 * d, rack[held]] = mean, level
                mean, level = self._memory[:d, rack[tick]], self._memory[d : 2 * d, rack[tick]]
            held = tick
            if partly:
                w[:, tick] = self._filled(w[:, tick], z[tick], level)
                fresh[:, tick] = (1.0 - kept[tick]) * w[:, tick]
            step = np.maximum(np.minimum(w[:, tick] - level, bound[:, tick]), -bound[:, tick])
            mean = np.add(fresh[:, tick], kept[tick] * mean, out=means[:, tick])
            level = np.maximum(np.minimum(level + gain[:, tick] * step, self._most), -self._most, out=levels[:, tick])
        self._memory[:d, rack[held]], self._memory[d : 2 * d, rack[held]] = mean, level
        return states

    def _clock(self, rack: Racks, ts_s: Floats, parts: list[slice]) -> tuple[Floats, Floats, Floats, Floats]:
        """Note when racks were sampled, and return what that says of each row (rows,).

        What of the mean is kept, the hours that the level was learnt in before it and with it, and those it stands for.
        """
        since_s, hours, known, lasted = np.empty((4, ts_s.size))
        seen, learnt = self._memory[-1], self._memory[-2]
        for tick in parts:
            now = rack[tick]
            since_s[tick] = ts_s[tick] - seen[now]
            seen[now] = ts_s[tick]
            hours[tick] = learnt[now]
            lasted[tick] = _lasted(since_s[tick])
            known[tick] = learnt[now] = np.minimum(hours[tick] + lasted[tick], FORGET_H)
        first = np.isnan(since_s)
        kept = MEAN_KEPT ** (since_s / TICK_S)
        kept[first] = 0.0
        return kept, hours, known, lasted

    def _filled(self, w: Floats, z: Floats, level: Floats) -> Floats:
        """Give missing features the values that bring their vectors nearest to the racks' levels. level: (d, rows)."""
        absent = np.isnan(z)
        if not absent.any():
            return w
        filled = w.copy()
        for pattern in np.unique(absent[absent.any(axis=1)], axis=0):
            rows = np.flatnonzero((absent == pattern).all(axis=1))
            columns = self.context.whiten[:, pattern]
            nearest = np.asarray(np.linalg.pinv(columns), dtype=np.float64)
            likely = -in_order(nearest, w[:, rows] - level[:, rows])
            filled[:, rows] += in_order(columns, likely)
        return filled


def _lasted(since_s: Floats) -> Floats:
    """Return the hours that samples stand for; of racks that were never seen (NaN) those of a tick."""
    return np.where(np.isnan(since_s), TICK_S / _H, np.minimum(since_s, LONGEST_S) / _H)


def refused(z: Floats) -> Mask:
    """Mark the vectors (rows, d) that hold too few features."""
    few: Mask = np.isfinite(z).mean(axis=1) < MIN_PRESENT
    return few


def _unknown(size: int, racks: int) -> Floats:
    """Return the memory of racks that were never seen (size, racks)."""
    memory = np.zeros((size, racks))
    memory[-1] = np.nan
    return memory


def ticks(ts_s: Floats) -> Iterator[slice]:
    """Give the stretches of rows of one instant each. ts_s: not falling (rows,)."""
    if not ts_s.size:
        return
    if ts_s[0] == ts_s[-1]:
        yield slice(0, ts_s.size)
        return
    starts = [0, *(np.flatnonzero(ts_s[1:] != ts_s[:-1]) + 1).tolist()]
    for start, stop in zip(starts, [*starts[1:], ts_s.size], strict=True):
        yield slice(start, stop)


_COUPLED = {"inlet_c": ("delta_t", -1.0), "outlet_c": ("delta_t", 1.0)}
"""What a feature takes along where it alone changes: a rise that is computed from it."""


def directions(context: Context, scale: Floats) -> Floats:
    """Return where each feature's unit of scale leads in whitened coordinates (d, features)."""
    steps = np.eye(len(FEATURES))
    for name, (other, sign) in _COUPLED.items():
        j, k = FEATURES.index(name), FEATURES.index(other)
        steps[k, j] = sign * scale[j] / scale[k]
    return in_order(context.whiten, steps)

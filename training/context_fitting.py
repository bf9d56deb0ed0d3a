"""What a run tells of racks in context: whitening, how racks differ, and the vectors that clusters are made of."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.clustering import one_thread
from training.context import MEAN_KEPT, TICK_S, Context, in_order, ticks
from training.features import Floats

LEAST_VARIANCE = 1e-4
"""Of a whitened direction, in scaled units (assumed): features that are differences of others have none of their own,
and a rise that somebody rounds to 0.1 K may not look like a fault."""

UNTRUSTED = 0.01
"""Share of the nominal rows that the whitening does without (assumed)."""

LEAST_HOURLY = 1e-3
_HOUR_S = 3600.0
Racks = NDArray[np.intp]


def fit_context(rack: Racks, ts_s: Floats, z: Floats) -> tuple[Context, Floats]:
    """Return the context of nominal rows sorted by time, and their vectors against their racks' own means (rows, d).

    rack: numbers (rows,); z: scaled features (rows, d), none missing. The whitening is that of the short means, so
    that what chance adds to single samples does not hide what lasts. The hundredth of the rows that is farthest out
    (UNTRUSTED) is left out of it: a filter's mistakes would widen all directions.
    """
    number = np.unique(rack, return_inverse=True)[1]
    means = short_means(number, ts_s, z)
    distance = np.square(_vectors(_known(number, ts_s, z, means), number, means)).sum(axis=1)
    rows = distance <= np.quantile(distance, 1.0 - UNTRUSTED)
    trusted = number[rows], ts_s[rows], z[rows]
    known = _known(*trusted, short_means(*trusted))
    return known.context, _vectors(known, number, means)


@dataclass(frozen=True, slots=True)
class _Known:
    """A context, and the racks' own means that it was learnt with (racks, d)."""

    context: Context
    levels: Floats


def _vectors(known: _Known, number: Racks, means: Floats) -> Floats:
    """Return the short means of rows (rows, d) against their racks' own means, whitened (rows, d)."""
    apart = means - known.levels[number]
    return np.ascontiguousarray(in_order(known.context.whiten, np.ascontiguousarray(apart.T)).T)


def _known(number: Racks, ts_s: Floats, z: Floats, means: Floats) -> _Known:
    levels = _means(number, z, int(number.max()) + 1)
    seen = levels[np.unique(number)]
    apart = means - levels[number]
    with one_thread():
        whiten = _whitening(apart, seen if len(seen) > 1 else np.zeros_like(seen))
    single = in_order(whiten, np.ascontiguousarray((z - levels[number]).T))
    hour = np.floor((ts_s - ts_s[0]) / _HOUR_S).astype(np.intp)
    hourly, hours = _hourly(number, hour, single)
    between = np.zeros(z.shape[1])
    if len(seen) > 1:
        own = in_order(whiten, np.ascontiguousarray(seen.T))
        # means of so many hours differ by chance as well
        between = np.maximum(own.var(axis=1, ddof=1) - hourly / hours, 0.0)
    return _Known(Context(whiten, between, hourly, np.square(single).mean(axis=1)), levels)


def short_means(rack: Racks, ts_s: Floats, z: Floats) -> Floats:
    """Return each row's mean over the minutes before it, of its own rack (rows, d)."""
    racks = int(rack.max()) + 1
    mean, seen_s = np.zeros((racks, z.shape[1])), np.full(racks, -np.inf)
    out = np.empty_like(z)
    for tick in ticks(ts_s):
        now = rack[tick]
        kept = MEAN_KEPT ** ((ts_s[tick] - seen_s[now]) / TICK_S)[:, None]
        mean[now] = out[tick] = (1.0 - kept) * z[tick] + kept * mean[now]
        seen_s[now] = ts_s[tick]
    return out


def _means(group: Racks, values: Floats, groups: int) -> Floats:
    """Return the means of groups of rows (groups, d), 0 for a group without any."""
    sums = [np.bincount(group, values[:, k], groups) for k in range(values.shape[1])]
    return np.stack(sums, axis=1) / np.maximum(1, np.bincount(group, minlength=groups))[:, None]


def _whitening(apart: Floats, levels: Floats) -> Floats:
    """Return the matrix that makes the covariance of `apart` 1 and that of the levels diagonal (d, d)."""
    variance, axes = np.linalg.eigh(apart.T @ apart / len(apart))
    white = (axes / np.sqrt(np.maximum(variance, LEAST_VARIANCE))).T
    there = (levels - levels.mean(axis=0)) @ white.T
    _, turned = np.linalg.eigh(there.T @ there)
    whiten: Floats = turned.T @ white
    largest = whiten[np.arange(len(whiten)), np.abs(whiten).argmax(axis=1)]
    signed: Floats = whiten * np.sign(largest)[:, None]
    return signed


def _hourly(rack: Racks, hour: NDArray[np.intp], single: Floats) -> tuple[Floats, float]:
    """Return the variance of racks' hourly means (d,), and how many hours a rack has. single: (d, rows)."""
    _, group = np.unique(rack * (hour.max() + 1) + hour, return_inverse=True)
    counts = np.bincount(group).astype(np.float64)
    means = _means(group, single.T, counts.size)
    weight = counts / counts.sum()
    variance = np.maximum((weight[:, None] * np.square(means)).sum(axis=0), LEAST_HOURLY)
    return variance, max(1.0, counts.size / np.unique(rack).size)

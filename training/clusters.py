"""Distance from vectors to clusters, and what of it each feature explains: the scoring kernel.

A cluster is a range per feature in scaled units; a k-means centre is one of width 0. With g_bj how far feature j lies
outside cluster b, D_b = ||g_b|| and the deviation is D = min_b D_b. NumPy only; every sum runs over the features in
order, so one row at a time gives the same bits as a batch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.features import Floats

Ints = NDArray[np.intp]

_CHUNK_CELLS = 32_768
"""Rows x clusters worked on at once: 256 kB, which stays in the second-level cache."""

_SMALL_ROWS = 32
"""Up to this many rows one three-dimensional expression beats a loop over the features."""

_FEW_CELLS = 1024
"""Up to this many values a mask takes less than care about what overflows."""


@dataclass(frozen=True, slots=True)
class Causes:
    """What each feature explains of a deviation.

    share: how much of D goes away when the feature is forgiven (rows, d). cluster: which is nearest then (rows, d).
    """

    share: Floats
    cluster: Ints


def deviations(z: Floats, lo: Floats, hi: Floats) -> tuple[Floats, Ints]:
    """Return D (rows,) and the nearest cluster (rows,), the lowest index on a tie.

    z: scaled vectors (rows, d), NaN where a feature is missing: it is left out and D multiplied by sqrt(d / present),
    NaN when none is there. lo, hi: clusters (clusters, d).
    """
    rows = z.shape[0]
    nearest = np.empty(rows, dtype=np.intp)
    squared = np.empty(rows)
    complete = not any_missing(z)
    centres = complete and np.array_equal(lo, hi)
    step = max(1, _CHUNK_CELLS // lo.shape[0])
    for start in range(0, rows, step):
        part = slice(start, start + step)
        by_cluster = _squared_by_cluster(np.ascontiguousarray(z[part].T), lo, hi, centres=centres)
        nearest[part] = by_cluster.argmin(axis=0)
        squared[part] = by_cluster.min(axis=0)
    deviation = np.sqrt(squared)
    return (deviation if complete else deviation * missing_factor(z)), nearest


def any_missing(z: Floats) -> bool:
    """Tell whether any value is missing: of many values by one sum, where a mask would take three passes."""
    if z.size <= _FEW_CELLS:
        return bool(np.isnan(z).any())
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.isnan(z.sum()) and np.isnan(z).any())


def missing_factor(z: Floats) -> Floats | float:
    """Return sqrt(d / present) for each row, NaN where nothing is present."""
    if not any_missing(z):
        return 1.0
    absent, d = np.isnan(z), z.shape[1]
    present = d - absent.sum(axis=1)
    factor: Floats = np.sqrt(d / np.where(present == 0, np.nan, present))
    return factor


def _squared_by_cluster(zt: Floats, lo: Floats, hi: Floats, *, centres: bool) -> Floats:
    """Return D_b squared (clusters, rows) of vectors given feature by feature (d, rows)."""
    d, rows = zt.shape
    clusters = lo.shape[0]
    if rows <= _SMALL_ROWS:
        # a sum step by step is one in order as well, by one call
        total: Floats = np.add.accumulate(np.square(_outside(zt[:, None], lo.T[:, :, None], hi.T[:, :, None])))[-1]
        return total
    total = np.zeros((clusters, rows))
    work, other = np.empty((clusters, rows)), np.empty((clusters, rows))
    for j in range(d):
        if centres:
            np.subtract(zt[j], lo[:, j, None], out=work)
        else:
            np.subtract(lo[:, j, None], zt[j], out=work)
            np.subtract(zt[j], hi[:, j, None], out=other)
            np.maximum(work, other, out=work)
            np.fmax(work, 0.0, out=work)
        np.multiply(work, work, out=work)
        np.add(total, work, out=total)
    return total


def _outside(z: Floats, lo: Floats, hi: Floats) -> Floats:
    """Return how far z lies outside [lo, hi]; 0 inside and where z is missing."""
    outside: Floats = np.fmax(np.maximum(lo - z, z - hi), 0.0)
    return outside


def causes(z: Floats, lo: Floats, hi: Floats, groups: tuple[tuple[int, ...], ...]) -> Causes:
    """Return what each group of features explains: r = D - min_b sqrt(D_b^2 - g_bj^2), (rows, groups).

    groups: feature numbers forgiven together; a group of one gives the root cause by feature.
    """
    rows = z.shape[0]
    share, cluster = np.empty((rows, len(groups))), np.empty((rows, len(groups)), dtype=np.intp)
    step = max(1, _CHUNK_CELLS // lo.shape[0])
    for start in range(0, rows, step):
        part = slice(start, start + step)
        gaps = np.square(_outside(z[part].T[:, None, :], lo.T[:, :, None], hi.T[:, :, None]))
        by_cluster = _in_order(gaps)
        deviation = np.sqrt(by_cluster.min(axis=0))
        for k, group in enumerate(groups):
            rest = np.maximum(by_cluster - _in_order(gaps[list(group)]), 0.0)
            cluster[part, k] = rest.argmin(axis=0)
            share[part, k] = deviation - np.sqrt(rest.min(axis=0))
    share *= np.reshape(missing_factor(z), (-1, 1))
    return Causes(share, cluster)


@dataclass(frozen=True, slots=True)
class Projected:
    """What each direction explains of a deviation (rows, directions).

    share: how much of D goes away when vectors may move along it. cluster: which is nearest then. step: how far they
    would move back, in lengths of the direction. sure: by how many of its lengths a nominal vector varies along it.
    """

    share: Floats
    cluster: Ints
    step: Floats
    sure: Floats


def projections(z: Floats, weight: Floats, lo: Floats, hi: Floats, along: Floats) -> Projected:
    """Return what directions explain: with g a vector's gap to a cluster, D^2 falls by (a g)^2 / a^2 along a.

    z: vectors (rows, d), none missing. weight: factors on their coordinates (rows, d). along: (d, directions).
    """
    shape = z.shape[0], along.shape[1]
    share, step, sure = np.empty(shape), np.empty(shape), np.empty(shape)
    cluster = np.empty(shape, dtype=np.intp)
    rows = max(1, _CHUNK_CELLS // lo.shape[0])
    for start in range(0, z.shape[0], rows):
        part = slice(start, start + rows)
        zt, wt = z[part].T[:, None, :], np.ascontiguousarray(weight[part].T)
        gaps = zt - np.clip(zt, lo.T[:, :, None], hi.T[:, :, None])
        by_cluster = _in_order(np.square(gaps))
        whole = np.sqrt(by_cluster.min(axis=0))
        gaps *= wt[:, None, :]
        for j in range(along.shape[1]):
            reach = _in_order(along[:, j, None, None] * gaps)
            length = _in_order(np.square(along[:, j, None] * wt))
            rest = np.maximum(by_cluster - reach * reach / length, 0.0)
            nearest = rest.argmin(axis=0)
            cluster[part, j] = nearest
            share[part, j] = whole - np.sqrt(rest.min(axis=0))
            step[part, j] = reach[nearest, np.arange(nearest.size)] / length
            sure[part, j] = 1.0 / np.sqrt(length)
    return Projected(share, cluster, step, sure)


def spanned(
    z: Floats, weight: Floats, lo: Floats, hi: Floats, along: Floats, groups: tuple[tuple[int, ...], ...]
) -> Floats:
    """Return what each group of directions explains of each deviation together (rows, groups)."""
    gaps = z[:, None, :] - np.clip(z[:, None, :], lo, hi)
    by_cluster = np.square(gaps).sum(axis=2)
    share = np.empty((len(z), len(groups)))
    for k, group in enumerate(groups):
        axes = np.linalg.qr(along[None, :, list(group)] * weight[:, :, None])[0]
        reach = np.square(gaps @ axes).sum(axis=2)
        share[:, k] = np.sqrt(by_cluster.min(axis=1)) - np.sqrt(np.maximum(by_cluster - reach, 0.0).min(axis=1))
    return share


def _in_order(gaps: Floats) -> Floats:
    """Sum over the features one after the other; NumPy's own sum takes pairs and differs in the last bit."""
    total: Floats = gaps[0].copy()
    for gap in gaps[1:]:
        total += gap
    return total

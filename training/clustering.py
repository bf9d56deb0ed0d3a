"""Clusters from nominal vectors: k-means centres, or ranges that grow."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.common.errors import InputError
from training.clusters import deviations
from training.features import Floats
from training.import_optional import import_optional

MAX_CLUSTERS = 4096
KMEANS_ROWS = 50_000
"""k-means sees a seeded sample of so many rows: 0.2 s where all of a week takes seconds, the centres move little."""

KMEANS_STARTS = 3
_CHUNK = 2048


@dataclass(frozen=True, slots=True)
class Clusters:
    """Ranges per feature in scaled units, with the training rows in each: lo, hi (clusters, d), count (clusters,)."""

    lo: Floats
    hi: Floats
    count: NDArray[np.int64]


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep BLAS and OpenMP to one thread: two made single fits swing from 0.3 to 16 s, and the last bit with them."""
    threadpool_limits = import_optional("threadpoolctl").threadpool_limits

    with threadpool_limits(limits=1):
        yield


def kmeans_clusters(z: Floats, n_clusters: int, seed: int) -> Clusters:
    """Return k-means centres as clusters of width 0, the fullest first."""
    kmeans = import_optional("sklearn.cluster").KMeans

    if n_clusters > len(z):
        raise InputError(f"n-clusters: {n_clusters} is more than the {len(z)} nominal rows; give fewer clusters")
    sample = z
    if len(z) > KMEANS_ROWS:
        sample = z[np.sort(np.random.default_rng(seed).choice(len(z), KMEANS_ROWS, replace=False))]
    with one_thread():
        fitted = kmeans(n_clusters=n_clusters, n_init=KMEANS_STARTS, random_state=seed % 2**32).fit(sample)
    centres = np.unique(fitted.cluster_centers_.astype(np.float64), axis=0)
    count = np.bincount(deviations(z, centres, centres)[1], minlength=len(centres))
    order = np.argsort(-count, kind="stable")
    return Clusters(centres[order], centres[order].copy(), count[order].astype(np.int64))


def hyperboxes(z: Floats, eps: float, rho: float, seed: int | None, widest: float = np.inf) -> Clusters:
    """Learn ranges one vector at a time, as IMS does.

    A vector farther than eps from every cluster starts a new one, z +- rho; otherwise the nearest grows to take it in,
    unless one of its ranges would become wider than `widest`: then the vector starts a new one as well.
    seed: the vectors' order; None keeps the order given. Raises InputError when more than 4096 clusters are needed.
    """
    ordered = z if seed is None else z[np.random.default_rng(seed).permutation(len(z))]
    growing = _Growing(z.shape[1], eps, rho, widest)
    for start in range(0, len(ordered), _CHUNK):
        growing.take(ordered[start : start + _CHUNK])
    used = growing.used
    return Clusters(growing.lo[:used].copy(), growing.hi[:used].copy(), growing.count[:used].copy())


class _Growing:
    """Clusters while they are learnt.

    Clusters only grow, so within a chunk a vector's nearest one can only change to the one that grew: vectors already
    inside one are skipped many at a time, with the same result as one by one.
    """

    def __init__(self, d: int, eps: float, rho: float, widest: float) -> None:
        self.eps, self.rho, self.widest, self.used = eps, rho, widest, 0
        self.lo: Floats = np.empty((64, d))
        self.hi: Floats = np.empty((64, d))
        self.count: NDArray[np.int64] = np.zeros(64, dtype=np.int64)

    def take(self, z: Floats) -> None:
        """Grow the clusters by vectors in their order, (rows, d)."""
        distance, nearest = np.full(len(z), np.inf), np.zeros(len(z), dtype=np.intp)
        if self.used:
            distance, nearest = deviations(z, self.lo[: self.used], self.hi[: self.used])
        at = 0
        while at < len(z):
            outside = np.flatnonzero(distance[at:] > 0.0)
            stop = at + int(outside[0]) if outside.size else len(z)
            self.count[: self.used] += np.bincount(nearest[at:stop], minlength=self.used)[: self.used]
            if stop == len(z):
                return
            changed = self._grow(z[stop], float(distance[stop]), int(nearest[stop]))
            at = stop + 1
            self._update(z[at:], changed, distance[at:], nearest[at:])

    def _grow(self, z: Floats, distance: float, nearest: int) -> int:
        if distance > self.eps:
            return self._start(z)
        lo, hi = np.minimum(self.lo[nearest], z), np.maximum(self.hi[nearest], z)
        if (hi - lo > self.widest).any():
            return self._start(z)
        self.lo[nearest], self.hi[nearest] = lo, hi
        self.count[nearest] += 1
        return nearest

    def _start(self, z: Floats) -> int:
        if self.used == MAX_CLUSTERS:
            raise InputError(f"eps: {self.eps:g} needs more than {MAX_CLUSTERS} clusters; give a larger --eps")
        if self.used == len(self.count):
            self.lo, self.hi = np.concatenate([self.lo, self.lo]), np.concatenate([self.hi, self.hi])
            self.count = np.concatenate([self.count, np.zeros_like(self.count)])
        cluster = self.used
        self.lo[cluster], self.hi[cluster], self.count[cluster] = z - self.rho, z + self.rho, 1
        self.used += 1
        return cluster

    def _update(self, z: Floats, cluster: int, distance: Floats, nearest: NDArray[np.intp]) -> None:
        """Let the cluster that changed take over the vectors it is now nearest to; a tie goes to the lower index."""
        mine, _ = deviations(z, self.lo[cluster : cluster + 1], self.hi[cluster : cluster + 1])
        better = (mine < distance) | ((mine == distance) & (cluster < nearest))
        distance[better], nearest[better] = mine[better], cluster

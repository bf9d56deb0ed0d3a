"""The model a monitor is made of, and scoring with it: NumPy only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.clusters import Causes, any_missing, causes, deviations
from training.features import FEATURES, GROUPS, MIN_PRESENT, UNITS, Floats, feature_vector, incomplete

LEVELS = ("normal", "watch", "high", "refused")
"""What one score says by itself: under tau_fast, under tau_persist, from it on, too few features."""

NORMAL, WATCH, HIGH, REFUSED = range(4)


@dataclass(frozen=True, slots=True)
class ScoreDensities:
    """Densities of log(1 + D) for the likelihood smoother: nominal and faulty scores.

    edges: bin edges (bins + 1,). log_nominal, log_faulty: log densities (bins,).
    faults: where the faulty scores are from.
    """

    edges: Floats
    log_nominal: Floats
    log_faulty: Floats
    faults: str


@dataclass(frozen=True, slots=True)
class Model:
    """Clusters in scaled units with the thresholds of their deviations.

    mean, scale: scaling (d,), z = (x - mean) / scale. lo, hi: clusters (clusters, d), equal for k-means centres.
    count: training rows of each cluster. range_lo, range_hi: the nominal range around each in engineering units.
    """

    name: str
    algorithm: str
    mean: Floats
    scale: Floats
    lo: Floats
    hi: Floats
    count: NDArray[np.int64]
    range_lo: Floats
    range_hi: Floats
    tau_fast: float
    tau_persist: float
    seed: int
    options: dict[str, Any] = field(default_factory=dict)
    densities: ScoreDensities | None = None
    card: dict[str, Any] = field(default_factory=dict)

    def scaled(self, x: Floats) -> Floats:
        """Return z of vectors x (rows, d), feature by feature in memory as the kernel reads it."""
        by_feature = np.array(x.T, dtype=np.float64, order="C")
        by_feature -= self.mean[:, None]
        by_feature /= self.scale[:, None]
        z: Floats = by_feature.T
        return z


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of vectors, row by row: deviation, NaN when refused; level, an index of LEVELS; degraded; cluster."""

    deviation: Floats
    level: NDArray[np.int8]
    degraded: NDArray[np.bool_]
    cluster: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Score:
    """The score of one vector."""

    deviation: float
    level: str
    degraded: bool
    cluster: int


@dataclass(frozen=True, slots=True)
class Cause:
    """One feature's part in a deviation, in the feature's unit.

    share: how much of D goes away without it. sign: high or low against the range, `inside` when within it.
    low, high: the nominal range around the cluster that fits the other features best. excess: how far outside.
    """

    feature: str
    unit: str
    value: float
    share: float
    sign: str
    low: float
    high: float
    excess: float


def score_batch(model: Model, x: Floats) -> Scores:
    """Score vectors (rows, 10) in the order of FEATURES; NaN is a missing feature."""
    deviation, cluster = deviations(model.scaled(x), model.lo, model.hi)
    if not any_missing(x):
        return Scores(deviation, _levels(model, deviation), np.zeros(len(x), dtype=bool), cluster)
    present = 1.0 - np.isnan(x).mean(axis=1)
    deviation[present < MIN_PRESENT] = np.nan
    return Scores(deviation, _levels(model, deviation), incomplete(x), cluster)


def _levels(model: Model, deviation: Floats) -> NDArray[np.int8]:
    level = (deviation >= model.tau_fast).astype(np.int8)
    level += deviation >= model.tau_persist
    level[np.isnan(deviation)] = REFUSED
    return level


def score_one(model: Model, sample: Mapping[str, Any] | Floats, interval_s: float | None = None) -> Score:
    """Score one vector or one telemetry sample; the same bits as its row of `score_batch`.

    interval_s: spacing of the rack's samples [s], needed when the sample has gpu_energy_j and no gpu_power_kw.
    """
    x = feature_vector(sample, interval_s) if isinstance(sample, Mapping) else np.asarray(sample, dtype=np.float64)
    scores = score_batch(model, x.reshape(1, -1))
    return Score(
        float(scores.deviation[0]), LEVELS[scores.level[0]], bool(scores.degraded[0]), int(scores.cluster[0])
    )  # fmt: skip


_EACH = tuple((j,) for j in range(len(FEATURES)))
_GROUPED = tuple(tuple(FEATURES.index(name) for name in names) for names in GROUPS.values())


def causes_by_feature(model: Model, x: Floats) -> Causes:
    """Return what each feature explains of each row's deviation (rows, 10)."""
    return causes(model.scaled(x), model.lo, model.hi, _EACH)


def causes_by_group(model: Model, x: Floats) -> Causes:
    """Return what each group of GROUPS explains of each row's deviation (rows, 4)."""
    return causes(model.scaled(x), model.lo, model.hi, _GROUPED)


@dataclass(frozen=True, slots=True)
class TopCauses:
    """The features that explain most, best first (rows, k): feature -1 where nothing is left to explain.

    sign: 1 above the nominal range, -1 below, 0 inside. low, high: that range in the feature's unit.
    """

    feature: NDArray[np.intp]
    share: Floats
    sign: NDArray[np.int8]
    low: Floats
    high: Floats


def top_causes(model: Model, x: Floats, k: int = 3) -> TopCauses:
    """Return the k features that explain most of each row's deviation."""
    found = causes_by_feature(model, x)
    share = np.where(np.isnan(x) | np.isnan(found.share), 0.0, found.share)
    best = np.argsort(-share, axis=1, kind="stable")[:, :k]
    rows = np.arange(len(x))[:, None]
    cluster = found.cluster[rows, best]
    low, high, value = model.range_lo[cluster, best], model.range_hi[cluster, best], x[rows, best]
    sign = (value > high).astype(np.int8) - (value < low).astype(np.int8)
    nothing = share[rows, best] <= 0.0
    return TopCauses(np.where(nothing, -1, best), share[rows, best], sign, low, high)


def explain_vector(model: Model, x: Floats, k: int = len(FEATURES)) -> list[Cause]:
    """Return the causes of one vector's deviation (10,), best first."""
    return explain_batch(model, x.reshape(1, -1), k)[0]


def explain_batch(model: Model, x: Floats, k: int = len(FEATURES)) -> list[list[Cause]]:
    """Return the causes of each vector's deviation (rows, 10), best first."""
    top = top_causes(model, x, k)
    columns = (top.feature, top.share, top.sign, top.low, top.high)
    return [
        [_cause(values, *cause) for cause in zip(*of_row, strict=True) if cause[0] >= 0]
        for values, *of_row in zip(x.tolist(), *(column.tolist() for column in columns), strict=True)
    ]


def _cause(values: Sequence[float], feature: int, share: float, sign: int, low: float, high: float) -> Cause:
    value = values[feature]
    excess = max(low - value, value - high, 0.0)
    return Cause(FEATURES[feature], UNITS[feature], value, share, ("inside", "high", "low")[sign], low, high, excess)

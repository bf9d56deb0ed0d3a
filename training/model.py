"""The model a monitor is made of, and scoring with it: NumPy only."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.model.channels import CHANNELS
from training.clusters import any_missing, causes, deviations, projections, spanned
from training.context import Context, compressed, directions, expanded, in_order
from training.features import FEATURES, GROUPS, MIN_PRESENT, UNITS, Floats, feature_vector, incomplete

LEVELS = ("normal", "watch", "high", "refused", "idle")
"""What one score says by itself: under tau_fast, under tau_persist, from it on, too few features, a rack at rest."""

NORMAL, WATCH, HIGH, REFUSED, IDLE = range(5)

OFF = 0.1
"""A rack that draws less than this part of the least nominal power is off, not idle (assumed)."""

RANGE_SIGMAS = 2.326348
"""98 % of nominal means lie within so many standard deviations of what is usual."""


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
    context: of the racks, where clusters are of vectors in it. frozen_after: so many equal readings of a feature in a
    row say that its sensor is frozen, 0 where they say nothing (d,).
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
    context: Context | None = None
    frozen_after: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(FEATURES), dtype=np.int64))

    def scaled(self, x: Floats) -> Floats:
        """Return z of vectors x (rows, d), feature by feature in memory as the kernel reads it.

        In context compressed, and NaN where the rack is idle, from which nothing is learnt of its level.
        """
        by_feature = np.array((x if self.context is None else compressed(x)).T, dtype=np.float64, order="C")
        if self.context is not None:
            by_feature[:, self.idle(x)] = np.nan
        by_feature -= self.mean[:, None]
        by_feature /= self.scale[:, None]
        z: Floats = by_feature.T
        return z

    @property
    def about_nominal(self) -> tuple[Floats, Floats]:
        """Return the lowest and highest readings of each feature about the nominal ones (d,): a quarter beyond."""
        low, high = self.range_lo.min(axis=0), self.range_hi.max(axis=0)
        beyond = (high - low) / 4.0
        return low - beyond, high + beyond

    def idle(self, x: Floats) -> NDArray[np.bool_]:
        """Mark the vectors (rows, d) of racks that draw power and serve nothing (rows,): they are drained, or wait.

        No nominal vector is like theirs, so that no distance to one says whether they are well. Their ranges do: none
        has a reading above the nominal ones and a quarter of their span.
        """
        rest: NDArray[np.bool_] = x[:, _TOKENS] == 0.0
        if not rest.any():
            return rest
        if self.context is None:
            return np.zeros_like(rest)
        rest &= ~(x[:, _LATENCY] > 0.0) & ~(x[:, _QUEUE] > 0.0) & (x[:, _POWER] > OFF * self.range_lo[:, _POWER].min())
        rest[rest] = ~(x[rest] > self.about_nominal[1]).any(axis=1)
        return rest

    def placed(self, x: Floats, states: Floats | None = None) -> tuple[Floats, Floats]:
        """Return vectors x as the clusters see them, and factors of doubt on their coordinates (rows, d).

        states: of their racks after each (rows, state_size), without which every row is the first of a new rack.
        """
        if self.context is None:
            return self.scaled(x), np.ones((1, len(FEATURES)))
        return self.context.placed(self.context.alone(self.scaled(x)) if states is None else states)


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of vectors, row by row: deviation, NaN when refused and 0 of idle racks; level, an index of LEVELS.

    degraded: a feature is missing. cluster: the nearest.
    """

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

    value: the reading; in context, the mean of the last minutes. share: how much of D goes away without it. sign: high
    or low against the range, `inside` when within it. low, high: the nominal range beside the other features. excess:
    how far outside. usual: what the other features make likely.
    """

    feature: str
    unit: str
    value: float
    share: float
    sign: str
    low: float
    high: float
    excess: float
    usual: float

    @property
    def text(self) -> str:
        """The cause in words: direction, size and what would be usual."""
        digits = CHANNELS[self.feature].decimals
        off = round(abs(self.value - self.usual), digits)
        if not off:
            return f"{self.feature} is as usual at this load ({self.usual:.{digits}f} {self.unit})"
        way = "above" if self.value > self.usual else "below"
        return (
            f"{self.feature} is {off:.{digits}f} {self.unit} {way} what is usual at this load ({self.usual:.{digits}f})"
        )

    def document(self) -> dict[str, Any]:
        """Return the cause as clients read it."""
        return {**asdict(self), "text": self.text}


def score_batch(model: Model, x: Floats, states: Floats | None = None) -> Scores:
    """Score vectors (rows, 10) in the order of FEATURES; NaN is a missing feature.

    states: of a model in context, their racks' states; each row is of a new rack without them.
    """
    deviation, cluster = deviations(model.placed(x, states)[0], model.lo, model.hi)
    degraded, idle = np.zeros(len(x), dtype=bool), model.idle(x)
    if any_missing(x):
        degraded = incomplete(x)
        deviation[1.0 - np.isnan(x).mean(axis=1) < MIN_PRESENT] = np.nan
    deviation[idle] = 0.0
    level = _levels(model, deviation)
    level[idle] = IDLE
    return Scores(deviation, level, degraded, cluster)


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


_TOKENS, _LATENCY, _QUEUE, _POWER = (
    FEATURES.index(name) for name in ("tokens_ps", "latency_p95_ms", "queue_depth", "pdu_kw")
)
_EACH = tuple((j,) for j in range(len(FEATURES)))
_GROUPED = tuple(tuple(FEATURES.index(name) for name in names) for names in GROUPS.values())


@dataclass(frozen=True, slots=True)
class _Found:
    """What explains rows, feature by feature (rows, 10): the share, the value, what is usual and the nominal range."""

    share: Floats
    value: Floats
    usual: Floats
    low: Floats
    high: Floats


def _found(model: Model, x: Floats, states: Floats | None) -> _Found:
    if model.context is None:
        found = causes(model.scaled(x), model.lo, model.hi, _EACH)
        low, high = (np.take_along_axis(of, found.cluster, axis=0) for of in (model.range_lo, model.range_hi))
        return _Found(found.share, x, (low + high) / 2.0, low, high)
    states = model.context.alone(model.scaled(x)) if states is None else states
    z, doubt = model.context.placed(states)
    by = projections(z, doubt, model.lo, model.hi, directions(model.context, model.scale))
    inverse = np.asarray(np.linalg.inv(model.context.whiten), dtype=np.float64)
    mean = in_order(inverse, np.ascontiguousarray(states[:, : len(FEATURES)].T)).T
    value = mean * model.scale + model.mean
    usual, width = value - by.step * model.scale, RANGE_SIGMAS * by.sure * model.scale
    return _Found(by.share, *(expanded(of) for of in (value, usual, usual - width, usual + width)))


def nominal_ranges(model: Model, x: Floats, states: Floats | None = None) -> tuple[Floats, Floats]:
    """Return low and high of each feature (rows, 10): what is nominal beside the row's other features."""
    found = _found(model, x, states)
    return found.low, found.high


def causes_by_feature(model: Model, x: Floats, states: Floats | None = None) -> Floats:
    """Return what each feature explains of each row's deviation (rows, 10)."""
    return _found(model, x, states).share


def causes_by_group(model: Model, x: Floats, states: Floats | None = None) -> Floats:
    """Return what each group of GROUPS explains of each row's deviation (rows, 4)."""
    if model.context is None:
        return causes(model.scaled(x), model.lo, model.hi, _GROUPED).share
    z, doubt = model.placed(x, states)
    return spanned(z, doubt, model.lo, model.hi, directions(model.context, model.scale), _GROUPED)


@dataclass(frozen=True, slots=True)
class TopCauses:
    """The features that explain most, best first (rows, k): feature -1 where nothing is left to explain.

    sign: 1 above the nominal range, -1 below, 0 inside. value, low, high, usual: as of a Cause, in the feature's unit.
    """

    feature: NDArray[np.intp]
    share: Floats
    sign: NDArray[np.int8]
    value: Floats
    low: Floats
    high: Floats
    usual: Floats


def top_causes(model: Model, x: Floats, k: int = 3, states: Floats | None = None) -> TopCauses:
    """Return the k features that explain most of each row's deviation. states: as in `score_batch`."""
    found = _found(model, x, states)
    share = np.where(np.isnan(x) | np.isnan(found.share), 0.0, found.share)
    best = np.argsort(-share, axis=1, kind="stable")[:, :k]
    rows = np.arange(len(x))[:, None]
    value, usual, low, high = (of[rows, best] for of in (found.value, found.usual, found.low, found.high))
    sign = (value > high).astype(np.int8) - (value < low).astype(np.int8)
    nothing = share[rows, best] <= 0.0
    return TopCauses(np.where(nothing, -1, best), share[rows, best], sign, value, low, high, usual)


def explain_vector(
    model: Model, x: Floats, k: int = len(FEATURES), state: Floats | None = None
) -> list[Cause]:  # fmt: skip
    """Return the causes of one vector's deviation (10,), best first. state: of its rack (state_size,)."""
    return explain_batch(model, x.reshape(1, -1), k, None if state is None else state.reshape(1, -1))[0]


def explain_batch(
    model: Model, x: Floats, k: int = len(FEATURES), states: Floats | None = None
) -> list[list[Cause]]:  # fmt: skip
    """Return the causes of each vector's deviation (rows, 10), best first. states: as in `score_batch`."""
    top = top_causes(model, x, k, states)
    columns = (top.feature, top.share, top.sign, top.value, top.low, top.high, top.usual)
    return [
        [_cause(*cause) for cause in zip(*of_row, strict=True) if cause[0] >= 0]
        for of_row in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _cause(feature: int, share: float, sign: int, value: float, low: float, high: float, usual: float) -> Cause:
    excess, way = max(low - value, value - high, 0.0), ("inside", "high", "low")[sign]
    return Cause(FEATURES[feature], UNITS[feature], value, share, way, low, high, excess, usual)

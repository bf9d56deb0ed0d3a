"""The detectors IMS is compared with: the same scaled features in, a score per row out."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.common.errors import InputError
from sim.model.channels import MEASURED
from sim.runs.checks.visibility import SHORT, regressors, ridge, rolling
from training.clustering import kmeans_clusters, one_thread
from training.clusters import deviations
from training.context import Context, Levels, compressed
from training.context_fitting import fit_context
from training.features import FEATURES, Floats
from training.fitting import EPS, WIDEST, FitOptions, clustered, scaling
from training.import_optional import import_optional
from training.labels import runs_by_rack

WINDOW = 5
KEPT_VARIANCE = 0.9
NEIGHBOURS = 20
SLOW_ROWS = 5_000
"""Detectors that compare every row with every training row learn from a seeded sample of so many."""

OWN = [i for i, name in enumerate(FEATURES) if name in MEASURED]
"""Features with a sensor of their own; the others follow from these."""

LEAST_SCALE = 1e-9
"""Of a channel that does not move."""

Rows = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Run:
    """A run in scaled features: z (rows, 10), NaN where one is missing; rack (rows,), each rack's rows in time.

    For detectors in context, ts_s: instants [s] (rows,), not falling; x: the readings (rows, 10); before: what led up
    to it.
    """

    z: Floats
    rack: NDArray[np.intp]
    ts_s: Floats | None = None
    x: Floats | None = None
    before: "Run | None" = None

    @property
    def filled(self) -> Floats:
        """Return z with the mean where a feature is missing, for detectors that cannot leave one out."""
        return np.nan_to_num(self.z)


Scorer = Callable[[Run], Floats]
Builder = Callable[[Run, Rows, int], Scorer]
"""Learns from the rows of a run that are marked, with a seed, and returns what scores another run."""


def ims_kmeans(run: Run, rows: Rows, seed: int) -> Scorer:
    clusters = kmeans_clusters(run.z[rows], 8, seed)
    return lambda other: deviations(other.z, clusters.lo, clusters.hi)[0]


def ims_hyperbox(run: Run, rows: Rows, seed: int) -> Scorer:
    clusters = clustered(run.z[rows], FitOptions("hyperbox", features="plain", seed=seed).completed())
    return lambda other: deviations(other.z, clusters.lo, clusters.hi)[0]


def in_context(builder: Builder) -> Builder:
    """Return the builder of a detector that sees racks in context, as the shipped IMS does."""

    def build(run: Run, rows: Rows, seed: int) -> Scorer:
        assert run.ts_s is not None and run.x is not None  # noqa: S101, PT018 - who compares in context gives both
        mean, scale = scaling(compressed(run.x[rows]))

        def scaled(x: Floats) -> Floats:
            return (compressed(x) - mean) / scale

        context, z = fit_context(run.rack[rows], run.ts_s[rows], scaled(run.x[rows]))
        scorer = builder(Run(z, run.rack[rows]), np.ones(len(z), dtype=np.bool_), seed)
        return lambda other: scorer(Run(_seen(context, scaled, other), other.rack))

    return build


def _seen(context: Context, scaled: Callable[[Floats], Floats], run: Run) -> Floats:
    """Return a run's vectors in context (rows, d), its racks' levels learnt from its begin or what led up to it."""
    assert run.ts_s is not None and run.x is not None  # noqa: S101, PT018 - see in_context
    levels = Levels(context)
    levels.know(1 + max(int(part.rack.max()) for part in (run, run.before) if part is not None))
    if run.before is not None and run.before.ts_s is not None and run.before.x is not None:
        levels.take(run.before.rack, run.before.ts_s, scaled(run.before.x))
    return context.placed(levels.take(run.rack, run.ts_s, scaled(run.x)))[0]


def context_hyperbox(run: Run, rows: Rows, seed: int) -> Scorer:
    clusters = clustered(run.z[rows], FitOptions("hyperbox", features="context", seed=seed).completed())
    return lambda other: deviations(other.z, clusters.lo, clusters.hi)[0]


def pca(run: Run, rows: Rows, seed: int) -> Scorer:
    """Distance to the plane that keeps 90 % of the variance."""
    del seed
    _, singular, axes = np.linalg.svd(run.z[rows] - run.z[rows].mean(axis=0), full_matrices=False)
    kept = int(np.searchsorted(np.cumsum(singular**2) / np.sum(singular**2), KEPT_VARIANCE)) + 1
    rest, mean = axes[kept:].T, run.z[rows].mean(axis=0)
    return lambda other: np.linalg.norm((other.filled - mean) @ rest, axis=1)


def kmeans_window(run: Run, rows: Rows, seed: int) -> Scorer:
    """k-means on five consecutive samples of a rack: distance to the nearest of 8 centres."""
    whole = windows(run.rack, rows[:, None].astype(np.float64)).all(axis=1)
    centres = kmeans_clusters(windows(run.rack, run.z)[whole], 8, seed).lo
    return lambda other: deviations(windows(other.rack, other.z), centres, centres)[0]


def windows(rack: NDArray[np.intp], values: Floats) -> Floats:
    """Return each row with the four before it of its rack (rows, 5 d); a rack's first row stands in for earlier."""
    order, first = runs_by_rack(rack)
    begin = np.maximum.accumulate(np.where(first, np.arange(order.size), 0))
    back = [np.maximum(np.arange(order.size) - k, begin) for k in range(WINDOW)]
    out = np.empty((len(values), WINDOW * values.shape[1]))
    out[order] = np.hstack([values[order][b] for b in back])
    return out


def knn(run: Run, rows: Rows, seed: int) -> Scorer:
    """Distance to the 20th nearest of a sample of the training rows."""
    fitted = import_optional("sklearn.neighbors").NearestNeighbors(n_neighbors=NEIGHBOURS).fit(_sample(run, rows, seed))
    return lambda other: fitted.kneighbors(other.filled)[0][:, -1]


def lof(run: Run, rows: Rows, seed: int) -> Scorer:
    """Local outlier factor against a sample of the training rows."""
    made = import_optional("sklearn.neighbors").LocalOutlierFactor(n_neighbors=NEIGHBOURS, novelty=True)
    fitted = made.fit(_sample(run, rows, seed))
    return lambda other: -fitted.score_samples(other.filled)


def iforest(run: Run, rows: Rows, seed: int) -> Scorer:
    """Isolation forest of 100 trees."""
    made = import_optional("sklearn.ensemble").IsolationForest(n_estimators=100, random_state=seed, n_jobs=1)
    fitted = made.fit(_sample(run, rows, seed, 10 * SLOW_ROWS))
    return lambda other: -fitted.score_samples(other.filled)


def regression(run: Run, rows: Rows, seed: int) -> Scorer:
    """What no other channel of the rack explains: the largest mean residual of SHORT rows, in its deviations."""
    del seed
    known = {int(r): _Unexplained.of(run.filled[rows & (run.rack == r)][:, OWN]) for r in np.unique(run.rack[rows])}

    def score(other: Run) -> Floats:
        out = np.zeros(len(other.z))
        for r in np.unique(other.rack):
            if int(r) in known:
                out[other.rack == r] = known[int(r)].score(other.filled[other.rack == r][:, OWN])
        return out

    return score


@dataclass(frozen=True, slots=True)
class _Unexplained:
    """One rack's regression: mean and deviation of its channels, weights, and deviation of what they leave."""

    mean: Floats
    scale: Floats
    weights: Floats
    left: Floats

    @classmethod
    def of(cls, x: Floats) -> "_Unexplained":
        mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), LEAST_SCALE)
        z = (x - mean) / scale
        weights = ridge(regressors(z), z)
        left = rolling(z - regressors(z) @ weights, SHORT)[0].std(axis=0)
        return cls(mean, scale, weights, np.maximum(left, LEAST_SCALE))

    def score(self, x: Floats) -> Floats:
        z = (x - self.mean) / self.scale
        means = rolling(z - regressors(z) @ self.weights, SHORT)[0]
        return np.asarray(np.abs(means / self.left).max(axis=1))


def random(run: Run, rows: Rows, seed: int) -> Scorer:
    """A score that knows nothing: the floor."""
    del run, rows
    rng = np.random.default_rng(seed)
    return lambda other: rng.random(len(other.z))


def largest_z(run: Run, rows: Rows, seed: int) -> Scorer:
    """The largest |z| of the features: what ten limits would do."""
    del run, rows, seed
    return lambda other: np.abs(other.filled).max(axis=1)


def from_pyod(module_name: str, class_name: str) -> Builder:
    """Return the builder of a detector of pyod, with that library's defaults."""

    def build(run: Run, rows: Rows, seed: int) -> Scorer:
        detector = getattr(import_optional(f"pyod.models.{module_name}"), class_name)()
        detector.fit(_sample(run, rows, seed, 10 * SLOW_ROWS))
        return lambda other: np.asarray(detector.decision_function(other.filled), dtype=np.float64)

    return build


def _sample(run: Run, rows: Rows, seed: int, most: int = SLOW_ROWS) -> Any:
    z = run.z[rows]
    return z if len(z) <= most else z[np.sort(np.random.default_rng(seed).choice(len(z), most, replace=False))]


IMS: dict[str, Builder] = {
    "ims": in_context(ims_kmeans),
    "ims-boxes": in_context(context_hyperbox),
    "ims-kmeans": ims_kmeans,
    "ims-hyperbox": ims_hyperbox,
}
FLOORS: dict[str, Builder] = {"random": random, "largest-z": largest_z}
PEERS: dict[str, Builder] = {
    "pca": pca,
    "kmeans-window": kmeans_window,
    "knn": knn,
    "lof": lof,
    "iforest": iforest,
    "regression": regression,
}
IN_CONTEXT: dict[str, Builder] = {f"{name}-context": in_context(PEERS[name]) for name in ("knn", "lof")}
PYOD: dict[str, Builder] = {
    "hbos": from_pyod("hbos", "HBOS"),
    "copod": from_pyod("copod", "COPOD"),
    "ecod": from_pyod("ecod", "ECOD"),
}

DESCRIPTIONS: dict[str, str] = {
    "ims": "IMS in context, distance to the nearest of 8 k-means centres: what is shipped",
    "ims-boxes": f"the same, distance to the nearest range (eps {EPS['context']}, at most {WIDEST['context']} wide)",
    "ims-kmeans": "IMS of the features as read, distance to the nearest of 8 k-means centres",
    "ims-hyperbox": f"the same, distance to the nearest range (eps {EPS['plain']})",
    "pca": "distance to the plane that keeps 90 % of the variance",
    "kmeans-window": "8 k-means centres of five consecutive samples",
    "knn": f"distance to the {NEIGHBOURS}th nearest of {SLOW_ROWS} training rows",
    "lof": f"local outlier factor against {SLOW_ROWS} training rows",
    "iforest": "isolation forest of 100 trees",
    "regression": "what the rack's other channels do not explain, a mean of ten samples",
    "knn-context": "the same of the vectors that IMS sees",
    "lof-context": "the same of the vectors that IMS sees",
    "hbos": "histogram-based outlier score (pyod)",
    "copod": "copula-based outlier detection (pyod)",
    "ecod": "empirical cumulative outlier detection (pyod)",
    "random": "floor: knows nothing",
    "largest-z": "floor: the largest |z|",
    "twin": "ceiling: distance to the same run without its incidents, which are all it knows, planned work among them",
}


def choose(names: list[str]) -> tuple[dict[str, Builder], list[str]]:
    """Return the builders of these detectors and the floors, and the names that need pyod when it is not installed.

    Raises InputError naming every detector that is not known.
    """
    known = IMS | PEERS | IN_CONTEXT | PYOD | FLOORS
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"--against: not known: {', '.join(unknown)} (detectors: {', '.join(known)})")
    without = [name for name in names if name in PYOD and find_spec("pyod") is None]
    return {name: known[name] for name in [*names, *FLOORS] if name not in without}, without


def fit_on_one_thread(builder: Builder, run: Run, rows: Rows, seed: int) -> Scorer:
    """Build a detector with BLAS and OpenMP kept to one thread."""
    with one_thread():
        return builder(run, rows, seed)

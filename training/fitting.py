"""From telemetry to a model: filter, scaling, clusters, thresholds, card."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sim.common.errors import InputError
from training.clustering import Clusters, hyperboxes, kmeans_clusters
from training.clusters import deviations
from training.context import compressed
from training.context_fitting import fit_context
from training.features import FEATURES, RESOLUTION, Floats, incomplete
from training.fleet import read_fleet
from training.labels import Labels, find_labels, read_labels
from training.mms import PERSISTENT, RECOVERING, Smoother
from training.model import Model, ScoreDensities
from training.monitor import Monitor, smooth
from training.nominal import MIN_ROWS, NominalRows, nominal_rows
from training.sensors import frozen_after, longest_equal
from training.telemetry import BLOCK_ROWS, Telemetry, read_telemetry
from training.text_files import name_of

HELD_OUT = 0.2
PERCENTILES = {"plain": (95.0, 98.0), "context": (95.0, 98.5)}
"""Of the held-out scores unless they are given. In context scores are means of minutes: one that is high stays so."""
CLUSTER_FLOORS = (0.1, 0.2)
"""Nearly all held-out rows lie inside clusters, so their percentiles collapse to 0."""

EPS, WIDEST = {"context": 3.0, "plain": 1.0}, {"context": 2.0, "plain": float("inf")}
"""Of hyperboxes unless they are given: whitened vectors are farther apart, in as many directions as there are.

Not wider, so that no box holds a third of the rows; of the features as read there would be thousands of boxes.
"""

HYPERBOX_ROWS = 600
"""Hyperboxes in context see a seeded sample of so many rows: with all they would be thousands."""

RANGE_PERCENTILES = (1.0, 99.0)
DENSITY_BINS = 40

Progress = Callable[[str], None]
Rows = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How to fit.

    features: `context` takes them against each rack's own level, as short means, whitened; `plain` as they are read,
    which is what compat and weights go with. eps, widest: of hyperboxes, EPS and WIDEST unless given. weights: factor
    on a feature's scaled value, 1 unless given. compat: `reference` takes the thresholds from the training scores.
    one_rack: learn from a run of a single rack. percentiles: of the held-out scores, tau_fast and tau_persist,
    PERCENTILES unless given.
    """

    algorithm: Literal["kmeans", "hyperbox"] = "kmeans"
    features: Literal["context", "plain"] | None = None
    n_clusters: int = 8
    eps: float | None = None
    rho: float = 0.05
    widest: float | None = None
    filter: Literal["reference", "extended", "labels"] = "extended"
    compat: Literal["reference"] | None = None
    seed: int = 42
    weights: Mapping[str, float] = field(default_factory=dict)
    one_rack: bool = False
    percentiles: tuple[float, float] | None = None

    def completed(self) -> "FitOptions":
        """Return the options with what was not given. Raises InputError with every option that cannot be used."""
        plain = self.compat is not None or bool(self.weights)
        features = self.features or ("plain" if plain else "context")
        eps = EPS.get(features, 1.0) if self.eps is None else self.eps
        widest = WIDEST.get(features, 1.0) if self.widest is None else self.widest
        percentiles = PERCENTILES.get(features, PERCENTILES["plain"]) if self.percentiles is None else self.percentiles
        whole = replace(self, features=features, eps=eps, widest=widest, percentiles=percentiles)
        whole.check()
        return whole

    def check(self) -> None:
        """Raise InputError with every option that cannot be used."""
        wrong = [*self._wrong_kinds(), *self._wrong_ranges()]
        if self.n_clusters < 1:
            wrong.append(f"n_clusters: {self.n_clusters} is not at least 1")
        if self.seed < 0:
            wrong.append(f"seed: {self.seed} is below 0")
        if self.percentiles is None or not 0 < self.percentiles[0] < self.percentiles[1] < 100:  # noqa: PLR2004 - per cent
            wrong.append(f"percentiles: {self.percentiles} have to rise, between 0 and 100")
        wrong += [f"weights.{n}: is no feature ({', '.join(FEATURES)})" for n in self.weights if n not in FEATURES]
        wrong += [f"weights.{n}: {w} is not above 0" for n, w in self.weights.items() if not w > 0]
        if wrong:
            raise InputError("; ".join(wrong))

    def _wrong_kinds(self) -> Iterator[str]:
        if self.algorithm not in ("kmeans", "hyperbox"):
            yield f"algorithm: {self.algorithm!r} is not known (kmeans, hyperbox)"
        if self.compat not in (None, "reference"):
            yield f"compat: {self.compat!r} is not known (reference)"
        if self.features not in ("context", "plain"):
            yield f"features: {self.features!r} is not known (context, plain)"
        if self.features == "context" and (self.compat or self.weights):
            yield "features: context goes without compat and weights; choose plain"

    def _wrong_ranges(self) -> Iterator[str]:
        if self.eps is None or not self.eps > 0 or not self.rho >= 0:
            yield f"eps {self.eps} has to be above 0 and rho {self.rho} not below 0"
        elif self.widest is None or not self.widest > 2 * self.rho:
            yield f"widest {self.widest} has to be above twice rho, which a cluster begins with"


def fit(
    data: Path | str | Telemetry,
    *,
    labels: Path | str | Labels | None = None,
    calibration: Path | str | Telemetry | None = None,
    faults: Path | str | tuple[Telemetry, Labels] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Model:
    """Train a model on a telemetry file, a fleet's folder or a run in memory.

    labels: the run's labels, those beside the file unless given. calibration: nominal rows for the thresholds from
    another run instead of the last 20 % of this one. faults: another run with labels whose faults the likelihood
    smoother learns from, instead of this one's. options: see FitOptions. Raises InputError on data that cannot be used.
    """
    chosen = FitOptions(**options).completed()
    say = progress or (lambda _: None)
    path = None if isinstance(data, Telemetry) or Path(data).is_dir() else Path(data)
    telemetry, own = (data, None) if isinstance(data, Telemetry) else _read(Path(data), say)
    if len(telemetry.racks) == 1 and not chosen.one_rack:
        raise InputError(
            f"{telemetry.source}: {telemetry.racks[0]} is the only rack; a monitor of a hall learns from several: give "
            f"the whole run, or --one-rack to learn this rack alone"
        )
    truth = own if own is not None and labels is None else _labels(labels, path, telemetry)
    say("choosing the nominal rows")
    nominal = nominal_rows(telemetry, chosen.filter, truth)
    held = _held_out(telemetry, chosen, calibration is not None) & nominal.keep
    train = nominal.keep & ~held if chosen.compat is None else nominal.keep
    model = _clusters(telemetry, train, chosen, say)
    say("setting the thresholds")
    if calibration is not None:
        other = calibration if isinstance(calibration, Telemetry) else _read(Path(calibration), say)[0]
        calibrated, rows = other, nominal_rows(other, "extended" if chosen.filter == "labels" else chosen.filter).keep
    else:
        calibrated, rows = telemetry, train if chosen.compat else held
    scores = deviations_in(model, calibrated)
    taus = _thresholds(scores[rows], calibrated, chosen)
    card = _card(telemetry, nominal, int(train.sum()), calibrated, path)
    other, rows_of_it, source = _faulty(telemetry, nominal, truth, faults, say)
    faulty = (scores if other is calibrated else deviations_in(model, other))[rows_of_it]
    densities = _densities(scores[rows], faulty, source)
    done = replace(model, tau_fast=taus[0], tau_persist=taus[1], densities=densities, card=card)
    card["false_alarms_per_rack_day"] = _false_alarms(done, calibrated, rows, scores)
    return replace(done, card=card)


def deviations_in(model: Model, telemetry: Telemetry) -> Floats:
    """Return the deviation of every row of a run, rack by rack in time, NaN where it is refused."""
    found = np.empty(telemetry.rows)
    monitor = Monitor(model)
    for start in range(0, telemetry.rows, BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        part = telemetry.rack[rows], telemetry.ts_s[rows], telemetry.x[rows]
        found[rows] = monitor.deviations(telemetry.racks, *part)
    return found


def _read(path: Path, say: Progress) -> tuple[Telemetry, Labels | None]:
    """Return a file, or a fleet with its labels; those of a file are found when they are asked for."""
    if path.is_dir():
        return read_fleet(path, say)
    return read_telemetry(path, lambda rows: say(f"reading {path.name}: {rows:,} rows")), None


def _labels(labels: Path | str | Labels | None, path: Path | None, telemetry: Telemetry) -> Labels | None:
    if isinstance(labels, Labels):
        return labels
    given = None if labels is None else Path(labels)
    found = given if path is None else find_labels(path, given)
    return None if found is None else read_labels(found, telemetry)


def _held_out(telemetry: Telemetry, options: FitOptions, calibrated: bool) -> Rows:
    """Mark the last 20 % of the run's time; nothing when the thresholds come from elsewhere."""
    if options.compat or calibrated:
        return np.zeros(telemetry.rows, dtype=bool)
    begin, end = telemetry.ts_s[0], telemetry.ts_s[-1] + telemetry.interval_s
    held: Rows = telemetry.ts_s >= end - HELD_OUT * (end - begin)
    return held


def _clusters(telemetry: Telemetry, train: Rows, options: FitOptions, say: Progress) -> Model:
    x = telemetry.x[train]
    if len(x) < MIN_ROWS:
        raise InputError(
            f"{telemetry.source}: {len(x)} nominal rows are left to train on outside the last {HELD_OUT:.0%} of the "
            f"time, at least {MIN_ROWS} are needed; give more data, or --calibration with another file"
        )
    seen = compressed(x) if options.features == "context" else x
    mean, scale = scaling(seen, options.weights)
    z, context = (seen - mean) / scale, None
    if options.features == "context":
        context, z = fit_context(telemetry.rack[train], telemetry.ts_s[train], z)
    say(f"clustering {len(z):,} rows")
    clusters = clustered(z, options)
    if context is None:
        low, high = _ranges(x, z, clusters, mean, scale)
    else:  # what is nominal hangs on the rack as well: these are the ranges over all
        low, high = (np.tile(of, (len(clusters.lo), 1)) for of in np.percentile(x, RANGE_PERCENTILES, axis=0))
    return Model(
        name_of(Path(telemetry.source)), options.algorithm, mean, scale, clusters.lo, clusters.hi, clusters.count,
        low, high, 0.0, 0.0, options.seed, _chosen(options), context=context,
        frozen_after=frozen_after(longest_equal(telemetry.rack[train], telemetry.x[train])),
    )  # fmt: skip


def clustered(z: Floats, options: FitOptions) -> Clusters:
    """Return the clusters of nominal vectors (rows, d). options: completed."""
    assert options.eps is not None and options.widest is not None  # noqa: S101, PT018 - completed
    if options.algorithm == "kmeans":
        return kmeans_clusters(z, options.n_clusters, options.seed)
    if options.features == "context" and len(z) > HYPERBOX_ROWS:
        z = z[np.sort(np.random.default_rng(options.seed).choice(len(z), HYPERBOX_ROWS, replace=False))]
    return hyperboxes(z, options.eps, options.rho, options.seed, options.widest)


def scaling(x: Floats, weights: Mapping[str, float] | None = None) -> tuple[Floats, Floats]:
    """Return mean and scale of vectors (rows, 10): no spread is finer than a sensor's resolution."""
    w = np.array([(weights or {}).get(name, 1.0) for name in FEATURES])
    return x.mean(axis=0), np.maximum(x.std(axis=0), RESOLUTION) / w


def _chosen(options: FitOptions) -> dict[str, Any]:
    own: dict[str, Any] = (
        {"n_clusters": options.n_clusters}
        if options.algorithm == "kmeans"
        else {"eps": options.eps, "rho": options.rho, "widest": None if options.widest == np.inf else options.widest}
    )
    if options.percentiles is not None and options.percentiles != PERCENTILES[options.features or "plain"]:
        own["percentiles"] = list(options.percentiles)
    return {
        "features": options.features,
        "filter": options.filter,
        "compat": options.compat,
        "weights": dict(options.weights),
        **own,
    }


def _ranges(x: Floats, z: Floats, clusters: Clusters, mean: Floats, scale: Floats) -> tuple[Floats, Floats]:
    """Return the nominal range around each cluster in engineering units: its own, or its rows' 1 % and 99 % points."""
    low, high = clusters.lo * scale + mean, clusters.hi * scale + mean
    if not np.array_equal(clusters.lo, clusters.hi):
        return low, high
    nearest = deviations(z, clusters.lo, clusters.hi)[1]
    for cluster in range(len(low)):
        if (nearest == cluster).any():
            low[cluster], high[cluster] = np.percentile(x[nearest == cluster], RANGE_PERCENTILES, axis=0)
    return low, high


def _thresholds(scores: Floats, telemetry: Telemetry, options: FitOptions) -> tuple[float, float]:
    if scores.size < MIN_ROWS:
        raise InputError(
            f"{telemetry.source}: {scores.size} nominal rows are left to set the thresholds with, at least "
            f"{MIN_ROWS} are needed (the last {HELD_OUT:.0%} of the time, or --calibration); give more data"
        )
    assert options.percentiles is not None  # noqa: S101 - completed
    fast, persist = np.percentile(scores, options.percentiles)
    if options.algorithm == "hyperbox":
        fast, persist = max(fast, CLUSTER_FLOORS[0]), max(persist, CLUSTER_FLOORS[1])
    if not 0 <= fast < persist:
        low, high = options.percentiles
        raise InputError(
            f"{telemetry.source}: the scores' {low:g} % and {high:g} % points are both {persist:g}: "
            f"the nominal rows do not vary; give data of a hall at work"
        )
    return float(fast), float(persist)


def _faulty(
    telemetry: Telemetry, nominal: NominalRows, truth: Labels | None,
    faults: Path | str | tuple[Telemetry, Labels] | None, say: Progress,
) -> tuple[Telemetry, Rows, str]:  # fmt: skip
    """Return the run with faulty rows, which rows of it they are, and where they are from.

    Faulty are the rows labelled a fault (anomalies other than load); without labels, those the filter's rules took.
    """
    if isinstance(faults, (Path, str)):
        shown, known = _read(Path(faults), say)
        if not Path(faults).is_dir():
            known = _labels(None, Path(faults), shown)
        if known is None:
            raise InputError(f"{faults}: has no labels beside it: they have to say which of its rows are faulty")
        faults = shown, known
    other, labels = faults or (telemetry, truth)
    rows = ~nominal.keep if labels is None else labels.anomaly & (labels.kind != "load")
    return other, rows & ~incomplete(other.x), "the filter" if labels is None else f"labels of {_named(other)}"


def _named(telemetry: Telemetry) -> str:
    return Path(telemetry.source).name


def _densities(scores: Floats, faulty: Floats, source: str) -> ScoreDensities | None:
    """Return the densities of nominal and faulty scores; None when fewer than 100 rows are faulty."""
    if len(faulty) < MIN_ROWS:
        return None
    p0, p1 = np.log1p(scores), np.log1p(faulty)
    edges = np.linspace(0.0, max(float(p0.max()), float(np.percentile(p1, 99.0))) * (1 + 1e-9) + 1e-9, DENSITY_BINS + 1)
    return ScoreDensities(edges, _log_density(p0, edges), _log_density(p1, edges), source)


def _log_density(values: Floats, edges: Floats) -> Floats:
    """Return a histogram's log density, one row added to each bin: an empty bin is rare, not impossible."""
    counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] + 1.0
    density: Floats = np.log(counts / counts.sum() / np.diff(edges))
    return density


def _false_alarms(model: Model, telemetry: Telemetry, rows: Rows, scores: Floats) -> float:
    """Return persistent events per rack and day on nominal rows; the other rows hold the state."""
    deviation = np.where(rows, scores, np.nan)
    step = smooth(Smoother.of(model, "ema", telemetry.interval_s), telemetry.rack, telemetry.ts_s, deviation)
    order = np.argsort(telemetry.rack, kind="stable")
    open_ = np.isin(step.state, (PERSISTENT, RECOVERING))[order]
    same = np.diff(telemetry.rack[order], prepend=-1) == 0
    begins = open_ & ~(np.concatenate([[False], open_[:-1]]) & same)
    days = rows.sum() * telemetry.interval_s / 86_400.0
    return round(float(begins.sum() / days), 4)


def _card(
    telemetry: Telemetry, nominal: NominalRows, trained: int, calibrated: Telemetry, path: Path | None
) -> dict[str, Any]:
    return {
        "data": Path(telemetry.source).name,
        "data_sha256": _file_hash(path) if path else None,
        "calibration": Path(calibrated.source).name,
        "racks": len(telemetry.racks),
        "interval_s": telemetry.interval_s,
        "rows_in": telemetry.rows,
        "rows_removed": nominal.removed,
        "rows_nominal": nominal.kept,
        "rows_trained": trained,
        "versions": {name: version(name) for name in ("numpy", "scikit-learn")},
    }


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

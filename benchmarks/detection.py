"""How well simple detectors do on a benchmark run, and whether they do worse the weaker its incidents are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.recorded import Mask, Recorded
from benchmarks.visibility import SHORT, residuals, rolling, without_gaps
from sim.engine.blocks import Array
from sim.incidents.catalogue import CATALOGUE
from sim.incidents.schema import KindRate
from training.detectors import FLOORS, IMS, PEERS, Builder, Run, Scorer, fit_on_one_thread
from training.features import FEATURES
from training.metrics import vus_pr

SIMPLE: dict[str, Builder] = {
    **{name: IMS[name] for name in ("ims-kmeans", "ims-hyperbox")},
    **{name: PEERS[name] for name in ("pca", "kmeans-window", "iforest")},
    "largest-z": FLOORS["largest-z"],
}
"""Detectors that need no tuning and learn in seconds; nearest-neighbour ones take minutes on a run of this size."""

SEVERITIES = (1.0, 0.75, 0.5, 0.25)
"""Factors on every severity of a scenario, strongest first."""

BUFFER_S = 1800.0
"""Largest window of the VUS-PR, as in training.evaluate."""

SEED = 0

Detector = Callable[[Recorded], Array]
"""Scores every row of a run's test part, rack by rack, each in time."""


def scaled(run: Recorded, prefix: int, ticks: slice) -> Run:
    """Return a run's features, rack by rack, each in time, as z-scores against the rack's own prefix.

    Each rack is a series with training rows of its own, as benchmarks hand them out. A missing reading is the last that
    there was.
    """
    z = []
    for name in FEATURES:
        x = without_gaps(run.readings[name])
        z.append(((x - x[:prefix].mean(axis=0)) / x[:prefix].std(axis=0))[ticks].T.ravel())
    racks = run.profile.shape[1]
    return Run(np.stack(z, axis=1), np.repeat(np.arange(racks), z[0].size // racks))


def detectors(run: Recorded, prefix: int) -> dict[str, Detector]:
    """Return detectors that learned the clean prefix; each scores the test part of a run with the same prefix."""
    clean = scaled(run, prefix, slice(0, prefix))
    every = np.ones(len(clean.z), dtype=np.bool_)
    scorers = {name: fit_on_one_thread(builder, clean, every, SEED) for name, builder in SIMPLE.items()}
    return {name: _Plain(scorer, prefix) for name, scorer in scorers.items()} | {"residual": _Residual(prefix)}


@dataclass(frozen=True, slots=True)
class _Plain:
    scorer: Scorer
    prefix: int

    def __call__(self, run: Recorded) -> Array:
        return self.scorer(scaled(run, self.prefix, slice(self.prefix, None)))


@dataclass(frozen=True, slots=True)
class _Residual:
    """What no other channel explains: the largest mean residual of SHORT ticks, see `visibility.residuals`."""

    prefix: int

    def __call__(self, run: Recorded) -> Array:
        means = (rolling(r, SHORT)[0] for r in residuals(run.readings, self.prefix))
        score = np.max([np.abs(m / m[: self.prefix].std(axis=0)) for m in means], axis=0)
        return np.asarray(score[self.prefix :].T.ravel())


def volume(score: Array, anomalous: Mask, tick_s: float) -> float:
    """Return the VUS-PR of a score, rack by rack, against (ticks, racks) that are anomalous."""
    ticks, racks = anomalous.shape
    return vus_pr(score, anomalous.T.ravel(), np.repeat(np.arange(racks), ticks), round(BUFFER_S / tick_s))


def weakened(scenario: dict[str, Any], factor: float) -> dict[str, Any]:
    """Return a scenario whose faults are weaker by a factor and otherwise the same; normal events stay."""
    rates = scenario["incident_rates"]
    kinds = {name: {**rate, "severity": _times(rate.get("severity"), factor)} for name, rate in rates["kinds"].items()}
    scripted = [
        spec if CATALOGUE[spec["kind"]].is_normal else {**spec, "severity": factor * spec.get("severity", 1.0)}
        for spec in scenario.get("incidents", ())
    ]
    return {**scenario, "incidents": scripted, "incident_rates": {**rates, "kinds": kinds}}


def _times(severity: Sequence[float] | None, factor: float) -> list[float]:
    return [factor * x for x in (severity or KindRate().severity)]


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Return Spearman's correlation of values without ties."""
    return float(np.corrcoef(np.argsort(np.argsort(x)), np.argsort(np.argsort(y)))[0, 1])

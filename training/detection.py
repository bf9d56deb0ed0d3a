"""How well simple detectors do on a benchmark run, and whether they do worse the weaker its incidents are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.runs.arrays import Mask, RunArrays
from sim.runs.checks.check import Check, at_least, at_most
from sim.runs.checks.counterfactual import Counterfactual
from sim.runs.checks.quality import weakened
from sim.runs.checks.visibility import SHORT, residuals, rolling, without_gaps
from sim.runs.memory import record
from training.detectors import FLOORS, IMS, PEERS, Builder, Run, Scorer, fit_on_one_thread
from training.features import FEATURES, Floats
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

VOLUME = 0.3, 0.8
"""Of the best simple detector: neither out of reach nor without a task."""

SEED = 0

RESIDUAL = "residual"
"""The regression of each channel on the others, the best of the simple detectors on every run measured so far."""

Detector = Callable[[RunArrays], Floats]
"""Scores every row of a run's test part, rack by rack, each in time."""


def scaled(run: RunArrays, prefix: int, ticks: slice) -> Run:
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


def detectors(run: RunArrays, prefix: int) -> dict[str, Detector]:
    """Return detectors that learned the clean prefix; each scores the test part of a run with the same prefix."""
    clean = scaled(run, prefix, slice(0, prefix))
    every = np.ones(len(clean.z), dtype=np.bool_)
    scorers = {name: fit_on_one_thread(builder, clean, every, SEED) for name, builder in SIMPLE.items()}
    return {name: _Plain(scorer, prefix) for name, scorer in scorers.items()} | {RESIDUAL: _Residual(prefix)}


@dataclass(frozen=True, slots=True)
class _Plain:
    scorer: Scorer
    prefix: int

    def __call__(self, run: RunArrays) -> Floats:
        return self.scorer(scaled(run, self.prefix, slice(self.prefix, None)))


@dataclass(frozen=True, slots=True)
class _Residual:
    """What no other channel explains: the largest mean residual of SHORT ticks, see `visibility.residuals`."""

    prefix: int

    def __call__(self, run: RunArrays) -> Floats:
        return left_unexplained(residuals(run.readings, self.prefix), self.prefix)


def left_unexplained(apart: Floats, prefix: int) -> Floats:
    """Return the score of `residuals`: of each row of the test part the largest mean of SHORT ticks, rack by rack."""
    means = (rolling(r, SHORT)[0] for r in apart)
    score = np.max([np.abs(m / m[:prefix].std(axis=0)) for m in means], axis=0)
    return np.asarray(score[prefix:].T.ravel())


def volume(score: Floats, anomalous: Mask, tick_s: float) -> float:
    """Return the VUS-PR of a score, rack by rack, against (ticks, racks) that are anomalous."""
    ticks, racks = anomalous.shape
    return vus_pr(score, anomalous.T.ravel(), np.repeat(np.arange(racks), ticks), round(BUFFER_S / tick_s))


def detection(facts: Counterfactual, scenario: dict[str, Any]) -> list[Check]:
    """Q10: the best simple detector's VUS-PR, how far detectors are apart, and whether it falls with the severity.

    The last is the rank correlation of a factor on all severities with the best one's VUS-PR, always against the rows
    that are anomalous at full severity.
    """
    prefix, anomalous = facts.test_from, facts.anomalous[facts.test_from :]
    made = detectors(facts.run, prefix)
    reached = {name: volume(detect(facts.run), anomalous, facts.tick_s) for name, detect in made.items()}
    best = max(reached, key=lambda name: reached[name])
    weaker = (record(weakened(scenario, factor), truth=False) for factor in SEVERITIES[1:])
    falling = [reached[best], *(volume(made[best](run), anomalous, facts.tick_s) for run in weaker)]
    shown = " ".join(f"{v:.2f}" for v in falling)
    return [
        best_volume(best, reached[best]),
        *(at_most("Q10", f"VUS-PR of {name}", v, 0.8, level="soft") for name, v in reached.items() if name != best),
        at_least("Q10", f"severity and VUS-PR, Spearman ({shown})", rank_correlation(SEVERITIES, falling), 0.8),
    ]


def best_volume(name: str, reached: float) -> Check:
    """Return the check of the best simple detector's VUS-PR."""
    return Check("Q10", f"VUS-PR of the best simple detector, {name}", "", reached, *VOLUME, "hard")


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Return Spearman's correlation of values without ties."""
    return float(np.corrcoef(np.argsort(np.argsort(x)), np.argsort(np.argsort(y)))[0, 1])

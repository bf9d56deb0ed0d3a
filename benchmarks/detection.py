"""How well simple detectors do on a benchmark run, and whether they do worse the weaker its incidents are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.counterfactual import Counterfactual
from benchmarks.recorded import Mask, Recorded
from benchmarks.visibility import without_gaps
from sim.engine.blocks import Array
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


def vectors(run: Recorded, prefix: int) -> tuple[Array, Array]:
    """Return what scales features of a run: their mean and deviation in its clean prefix, (features,) each."""
    parts = [run.readings[name][:prefix] for name in FEATURES]
    return np.array([p.mean() for p in parts]), np.array([p.std() for p in parts])


def scaled(run: Recorded, scale: tuple[Array, Array], ticks: slice) -> Run:
    """Return a run's features, rack by rack, each in time; a missing one is the last that there was."""
    z = np.stack([without_gaps(run.readings[name])[ticks].T.ravel() for name in FEATURES], axis=1)
    racks = run.profile.shape[1]
    return Run((z - scale[0]) / scale[1], np.repeat(np.arange(racks), len(z) // racks))


def learned(run: Recorded, prefix: int, names: Sequence[str]) -> dict[str, Scorer]:
    """Return detectors that learned the clean prefix."""
    clean = scaled(run, vectors(run, prefix), slice(0, prefix))
    every = np.ones(len(clean.z), dtype=np.bool_)
    return {name: fit_on_one_thread(SIMPLE[name], clean, every, SEED) for name in names}


def volume(score: Array, anomalous: Mask, run: Run, tick_s: float) -> float:
    """Return the VUS-PR of a score of a run's rows against (ticks, racks) that are anomalous."""
    return vus_pr(score, anomalous.T.ravel(), run.rack, round(BUFFER_S / tick_s))

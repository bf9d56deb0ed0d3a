"""Whether a benchmark gives its anomalies away: by artefacts of how it is made, or by where and when they come.

A gradient boosting learns them from one part and is asked about another; an AUC of 0.5 is chance.
"""

from typing import Any

import numpy as np

from sim.common.streams import Streams
from sim.model.channels import CHANNELS, MEASURED
from sim.runs.arrays import Mask
from sim.runs.checks.check import Check, at_most
from sim.runs.checks.counterfactual import Counterfactual
from sim.runs.checks.quality import PLANNED_SEEDS, planned_faults
from sim.runs.checks.visibility import SHORT, without_gaps
from training.clustering import one_thread
from training.features import Floats
from training.import_optional import import_optional
from training.metrics import roc_auc

CHANCE_AUC = 0.60
"""So much may be told without looking at what happens."""

NORMALS = 10
"""Normal rows for each anomalous one: enough for an AUC, and learnt in seconds."""

AS_THEY_ARE = ("stuck", "dropout")
"""Sensor faults that repeat or lose readings: what they are."""

SEED = 0


def artefacts(facts: Counterfactual) -> list[Check]:
    """Q14: how well last digits, repeats and energy less power tell anomalous rows, without stuck sensors.

    Learnt on every other rack, asked about the rest, and the other way round.
    """
    cells = slice(facts.test_from, None)
    anomalous, shown = facts.anomalous[cells], ~_repeated(facts)[cells]
    features = np.stack([x[cells] for x in artefacts_of(facts)], axis=2)
    rng = Streams(SEED).stream("leaks")
    share = NORMALS * (anomalous & shown).sum() / max(1, (~anomalous & shown).sum())
    asked = shown & (anomalous | (rng.random(anomalous.shape) < share))
    even = np.broadcast_to(np.arange(anomalous.shape[1]) % 2 == 0, anomalous.shape)
    areas = [
        area(features[asked & half], anomalous[asked & half], features[asked & ~half], anomalous[asked & ~half])
        for half in (even, ~even)
    ]
    return [at_most("Q14", "AUC of digits, repeats and energy less power", float(np.mean(areas)), CHANCE_AUC)]


def _repeated(facts: Counterfactual) -> Mask:
    """Return which rows the labels give to a sensor that repeats or loses readings."""
    marked = np.zeros(facts.anomalous.shape, dtype=np.bool_)
    for event in facts.faults:
        if facts.planned_of(event).kind.sensor in AS_THEY_ARE:
            marked |= facts.names(event)
    return marked


def artefacts_of(facts: Counterfactual) -> list[Floats]:
    """Return what could give away how readings were made, (ticks, racks) each.

    Of each measured channel its last digit, how many of the last SHORT readings repeat the one before, and at how many
    distances three on end are older ones; and energy less power.
    """
    features = []
    for name in MEASURED:
        whole = np.rint(without_gaps(facts.run.readings[name]) * 10.0 ** CHANNELS[name].decimals)
        features += [whole % 10, _repeats(whole), _replayed(whole)]
    energy, power = facts.run.readings["gpu_energy_j"], facts.run.readings["gpu_power_kw"]
    return [*features, energy - power * 1000.0 * facts.tick_s]


def _equal(x: Floats, ticks: int) -> Floats:
    """Return where readings equal those of so many ticks ago, as 0 and 1."""
    equal = np.zeros(x.shape)
    equal[ticks:] = x[ticks:] == x[:-ticks]
    return equal


def _repeats(x: Floats) -> Floats:
    """Return how many of the last SHORT readings repeat the one before."""
    counted = np.cumsum(_equal(x, 1), axis=0)  # of ones, exactly
    counted[SHORT:] -= counted[:-SHORT].copy()
    return counted


def _replayed(x: Floats) -> Floats:
    """Return at how many distances, in ticks, three readings on end repeat older ones."""
    count = np.zeros(x.shape)
    for ticks in range(1, SHORT + 1):
        equal = _equal(x, ticks)
        equal[2:] *= equal[1:-1] * equal[:-2]
        count += equal
    return count


def calendar(scenario: dict[str, Any]) -> list[Check]:
    """Q15: how well rack, hour and weekday tell when faults are planned, learnt from some seeds and asked of others."""
    known, asked = (
        [planned_faults({**scenario, "seed": seed}) for seed in range(first, PLANNED_SEEDS, 2)] for first in (0, 1)
    )
    learnt, other = ([np.concatenate(parts) for parts in zip(*of, strict=True)] for of in (known, asked))
    auc = area(learnt[0], learnt[1], other[0], other[1])
    return [at_most("Q15", f"AUC of rack, hour and weekday, {PLANNED_SEEDS} seeds", auc, CHANCE_AUC)]


def area(known: Floats, answers: Mask, asked: Floats, truth: Mask) -> float:
    """Return the area under the ROC of a gradient boosting that learnt the answers of some rows, on others."""
    boosting = import_optional("sklearn.ensemble").HistGradientBoostingClassifier(random_state=SEED)
    with one_thread():
        score = boosting.fit(known, answers).decision_function(asked)
    return roc_auc(score, truth)

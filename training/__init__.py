"""Monitors trained on the telemetry, and the data generator of the training document.

model = fit("data/training_ims.csv", n_clusters=8)
score_batch(model, vectors); score_one(model, sample)
Monitor(model).update("R-C-07", "2025-01-06T00:00:00Z", sample)
"""

from training.artifact import load, save
from training.fitting import fit
from training.model import Model, Score, Scores, score_batch, score_one
from training.monitor import Monitor, Reading

__all__ = [
    "Model",
    "Monitor",
    "Reading",
    "Score",
    "Scores",
    "fit",
    "load",
    "save",
    "score_batch",
    "score_one",
]

"""Speed of IMS on one thread, beside scikit-learn in the same run: python -m benchmarks.bench_ims [--data FILE]."""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from training import fit, score_batch, score_one
from training.clustering import one_thread
from training.features import FEATURES, Floats
from training.import_optional import import_optional
from training.model import Model, top_causes
from training.monitor import Monitor
from training.telemetry import BLOCK_ROWS, Telemetry

ROWS = 622_080
RACKS = 72
INTERVAL_S = 30.0
CENTRES = 8
REPEATS = 5
_TYPICAL = np.array([22.4, 35.0, 12.6, 7.9, 5.5, 8350.0, 187.0, 37.5, 65.0, 57.5])
_SPREAD = np.array([0.4, 0.7, 0.8, 0.5, 0.35, 350.0, 9.0, 6.0, 2.5, 2.0])


def nominal_run() -> Telemetry:
    """Three days of 72 racks at 30 s, nominal, with load driving power and heat: the size of training_ims."""
    rng = np.random.default_rng(42)
    load, heat = rng.normal(size=(2, ROWS, 1))
    follows = np.array([0, 1, 1, 1, 1, 1, 1, 1, 0, 0])
    x = _TYPICAL + _SPREAD * (0.9 * np.where(follows, load, heat) + 0.4 * rng.normal(size=(ROWS, len(FEATURES))))
    ts_s = np.repeat(np.arange(ROWS // RACKS) * INTERVAL_S, RACKS)
    racks = tuple(f"R-{k:02d}" for k in range(RACKS))
    return Telemetry(ts_s, np.tile(np.arange(RACKS), ROWS // RACKS), racks, x, INTERVAL_S, "bench")


def best_s(work: Callable[[], object]) -> float:
    """Return the shortest of a few runs [s]: the others waited for something else."""
    return min(_timed(work) for _ in range(REPEATS))


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def vector_us(model: Model, x: Floats, times: int = 3000) -> float:
    """Return the median time of `score_one` [us]."""
    return statistics.median(_timed(lambda k=k: score_one(model, x[k])) for k in range(times)) * 1e6  # type: ignore[misc]


def _deviations(model: Model, run: Telemetry) -> None:
    """Score a run rack by rack in time, in blocks as files are read."""
    monitor = Monitor(model)
    for start in range(0, run.rows, BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        monitor.deviations(run.racks, run.rack[rows], run.ts_s[rows], run.x[rows])


def live_vector_us(model: Model, run: Telemetry, times: int = 3000) -> float:
    """Return the median time in which a rack's next sample is scored in context [us]."""
    monitor, row = Monitor(model), np.zeros(1, dtype=np.intp)

    def score(k: int) -> None:
        monitor.deviations(run.racks[:1], row, np.array([60.0 * k]), run.x[k : k + 1])

    return statistics.median(_timed(lambda k=k: score(k)) for k in range(times)) * 1e6  # type: ignore[misc]


def sklearn_transform(model: Model, z: Floats) -> Callable[[], object]:
    """Return scikit-learn's own distance to the same centres."""
    kmeans = import_optional("sklearn.cluster").KMeans(len(model.lo), init=model.lo, n_init=1, max_iter=1).fit(model.lo)
    return lambda: kmeans.transform(z).min(axis=1)


def main() -> None:
    """Print every figure beside its bar."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, help="also time training on this file, reading included")
    path = parser.parse_args().data
    run = nominal_run()
    x = run.x
    with one_thread():
        train_s = _timed(lambda: fit(run, n_clusters=CENTRES))
        context, model = fit(run, n_clusters=CENTRES), fit(run, n_clusters=CENTRES, features="plain")
        clusters = fit(run, algorithm="hyperbox", features="plain")
        z = model.scaled(x)
        score_s, hyperbox_s = best_s(lambda: score_batch(model, x)), best_s(lambda: score_batch(clusters, x))
        sklearn_s = best_s(sklearn_transform(model, z))
        one_us, sklearn_one_us = vector_us(model, x), best_s(sklearn_transform(model, z[:1])) * 1e6
        context_s, live_us = best_s(lambda: _deviations(context, run)), live_vector_us(context, run)
        states = Monitor(context).update_batch(run.racks, run.rack[:100_000], run.ts_s[:100_000], x[:100_000]).states
        causes_s = best_s(lambda: top_causes(context, x[:100_000], 3, states))
        monitor_s = _timed(lambda: Monitor(context).update_batch(run.racks, run.rack, run.ts_s, x))
        file_s = _timed(lambda: fit(path, n_clusters=CENTRES)) if path else None
    lines = [
        (f"scoring, {CENTRES} centres", f"{ROWS / score_s / 1e6:.2f} M rows/s", ">= 3"),
        ("  scikit-learn KMeans.transform, scaled already", f"{ROWS / sklearn_s / 1e6:.2f} M rows/s", ""),
        (f"  {len(clusters.lo)} clusters", f"{ROWS / hyperbox_s / 1e6:.2f} M rows/s", ""),
        ("one vector", f"{one_us:.1f} us", "< 50"),
        ("  scikit-learn KMeans.transform", f"{sklearn_one_us:.1f} us", ""),
        (f"scoring in context, {CENTRES} centres", f"{ROWS / context_s / 1e6:.2f} M rows/s", ">= 1"),
        ("one sample in context", f"{live_us:.1f} us", "< 100"),
        ("top three causes", f"{0.1 / causes_s:.2f} M rows/s", ""),
        ("scoring in context, sensors and MMS, 72 racks", f"{ROWS / monitor_s / 1e6:.2f} M rows/s", ""),
        (f"training on {ROWS:,} rows, first run with imports", f"{train_s:.2f} s", "< 5"),
    ]
    if file_s is not None and path is not None:
        lines.append((f"training on {path.name}, reading included", f"{file_s:.2f} s", "< 5"))
    for name, figure, bar in lines:
        print(f"{name:<55} {figure:>16}   {bar}")


if __name__ == "__main__":
    main()

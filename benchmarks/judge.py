"""Judges any detector on benchmark runs of seeds it never saw: `python -m benchmarks.judge my_module:detect`.

A detector is a callable that gets two data frames of telemetry (ts, rack_id and the channels), the clean beginning that
it may learn from and the rows to score, and returns a score for each of the latter, higher where it is less usual. A
CSV of scores or of alarms of one run is judged beside the files of the run. docs/benchmark.md has rules and tracks.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluation_page import CLEAN_DAYS, DAY_S, incident_kinds, read
from sim.common.errors import InputError, SimError
from sim.incidents.catalogue import CATALOGUE
from sim.model.episodes import PERSISTENT_S
from sim.model.profiles import INCIDENT, SENSOR
from sim.sweeps.computing import Place, compute
from sim.sweeps.sweep import read_sweep
from training.detectors import FLOORS, PEERS
from training.evaluate_alarms import judge as judge_alarms
from training.evaluate_alarms import table as table_of_alarms
from training.evaluation import Evaluated, Protocol, Result, compare, measure_twin, split
from training.features import Floats
from training.fitting import HELD_OUT, PERCENTILES
from training.labels import Labels
from training.mms import Smoother
from training.telemetry import Telemetry, read_telemetry

PROTOCOL = Protocol(truth=(INCIDENT, SENSOR), ignored=("load", "cooling", "custom"), seeds=(0,))
SEEDS = "1000-1002"
"""Far from those of the shipped scenarios, on which detectors were made."""

Detector = Callable[[Any, Any], Any]

COLUMNS = (
    ("rows", "vus_pr"), ("rows", "auc"), ("events", "f05"), ("events", "recall"), ("events", "false/rack-day"),
    ("early", "found"), ("early", "median delay s"), ("persistence", "of long"), ("persistence", "of short"),
)  # fmt: skip
"""Track and figure; root causes are told of alarms only."""


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    """A run to be judged on: telemetry and truth of all of it, its frame, its twin's telemetry, kinds by incident."""

    telemetry: Telemetry
    labels: Labels
    frame: Any
    twin: Telemetry | None
    kinds: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> "BenchmarkRun":
        """Return the run that a file is of. Raises InputError where labels or events are not beside it."""
        import pandas as pd  # noqa: PLC0415 - only detectors need frames

        telemetry, labels = read(path)
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, parse_dates=["ts"])
        twin = next((p for p in _beside(path, "twin") if p.is_file()), None)
        events = next((p for p in _beside(path, "events", ".csv") if p.is_file()), None)
        if events is None:
            raise InputError(f"{path}: has no events beside it")
        return cls(telemetry, labels, frame, read_telemetry(twin) if twin else None, incident_kinds(events))


def _beside(path: Path, what: str, suffix: str = "") -> list[Path]:
    stem, suffix = path.name.removesuffix(path.suffix), suffix or path.suffix
    return [path.with_name(f"{stem}.{what}{suffix}"), path.with_name(f"{what}{suffix}")]


def named(text: str) -> Detector:
    """Return the callable that `module:name` means. Raises InputError."""
    module, colon, name = text.partition(":")
    try:
        found = getattr(import_module(module), name) if colon else None
    except (ImportError, AttributeError) as error:
        raise InputError(f"{text}: {error}") from None
    if not callable(found):
        raise InputError(f"{text}: no callable; write it like my_module:detect, a function of two data frames")
    return found  # type: ignore[no-any-return]


def simulated(scenario: str, seeds: str) -> Iterator[tuple[int, BenchmarkRun]]:
    """Yield a scenario's runs with these seeds; their files last as long as they are needed."""
    for run in read_sweep(None, [scenario], seeds).runs():
        with tempfile.TemporaryDirectory() as folder:
            place = Place(Path(folder), Path.cwd(), frozenset({"telemetry", "labels", "twin"}))
            compute(run, place)
            yield run.scenario.seed, BenchmarkRun.read(place.paths(run).telemetry)


def scores_of(detector: Detector, run: BenchmarkRun, clean_days: float) -> Floats:
    """Return what a detector says of the rows after the part it learns from, which is not all of the clean days.

    Raises InputError where it does not give a number for each.
    """
    learn = run.telemetry.ts_s < _held_from_s(run.telemetry, clean_days)
    score = np.asarray(detector(run.frame[learn], run.frame[~learn]), dtype=np.float64)
    if score.shape != ((~learn).sum(),):
        raise InputError(f"the detector gave {score.shape} scores for {(~learn).sum()} rows")
    return score


def _held_from_s(telemetry: Telemetry, clean_days: float) -> float:
    return float(telemetry.ts_s[0] + (1 - HELD_OUT) * clean_days * DAY_S)


def scores_in(path: Path, run: BenchmarkRun, clean_days: float) -> Floats:
    """Return the scores of a CSV file (ts, rack_id, score) in the order of the run's rows.

    Raises InputError for columns or rows that are missing.
    """
    import pandas as pd  # noqa: PLC0415 - as above

    given = pd.read_csv(path)
    if missing := [name for name in ("ts", "rack_id", "score") if name not in given.columns]:
        raise InputError(f"{path}: columns missing: {', '.join(missing)}; a file of scores has ts, rack_id, score")
    given["ts"] = pd.to_datetime(given["ts"], utc=True)
    asked = run.frame.loc[run.telemetry.ts_s >= _held_from_s(run.telemetry, clean_days), ["ts", "rack_id"]]
    asked["ts"] = pd.to_datetime(asked["ts"], utc=True)
    score = asked.merge(given.drop_duplicates(["ts", "rack_id"]), how="left", on=["ts", "rack_id"])["score"]
    if score.isna().any():
        raise InputError(f"{path}: has no score for {int(score.isna().sum())} of {len(score)} rows from the end of the "
                         "part to learn from on")  # fmt: skip
    return np.asarray(score, dtype=np.float64)


def results(run: BenchmarkRun, scores: dict[str, Floats], clean_days: float) -> Iterator[tuple[Result, Evaluated]]:
    """Yield each detector's figures by its scores, and those of floors, regression and ceiling."""
    t = run.telemetry
    share = clean_days * DAY_S / (t.ts_s[-1] + t.interval_s - t.ts_s[0])
    (early, _), (late, truth) = split(t, run.labels, share)
    evaluated = Evaluated.of(late, truth, PROTOCOL)
    for name, score in scores.items():
        held, asked = score[: len(score) - late.rows], score[len(score) - late.rows :]
        fast, persist = (float(p) for p in np.percentile(held, PERCENTILES["plain"]))
        yield evaluated.measure(name, 0, asked, Smoother(fast, persist, interval_s=late.interval_s)), evaluated
    for result in compare(evaluated, early, {**FLOORS, "regression": PEERS["regression"]}):
        yield result, evaluated
    if run.twin is not None:
        yield measure_twin(evaluated, run.twin), evaluated


def figures(result: Result, run: Evaluated, kinds: dict[str, str]) -> list[float]:
    """Return a result's figures in the order of COLUMNS."""
    events, e = run.truth.events(), result.events
    lasting = events.length_s >= PERSISTENT_S
    drifts = np.array([CATALOGUE[kinds[key]].shape == "drift" for key in events.key.tolist()], dtype=bool)
    found = e.called == 0
    delays = e.delays_s[drifts[lasting & found]]
    return [
        result.vus_pr, result.auc, e.f05, e.recall, e.false_alarms_per_rack_day,
        float(found[lasting & drifts].mean()) if (lasting & drifts).any() else np.nan,
        float(np.median(delays)) if delays.size else np.nan,
        e.persistent_of_long, e.persistent_of_short_alone,
    ]  # fmt: skip


def table(measured: dict[str, list[list[float]]]) -> str:
    """Return the mean of each figure over the runs, and its range, detector by detector."""
    heads = [f"{track}: {figure}" for track, figure in COLUMNS]
    lines = ["| detector | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for name, runs in measured.items():
        lines.append(f"| {name} | " + " | ".join(map(_cell, np.array(runs).T)) + " |")
    return "\n".join(lines)


def _cell(values: Floats) -> str:
    known = values[np.isfinite(values)]
    if not known.size:
        return "-"
    whole = f"{known.mean():.3g}"
    return whole if known.size == 1 else f"{whole} ({known.min():.3g} to {known.max():.3g})"


def judge(runs: Iterator[tuple[int, BenchmarkRun]], score: Callable[[BenchmarkRun], dict[str, Floats]],
          clean_days: float) -> str:  # fmt: skip
    """Return the table over some runs."""
    measured: dict[str, list[list[float]]] = {}
    for seed, run in runs:
        for result, evaluated in results(run, score(run), clean_days):
            measured.setdefault(result.name, []).append(figures(result, evaluated, run.kinds))
        print(f"seed {seed}: done", file=sys.stderr, flush=True)
    return table(measured)


def main(args: Sequence[str] | None = None) -> int:
    """Judge what is asked for and print the table."""
    parser = argparse.ArgumentParser(description="Judge a detector on benchmark runs of seeds that it never saw.")
    parser.add_argument("detector", nargs="?", help="my_module:detect, called with two data frames: to learn, to score")
    parser.add_argument("--scenario", default="benchmark_mixed", help="shipped name or file")
    parser.add_argument("--seeds", default=SEEDS, help=f"of the runs; {SEEDS} unless given")
    parser.add_argument("--clean-days", type=float, default=CLEAN_DAYS, help="days at the start without an incident")
    parser.add_argument("--data", type=Path, help="one run's telemetry, for --scores or --alarms")
    parser.add_argument("--scores", type=Path, help="CSV: ts,rack_id,score")
    parser.add_argument("--alarms", type=Path, help="CSV: contestant,rack_id,start,end,cause,kind")
    given = parser.parse_args(args)
    if (given.scores or given.alarms) and not given.data:
        parser.error("--scores and --alarms are of one run: name its telemetry with --data")
    try:
        print(_asked(given))
    except SimError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _asked(given: argparse.Namespace) -> str:
    days = given.clean_days
    if given.alarms:
        board = judge_alarms(given.data, None, given.alarms, PROTOCOL, given.alarms.with_suffix(".json"))
        return table_of_alarms(board["contestants"])
    sys.path.insert(0, str(Path.cwd()))
    detector = named(given.detector) if given.detector else None

    def score(run: BenchmarkRun) -> dict[str, Floats]:
        scores = {given.detector: scores_of(detector, run, days)} if detector else {}
        return scores | ({given.scores.stem: scores_in(given.scores, run, days)} if given.scores else {})

    if given.data:
        return judge(iter([(0, BenchmarkRun.read(given.data))]), score, days)
    return judge(simulated(given.scenario, given.seeds), score, days)


if __name__ == "__main__":
    sys.exit(main())

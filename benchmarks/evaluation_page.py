"""IMS against all peers on the benchmark scenarios, written to docs/evaluation.md.

Run as `python -m benchmarks.evaluation_page`.

Each scenario is run several times, each time with another seed of the hall and, with it, of the detectors: the
intervals cover both. Detectors learn from the clean days at a run's start and are measured on the rest of it.
"""

import argparse
import csv
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.evaluation_text import Job, Measured, page
from sim.common.atomic_files import write_text
from sim.common.errors import InputError, SimError
from sim.model.episodes import PERSISTENT_S
from sim.model.profiles import INCIDENT, SENSOR
from sim.sweeps.computing import Place, compute
from sim.sweeps.driving import Driver
from sim.sweeps.engines import Processes
from sim.sweeps.sweep import read_sweep
from training import fit
from training.detectors import IMS, IN_CONTEXT, PEERS, PYOD, choose
from training.evaluation import Evaluated, Protocol, Result, compare, measure_model, measure_twin, split
from training.labels import Labels, find_labels, read_labels
from training.telemetry import Telemetry, read_telemetry

SCENARIOS = ("benchmark_easy", "benchmark_mixed", "benchmark_hard")
RUNS = 5
CLEAN_DAYS = 5.0
DAY_S = 86_400.0
OUTPUT = Path("docs/evaluation.md")
OTHER_SEED = 1000
"""How far away the seed of the run is whose faults the likelihood smoother learns from."""


def simulated(job: Job, seed_offset: int, place: Place) -> Path:
    """Compute the run of a sweep that a job is about, or another seed of it, and return its telemetry."""
    [first] = read_sweep(None, [job.scenario]).runs()
    seed = first.scenario.seed + seed_offset
    [run] = read_sweep(None, [job.scenario], f"{seed}-{seed}").runs()
    compute(run, place)
    return place.paths(run).telemetry


def read(path: Path) -> tuple[Telemetry, Labels]:
    """Return a run with its truth."""
    telemetry, labels = read_telemetry(path), find_labels(path)
    if labels is None:
        raise InputError(f"{path}: has no labels")
    return telemetry, read_labels(labels, telemetry)


def incident_kinds(events: Path) -> dict[str, str]:
    """Return the kind of each incident by its id."""
    with events.open(encoding="utf-8", newline="") as file:
        return {row["event_id"]: row["kind"] for row in csv.DictReader(file) if row["type"] != "episode"}


def measure(job: Job) -> Measured:
    """Simulate a run, let every detector learn from its clean days, and measure it on the rest."""
    protocol = Protocol(truth=(INCIDENT, SENSOR), ignored=("load", "cooling", "custom"), seeds=(job.number,))
    with tempfile.TemporaryDirectory() as folder:  # they last as long as they are needed
        place = Place(Path(folder), Path.cwd(), frozenset({"telemetry", "labels", "twin"}))
        faults = read(simulated(job, OTHER_SEED + job.number, place))
        path = simulated(job, job.number, place)
        telemetry, labels = read(path)
        twin = read_telemetry(path.with_name("twin.parquet"))
        kinds = incident_kinds(path.with_name("events.csv"))
    share = job.clean_days * DAY_S / (telemetry.ts_s[-1] + telemetry.interval_s - telemetry.ts_s[0])
    (early, clean), (late, truth) = split(telemetry, labels, share)
    if np.isin(clean.kind, protocol.truth).any():
        raise InputError(f"{job.scenario}: has incidents in its first {job.clean_days:g} days: they have to be clean")
    run = Evaluated.of(late, truth, protocol)
    events = run.truth.events()
    lasting = events.length_s >= PERSISTENT_S
    facts = {
        "rows": late.rows, "racks": len(late.racks), "share": float(run.truth.event.mean()),
        "lasting": int(lasting.sum()), "short": int((~lasting).sum()),
    }  # fmt: skip
    measured = Measured(job, facts)
    kind_of_event = np.array([kinds[key] for key in events.key.tolist()])[lasting]
    for result in _results(run, early, faults, twin):
        measured.rows.append(result.row())
        hit = result.events.called[lasting] == 0
        measured.found[result.name] = {
            kind: (int(hit[kind_of_event == kind].sum()), int((kind_of_event == kind).sum()))
            for kind in sorted(set(kind_of_event.tolist()))
        }
    return measured


def _results(run: Evaluated, early: Telemetry, faults: tuple[Telemetry, Labels], twin: Telemetry) -> Iterator[Result]:
    builders, _ = choose([*IMS, *PEERS, *IN_CONTEXT, *PYOD])
    yield from compare(run, early, builders)
    for name, algorithm in (("ims", "kmeans"), ("ims-boxes", "hyperbox")):
        model = fit(early, algorithm=algorithm, seed=run.protocol.seeds[0], faults=faults)
        yield measure_model(run, f"{name}, likelihood", model, "likelihood")
    yield measure_twin(run, twin)


def measure_all(jobs: Sequence[Job], processes: int) -> list[Measured]:
    """Measure the runs, several at a time, in their order. Raises InputError where one could not be measured."""
    measured: dict[Job, Measured] = {}
    with Processes(processes) as engine:
        for outcome in Driver(jobs, measure, engine).outcomes():
            if outcome.result is None:
                raise InputError(f"{outcome.run.scenario}, run {outcome.run.number}: {outcome.failed}")
            measured[outcome.run] = outcome.result
            print(f"{outcome.run.scenario}, run {outcome.run.number}: done", flush=True)
    return [measured[job] for job in jobs]


def main() -> int:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", default=list(SCENARIOS), help="names or files")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--clean-days", type=float, default=CLEAN_DAYS, help="days at the start without an incident")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--output", type=Path, default=OUTPUT)
    chosen = parser.parse_args()
    jobs = [Job(name, k, chosen.clean_days) for name in chosen.scenarios for k in range(chosen.runs)]
    _, without = choose(list(PYOD))
    before = chosen.output.read_text(encoding="utf-8") if chosen.output.is_file() else ""
    try:
        write_text(chosen.output, page(measure_all(jobs, chosen.processes), without, before))
    except SimError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"page: {chosen.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

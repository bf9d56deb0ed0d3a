"""Prints the quality checks of benchmark scenarios: `python -m benchmarks.quality`; exit 1 when a hard one fails.

With `--seeds` more than one the first seed has every check and the others all that need one run; the tables then say
how the figures are spread over the seeds, and how the faults of each kind are found.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.quality_seeds import Judged, kinds_of, tables
from sim.common.errors import InputError
from sim.runs.checks.check import LINE, Check
from sim.runs.checks.counterfactual import Counterfactual
from sim.runs.checks.judging import seen_of
from sim.runs.checks.quality import cheap_checks, positions, same_bytes, visibility
from sim.runs.checks.visibility import residuals
from sim.runs.memory import record
from sim.scenario.files import load_scenario, read_scenario
from sim.scenario.schema import Scenario
from sim.sweeps.driving import Driver
from sim.sweeps.engines import Processes
from training.detection import RESIDUAL, best_volume, detection, left_unexplained, volume
from training.leaks import artefacts, calendar

SCENARIOS = ("benchmark_easy", "benchmark_mixed", "benchmark_hard")
SEED = Scenario.model_fields["seed"].default

Task = tuple[str, int, bool]
"""A scenario, a seed, and whether the checks that need other runs are asked too."""


def judged(task: Task) -> Judged:
    """Return what a benchmark's checks say with a seed."""
    began, (name, seed, whole) = time.perf_counter(), task
    scenario = {**read_scenario(name).data, "seed": seed}
    facts = Counterfactual(record(scenario))
    apart = residuals(facts.run.readings, facts.test_from)
    seen, score = seen_of(facts, apart), left_unexplained(apart, facts.test_from)
    checks = [*visibility(seen), *cheap_checks(facts), *artefacts(facts)]
    checks += _whole(facts, scenario) if whole else [_best(facts, score)]
    kinds = kinds_of(facts, seen, score)
    checks.sort(key=lambda check: int(check.id[1:]))
    return Judged(name, seed, checks, kinds, time.perf_counter() - began)


def _best(facts: Counterfactual, score: Any) -> Check:
    return best_volume(RESIDUAL, volume(score, facts.anomalous[facts.test_from :], facts.tick_s))


def _whole(facts: Counterfactual, scenario: dict[str, Any]) -> list[Check]:
    """Return the checks that need other runs, other seeds or all detectors."""
    return [
        *positions(scenario),
        *detection(facts, scenario),
        *calendar(scenario),
        *same_bytes(facts.run, scenario),
    ]


def table(one: Judged) -> str:
    """Return a seed's table of checks."""
    head = LINE.format("id", "check", "value", "accept", "level", "pass")
    return "\n".join([f"{one.name}, seed {one.seed}", head, *map(str, one.checks), f"{one.took_s:.0f} s"])


def _problem(names: list[str]) -> str:
    """Return what is wrong with scenarios to judge, nothing when all can be."""
    try:
        calm = [name for name in names if not load_scenario(name).has_incidents]
    except InputError as error:
        return str(error)
    return f"nothing to judge in {', '.join(calm)}: no incidents, planned or drawn (incident_rates)" if calm else ""


def _known(store: Path | None) -> list[Judged]:
    if store is None or not store.is_file():
        return []
    return [Judged.of(json.loads(line)) for line in store.read_text(encoding="utf-8").splitlines()]


def main() -> int:
    """Print each benchmark's table of checks; return 1 when a hard one fails."""
    parser = argparse.ArgumentParser(description="Quality checks of benchmark scenarios.")
    parser.add_argument("--scenario", nargs="+", default=list(SCENARIOS), help="shipped names or files")
    parser.add_argument("--seeds", type=int, default=1, help="also with the following seeds, so many in all")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes, 3 GB each")
    parser.add_argument("--keep", type=Path, help="file for what each seed came to; what it has is not computed again")
    args = parser.parse_args()
    if problem := _problem(args.scenario):
        parser.error(problem)
    known = _known(args.keep)
    done = {(one.name, one.seed) for one in known}
    firsts = {name: read_scenario(name).data.get("seed", SEED) for name in args.scenario}
    tasks = [(name, firsts[name] + i, i == 0) for i in range(args.seeds) for name in args.scenario]
    results = [one for one in known if (one.name, one.seed, one.seed == firsts.get(one.name)) in tasks]
    passed = True
    with Processes(args.jobs) as engine:
        for outcome in Driver([t for t in tasks if t[:2] not in done], judged, engine).outcomes():
            if outcome.result is None:
                print(f"{outcome.run}: {outcome.failed}", end="\n\n", flush=True)
                passed = False
                continue
            results.append(outcome.result)
            print(table(outcome.result), end="\n\n", flush=True)
            if args.keep:
                with args.keep.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(outcome.result)) + "\n")
    if args.seeds > 1:
        print(tables(results))
    return int(not (passed and all(one.passed for one in results)))


if __name__ == "__main__":
    sys.exit(main())

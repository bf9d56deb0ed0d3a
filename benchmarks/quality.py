"""Prints the quality checks of benchmark scenarios: `python -m benchmarks.quality`; exit 1 when a hard one fails."""

import argparse
import os
import sys
import time
from typing import Any

from sim.common.errors import InputError
from sim.runs.checks.check import LINE, Check
from sim.runs.checks.counterfactual import Counterfactual
from sim.runs.checks.judging import visibility
from sim.runs.checks.quality import cheap_checks, positions, same_bytes
from sim.runs.memory import record
from sim.scenario.files import load_scenario, read_scenario
from sim.scenario.schema import Scenario
from sim.sweeps.driving import Driver
from sim.sweeps.engines import Processes
from training.detection import detection

SCENARIOS = ("benchmark_easy", "benchmark_mixed", "benchmark_hard")
SEED = Scenario.model_fields["seed"].default


def all_checks(scenario: dict[str, Any]) -> list[Check]:
    """Return every check of a benchmark scenario."""
    facts = Counterfactual(record(scenario))
    checks = [
        *visibility(facts),
        *positions(scenario),
        *cheap_checks(facts),
        *detection(facts, scenario),
    ]
    checks += same_bytes(facts.run, scenario)
    return sorted(checks, key=lambda check: int(check.id[1:]))


def table(run: tuple[str, int]) -> tuple[str, bool]:
    """Return a benchmark's table of checks with a seed, and whether it keeps every hard one."""
    began, (name, seed) = time.perf_counter(), run
    scenario = {**read_scenario(name).data, "seed": seed}
    checks = all_checks(scenario)
    head = LINE.format("id", "check", "value", "accept", "level", "pass")
    lines = [f"{name}, seed {seed}", head, *map(str, checks), f"{time.perf_counter() - began:.0f} s"]
    return "\n".join(lines), all(check.passed for check in checks if check.level == "hard")


def _problem(names: list[str]) -> str:
    """Return what is wrong with scenarios to judge, nothing when all can be."""
    try:
        calm = [name for name in names if not load_scenario(name).has_incidents]
    except InputError as error:
        return str(error)
    return f"nothing to judge in {', '.join(calm)}: no incidents, planned or drawn (incident_rates)" if calm else ""


def main() -> int:
    """Print each benchmark's table of checks; return 1 when a hard one fails."""
    parser = argparse.ArgumentParser(description="Quality checks of benchmark scenarios.")
    parser.add_argument("--scenario", nargs="+", default=list(SCENARIOS), help="shipped names or files")
    parser.add_argument("--seeds", type=int, default=1, help="also with the following seeds, so many in all")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes, 3 GB each")
    args = parser.parse_args()
    if problem := _problem(args.scenario):
        parser.error(problem)
    runs = [(name, read_scenario(name).data.get("seed", SEED) + i) for name in args.scenario for i in range(args.seeds)]
    passed = True
    with Processes(args.jobs) as engine:
        for outcome in Driver(runs, table, engine).outcomes():
            text, kept = outcome.result or (f"{outcome.run}: {outcome.failed}", False)
            print(text, end="\n\n", flush=True)
            passed &= kept
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())

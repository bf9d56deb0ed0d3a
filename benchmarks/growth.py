"""How time and memory grow with racks, with incidents and with days: python -m benchmarks.growth."""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from benchmarks.bench import Cost, measure

RACKS_PER_ROW = 12
MONTH_S = 30 * 86_400
KINDS = {
    "fan_failure": "rack",
    "pump_trip": "loop",
    "sensor_spike": "rack",
    "sensor_dropout": "rack",
    "stuck_valve": "rack",
}
"""Kinds of scripted incidents, and what one of them is aimed at, at random."""


@dataclass(frozen=True, slots=True)
class Case:
    """A run: what grows in it, the command's options; slow ones are left out by --quick."""

    of: str
    text: str
    options: tuple[str, ...]
    incidents: int = 0
    slow: bool = False


CASES = (
    *(
        Case(
            "racks",
            f"{racks:,} racks, a day",
            ("--duration", "1d", "--set", f"facility.rows={racks // RACKS_PER_ROW}"),
            slow=slow,
        )
        for racks, slow in ((72, False), (720, False), (7_200, True))
    ),
    Case("incidents", "no incident, a month", ("--duration", "30d")),
    *(
        Case("incidents", f"{count:,} incident{'s' * (count > 1)}, a month", (), incidents=count, slow=slow)
        for count, slow in ((1, False), (100, False), (1_000, False), (5_000, True))
    ),
    *(
        Case("days", f"{days} days", ("--duration", f"{days}d"), slow=slow)
        for days, slow in ((7, False), (30, False), (90, True))
    ),
)


def scripted(count: int) -> list[dict[str, str | int]]:
    """Return so many incidents of ten minutes, of every kind in turn, evenly over a month."""
    every_s, kinds = MONTH_S // count, cycle(KINDS.items())
    return [
        {"kind": kind, "target": f"random({asset}, 1)", "at": k * every_s, "duration": 600}
        for k, (kind, asset) in zip(range(count), kinds, strict=False)
    ]


def scenario(case: Case, folder: Path) -> str:
    """Return the scenario of a case: the week, or a file with its incidents."""
    if not case.incidents:
        return "week"
    path = folder / "incidents.yaml"
    content = {"extends": "week", "duration": MONTH_S, "incidents": scripted(case.incidents)}
    path.write_text(json.dumps(content))  # JSON is YAML too
    return str(path)


def cost(case: Case) -> Cost:
    """Run a case as a process of its own and return what it took."""
    with tempfile.TemporaryDirectory() as name:
        output = Path(name) / "run.parquet"
        command = ("run_sim.py", "--quiet", "--scenario", scenario(case, Path(name)), "--output", str(output))
        return measure(output, *command, *case.options)


def lines(chosen: Sequence[Case]) -> Iterator[str]:
    """Run cases and yield a line for each: its cost by rack and tick, and that beside the first of its kind.

    For incidents also what each one took beside a run without any, its share of the twin in it.
    """
    yield f"{'':26}{'rows':>12}{'CPU s':>9}{'peak MB':>9}{'us a row':>10}{'x first':>9}{'ms an incident':>16}"
    firsts: dict[str, tuple[Case, Cost]] = {}
    for case in chosen:
        spent = cost(case)
        first, least = firsts.setdefault(case.of, (case, spent))
        row_us, first_us = (1e6 * c.cpu_s / c.rows for c in (spent, least))
        more = case.incidents - first.incidents
        each = f"{1e3 * (spent.cpu_s - least.cpu_s) / more:16.2f}" if more else ""
        yield (
            f"{case.text:26}{spent.rows:12,}{spent.cpu_s:9.2f}{spent.peak_mb:9.0f}"
            f"{row_us:10.2f}{row_us / first_us:9.2f}{each}"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="leave out 7,200 racks, 5,000 incidents and the quarter")
    parser.add_argument("--only", choices=sorted({case.of for case in CASES}), help="what grows; all unless given")
    options = parser.parse_args()
    chosen = [c for c in CASES if not (options.quick and c.slow) and options.only in (None, c.of)]
    for line in lines(chosen):
        print(line, flush=True)


if __name__ == "__main__":
    main()

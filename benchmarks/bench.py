"""Speed and memory of whole processes, beside a plain baseline in the same run: python -m benchmarks.bench."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
BASELINE_HOURS = 12
ACCELERATION = 2
"""Of the catalogue's rates: somewhat over 200 incidents in 30 days."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took: rows written, CPU [s], wall [s], peak memory [MB]."""

    rows: int
    cpu_s: float
    wall_s: float
    peak_mb: float

    @property
    def rows_per_cpu_s(self) -> float:
        """Rows for each second of user and system time."""
        return self.rows / self.cpu_s


def measure(output: Path, *command: str) -> Cost:
    """Run a Python command that writes `output` and return its cost. Raises RuntimeError when it fails.

    Its rows are those that the manifest beside the output counts, or the lines of a CSV without one.
    """
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT)  # noqa: S603 - our own commands
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} failed with status {status}")
    manifest = output.with_name(f"{output.stem}.manifest.json")
    rows = json.loads(manifest.read_text())["rows"] if manifest.exists() else output.read_bytes().count(b"\n") - 1
    return Cost(rows, usage.ru_utime + usage.ru_stime, time.perf_counter() - began, usage.ru_maxrss / 1024)


def main() -> None:
    """Print every figure beside its bar."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="leave out the 30 days")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = ("run_sim.py", "--quiet", "--output", f"{folder}/", "--scenario")
        made = folder / "plain.csv"
        plain = measure(made, "-m", "benchmarks.baseline", "--hours", str(BASELINE_HOURS), "--output", str(made))
        week = measure(folder / "week.csv", *run, "week")
        large = measure(folder / "large.parquet", *run, "large", "--format", "parquet")
        huge = measure(folder / "huge.parquet", *run, "huge", "--format", "parquet")
        set_up = measure(folder / "huge.parquet", *run, "huge", "--format", "parquet", "--duration", "1m")
        month = None if quick else measure(folder / "week.csv", *run, "week", "--duration", "30d")
        with_incidents = (*run, "week", "--duration", "30d", "--set", f"incident_rates.acceleration={ACCELERATION}")
        faulty = None if quick else measure(folder / "week.csv", *with_incidents)
        counted = json.loads((folder / "week.manifest.json").read_text())["incidents"]
    lines = [
        ("baseline, rows per CPU s", f"{plain.rows_per_cpu_s:,.0f}", ""),
        ("week to CSV with labels, rows per CPU s", f"{week.rows_per_cpu_s:,.0f}", ""),
        ("  against the baseline", f"{week.rows_per_cpu_s / plain.rows_per_cpu_s:.1f} x", ">= 8 x, aim 15"),
        ("  whole process", f"{week.wall_s:.2f} s", "< 5 s, aim 2.5"),
        ("  peak memory", f"{week.peak_mb:.0f} MB", "< 350 MB"),
        ("2,000 racks for a day to Parquet", f"{large.rows / large.wall_s / 1e6:.2f} M rows/s", ">= 0.6, aim 1.5"),
        ("  per CPU s", f"{large.rows_per_cpu_s / 1e6:.2f} M rows/s", ""),
    ]
    ticking = (huge.cpu_s - set_up.cpu_s) / (huge.rows - set_up.rows)
    lines += [
        ("100,000 racks, set-up and one tick", f"{set_up.cpu_s:.1f} CPU s", "set-up < 10 s"),
        ("  a quarter of an hour to Parquet", f"{huge.cpu_s:.1f} CPU s", ""),
        ("  a rack's tick against 2,000 racks", f"{ticking * large.rows_per_cpu_s:.2f} x", "within 20 %"),
        ("  peak memory", f"{huge.peak_mb:.0f} MB", "< 3,000 MB"),
    ]
    if month and faulty:
        change = f"{100 * (month.peak_mb / week.peak_mb - 1):+.1f} %"
        lines.append(("30 days, peak memory against the week's", f"{month.peak_mb:.0f} MB ({change})", "within 10 %"))
        happened = sum(counted.values())
        lines.append((f"30 days with {happened} incidents", f"{faulty.cpu_s:.1f} CPU s", "with its twin and their own"))
        lines.append(("  against 30 days without", f"{faulty.cpu_s / month.cpu_s:.2f} x", "<= 2.2 x, at 200 or more"))
        lines.append(("  peak memory", f"{faulty.peak_mb:.0f} MB", ""))
    for what, value, bar in lines:
        print(f"{what:42}{value:>24}   {bar}")


if __name__ == "__main__":
    main()

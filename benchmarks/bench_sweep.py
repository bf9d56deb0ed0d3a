"""A sweep of short weeks by one process, two, and Dask on two, beside single runs: python -m benchmarks.bench_sweep."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
SINGLES = 4
SHORT_WEEK = ("--scenario", "week", "--set", "duration=1d")
PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Took:
    """What some runs took: rows, wall [s], CPU of all processes [s], largest process [MB]."""

    rows: int
    wall_s: float
    cpu_s: float
    peak_mb: float

    @property
    def rows_ps(self) -> float:
        """Rows for each second of the wall clock."""
        return self.rows / self.wall_s


def measure(command: list[str], rows_of: Path, workers_cpu_s: float = 0.0) -> Took:
    """Run a Python command; its rows are those of the index of a fleet, or of a Parquet file."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT)  # noqa: S603 - our own commands
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began
    if status:
        raise RuntimeError(f"{' '.join(command)} failed with status {status}")
    index = rows_of / "runs.parquet"
    rows = sum(pq.read_table(index)["rows"].to_pylist()) if rows_of.is_dir() else pq.read_metadata(rows_of).num_rows
    return Took(rows, wall_s, usage.ru_utime + usage.ru_stime + workers_cpu_s, usage.ru_maxrss / 1024)


def singles(folder: Path, count: int) -> Took:
    """Make runs one after the other, each a process of its own."""
    took = []
    for seed in range(count):
        file = folder / f"{seed}.parquet"
        took.append(measure(["run_sim.py", "--quiet", *SHORT_WEEK, "--seed", str(seed), "--output", str(file)], file))
    rows, wall_s, cpu_s = (sum(values) for values in zip(*((t.rows, t.wall_s, t.cpu_s) for t in took), strict=True))
    return Took(round(rows), wall_s, cpu_s, max(t.peak_mb for t in took))


def sweep(folder: Path, runs: int, *where: str) -> Took:
    """Make a sweep."""
    seeds = ("--seeds", str(runs), "--quiet", "--output", str(folder))
    return measure(["-m", "sim.sweep", *SHORT_WEEK, *seeds, *where], folder)


@contextmanager
def cluster() -> Iterator[tuple[str, list[psutil.Process]]]:
    """Give the address of a Dask scheduler with workers of one thread each, and their processes."""
    from distributed import LocalCluster  # noqa: PLC0415 - an extra

    with LocalCluster(n_workers=PROCESSES, threads_per_worker=1, processes=True, dashboard_address=None) as made:
        yield made.scheduler_address, [psutil.Process(worker.pid) for worker in made.workers.values()]


def on_dask(folder: Path, runs: int) -> Took:
    """Make a sweep on a cluster here; its workers' CPU counts from when they are ready."""
    with cluster() as (address, workers):
        before_s = sum(_cpu_s(worker) for worker in workers)
        took = sweep(folder, runs, "--scheduler", address)
        cpu_s = took.cpu_s + sum(_cpu_s(worker) for worker in workers) - before_s
        peak_mb = max(took.peak_mb, *(worker.memory_info().rss / 2**20 for worker in workers))
    return Took(took.rows, took.wall_s, cpu_s, peak_mb)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """Print what each way took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = singles(folder, SINGLES)
        serial = sweep(folder / "serial", runs, "--workers", "1")
        two = sweep(folder / "two", runs, "--workers", str(PROCESSES))
        dask = on_dask(folder / "dask", runs)
    head = f"{'weeks of a day, 72 racks, to Parquet':38}{'rows/s':>9}{'wall s':>8}{'CPU s a run':>13}{'MB':>6}"
    print(f"{head}  efficiency by wall, by CPU")
    for what, took, count, processes in (
        (f"run_sim.py, {SINGLES} times", alone, SINGLES, 0),
        (f"sweep of {runs}, 1 process", serial, runs, 1),
        (f"sweep of {runs}, {PROCESSES} processes", two, runs, PROCESSES),
        (f"sweep of {runs}, Dask on {PROCESSES}", dask, runs, PROCESSES),
    ):
        cells = f"{took.rows_ps:>9,.0f}{took.wall_s:>8.1f}{took.cpu_s / count:>13.2f}{took.peak_mb:>6.0f}"
        by_wall, by_cpu = serial.wall_s / took.wall_s / max(processes, 1), serial.cpu_s / took.cpu_s
        print(f"{what:38}{cells}" + (f"{by_wall:>20.2f}{by_cpu:>8.2f}" if processes else ""))
    print("efficiency: against the sweep of 1 process; by wall >= 0.9 on 2 cores that nobody else uses")


if __name__ == "__main__":
    main()

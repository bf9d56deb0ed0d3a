"""The command that makes many runs: `python -m sim.sweep`."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from sim import __version__
from sim.cli.speaking import Told, WholeColumns, exit_codes, say
from sim.common.errors import EXIT_CODES, OutputError
from sim.common.json_text import json_text
from sim.common.log import log_level_option
from sim.common.text import join_lines
from sim.common.time_units import format_duration
from sim.runs.fleet import INDEX
from sim.sweeps.computing import Line, Place, compute, line_if_complete
from sim.sweeps.driving import Driver, Outcome
from sim.sweeps.engines import Cluster, Processes
from sim.sweeps.expected import ROW_BYTES, Rates, seconds_of
from sim.sweeps.fleet_folder import alone_in, check_folder, describe, write_index
from sim.sweeps.sweep import Run, Sweep, read_sweep

EXAMPLES = (
    """\b
Examples:
  python -m sim.sweep --scenario week --seeds 0-99 --output data/fleet
  python -m sim.sweep SWEEP.yaml --output data/fleet --plan
  python -m sim.sweep SWEEP.yaml --output data/fleet --resume
  python -m sim.sweep SWEEP.yaml --output /shared/fleet --scheduler tcp://10.0.0.1:8786
"""
    "\n\n" + EXIT_CODES
)
_MOST_LINES = 30

Ended = Outcome[Run, Line]
_PATIENCE_S = 60.0


@click.command("sweep", cls=Told, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", required=False, metavar="[SWEEP.yaml]", type=click.Path(path_type=Path))
@click.option("--scenario", "scenarios", multiple=True, metavar="NAME|FILE", help="Instead of a file; repeatable.")
@click.option("--seeds", metavar="SEEDS", help="A count, a range such as 0-99, or a list: 1,5,7-9.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any key of all scenarios; repeatable.")
@click.option("--output", required=True, metavar="DIR", help="The fleet: a folder that is empty or not there yet.")
@click.option("--workers", type=click.IntRange(1, 1024), metavar="N", help="Processes.  [default: one for each core]")
@click.option("--scheduler", metavar="ADDRESS", help="Of a Dask cluster that computes the runs instead.")
@click.option("--resume", is_flag=True, help="Compute what is missing of this sweep in --output.")
@click.option("--plan", is_flag=True, help="List the runs with rows, bytes and time expected; compute nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON what became of it; with --plan its runs.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@log_level_option
@click.version_option(__version__, prog_name="skadi-sim")
def sweep(
    file: Path | None, scenarios: tuple[str, ...], seeds: str | None, settings: tuple[str, ...], output: str,
    workers: int | None, scheduler: str | None, resume: bool, plan: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Run scenarios with many seeds and settings into one folder, a run to a folder of it."""
    if (file is None) == (not scenarios):
        raise click.UsageError("give a sweep file, or --scenario")
    if workers and scheduler:
        raise click.UsageError("--workers are processes here, --scheduler is elsewhere; leave one out")
    with exit_codes():
        described = read_sweep(file, scenarios, seeds, settings)
        place = Place(Path(output).absolute(), Path.cwd(), frozenset(described.spec.keep))
        if plan:
            check_folder(Path(output), described, resume=resume)
            planned = _planned(described, place)
            click.echo(json_text(asdict(planned)) if as_json else planned.text())
            return
        engine = (lambda: Cluster(scheduler)) if scheduler else lambda: Processes(workers or _cores())
        with alone_in(Path(output), described, resume=resume):
            work = Work.of(described, place)
            _carry_out(work, described, engine, quiet=quiet)
        _tell(work, quiet=quiet or as_json)
        if as_json:
            click.echo(json_text(_outcome(work)))
        if work.failed:
            sys.exit(1)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Work:
    """A sweep under way: lines of the index by folder, what is missing, and what failed."""

    place: Place
    lines: dict[str, Line]
    missing: list[Run]
    failed: list[Ended] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, described: Sweep, place: Place) -> "Work":
        """Look for what is complete already."""
        lines: dict[str, Line] = {}
        missing = []
        for run in described.runs():
            lines[run.folder] = found = line_if_complete(run, place) or {}
            if not found:
                missing.append(run)
        return cls(place, lines, missing)

    def take(self, outcome: Ended) -> None:
        """Note what became of a run."""
        run, why = outcome.run, outcome.failed
        self.lines[run.folder] = outcome.result or {**run.parameters, "status": "failed", "error": why}
        if why:
            self.failed.append(outcome)

    def check_seen(self) -> None:
        """Raise OutputError where runs are complete whose files cannot be seen from here, but on another disk."""
        computed = [run for run in self.missing if self.lines[run.folder].get("status") == "complete"]
        until = time.monotonic() + _PATIENCE_S
        while unseen := [run for run in computed if not self.place.paths(run).manifest.is_file()]:
            if time.monotonic() > until:
                for run in unseen:
                    self.lines[run.folder] = {}
                raise OutputError(
                    f"files of {len(unseen):,} runs cannot be seen from here; all hosts have to share --output"
                )
            time.sleep(1)  # network file systems may remember for a while that nothing was there

    def look_again(self) -> None:
        """Look for what became complete without anybody being told."""
        for run in self.missing:
            self.lines[run.folder] = self.lines[run.folder] or line_if_complete(run, self.place) or {}

    def known(self) -> list[Line]:
        """Return the lines there are, in the order of the sweep."""
        return [line for line in self.lines.values() if line]

    @property
    def complete(self) -> int:
        return len(self.known()) - len(self.failed)

    def left(self) -> str:
        """Say what an end before its time leaves."""
        return (
            f"{self.complete:,} of {len(self.lines):,} runs are complete in {self.place.output}; "
            "--resume computes the rest"
        )


def _carry_out(work: Work, described: Sweep, engine: Callable[[], Processes | Cluster], *, quiet: bool) -> None:
    """Compute what is missing, and write the index, however that ends."""
    try:
        with engine() as engaged, _progress(work.missing, quiet=quiet) as on_outcome:
            describe(work.place.output, described)
            for outcome in Driver(work.missing, partial(compute, place=work.place), engaged).outcomes():
                work.take(outcome)
                on_outcome(outcome)
            work.check_seen()
    except KeyboardInterrupt as interrupt:
        interrupt.args = (_broken_off(work),)
        raise
    except OutputError as error:
        raise OutputError(f"{error}\n  {_broken_off(work)}") from None
    write_index(work.place.output, work.known())


def _broken_off(work: Work) -> str:
    """Write the index of what there is, where the disk takes it, and say what that is."""
    work.look_again()
    with suppress(OutputError):
        write_index(work.place.output, work.known())
    return work.left()


def _tell(work: Work, *, quiet: bool) -> None:
    if not quiet:
        say(lambda: _summary(work))
    if work.failed:
        told = [f"{outcome.run.folder}: {outcome.failed}" for outcome in work.failed]
        click.echo(f"error: {len(told):,} of {len(work.lines):,} runs failed{join_lines(told)}", err=True)


@contextmanager
def _progress(missing: Sequence[Run], *, quiet: bool) -> Iterator[Callable[[Ended], None]]:
    console = Console(stderr=True, highlight=False)
    if quiet or not console.is_terminal:
        yield lambda outcome: None if quiet else _report(outcome, partial(click.echo, err=True))
        return
    columns = (
        TextColumn("{task.fields[done]:,} of {task.fields[runs]:,} runs"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[rate]} rows/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        rows = sum(run.rows for run in missing)
        task = bar.add_task("", total=rows, rate="-", done=0, runs=len(missing))
        began, done, runs = time.perf_counter(), 0, 0

        def on_outcome(outcome: Ended) -> None:
            nonlocal done, runs
            done, runs = done + outcome.run.rows, runs + 1
            rate = done / max(time.perf_counter() - began, 1e-9)
            bar.update(task, completed=done, done=runs, rate=f"{rate:,.0f}")
            _report(outcome, partial(bar.console.print, markup=False, soft_wrap=True))

        yield on_outcome


def _report(outcome: Ended, write: Callable[[str], Any]) -> None:
    """Say at once why a run failed."""
    if outcome.failed:
        write(f"failed: {outcome.run.folder}: {outcome.failed}")


@dataclass(frozen=True, slots=True)
class Expected:
    """What a run will take."""

    folder: str
    rows: int
    bytes: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Planned:
    """What is left of a sweep. complete: runs that are there already."""

    complete: int
    runs: list[Expected]

    def text(self) -> str:
        """Return the runs with what they take, and all together."""
        rows, size, seconds = (sum(getattr(run, name) for run in self.runs) for name in ("rows", "bytes", "seconds"))
        done = f", {self.complete:,} are complete" if self.complete else ""
        lines = [
            f"{run.folder}  {run.rows:,} rows  {run.bytes / 1e6:,.1f} MB  {run.seconds:,.1f} s" for run in self.runs
        ]
        lines.append(
            f"{len(self.runs):,} runs{done}: {rows:,} rows, about {size / 1e6:,.1f} MB and "
            f"{format_duration(max(1.0, round(seconds)))} of one core; nothing was computed"
        )
        return "\n".join(lines)


def _planned(described: Sweep, place: Place) -> Planned:
    work = Work.of(described, place)
    runs = {run.folder: run for run in work.missing}
    rates = Rates.learnt((run, work.lines[run.folder]) for run in described.runs() if work.lines[run.folder])
    expected = [
        Expected(run.folder, run.rows, rates.size * run.rows * ROW_BYTES, rates.seconds * seconds_of(run))
        for run in runs.values()
    ]
    return Planned(described.count - len(runs), expected)


def _outcome(work: Work) -> dict[str, Any]:
    """Return what the sweep amounts to, for programs."""
    complete = [line for line in work.known() if line["status"] == "complete"]
    return {
        "output": str(work.place.output),
        "index": str(work.place.output / INDEX),
        "runs": len(work.lines),
        "complete": len(complete),
        "computed": len(work.missing) - len(work.failed),
        "failed": [{"folder": outcome.run.folder, "error": outcome.failed} for outcome in work.failed],
        "rows": sum(line["rows"] for line in complete),
        "bytes": sum(line["bytes"] for line in complete),
        "seconds": round(time.perf_counter() - work.began, 3),
    }


def _summary(work: Work) -> RenderableType:
    """Return what the sweep amounts to: a line for each scenario, site and point of the grid."""
    seconds = time.perf_counter() - work.began
    complete = [line for line in work.known() if line["status"] == "complete"]
    ours = [work.lines[run.folder] for run in work.missing if work.lines[run.folder].get("status") == "complete"]
    rows = sum(line["rows"] for line in ours)
    size = sum(line["bytes"] for line in complete)
    head = (
        f"{len(complete):,} of {len(work.lines):,} runs complete, {len(ours):,} computed now: {rows:,} rows in "
        f"{seconds:.1f} s, {rows / seconds:,.0f} rows/s\n  {work.place.output}  {size / 1e6:,.1f} MB, index {INDEX}"
    )
    return Group(head, "", _table(complete)) if complete else head


def _table(complete: Sequence[Line]) -> RenderableType:
    groups: dict[tuple[Any, ...], list[Line]] = {}
    names = [name for name in _before(complete[0], "status") if name != "seed"]
    for line in complete:
        groups.setdefault(tuple(line[name] for name in names), []).append(line)
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for name in (*names, "runs", "rows", "inlet\ndegC", "rack\nkW", "PUE", "episodes", "incidents\nfelt", "CPU s"):
        table.add_column(name, justify="left" if name in names else "right", no_wrap=True)
    for key, lines in list(groups.items())[:_MOST_LINES]:
        table.add_row(*map(str, key), *_figures(lines))
    more = len(groups) - _MOST_LINES
    whole = WholeColumns(table)
    return Group(whole, f"and {more:,} more in {INDEX}") if more > 0 else whole


def _before(line: Line, name: str) -> Iterable[str]:
    return list(line)[: list(line).index(name)]


def _figures(lines: Sequence[Line]) -> Iterator[str]:
    """Yield the cells of a group of runs: counts as means of a run, readings as means of all."""

    def mean(name: str) -> float:
        values = [line[name] for line in lines if line[name] is not None]
        return sum(values) / len(values) if values else float("nan")

    yield f"{len(lines):,}"
    yield f"{sum(line['rows'] for line in lines):,}"
    yield f"{mean('inlet_c_mean'):.2f}"
    yield f"{mean('pdu_kw_mean'):.2f}"
    yield f"{mean('pue'):.2f}"
    yield f"{mean('episodes'):,.1f}"
    yield f"{mean('incidents_observed'):,.1f}"
    yield f"{sum(line['cpu_seconds'] for line in lines):,.1f}"

"""How far a run is, on stderr."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sim.engine.build import Hall

TOLD_EVERY_S = 30.0
"""How often a run tells where it is when nobody watches a bar: piped, or in a log."""


@contextmanager
def progress_of(hall: Hall, *, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """Yield what shows how many ticks of a run are done: a bar on a terminal, a line now and then in a log."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None if quiet else _now_and_then(hall)
        return
    racks, total = len(hall.facility.racks), hall.scenario.tick_count
    columns = (
        TextColumn(hall.scenario.name),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[rate]} rows/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total, rate="-")
        began = time.perf_counter()

        def advance(ticks: int) -> None:
            rate = ticks * racks / max(time.perf_counter() - began, 1e-9)
            bar.update(task, completed=ticks, rate=f"{rate:,.0f}")

        yield advance


def _now_and_then(hall: Hall) -> Callable[[int], None]:
    """Return what tells a log how far a run is, every 30 s."""
    told_s = time.monotonic()

    def advance(ticks: int) -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= TOLD_EVERY_S:
            told_s = time.monotonic()
            click.echo(f"{hall.scenario.name}: {ticks / hall.scenario.tick_count:.0%} of the run", err=True)

    return advance

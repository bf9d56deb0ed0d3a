"""How commands speak and end: errors as messages and exit codes, tables that are not cut."""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType, RenderResult
from rich.table import Column, Table

from sim.common.errors import SimError

INTERRUPTED, TERMINATED = 130, 143
PIPED_WIDTH = 160
"""Columns that every table of the shipped profiles fits into, where nobody says how many there are."""


class _Terminated(KeyboardInterrupt):
    """What SIGTERM is here: an interrupt with an exit code of its own."""


@contextmanager
def exit_codes() -> Iterator[list[Path]]:
    """Turn errors that a user can put right into one message and the exit code of their kind.

    Yields a list for the runs that are complete, which an interrupt leaves as they are, unless it has its own text.
    """
    previous = signal.signal(signal.SIGTERM, _terminate)
    complete: list[Path] = []
    try:
        yield complete
    except SimError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt as interrupt:
        terminated = isinstance(interrupt, _Terminated)
        left = f"complete: {', '.join(map(str, complete))}; nothing else was written" if complete else ""
        left = str(interrupt) or left or "nothing was written"
        click.echo(f"{'terminated' if terminated else 'interrupted'}; {left}", err=True)
        sys.exit(TERMINATED if terminated else INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminate(_signal: int, _frame: object) -> NoReturn:
    raise _Terminated


class Told(click.Command):
    """A command whose examples are called as it was called: installed ones by their own name."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and exit codes."""
        installed = ctx.command_path.startswith("skadi-")
        text = self.epilog or ""
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(re.sub(r"python (-m [\w.]+|\w+\.py)", ctx.command_path, text) if installed else text)


def console_of_tables() -> Console:
    """Return a console of the terminal's width, or of a wide one where there is none: `WholeColumns` fit into it."""
    console = Console(highlight=False)
    if not sys.stdout.isatty():
        console.size = ConsoleDimensions(PIPED_WIDTH, console.height)  # a width alone does not count where TERM is dumb
    return console


class WholeColumns:
    """A table that breaks between columns where it is too wide: each piece begins with its first column."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Give the pieces, of as many columns as fit, the title over the first."""
        widths = [_width(column) for column in self.table.columns]
        pieces = [[0]]
        for column in range(1, len(widths)):
            taken = sum(widths[i] for i in pieces[-1])
            if len(pieces[-1]) > 1 and taken + widths[column] > options.max_width:
                pieces.append([0])
            pieces[-1].append(column)
        for i, piece in enumerate(pieces):
            yield self._of(piece, titled=i == 0)

    def _of(self, columns: Sequence[int], *, titled: bool) -> Table:
        whole = self.table
        table = Table(title=whole.title if titled else None, title_justify="left", title_style="bold", box=None,
                      pad_edge=False, padding=(0, 1))  # fmt: skip
        for column in (whole.columns[i] for i in columns):
            table.add_column(column.header, justify=column.justify, no_wrap=column.no_wrap)
        for row in zip(*(whole.columns[i].cells for i in columns), strict=True):
            table.add_row(*row)
        return table


def _width(column: Column) -> int:
    """Return how wide a column is with what stands between it and the next; one that may wrap takes what it needs."""
    lines = [line for cell in (column.header, *column.cells) for line in str(cell).splitlines()]
    words = lines if column.no_wrap else [word for line in lines for word in line.split()]
    return max(map(len, words), default=0) + 2


def say(make: Callable[[], RenderableType]) -> None:
    """Print what a command has to say of files that are complete: a reader who is gone changes nothing about them."""
    if sys.stdout is None:  # it was closed before we began
        return
    try:
        console = console_of_tables()
        with console.capture() as captured:
            console.print(make())
        sys.stdout.write(captured.get())
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):  # at its end Python would try once more, and fail
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

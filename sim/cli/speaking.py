"""How commands speak and end: errors as messages and exit codes, tables that are not cut."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console, ConsoleDimensions, RenderableType

from sim.common.errors import SimError

INTERRUPTED, TERMINATED = 130, 143
TABLES_WIDTH = 130
"""Columns that the widest table of the shipped profiles takes."""


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


def console_of_tables() -> Console:
    """Return a console that cuts no table: what is wider than the terminal goes on in its next line."""
    console = Console(highlight=False)
    width = max(console.width, TABLES_WIDTH) if sys.stdout.isatty() else 160
    console.size = ConsoleDimensions(width, console.height)  # a width alone does not count where TERM is dumb
    return console


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

"""The edge of the commands: errors become messages and exit codes, progress goes to the terminal."""

import functools
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from sim.common.atomic_files import identity
from sim.common.errors import InputError, SimError
from sim.common.json_text import json_text
from training.import_optional import import_optional

P = ParamSpec("P")
R = TypeVar("R")

INTERRUPTED = 130
HELP = {"help_option_names": ["-h", "--help"]}


class _Interrupted(KeyboardInterrupt):
    """Ctrl-C in a command that writes; its text says what is complete."""


@contextmanager
def writing(*outputs: Path) -> Iterator[None]:
    """Let an interrupt tell which of the files that a block writes were complete by then."""
    before = [identity(path) for path in outputs]
    try:
        yield
    except KeyboardInterrupt:
        complete = [str(p) for p, was in zip(outputs, before, strict=True) if identity(p) != was]
        if not complete:
            raise
        raise _Interrupted(f"complete: {', '.join(complete)}; nothing else was written") from None


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn our errors into one message on stderr and their exit code; Ctrl-C into 130 and what became of files."""

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except SimError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt as interrupt:
            click.echo(f"interrupted; {str(interrupt) or 'nothing was written'}", err=True)
            sys.exit(INTERRUPTED)

    return guarded


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Give a function that shows what is being done, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    console = import_optional("rich.console").Console

    with console(stderr=True).status("starting") as status:
        yield status.update


def json_option(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command `--json`, which `tell` heeds."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for programs.")(command)


def tell(text: Callable[[], str], figures: Callable[[], object], *, as_json: bool) -> None:
    """Print a result for a person, or for a program."""
    click.echo(json_text(figures()) if as_json else text())


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> str:
    """Return a table as text, the first column to the left.

    width: columns of a line, beyond which it goes on beneath with its first column; those of the terminal unless given,
    as many as it takes where there is none.
    """
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    most = width or (shutil.get_terminal_size().columns if sys.stdout.isatty() else sum(widths) + 2 * len(widths))
    pieces = [[0]]
    for k in range(1, len(head)):
        if len(pieces[-1]) > 1 and sum(widths[i] + 2 for i in [*pieces[-1], k]) - 2 > most:
            pieces.append([0])
        pieces[-1].append(k)
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(row[k].rjust(widths[k]) for k in piece[1:])])
        for piece in pieces
        for row in [head, *rows]
    )


def refuse_overwriting(output: Path, **inputs: Path | None) -> None:
    """Raise InputError when a result would replace one of its own inputs."""
    for name, path in inputs.items():
        if path is not None and output.resolve() == path.resolve():
            raise InputError(f"--output: {output} is the --{name} file; give another name")


def path_option(
    name: str, *, text: str, required: bool = False, folder: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """An option that takes a file's path, or also that of a folder."""
    return click.option(name, type=click.Path(path_type=Path, dir_okay=folder), required=required, help=text)

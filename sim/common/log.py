"""The log, of the standard library: quiet unless a command is asked to tell, on standard error."""

import logging
from collections.abc import Callable
from typing import TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., object])

LEVELS = ("debug", "info", "warning", "error")


def start(level: str) -> None:
    """Tell on standard error what is of a level or above it."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)


def _start(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        start(value)


def log_level_option(command: Command) -> Command:
    """Give a command `--log-level`."""
    return click.option(
        "--log-level",
        type=click.Choice(LEVELS),
        expose_value=False,
        callback=_start,
        help="Tell what is done, on stderr.",
    )(command)

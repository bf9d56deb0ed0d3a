"""The folder that a sweep fills: whose it is, what is complete in it, and its index."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from sim.common.atomic_files import AtomicFile, WriteLock, WriteLockedError, output_errors, write_text
from sim.common.errors import InputError
from sim.runs.fleet import DESCRIPTION, INDEX
from sim.sweeps.computing import Line
from sim.sweeps.sweep import Sweep


def check_folder(output: Path, sweep: Sweep, *, resume: bool) -> None:
    """Raise InputError unless a sweep may be computed into a folder: one that is empty, or its own to be resumed."""
    described = _read(output / DESCRIPTION)
    if described is None:
        if output.exists() and not output.is_dir():
            raise InputError(f"--output: {output} is not a folder")
        if output.is_dir() and any(not name.startswith(".") for name in os.listdir(output)):  # noqa: PTH208 - names only
            raise InputError(f"--output: {output} holds other files; give a folder that is empty or not there yet")
    elif described.get("sha256") != sweep.sha256:
        raise InputError(f"--output: {output} holds another sweep, see {DESCRIPTION} there; give another folder")
    elif not resume:
        raise InputError(
            f"--output: {output} holds this sweep already; --resume computes what is missing, or give another folder"
        )


def _read(path: Path) -> dict[str, Any] | None:
    """Return the description of a sweep, None where there is none. Raises InputError where it cannot be one."""
    try:
        described = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        described = None
    if not isinstance(described, dict) or "sha256" not in described:
        raise InputError(f"{path}: not the description of a sweep; give another --output")
    return described


@contextmanager
def alone_in(output: Path, sweep: Sweep, *, resume: bool) -> Iterator[None]:
    """Have a folder to oneself while a sweep is computed into it. Raises InputError and OutputError."""
    check_folder(output, sweep, resume=resume)
    with output_errors(output):
        output.mkdir(parents=True, exist_ok=True)
    try:
        lock = WriteLock(output / "sweep")
    except WriteLockedError:
        raise InputError(f"--output: a sweep is being computed into {output} already; wait for its end") from None
    try:
        check_folder(output, sweep, resume=resume)  # another one may have begun and ended meanwhile
        yield
    finally:
        lock.release()


def describe(output: Path, sweep: Sweep) -> None:
    """Say in a folder what sweep it is of."""
    write_text(output / DESCRIPTION, sweep.description())


def write_index(output: Path, lines: Sequence[Line]) -> None:
    """Write a line for each run, in the order given, with every column that one of them has."""
    names = dict.fromkeys(name for line in lines for name in line)
    columns = [_column([line.get(name) for line in lines]) for name in names]
    with AtomicFile(output / INDEX) as file:
        pyarrow.parquet.write_table(pa.table(columns, names=list(names)), file)


def _column(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):  # a grid may mix numbers and texts
        return pa.array([None if value is None else str(value) for value in values])

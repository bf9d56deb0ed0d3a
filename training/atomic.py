"""Files appear under their final name only when they are complete."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sim.domain.errors import OutputError


@contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; when the block ends well, sync it and rename it into place.

    On any error the file beside is removed and `path` is as it was. Raises OutputError when it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    beside = Path(name)
    try:
        yield beside
        _sync(beside)
        beside.chmod(0o644)
        beside.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Write text to `path`, whole or not at all."""
    with written_atomically(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")

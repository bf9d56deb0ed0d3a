"""Files that appear under their name only when they are complete."""

import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from sim.common.errors import OutputError


class AtomicFile(io.RawIOBase):
    """Bytes written beside their final name; `seal` makes them durable, `commit` names them, `discard` removes them.

    Keeps the SHA-256 and the count of what was written. Raises OutputError when the disk does not take it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.sha256 = hashlib.sha256()
        self.size = 0
        self._discarded = False
        self._beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(21, "Is a directory")
            self._file = self._beside.open("wb", buffering=1 << 20)

    def writable(self) -> bool:
        """Return True: this is a file to write."""
        return True

    def write(self, data: Any) -> int:
        """Write bytes; a discarded file takes and forgets what a format still wants to say at its end."""
        if self._discarded:
            return len(data)
        with output_errors(self.path):
            self._file.write(data)
        self.sha256.update(data)
        self.size += len(data)
        return len(data)

    def seal(self) -> None:
        """Make the bytes durable and end the writing; a disk that is full says so here at the latest."""
        with output_errors(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def commit(self) -> None:
        """Give the bytes their name, replacing what had it; seal them first if that was not done."""
        if not self._file.closed:
            self.seal()
        with output_errors(self.path):
            self._beside.replace(self.path)
            _sync_folder(self.path.parent)

    def discard(self) -> None:
        """Leave no trace of what was not committed."""
        self._discarded = True
        with suppress(OSError):
            self._file.close()
        self._beside.unlink(missing_ok=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Commit, or discard on an error."""
        try:
            if kind is None:
                self.commit()
        finally:
            self.discard()


def write_text(path: Path, text: str) -> None:
    """Write text to `path`, whole or not at all. Raises OutputError when the disk does not take it."""
    with AtomicFile(path) as file:
        file.write(text.encode())


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a folder to fill; it becomes `path` when the block ends, and vanishes when the block fails.

    `path` must not be there or be empty. Raises OutputError when the disk does not take it.
    """
    path = path.absolute()
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with output_errors(path):
            beside.mkdir(parents=True)
            yield beside
            if path.is_dir():  # Windows does not rename onto an empty folder
                path.rmdir()
            beside.replace(path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn what the system says of a file into an OutputError that names it."""
    try:
        yield
    except OSError as error:
        in_the_way = isinstance(error, FileExistsError) and not Path(error.filename).is_dir()
        why = f"{error.filename} is not a folder" if in_the_way else error.strerror or error
        raise OutputError(f"{path}: cannot be written: {why}") from error


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where the system can (Windows cannot open folders)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

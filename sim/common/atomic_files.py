"""Files that appear under their name only when they are complete, with one writer to a name at a time."""

import hashlib
import io
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from sim.common.errors import OutputError

if TYPE_CHECKING:
    from typing_extensions import Buffer

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PARTIAL = "partial"
"""How the names end of what is not complete."""


class HashedFile(io.RawIOBase):
    """A new file at `at`, meant for the name `path`, which errors tell; `seal` makes its bytes durable.

    Keeps the SHA-256 and the count of what was written. Raises OutputError when the disk does not take it.
    """

    def __init__(self, path: Path, at: Path) -> None:
        super().__init__()
        self.path = path
        self.sha256 = hashlib.sha256()
        self.size = 0
        self._abandoned = False
        with output_errors(path):
            self._file = at.open("xb", buffering=1 << 20)  # what is there already, a link above all, is not followed

    def writable(self) -> bool:
        """Return True: this is a file to write."""
        return True

    def write(self, data: "Buffer") -> int:
        """Write bytes; an abandoned file takes and forgets what a format still wants to say at its end."""
        if self._abandoned:
            return memoryview(data).nbytes
        with output_errors(self.path):
            written = self._file.write(data)
        self.sha256.update(data)
        self.size += written
        return written

    def seal(self) -> None:
        """Make the bytes durable and end the writing; a disk that is full says so here at the latest."""
        with output_errors(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def abandon(self) -> None:
        """End the writing, whatever is still missing."""
        self._abandoned = True
        with suppress(OSError):
            self._file.close()


class AtomicFile(HashedFile):
    """A file written beside its final name; `commit` names it, `discard` removes it, and so does leaving its context.

    Raises OutputError while another process writes the same name.
    """

    def __init__(self, path: Path) -> None:
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(21, "Is a directory")
        self._lock = WriteLock(path)
        try:
            clear_leftovers(path)
            self._beside = hidden_name(path, PARTIAL)
            super().__init__(path, self._beside)
        except BaseException:
            self._lock.release()
            raise

    def commit(self) -> None:
        """Give the bytes their name, replacing what had it."""
        self.seal()
        with output_errors(self.path):
            self._beside.replace(self.path)
            sync_folder(self.path.parent)

    def discard(self) -> None:
        """Leave no trace of what was not committed."""
        self.abandon()
        self._beside.unlink(missing_ok=True)
        self._lock.release()

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

    `path` must not be there or be empty. Raises OutputError when the disk does not take it, and while another process
    writes it.
    """
    path = path.absolute()
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    lock, beside = WriteLock(path), hidden_name(path, PARTIAL)
    try:
        clear_leftovers(path)
        with output_errors(path):
            beside.mkdir()
            yield beside
            sync_tree(beside)
            if path.is_dir():  # Windows does not rename onto an empty folder
                path.rmdir()
            beside.replace(path)
            sync_folder(path.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        lock.release()


class WriteLock:
    """The right to write `path`, which one process has at a time and loses with its end, however it ends.

    The system holds it on a file beside `path`, so it counts for every process that sees the same volume. Raises
    OutputError when another one has it.
    """

    def __init__(self, path: Path) -> None:
        self._at = path.with_name(f".{path.name}.lock")
        with output_errors(path):
            try:
                self._handle = _open_locked(self._at)
            except BlockingIOError:
                raise WriteLockedError(f"{path}: another process is writing it; wait for its end") from None

    def release(self) -> None:
        """Let others write; the file goes with the lock."""
        if sys.platform == "win32":  # which does not remove an open file
            os.close(self._handle)
        with suppress(OSError):
            self._at.unlink()
        if sys.platform != "win32":
            os.close(self._handle)


class WriteLockedError(OutputError):
    """Another process writes the same name."""


def _open_locked(at: Path) -> int:
    """Return a handle of the locked file `at`. Raises BlockingIOError when another process has locked it."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    while True:
        handle = os.open(at, flags, 0o666)
        try:
            _lock(handle)
            # who had it before may have removed the file since it was opened: then the name is free again
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), at.lstat()):
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def hidden_name(path: Path, ending: str) -> Path:
    """Return a name beside `path` that nobody can guess."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.{ending}")


def hidden_beside(path: Path, *endings: str) -> list[Path]:
    """Return what has such a name beside `path`, links left out."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{16}}\.({'|'.join(endings)})")
    try:
        return [p for p in path.parent.iterdir() if pattern.fullmatch(p.name) and not p.is_symlink()]
    except OSError:  # no such folder, or none that may be listed
        return []


def clear_leftovers(path: Path) -> None:
    """Remove what killed processes left incomplete beside `path`; whoever holds its lock knows that they are dead."""
    for left in hidden_beside(path, PARTIAL):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with suppress(OSError):
                left.unlink()


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn what the system says of a file into an OutputError that names it."""
    try:
        yield
    except OSError as error:
        in_the_way = isinstance(error, FileExistsError) and error.filename and not Path(error.filename).is_dir()
        why = f"{error.filename} is not a folder" if in_the_way else error.strerror or error
        raise OutputError(f"{path}: cannot be written: {why}") from error


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from one that takes its place, None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def sync_folder(folder: Path) -> None:
    """Make what names a folder holds durable, where the system can (Windows cannot open folders)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_tree(folder: Path) -> None:
    """Make a folder durable with all that is in it."""
    for where, _, names in os.walk(folder):
        for name in names:
            with Path(where, name).open("rb+") as file:
                os.fsync(file.fileno())
        sync_folder(Path(where))

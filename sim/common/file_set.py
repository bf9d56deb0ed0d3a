"""Files of one name that change together: all are the new ones or all are the old ones, whatever ends the process.

New files are written into a hidden folder beside their names, `.NAME.RANDOM.partial`. Once all are safe on disk it is
renamed to `.NAME.RANDOM.commit`, and from then on the new set counts: its files get their names one by one, and when
the process is killed meanwhile, whoever comes next does the rest (`recover`), before it reads or writes. Should the
system refuse a name, the folder becomes `.NAME.RANDOM.rollback`, and the old files get their names back. It holds:

    new/        the new files
    old/        the files that go, as hard links
    interim/    what has the name of the last file while the others get theirs
    order.json  the names in new/ and old/, and which file is last
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sim.common.atomic_files import (
    PARTIAL,
    HashedFile,
    WriteLock,
    WriteLockedError,
    clear_leftovers,
    hidden_beside,
    hidden_name,
    output_errors,
    sync_folder,
)
from sim.common.errors import OutputError

_LOG = logging.getLogger(__name__)

COMMIT, ROLLBACK = "commit", "rollback"
"""How the names of folders end whose new files, or whose old ones, are to get their names."""

_NEW, _OLD, _INTERIM, _ORDER = "new", "old", "interim", "order.json"
_PATIENCE_S, _PAUSE_S = 10.0, 0.02


class FileSet:
    """New files of `folder` that take the place of the old ones of `name` all at once, when `publish` is called.

    `close` leaves no trace of what was not published. Raises OutputError when the disk does not take the files, and
    while another process writes the same set.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._path = folder, folder / name
        with output_errors(self._path):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = WriteLock(self._path)
        self._staged = hidden_name(self._path, PARTIAL)
        try:
            with output_errors(self._path):
                _settle_all(self._path)
                clear_leftovers(self._path)
                self._staged.mkdir(mode=0o700)  # nobody else puts a file in
                for part in (_NEW, _OLD, _INTERIM):
                    (self._staged / part).mkdir()
        except BaseException:
            self.close()
            raise

    def file(self, name: str) -> HashedFile:
        """Return a file to write, which will be called `name`; seal it before `publish`."""
        return HashedFile(self._folder / name, self._staged / _NEW / name)

    def publish(self, last: str, interim: str, content: str, replaces: Sequence[str]) -> None:
        """Give all files their names and remove those among `replaces` that have none of them.

        last: name of one more file, which gets its name last; `interim` and `content` are its texts until then and
        from then on. An interrupt is held up until this is done.
        """
        with output_errors(self._folder / last):
            self._order(last, interim, content, replaces)
            try:
                self._staged.rename(self._staged.with_suffix(f".{COMMIT}"))
                sync_folder(self._folder)
                _settle_all(self._path)
            except Exception:
                raise
            except BaseException:
                _settle_all(self._path)
                raise

    def _order(self, last: str, interim: str, content: str, replaces: Sequence[str]) -> None:
        """Put the rest into the folder that a commit needs, so that no more room is asked for from then on."""
        new = [path.name for path in (self._staged / _NEW).iterdir()]
        for name in (*replaces, last):
            with suppress(FileNotFoundError):
                _keep(self._folder / name, self._staged / _OLD / name)
        old = [path.name for path in (self._staged / _OLD).iterdir()]
        order = json.dumps({"new": new, "old": old, "last": last})
        for at, text in ((Path(_NEW, last), content), (Path(_INTERIM, last), interim), (Path(_ORDER), order)):
            file = HashedFile(self._folder / last, self._staged / at)
            file.write(text.encode())
            file.seal()
        for folder in (_NEW, _OLD, _INTERIM, "."):
            sync_folder(self._staged / folder)

    def close(self) -> None:
        """Remove what was not published, and let others write."""
        shutil.rmtree(self._staged, ignore_errors=True)
        self._lock.release()


def recover(folder: Path, name: str) -> None:
    """Finish what a killed process left undone of a set, so that its files belong together.

    Waits for a process that is just giving the files their names. Raises OutputError where that cannot be done.
    """
    path, until = folder / name, time.monotonic() + _PATIENCE_S
    while _unsettled(path):
        try:
            lock = WriteLock(path)
        except WriteLockedError:
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE_S)
            continue
        try:
            with output_errors(path):
                _settle_all(path)
        finally:
            lock.release()
        return


def _unsettled(path: Path) -> list[Path]:
    """Return our own folders beside `path` that were committed; nobody else decides what our files are."""
    found = hidden_beside(path, COMMIT, ROLLBACK)
    return [p for p in found if not hasattr(os, "geteuid") or p.stat().st_uid == os.geteuid()]


def _settle_all(path: Path) -> None:
    for committed in _unsettled(path):
        _LOG.info("finishing the set of files of %s in %s", path, committed.name)
        _settle(committed)


def _settle(committed: Path) -> None:
    """Give the new files their names, or, where the system refuses one, the old files theirs. Raises OSError."""
    try:
        order = _Order.read(committed)
    except FileNotFoundError:  # all was done but for removing the folder
        shutil.rmtree(committed, ignore_errors=True)
        return
    if committed.suffix == f".{ROLLBACK}":
        order.roll_back()
        return
    try:
        order.roll_forward()
    except (OSError, OutputError):
        committed.rename(committed.with_suffix(f".{ROLLBACK}"))
        _settle(committed.with_suffix(f".{ROLLBACK}"))
        raise


@dataclass(frozen=True, slots=True)
class _Order:
    """What a committed folder asks for; each way can be gone again from wherever it was broken off."""

    committed: Path
    new: Sequence[str]
    old: Sequence[str]
    last: str

    @classmethod
    def read(cls, committed: Path) -> Self:
        order = json.loads((committed / _ORDER).read_text(encoding="utf-8"))
        new, old = ([Path(name).name for name in order[key]] for key in ("new", "old"))
        return cls(committed, new, old, Path(order["last"]).name)

    def roll_forward(self) -> None:
        """Give the new files their names and remove the old ones; what was done before stays done."""
        folder = self.committed.parent
        _move(self.committed / _INTERIM / self.last, folder)
        for name in self.new:
            _move(self.committed / _NEW / name, folder)
        for name in self.old:
            if name not in (*self.new, self.last):
                _remove(folder / name)
        sync_folder(folder)
        _move(self.committed / _NEW / self.last, folder)
        self._end()

    def roll_back(self) -> None:
        """Give the old files their names back and remove the new ones; what was done before stays done."""
        folder = self.committed.parent
        for name in (*self.new, self.last):
            waits = _INTERIM if name == self.last else _NEW
            if name not in self.old and not (self.committed / waits / name).exists():
                _remove(folder / name)
        for name in sorted(self.old, key=lambda name: name == self.last):
            _move(self.committed / _OLD / name, folder)
        self._end()

    def _end(self) -> None:
        sync_folder(self.committed.parent)
        with suppress(OSError):  # all files have their names: what cannot be removed now will be by the next run
            (self.committed / _ORDER).unlink()
            shutil.rmtree(self.committed)


def _move(path: Path, folder: Path) -> None:
    """Move a file into a folder, if that was not done before."""
    if os.path.lexists(path):
        with output_errors(folder / path.name):
            path.replace(folder / path.name)


def _remove(path: Path) -> None:
    with output_errors(path):
        path.unlink(missing_ok=True)


def _keep(path: Path, at: Path) -> None:
    """Keep a file under a second name: as a hard link, or as a copy where there are none."""
    try:
        os.link(path, at, follow_symlinks=False)
    except FileNotFoundError:
        raise
    except (OSError, NotImplementedError):
        shutil.copy2(path, at)

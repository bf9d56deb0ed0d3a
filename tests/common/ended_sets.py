"""Sets of files whose disk is full at one call and whose process is killed at a later one: python ended_sets.py FOLDER.

Fails when a reader finds anything but all old or all new files, or when the next writer leaves a hidden one. In forks
of a process of its own, which has no threads.
"""

import errno
import itertools
import os
import shutil
import sys
from pathlib import Path

from sim.common.file_set import FileSet, recover

CALLS = ("replace", "rename", "link", "unlink", "rmdir", "mkdir", "fsync")
LAST = "x.manifest"
OLD = dict.fromkeys(["x.csv", "x.labels.csv", LAST], "old")
NEW = dict.fromkeys(["x.csv", "x.labels.parquet", LAST], "new")
KILLED = 9


def main(folder):
    """Try every pair of calls; return how many there were."""
    pairs, full, reached = 0, 0, True
    while reached:
        full += 1
        for killed in itertools.count(full + 1):
            status = ended(folder, full, killed)
            pairs += 1
            if status != KILLED:
                break
        reached = status != 0
    return pairs


def ended(folder, full, killed):
    """Write a set over an old one, ending so; return the process's status once what is left was found whole."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, text in OLD.items():
        (folder / name).write_text(text)
    child = os.fork()
    if not child:
        write(folder, full, killed)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    recover(folder, "x")
    found = {p.name: p.read_text() for p in folder.iterdir() if not p.name.startswith(".")}
    assert found in (OLD, NEW), (full, killed, found)
    FileSet(folder, "x").close()
    assert {p.name for p in folder.iterdir()} == set(found), (full, killed)
    return status


def write(folder, full, killed):
    counter = itertools.count(1)
    for name in CALLS:
        real = getattr(os, name) if name != "fsync" else int  # no power is cut here, and the disk would take minutes
        setattr(os, name, failing(real, counter, full, killed))
    try:
        files = FileSet(folder, "x")
        try:
            for name in set(NEW) - {LAST}:
                file = files.file(name)
                file.write(b"new")
                file.seal()
            files.publish(LAST, "running", "new", [name for name in OLD if name != LAST])
        finally:
            files.close()
        os._exit(0 if next(counter) <= full else 1)
    finally:
        os._exit(2)


def failing(real, counter, full, killed):
    def wrapped(*args, **kwargs):
        call = next(counter)
        if call == killed:
            os._exit(KILLED)
        if call == full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args, **kwargs)

    return wrapped


if __name__ == "__main__":
    sys.exit(0 if main(Path(sys.argv[1])) > len(CALLS) else "no call was tried")

"""Runs that something ends at every call that changes a folder: python ended_runs.py FOLDER SIGNAL|ENOSPC before|after.

Writes for each call how the command ended, what a reader finds then, and what is left: also, after a kill, once another
run was made. All in forks of one process, since importing the simulator takes longer than all that.
"""

import errno
import itertools
import json
import os
import shutil
import signal
import sys
from pathlib import Path

from sim.cli.commands import run_sim
from sim.common.errors import SimError
from sim.runs.manifest import checked_companion, read_manifest

CALLS = ("replace", "rename", "link", "unlink", "rmdir", "mkdir", "fsync")
HALL = ["--scenario", "small", "--duration", "20m", "--set", "facility.rows=1", "--set", "facility.racks_per_row=2"]
OLD = ("--seed", "1", "--labels", "csv")
NEW = ("--seed", "2", "--labels", "parquet")
NEXT = ("--seed", "3", "--labels", "none")


def main(folder, what, *, before):
    """Write the findings as JSON; in the last of them the run got through."""
    forked(folder / "old", OLD)
    forked(folder / "new", NEW)
    known = {digest(folder / name): name for name in ("old", "new")}
    findings = []
    for call in itertools.count(1):
        place = folder / str(call)
        shutil.copytree(folder / "old", place)
        reached, told = place.with_suffix(".reached"), place.with_suffix(".err")
        status = forked(place, NEW, lambda n=call, at=reached: end_at(n, what, at, before=before))
        said, read, hidden = told.read_text(), found(place, known), hidden_in(place)
        then = forked(place, NEXT) if what == "SIGKILL" else None
        finding = {"status": status, "said": said, "read": read, "hidden": hidden}
        findings.append(finding | {"then": then, "hidden_then": hidden_in(place)})
        if not reached.exists():
            break
    sys.stdout.write(json.dumps(findings))


def forked(place, args, prepare=lambda: None):
    """Make a run in a process of its own; return its status, negative for a signal."""
    child = os.fork()
    if not child:
        handle = os.open(place.with_suffix(".err"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(handle, 2)
        prepare()
        try:
            run_sim([*HALL, *args, "--quiet", "--output", f"{place}/x.csv"])
        except SystemExit as end:
            os._exit(end.code or 0)
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def end_at(call, what, reached, *, before):
    """End this process, or let the disk be full, at one call of those that change a folder."""
    counter = itertools.count(1)

    def end():
        reached.touch()
        if what == "ENOSPC":
            raise OSError(errno.ENOSPC, "No space left on device")
        os.kill(os.getpid(), signal.Signals[what])

    def ending(real):
        def wrapped(*args, **kwargs):
            it_is = next(counter) == call
            if it_is and before:
                end()
            try:
                return real(*args, **kwargs)
            finally:
                if it_is and not before:
                    end()

        return wrapped

    for name in CALLS:
        real = getattr(os, name) if name != "fsync" else int  # no power is cut here, and the disk would take minutes
        setattr(os, name, ending(real))


def digest(place):
    return json.dumps(read_manifest(place / "x.csv")["files"])


def found(place, known):
    """Return which set a reader finds, old or new, or what it says."""
    try:
        companions = [checked_companion(place / "x.csv", kind) for kind in ("labels", "events")]
    except SimError as error:
        return str(error)
    name = known[digest(place)]
    there = {p.name for p in place.iterdir() if not p.name.startswith(".")}
    labels = {"old": "x.labels.csv", "new": "x.labels.parquet"}[name]
    return name if all(companions) and there == {"x.csv", "x.events.csv", "x.manifest.json", labels} else f"{there}"


def hidden_in(place):
    return sorted(p.name for p in place.iterdir() if p.name.startswith("."))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], before=sys.argv[3] == "before")

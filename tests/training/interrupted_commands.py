"""A command that Ctrl-C ends at each call that changes a folder: python interrupted_commands.py NAME DATA MODEL FOLDER.

Writes for each call how the command ended, what it said on standard error, which files are complete then, and what is
hidden; the last one got through. In forks of one process, since importing takes longer than all that.
"""

import functools
import json
import os
import sys
from pathlib import Path

import sklearn.cluster  # noqa: F401 - all heavy modules here, not in every fork

from tests.contract.ended_runs import end_at, hidden_in
from training import report  # noqa: F401 - as above
from training.evaluate import main as evaluate
from training.score import main as score
from training.train_ims import main as train


def main(name, data, model, folder):
    """Write the findings as JSON."""
    commands = {
        "train": (train, [], "m.json"),
        "score": (score, ["--model", model], "s.csv"),
        "evaluate": (evaluate, ["--models", model], "e"),
    }
    command, options, output = commands[name]
    sys.stdout.write(json.dumps(findings(folder, command, ["--data", data, *options], output)))


def findings(folder, command, options, output):
    whole = folder / "whole"
    assert forked(whole, command, options, output, lambda: None)[0] == 0
    found, through = [], False
    while not through:
        call = len(found) + 1
        place = folder / str(call)
        reached = place.with_suffix(".reached")
        ending = functools.partial(end_at, call, "SIGINT", reached, before=False)
        status, said = forked(place, command, options, output, ending)
        there = sorted(p.name for p in place.iterdir() if not p.name.startswith("."))
        broken = [name for name in there if (place / name).read_bytes() != (whole / name).read_bytes()]
        found.append({"status": status, "said": said, "there": there, "broken": broken, "hidden": hidden_in(place)})
        through = not reached.exists()
    return found


def forked(place, command, options, output, prepare):
    """Run a command in a process of its own; return its status and what it said on standard error."""
    place.mkdir(parents=True)
    told = place.with_suffix(".err")
    child = os.fork()
    if not child:
        handle = os.open(told, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(handle, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        prepare()
        try:
            command([*options, "--output", str(place / output)])
        except SystemExit as end:
            os._exit(end.code or 0)
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), told.read_text()


if __name__ == "__main__":
    main(*sys.argv[1:4], Path(sys.argv[4]))

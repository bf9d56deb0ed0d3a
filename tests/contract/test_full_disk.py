"""A disk that is full, at once, in the middle or at the very end: one message, and what was there stays."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim.common.atomic_files import HashedFile
from sim.common.errors import OutputError
from tests.contract.conftest import digests

ROOT = Path(__file__).parents[2]


def test_a_full_disk_leaves_what_was_there(run, monkeypatch):
    assert run("--scenario", "small")[0] == 0
    before = digests("data")

    def full(self, _data):
        raise OutputError(f"{self.path}: cannot be written: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(HashedFile, "write", full)
        code, text = run("--scenario", "small", "--seed", "7")
    assert code == 1
    assert "No space left" in text
    assert digests("data") == before


def test_a_file_that_fails_at_the_very_end_leaves_the_others_as_they_were(run, monkeypatch):
    assert run("--scenario", "small")[0] == 0
    before = digests("data")
    real = os.fsync

    def fails_for_the_labels(handle):
        beside = list(Path("data").glob(".small.*.partial/new/small.labels.parquet"))
        if any(os.fstat(handle).st_ino == path.stat().st_ino for path in beside):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails_for_the_labels)
        code, text = run("--scenario", "small", "--seed", "7")
    assert code == 1
    assert "small.labels.parquet: cannot be written: No space left" in text
    assert digests("data") == before


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_a_disk_that_fills_up_in_the_middle_is_one_line_without_a_traceback(tmp_path, file_format):
    # the system refuses to let a file grow past a limit, as a full disk does, in a process of its own
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000)); "
        "from sim.cli.commands import run_sim; run_sim(sys.argv[1:])"
    )
    args = ["--duration", "3d", "--format", file_format, "--output", f"{tmp_path}/out/"]
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", limited, *args], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}/out/week.{file_format}: cannot be written: File too large\n"
    assert not list((tmp_path / "out").iterdir())

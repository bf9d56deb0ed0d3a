"""A file has its name only when it is whole; what had the name before stays until then."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim.common.atomic_files import AtomicFile, HashedFile, atomic_folder, write_text
from sim.common.errors import OutputError


def test_text_appears_under_its_name_and_nothing_else_does(tmp_path):
    write_text(tmp_path / "new" / "a.txt", "one\n")
    write_text(tmp_path / "new" / "a.txt", "two\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"two\n"
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_an_error_while_writing_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), AtomicFile(path) as file:
        file.write(b"%d" % (1 / (file.write(b"half") - 4)))
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_that_cannot_get_its_name_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(OutputError, match=r"a\.txt: cannot be written"), AtomicFile(path):
        path.mkdir()  # somebody else takes the name meanwhile
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_that_is_a_file_is_an_output_error(tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / "data" / "a.txt", "text")


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match=r"x\.csv: cannot be written: .*taken is not a folder"):
        write_text(tmp_path / "taken" / "x.csv", "")


def test_two_writers_of_one_name_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with AtomicFile(path) as first:
        first.write(b"first")
        with pytest.raises(OutputError, match=r"a\.txt: another process is writing it"):
            write_text(path, "second")
        with pytest.raises(OutputError, match=r"a\.txt: another process is writing it"), atomic_folder(path):
            pass
    assert path.read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_new_file_never_follows_a_link(tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "planted").symlink_to("victim")
    with pytest.raises(OutputError, match=r"a\.txt: cannot be written"):
        HashedFile(tmp_path / "a.txt", tmp_path / "planted")
    assert (tmp_path / "victim").read_text() == "mine"


def test_what_killed_processes_left_goes_with_the_next_writing_and_nothing_else(tmp_path):
    drawn = "0123456789abcdef"
    (tmp_path / f".a.txt.{drawn}.partial").write_text("half")
    (tmp_path / f".b.{drawn}.partial").mkdir()
    (tmp_path / f".b.{drawn}.partial" / "half").write_text("half")
    others = {".a.txt.notes.partial", f".c.{drawn}.partial", f"a.txt.{drawn}.partial"}
    for name in others:
        (tmp_path / name).write_text("mine")
    write_text(tmp_path / "a.txt", "whole")
    with atomic_folder(tmp_path / "b") as folder:
        (folder / "whole").write_text("whole")
    assert {p.name for p in tmp_path.iterdir()} == {"a.txt", "b", *others}


def test_a_folder_that_fails_leaves_no_trace(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "b") as folder:
        (folder / "half").write_text(str(1 / len(list(folder.iterdir()))))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes as POSIX systems do")
def test_a_set_is_all_old_or_all_new_when_the_disk_is_full_at_any_call_and_the_process_killed_at_any_later_one(
    tmp_path,
):
    script = Path(__file__).with_name("ended_sets.py")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, str(script), str(tmp_path / "set")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr

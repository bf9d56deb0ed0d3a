"""A file has its name only when it is whole; what had the name before stays until then."""

import pytest

from sim.common.atomic_files import AtomicFile, write_text
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

"""The Python examples of README and docs run as they stand, and the page on Python names all there is."""

import re
from pathlib import Path

import matplotlib as mpl
import pytest

import sim

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"(?:^(?: {4}.*)?\n)+", re.MULTILINE)


def examples(page):
    """Return the indented blocks of a page that begin with an import."""
    blocks = [block.group() for block in BLOCK.finditer((ROOT / page).read_text(encoding="utf-8"))]
    texts = ["\n".join(line[4:] for line in block.strip("\n").splitlines()) for block in blocks]
    return [text for text in texts if text.startswith("import sim\n")]


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_the_examples_of_a_page_run_as_they_stand(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [example] = examples(page)
    with mpl.rc_context({"backend": "agg"}):
        exec(compile(example, page, "exec"), {})  # noqa: S102 - our own page
    assert (tmp_path / "data" / "mine.csv").is_file()


def test_the_page_names_every_part_of_a_run_and_every_name_of_sim():
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    parts = {name for name in vars(sim.Run) if not name.startswith("_")} | {"plot.rack", "plot.hall"}
    assert {name for name in parts if not re.search(rf"`(?:Run\.)?{re.escape(name)}\b", text)} == set()
    assert {name for name in sim.__all__ if not re.search(rf"\b{name}\b", text)} == set()

"""What the docs name is there."""

import re
import tomllib
from pathlib import Path

import pytest

from sim.scenario.files import parse_yaml

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
ROOMS = "sim|training|tests|benchmarks|docs|scenarios"
NAMED = re.compile(rf"(?<![\w./-])(?:(?:{ROOMS})/[\w./-]*\w|[\w-]+\.py\b)")
"""A path from the project's root, or a Python file beside the one that the line named before it."""
COMMAND = re.compile(rf"python -m ((?:{ROOMS})[\w.]*\w)")
PLACEHOLDER = re.compile(r"[A-Z]{3,}")


def named_files(line):
    """Yield each path that a line names, from the project's root."""
    folder = Path()
    for name in map(Path, NAMED.findall(line)):
        if len(name.parts) > 1:
            folder = name if name.suffix == "" else name.parent
        beside = folder / name
        yield beside if len(name.parts) == 1 and (ROOT / beside).exists() else name


def is_there(module):
    path = ROOT / module.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page):
    named = {path for line in page.read_text(encoding="utf-8").splitlines() for path in named_files(line)}
    assert [p.as_posix() for p in sorted(named) if not PLACEHOLDER.search(p.stem) and not (ROOT / p).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_that_a_page_runs_is_there(page):
    assert [m for m in COMMAND.findall(page.read_text(encoding="utf-8")) if not is_there(m)] == []


def test_a_file_that_is_not_there_is_noticed():
    assert list(named_files("sim/plant/fitting.py (drivers), noise_sizing.py, gone.py")) == [
        Path("sim/plant/fitting.py"),
        Path("sim/plant/noise_sizing.py"),
        Path("gone.py"),
    ]


def test_the_citation_is_of_this_version_and_licence():
    cited = parse_yaml((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    assert cited["keywords"] == project["keywords"]

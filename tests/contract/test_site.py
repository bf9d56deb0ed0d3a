"""The documentation site: built strictly from the pages, asking nothing of any server, legible in a real browser."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.browser import CHROMIUM, Tab, chromium

pytest.importorskip("sphinx", reason="needs the extra docs: pip install 'skadi-sim[docs]'")

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site as `make docs` does, but for the folder."""
    [command] = re.findall(r"-m sphinx .*", (ROOT / "Makefile").read_text(encoding="utf-8"))
    folder = tmp_path_factory.mktemp("site")
    words = [str(folder) if word == "build/site" else word for word in command.split()]
    done = subprocess.run([sys.executable, *words], check=False, cwd=ROOT, capture_output=True, text=True)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_on_the_site_and_in_its_tree(site):
    tree = (site / "index.html").read_text(encoding="utf-8")
    assert [name for name in PAGES if not (site / f"{name}.html").is_file()] == []
    assert [name for name in PAGES if name != "index" and f'href="{name}.html"' not in tree] == []


def test_the_docstrings_of_the_api_are_on_it(site):
    page = (site / "api.html").read_text(encoding="utf-8")
    for name in ("sim.run", "sim.read", "sim.runs.run.Run.joined", "sim.runs.run.Plots.rack"):
        assert f'id="{name}"' in page, name


@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium named chromium: apt-get install chromium")
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_pages_open_from_disk_without_a_request_or_an_error_and_fit_the_window(site, width, scheme):
    pytest.importorskip("playwright")
    with chromium() as browser:
        tab = Tab(browser, site.as_uri(), width=width, color_scheme=scheme)
        for name in ("index", "commands", "scenario_keys", "api", "incidents"):
            tab.open(f"{name}.html", "article")
            assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert tab.page.evaluate("document.documentElement.dataset.theme") == scheme
        tab.open("search.html?q=humidity", "#search-results li")
        assert "Which file do I open to change X?" in tab.text("#search-results")
        assert tab.wrong == []

"""A fleet's page is its index: a line for each run, and how the runs' figures are spread."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from sim.common.errors import InputError
from sim.reports.page import write_report
from tests.api.browser import CHROMIUM, Tab, chromium

SEEDS = 12


def index():
    """Return the columns of an index: a run for each seed, one of which is far from the others."""
    rng = np.random.default_rng(0)
    inlet_c = np.round(22 + 0.1 * rng.normal(size=SEEDS), 3)
    inlet_c[7] = 29.0
    return {
        "scenario": ["week"] * SEEDS,
        "site": ["S1"] * SEEDS,
        "seed": list(range(SEEDS)),
        "status": ["complete"] * (SEEDS - 1) + ["failed"],
        "run_seed": list(range(SEEDS)),
        "rows": [725_760] * (SEEDS - 1) + [None],
        "telemetry_sha256": ["ab" * 32] * SEEDS,
        "inlet_c_mean": [*inlet_c[:-1].tolist(), None],
        "incidents": [0] * SEEDS,
        "seconds": [float(k) for k in range(SEEDS)],
    }


@pytest.fixture
def folder(tmp_path):
    """Return a fleet's folder, in which the run of seed 3 has a report of its own."""
    fleet = tmp_path / "fleet"
    own = fleet / "scenario=week" / "site=S1" / "seed=3"
    own.mkdir(parents=True)
    (own / "telemetry.report.html").write_text("own")
    pyarrow.parquet.write_table(pa.table(index()), fleet / "runs.parquet")
    return fleet


def test_each_run_has_a_line_and_far_ones_are_named(folder):
    made = write_report(folder)
    page = made.read_text()
    assert made == folder / "fleet.report.html"
    assert "A fleet of 12 runs" in page
    assert page[page.index('id="list"') :].count("<tr><th>") == SEEDS + 1  # and the head
    assert 'data-figure="inlet_c_mean"' in page
    assert "week S1 7</td>" in page
    assert 'href="scenario%3Dweek/site%3DS1/seed%3D3/telemetry.report.html"' in page
    assert "ab" * 32 not in page


def test_figures_are_those_of_the_index_and_what_never_differs_is_left_out(folder):
    page = write_report(folder).read_text()
    known = np.array([v for v in index()["inlet_c_mean"] if v is not None])
    line = page[page.index('data-figure="inlet_c_mean"') :].split("</tr>")[0]
    for number in (known.min(), known.mean(), np.median(known), known.max()):
        assert f"<td>{number:.5g}</td>" in line
    assert 'data-figure="incidents"' not in page
    assert 'data-figure="run_seed"' not in page


@pytest.mark.parametrize("columns", [{"seed": [1]}, {"status": pa.array([], pa.string())}])
def test_what_is_no_index_is_one_message(tmp_path, columns):
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "runs.parquet")
    with pytest.raises(InputError, match=r"runs\.parquet: not the index of a fleet"):
        write_report(tmp_path)


def test_an_index_that_cannot_be_read_is_one_message(tmp_path):
    (tmp_path / "runs.parquet").write_text("no")
    with pytest.raises(InputError, match=r"runs\.parquet: cannot be read"):
        write_report(tmp_path)


@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium named chromium: apt-get install chromium")
def test_runs_are_sorted_by_the_column_whose_head_is_chosen(folder):
    made = write_report(folder)
    with chromium() as browser:
        opened = Tab(browser, folder.as_uri()).open(made.name, "html[data-ready]")
        opened.page.click("#list thead button >> text=inlet_c_mean")
        opened.page.click("#list thead button >> text=inlet_c_mean")
        seeds = opened.page.evaluate(
            "[...document.querySelectorAll('#list tbody tr')].map(r => r.children[3].textContent)"
        )
        assert seeds[1] == "7"  # after the one that has none, which counts as the largest
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= 1920
        assert opened.serious() == []
        opened.close()
        assert opened.wrong == []

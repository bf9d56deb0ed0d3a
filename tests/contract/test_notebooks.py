"""The notebooks run as they stand, and were committed with what they show."""

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs the extra notebooks: pip install 'skadi-sim[notebooks]'")
pytest.importorskip("nbclient")

from docs.notebooks import FOLDER, executed  # noqa: E402

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_BYTES = 2_000_000


def shown(notebook):
    """Return of which kinds the outputs of each cell are."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [[sorted(output.get("data", {"text": ""})) for output in cell.outputs] for cell in cells]


def test_all_of_them_are_small():
    assert len(NOTEBOOKS) == 5
    assert sum(path.stat().st_size for path in NOTEBOOKS) < MOST_BYTES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_was_committed_with(path):
    committed = nbformat.read(path, as_version=4)
    assert "At the end you have" in committed.cells[0].source
    assert [cell.execution_count for cell in committed.cells if cell.cell_type == "code"] == [
        n + 1 for n in range(len(shown(committed)))
    ], "stale: run python -m docs.notebooks"
    assert shown(executed(path)) == shown(committed), "stale: run python -m docs.notebooks"

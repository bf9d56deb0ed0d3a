"""The page on incidents is the catalogue's own."""

from docs.incidents_page import PAGE, PICTURES, page
from sim.incidents.catalogue import CATALOGUE


def test_the_page_on_incidents_is_what_the_code_says():
    assert PAGE.read_text(encoding="utf-8") == page(), "stale: run python -m docs.incidents_page"


def test_every_kind_has_a_small_picture():
    assert {path.stem for path in PICTURES.iterdir()} == set(CATALOGUE)
    assert all(path.stat().st_size < 40_000 for path in PICTURES.iterdir())

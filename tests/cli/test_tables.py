"""What commands print fits into a terminal of 80 columns: tables break between columns, never within a cell."""

import pytest
from rich.console import Console

from sim.cli.summary import description
from sim.engine.build import resolve
from sim.scenario.files import scenario_of


def printed(renderable, width):
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


@pytest.fixture(scope="module")
def hall():
    return resolve(scenario_of("week", {"duration": "1h", "incidents": [
        {"kind": "pump_trip", "target": "loop:CL-2", "at": "10m", "duration": "10m"},
    ]}))  # fmt: skip


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_description_is_whole_at_any_width(hall, width):
    text = printed(description(hall), width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "…" not in text
    words = set(text.split())
    assert {
        "latency_p95_ms",
        "under_utilized",
        "overcooled",
        "10000-14000",
        "offered_tokens_sd",
        "pump_trip-1",
    } <= words


def test_each_piece_of_a_table_begins_with_its_first_column(hall):
    narrow, wide = (printed(description(hall), width) for width in (80, 200))
    assert wide.count("latency_p95_ms") == 1
    assert narrow.count("latency_p95_ms") == 2
    assert narrow.count("Profiles: range") == 1

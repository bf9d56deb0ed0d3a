"""What is asked of a large store is found by its keys: no route goes through all samples or all scores."""

import pytest
import sqlalchemy as sa

from tests.api.hall import samples

LATEST = (
    "/racks", "/racks/R-A-01/series", "/racks/R-A-01/series?points=10", "/ims/scores?limit=100", "/state/overview",
    "/heatmap?type=inlet", "/alarms", "/metrics", "/ml-heatmap/ims-anomaly", "/ims/models", "/actions/log",
)  # fmt: skip
"""Routes that tell of the latest only."""


@pytest.fixture
def asked():
    """Collect what is selected of any store."""
    statements = []

    def note(_connection, _cursor, statement, parameters, _context, _many):
        if statement.lstrip().startswith("SELECT"):
            statements.append((statement, parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield statements
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("route", LATEST)
def test_no_route_that_tells_the_latest_scans_the_samples_or_the_scores(monitored, sqlite_url, asked, route):
    """A scan takes as long as the store is large; SQLite says before it asks whether it will scan."""
    assert monitored.post("/telemetry/batch", json={"samples": samples()[:800]}).status_code == 200
    asked.clear()
    assert monitored.get(route).status_code == 200
    statements = list(asked)
    with sa.create_engine(sqlite_url).connect() as connection:
        for statement, parameters in statements:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            scanned = [step for *_, step in plan if step in ("SCAN telemetry", "SCAN scores")]
            assert not scanned, statement

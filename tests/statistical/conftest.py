"""A week of the default hall, run once for every test that measures it."""

import pytest

from benchmarks.recorded import record


@pytest.fixture(scope="session")
def week():
    return record({})

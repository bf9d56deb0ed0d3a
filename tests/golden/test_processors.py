"""The same scenario and seed give the same bytes on other processors, as far as this one can imitate them."""

import pytest

from tests.golden.processors import EVERY_EDGE, computes_otherwise, python, settings


def files_under(environment, folder):
    """Return what a run of the hall that is driven to its limits writes under a setting, by name of the file."""
    output = ("--output", f"{folder}/run.csv", "--labels", "csv", "--twin", "--effects", "--quiet")
    python(environment, "run_sim.py", "--scenario", str(EVERY_EDGE), *output)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def as_usual(tmp_path_factory):
    return files_under({}, tmp_path_factory.mktemp("usual"))


@pytest.mark.parametrize("name", settings())
def test_the_same_bytes_as_on_a_processor_that_can_do_less(as_usual, name, tmp_path):
    environment = settings()[name]
    if not computes_otherwise(environment):
        pytest.skip("this machine computes the same under that setting")
    assert files_under(environment, tmp_path) == as_usual

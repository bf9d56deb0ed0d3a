"""Runs and models the tests of the monitors share."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.training.halls import Hall, make_hall
from training import fit, save


@pytest.fixture(scope="session")
def hall() -> Hall:
    return make_hall(racks=12, ticks=600, seed=1)


@pytest.fixture(scope="session")
def hall_csv(hall, tmp_path_factory) -> Path:
    return hall.write(tmp_path_factory.mktemp("hall") / "hall.csv")


@pytest.fixture(scope="session")
def model(hall):
    return fit(hall.telemetry(), labels=hall.labels())


@pytest.fixture(scope="session")
def plain_model(hall):
    return fit(hall.telemetry(), labels=hall.labels(), features="plain")


@pytest.fixture(scope="session")
def hyperbox_model(hall):
    return fit(hall.telemetry(), labels=hall.labels(), algorithm="hyperbox", features="plain")


@pytest.fixture(scope="session")
def context_boxes(hall):
    return fit(hall.telemetry(), labels=hall.labels(), algorithm="hyperbox")


@pytest.fixture(scope="session")
def model_json(model, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "ims_hall.json"
    save(model, path)
    return path


@pytest.fixture
def run():
    """Run a command in this process; exit code and everything it printed."""

    def invoke(command, *arguments):
        result = CliRunner().invoke(command, [str(a) for a in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    return invoke

"""The server keeps to its own description of itself, whatever is asked within it or against it."""

import secrets
import shutil
from pathlib import Path
from tempfile import gettempdir

import pytest
import schemathesis
from hypothesis import HealthCheck
from schemathesis.checks import CHECKS, load_all_checks

from api.app import create_app
from api.settings import Settings
from tests.examples import examples

load_all_checks()
NOT_SAID_IN_A_SCHEMA = [CHECKS.get_one("positive_data_acceptance")]
"""That two parameters go together, that a key came before, that too little is stored: refused, though in shape."""


FOLDER = Path(gettempdir(), f"skadi-{secrets.token_hex(8)}")
SERVED = create_app(Settings(database_url=f"sqlite:///{FOLDER}/store.db", artifacts_dir=FOLDER, rate_per_s=1e6))
DESCRIBED = schemathesis.openapi.from_asgi("/openapi.json", SERVED).exclude(path_regex="^/stream$")  # it does not end


@pytest.fixture(autouse=True, scope="module")
def _cleared():
    yield
    shutil.rmtree(FOLDER, ignore_errors=True)


@pytest.mark.filterwarnings("ignore")
@DESCRIBED.parametrize()
@examples(10, suppress_health_check=list(HealthCheck))
def test_a_route_answers_as_described(case):
    case.call_and_validate(excluded_checks=NOT_SAID_IN_A_SCHEMA)

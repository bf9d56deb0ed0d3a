"""A backend of its own for each test, and a small hall's telemetry that it is fed with."""

import os
import secrets

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from tests.api.hall import telemetry
from training import artifact, fit

SERVER = os.environ.get("SKADI_TEST_POSTGRES")
NO_SERVER = "no PostgreSQL server named in SKADI_TEST_POSTGRES; tests/api/with_postgres python -m pytest tests/api"


@pytest.fixture(scope="session")
def telemetry_file(tmp_path_factory):
    """Return the hall's telemetry as a CSV file."""
    path = tmp_path_factory.mktemp("run") / "hall.csv"
    telemetry().to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def model(telemetry_file):
    """Return a model that was trained on the hall."""
    return fit(telemetry_file, n_clusters=4)


def as_admin(*statements):
    """Run statements on the PostgreSQL server itself."""
    engine = sa.create_engine(SERVER, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


@pytest.fixture
def sqlite_url(tmp_path):
    """Return the address of a database file that is not there yet."""
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def postgres_url():
    """Return the address of an empty database of the PostgreSQL server."""
    if SERVER is None:
        pytest.skip(NO_SERVER)
    name = f"skadi_{secrets.token_hex(6)}"
    as_admin(f"CREATE DATABASE {name}")
    yield f"{SERVER.rpartition('/')[0]}/{name}"
    as_admin(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request):
    """Return the address of an empty database of either kind."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def settings(tmp_path, monkeypatch, sqlite_url):
    """Return settings of an empty store in a folder of its own, which becomes the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "artifacts").mkdir()
    return Settings(database_url=sqlite_url, artifacts_dir=tmp_path / "artifacts")


@pytest.fixture
def client(settings):
    """Return a client of a backend without a model."""
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture
def monitored(settings, model):
    """Return a client of a backend whose artifacts folder holds a model."""
    artifact.save(model, settings.artifacts_dir / "ims_hall.json")
    with TestClient(create_app(settings)) as client:
        yield client

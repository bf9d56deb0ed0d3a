"""A backend of its own for each test, and a small hall's telemetry that it is fed with."""

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from tests.api.hall import telemetry
from training import artifact, fit


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


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Return settings of an empty store in a folder of its own, which becomes the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "artifacts").mkdir()
    return Settings(database_url=f"sqlite:///{tmp_path}/store.db", artifacts_dir=tmp_path / "artifacts")


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

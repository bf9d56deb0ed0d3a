"""The store, on both databases: what was acknowledged is there, and its troubles are told and pass."""

import hashlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from pydantic import SecretStr

from api.app import create_app
from api.backend import Backend
from api.store import META, SCHEMA_VERSION
from sim.common.errors import InputError
from tests.api.conftest import as_admin
from tests.api.hall import samples
from training import artifact


@pytest.fixture
def stored_in(settings, model, database_url):
    """Return settings of a backend with a model, on either database."""
    artifact.save(model, settings.artifacts_dir / "ims_hall.json")
    return at(settings, database_url)


def at(settings, url):
    return settings.model_copy(update={"database_url": SecretStr(url)})


def post(client, rows):
    return client.post("/telemetry/batch", json={"samples": rows})


def state(client):
    """Return everything that the store knows of samples, scores and alarms."""
    series = [client.get(f"/racks/R-{row}-0{i}/series").json() for row in "AB" for i in (1, 2, 3, 4)]
    return series, client.get("/ims/scores", params={"limit": 10_000}).json(), client.get("/alarms").json()


def test_both_databases_keep_the_same_to_the_bit_over_a_restart(stored_in, settings):
    with TestClient(create_app(stored_in)) as client:
        post(client, samples()[:1500])
    with TestClient(create_app(stored_in)) as client:
        post(client, samples()[1500:3000])
        found = state(client)
    with TestClient(create_app(at(settings, f"sqlite:///{settings.artifacts_dir}/reference.db"))) as client:
        post(client, samples()[:3000])
        assert state(client) == found


def test_a_store_of_a_newer_schema_is_refused(stored_in):
    Backend(stored_in).close()
    engine = sa.create_engine(stored_in.database_url.get_secret_value())
    with engine.begin() as connection:
        newer = META.update().where(META.c.name == "schema").values(value=str(SCHEMA_VERSION + 1))
        connection.execute(newer)
    engine.dispose()
    with pytest.raises(InputError, match=f"schema '{SCHEMA_VERSION + 1}'"):
        Backend(stored_in)


@pytest.mark.parametrize(
    ("made", "told"),
    [("DROP TABLE minutes", "minutes"), ("ALTER TABLE alarms DROP COLUMN comment", r"alarms\.comment")],
)
def test_a_store_that_lacks_what_this_version_needs_is_refused_with_what_it_lacks(stored_in, made, told):
    Backend(stored_in).close()
    engine = sa.create_engine(stored_in.database_url.get_secret_value())
    with engine.begin() as connection:
        connection.execute(sa.text(made))
    engine.dispose()
    with pytest.raises(InputError, match=f"lacks {told}; use the version that made it, or another database"):
        Backend(stored_in)


def test_tables_change_with_the_number_of_their_schema_and_not_without():
    columns = [f"{t.name}.{c.name} {c.type}" for t in sorted(META.metadata.tables.values(), key=str) for c in t.c]
    digest = hashlib.sha256("\n".join(columns).encode()).hexdigest()[:12]
    # a new digest needs a new number, so that older stores are refused
    assert (SCHEMA_VERSION, digest) == (3, "02f408f60079")


@pytest.mark.parametrize("table", ["meta", "telemetry"])
def test_a_database_of_another_program_is_refused_and_left_as_it_is(stored_in, table):
    engine = sa.create_engine(stored_in.database_url.get_secret_value())
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE {table} (a INTEGER)"))
    with pytest.raises(InputError, match="another program"):
        Backend(stored_in)
    assert sa.inspect(engine).get_table_names() == [table]
    engine.dispose()


def test_a_database_that_another_process_holds_is_503_with_retry_after_and_nothing_is_lost(settings, client):
    other = sqlite3.connect(settings.database_url.get_secret_value().removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    answer = post(client, samples()[:10])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    other.execute("COMMIT")
    other.close()
    assert post(client, samples()[:10]).json()["ingested"] == 10


def test_a_full_database_is_503_and_takes_again_when_there_is_room(monitored):
    engine = monitored.app.state.backend.store._engine
    assert post(monitored, samples()[:80]).json()["scored"] == 80

    def limit(pages):
        with engine.connect() as connection:  # one connection is in the pool, so the limit holds for all
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    limit(1)  # no fewer than there are
    batches = [samples()[k : k + 400] for k in range(80, 3280, 400)]
    statuses = [post(monitored, batch).status_code for batch in batches]
    assert 503 in statuses
    assert set(statuses) <= {200, 503}
    limit(100_000)
    answers = [post(monitored, batch).json() for batch in batches]
    assert all(a["ingested"] + a["duplicates"] == 400 for a in answers)
    scores = monitored.get("/ims/scores", params={"limit": 10_000}).json()["scores"]
    assert len(scores) == len({(s["ts"], s["rack_id"]) for s in scores}) == 3280


def test_a_server_that_goes_away_and_returns_is_503_meanwhile_and_nothing_is_lost(settings, model, postgres_url):
    artifact.save(model, settings.artifacts_dir / "ims_hall.json")
    name = postgres_url.rpartition("/")[2]
    with TestClient(create_app(at(settings, postgres_url))) as client:
        assert post(client, samples()[:400]).json()["scored"] == 400
        as_admin(
            f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",  # noqa: S608 - ours
        )
        assert (post(client, samples()[400:800]).status_code, client.get("/readyz").status_code) == (503, 503)
        as_admin(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
        assert post(client, samples()[400:800]).json()["scored"] == 400
        assert len(client.get("/ims/scores", params={"limit": 10_000}).json()["scores"]) == 800


def test_retention_keeps_about_as_many_samples_as_it_is_told_and_every_alarm(settings, model, monkeypatch):
    monkeypatch.setattr("api.retention._EVERY_S", 0.0)
    artifact.save(model, settings.artifacts_dir / "ims_hall.json")
    with TestClient(create_app(settings.model_copy(update={"retention_rows": 1000}))) as client:
        for k in range(0, 4000, 200):
            post(client, samples()[k : k + 200])
        series = [s["series"]["ts"] for s in state(client)[0]]
        kept = sum(map(len, series))
        assert 1000 <= kept <= 1200
        assert min(map(min, series)) == samples()[4000 - kept]["ts"]
        assert len(client.get("/ims/scores", params={"limit": 10_000}).json()["scores"]) == kept


def test_two_servers_on_one_store_lose_nothing_and_neither_fails(stored_in):
    with TestClient(create_app(stored_in)) as one, TestClient(create_app(stored_in)) as other:
        assert post(one, samples()[:80]).json()["ingested"] == 80
        answer = post(other, samples()[:160])
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert "another server" in answer.json()["detail"]
        again = post(other, samples()[:160]).json()
        assert (again["ingested"], again["duplicates"], again["scored"]) == (80, 80, 80)


def test_two_clients_at_once_store_each_sample_once_and_both_are_answered(stored_in):
    batches = [samples()[k : k + 80] for k in range(0, 1600, 80)]
    with TestClient(create_app(stored_in)) as client, ThreadPoolExecutor(2) as clients:
        answers = [a.json() for of in (batches, batches[::-1]) for a in clients.map(partial(post, client), of)]
        assert sum(a["ingested"] for a in answers) == 1600
        assert sum(a["duplicates"] for a in answers) == 1600
        scores = client.get("/ims/scores", params={"limit": 10_000}).json()["scores"]
        assert len({(s["ts"], s["rack_id"]) for s in scores}) == len(scores) == 1600

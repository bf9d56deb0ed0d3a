"""The store: one set of tables and statements for SQLite and PostgreSQL."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, LargeBinary, SmallInteger, String, Text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from api.problems import StoreContended, StoreUnavailable
from sim.common.errors import InputError, OutputError
from sim.model.channels import TELEMETRY_CHANNELS

SCHEMA_VERSION = 3
"""Counts up with every change of the tables below."""

_APPLICATION = "skadi"
_BUSY_S = 5.0
_METADATA = sa.MetaData()

Row = Mapping[str, Any]


def _number(name: str) -> "Column[int]":
    """A number that counts up by itself, of 64 bits where the database tells them apart."""
    return Column(name, BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)


META = sa.Table("meta", _METADATA, Column("name", String(32), primary_key=True), Column("value", Text, nullable=False))

BATCHES = sa.Table(
    "batches",
    _METADATA,
    _number("batch_id"),
    Column("received_us", BigInteger, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("scored", Boolean, nullable=False),
    Column("key", String(128), unique=True),
    Column("body_sha256", String(64)),
    Column("answer", Text),
    sqlite_autoincrement=True,
)
"""What came in together. scored: nothing of it is left to score. key: the client's Idempotency-Key, with its answer."""

TELEMETRY = sa.Table(
    "telemetry",
    _METADATA,
    Column("rack_id", String(64), primary_key=True),
    Column("ts_us", BigInteger, primary_key=True, autoincrement=False),
    Column("batch_id", BigInteger, nullable=False, index=True),
    *(Column(name, Double) for name in TELEMETRY_CHANNELS),
    sa.Index("telemetry_by_time", "ts_us"),
    sqlite_with_rowid=False,
)

SCORES = sa.Table(
    "scores",
    _METADATA,
    Column("rack_id", String(64), primary_key=True),
    Column("ts_us", BigInteger, primary_key=True, autoincrement=False),
    Column("batch_id", BigInteger, nullable=False, index=True),
    Column("model_id", String(64), nullable=False),
    Column("deviation", Double),
    Column("level", SmallInteger, nullable=False),
    Column("degraded", Boolean, nullable=False),
    Column("late", Boolean, nullable=False),
    Column("ema", Double),
    Column("state", SmallInteger),
    Column("event", Integer),
    Column("interval_s", Double),
    Column("sensors", Integer, nullable=False),
    Column("context", LargeBinary),
    sa.Index("scores_by_time", "ts_us"),
    sqlite_with_rowid=False,
)
"""late: older than the rack's latest sample, so the deviation alone is told. interval_s: as the energy was read by.
sensors: what is silent or frozen, as training/sensors.py codes it. context: the rack's state after the sample, float64,
little-endian, null where the model has none or the sample was refused.
"""

SCORE_OF_SAMPLE = sa.and_(SCORES.c.rack_id == TELEMETRY.c.rack_id, SCORES.c.ts_us == TELEMETRY.c.ts_us)
SCORE_COLUMNS = [c for c in SCORES.c if c.name not in TELEMETRY.c]
"""How a sample's score is found, and what it has beside the sample's own columns."""

RACKS = sa.Table(
    "racks",
    _METADATA,
    Column("rack_id", String(64), primary_key=True),
    Column("newest_us", BigInteger, nullable=False),
    Column("model_id", String(64)),
    Column("memory", LargeBinary),
)
"""The latest sample of each rack, and what its monitor remembers: float64, little-endian."""

MODELS = sa.Table(
    "models",
    _METADATA,
    Column("model_id", String(64), primary_key=True),
    Column("created_us", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    Column("artifact", Text, nullable=False),
)

ALARMS = sa.Table(
    "alarms",
    _METADATA,
    _number("alarm_id"),
    Column("model_id", String(64), nullable=False),
    Column("rack_id", String(64), nullable=False),
    Column("event", Integer, nullable=False),
    Column("onset_us", BigInteger, nullable=False),
    Column("opened_us", BigInteger, nullable=False, index=True),
    Column("end_us", BigInteger),
    Column("peak", Double, nullable=False),
    Column("peak_us", BigInteger, nullable=False),
    Column("causes", Text, nullable=False),
    Column("sensors", Integer, nullable=False),
    Column("acknowledged_us", BigInteger),
    Column("comment", Text),
    sa.UniqueConstraint("model_id", "rack_id", "event"),
    sqlite_autoincrement=True,
)

_SUMS = (
    "it_kj", "it_s", "aux_kj", "aux_s", "prompt_kj", "prompts", "tokens", "tokens_s", "latency_ms", "inlet_c",
    "outlet_c",
)  # fmt: skip
_COUNTS = (
    "samples", "racks", "serving", "serving_n", "latency_n", "latency_within", "inlet_n", "inlet_within", "outlet_n",
)  # fmt: skip

MINUTES = sa.Table(
    "minutes",
    _METADATA,
    Column("minute_us", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, BigInteger, nullable=False) for name in _COUNTS),
    *(Column(name, Double, nullable=False) for name in _SUMS),
    sqlite_with_rowid=False,
)
"""Sums over all racks by the minute of event time (api/aggregates.py). racks: so many reported in the minute."""

LATENCIES = sa.Table(
    "latencies",
    _METADATA,
    Column("day_us", BigInteger, primary_key=True, autoincrement=False),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("readings", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""How many readings of latency a day has in each step of 1 %."""

HALL_RUNS = sa.Table(
    "hall_runs",
    _METADATA,
    _number("run_id"),
    Column("created_us", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Column("reached_s", Double, nullable=False),
    Column("energy", Text, nullable=False),
    Column("figures", Text),
    sqlite_autoincrement=True,
)
"""Runs of the live hall. document: the scenario that it has become, reached_s: how far it has come, energy: drawn by
then, figures: how the referee's contestants stood when that was last kept; all as JSON."""

HALL_COMMANDS = sa.Table(
    "hall_commands",
    _METADATA,
    _number("command_id"),
    Column("run_id", BigInteger, nullable=False, index=True),
    Column("ts_us", BigInteger, nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("command", String(32), nullable=False),
    Column("details", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""What the live hall was told. ts_us: the hall's time. details: JSON."""

ACTIONS = sa.Table(
    "actions",
    _METADATA,
    _number("action_id"),
    Column("ts_us", BigInteger, nullable=False, index=True),
    Column("received_us", BigInteger, nullable=False),
    Column("action", String(64), nullable=False),
    Column("params", Text, nullable=False),
    Column("target", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("pred_saving_pct", Double, nullable=False),
    Column("mode", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("result", Text, nullable=False),
    Column("run_id", BigInteger),
    Column("incident_id", String(200)),
    Column("energy_before", Text),
    sqlite_autoincrement=True,
)
"""Actions asked for. ts_us: the hall's time. run_id, incident_id, energy_before: of those that moved a lever."""

REFEREE_ALARMS = sa.Table(
    "referee_alarms",
    _METADATA,
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("contestant", String(64), primary_key=True),
    Column("rack_id", String(64), primary_key=True),
    Column("start_us", BigInteger, primary_key=True, autoincrement=False),
    Column("end_us", BigInteger),
    Column("cause", String(200), nullable=False),
    Column("transient", Boolean, nullable=False),
    Column("reached_us", BigInteger, nullable=False),
)
"""Alarms that contestants posted, and those of our own contestants. reached_us: the hall's time when it came."""


class Store:
    """Tables in a database, made where they are not there yet.

    Raises InputError for a URL that cannot be used and for tables of a newer or a foreign schema, OutputError where the
    database cannot be reached. Reading and writing raise StoreUnavailable.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self.is_sqlite = self._engine.dialect.name == "sqlite"
        self._lock = threading.Lock()
        try:
            with self._engine.begin() as connection:
                _make_tables(connection)
        except DBAPIError as error:
            self.close()
            raise OutputError(f"database_url: the store cannot be opened: {_reason(error)}") from error
        except InputError:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection that sees one state of the store."""
        with _available(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def adding(self, *, lasting: bool = True) -> Iterator[sa.Connection]:
        """Write rows that are new as far as this server knows. Raises StoreContended where another has written them."""
        try:
            with self.writing(lasting=lasting) as connection:
                yield connection
        except sa.exc.IntegrityError as error:
            raise StoreContended from error

    @contextmanager
    def writing(self, *, lasting: bool = True) -> Iterator[sa.Connection]:
        """Give a connection whose statements are committed together at the end; one writer at a time.

        lasting: on the disk when it returns, so that a power cut takes nothing; otherwise only a crash of the process
        takes nothing, which is enough for what can be made again.
        """
        with (
            self._lock,
            _available(),
            self._engine.connect() as connection,
            connection.execution_options(skadi_write="FULL" if lasting else "NORMAL").begin(),
        ):
            yield connection

    def insert_missing(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
        """Insert rows but those whose key is there already."""
        if rows:
            connection.execute(self._insert(table).on_conflict_do_nothing(), rows)

    def upsert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
        """Insert rows, or replace the given columns of those whose key is there already."""
        if rows:
            insert = self._insert(table)
            key = [column.name for column in table.primary_key]
            changed = {name: insert.excluded[name] for name in rows[0] if name not in key}
            connection.execute(insert.on_conflict_do_update(index_elements=key, set_=changed), rows)

    def add_up(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
        """Insert rows, or add their numbers to those of the rows whose key is there already."""
        if rows:
            insert = self._insert(table)
            key = [column.name for column in table.primary_key]
            sums = {name: table.c[name] + insert.excluded[name] for name in rows[0] if name not in key}
            connection.execute(insert.on_conflict_do_update(index_elements=key, set_=sums), rows)

    def update_racks(self, connection: sa.Connection, rows: Sequence[Row]) -> None:
        """Set columns of racks that are there; each row's rack is under `rack`."""
        names = [name for name in rows[0] if name != "rack"]
        update = RACKS.update().where(RACKS.c.rack_id == sa.bindparam("rack"))
        connection.execute(update.values({name: sa.bindparam(name) for name in names}), rows)

    def _insert(self, table: sa.Table) -> Any:
        from sqlalchemy.dialects import postgresql, sqlite  # noqa: PLC0415 - one of them is used

        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed)
        if parsed.get_backend_name() == "postgresql":
            return sa.create_engine(
                parsed, pool_pre_ping=True, pool_timeout=_BUSY_S, connect_args={"connect_timeout": 5}
            )
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise InputError(f"database_url: {_reason(error)}; {_URLS}") from None
    raise InputError(f"database_url: {parsed.get_backend_name()!r} is not a known database; {_URLS}")


_ELSEWHERE = "use the version that made it, or another database"
_URLS = "give sqlite:///FILE, or postgresql+psycopg://USER@HOST/NAME with skadi-sim[postgres] installed"


def _sqlite(url: sa.URL) -> sa.Engine:
    if url.database and url.database != ":memory:":
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{Path(url.database).parent}: cannot be made: {error.strerror or error}") from error
    engine = sa.create_engine(url, pool_timeout=_BUSY_S, connect_args={"timeout": _BUSY_S})

    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        for pragma in ("journal_mode=WAL", f"busy_timeout={int(1000 * _BUSY_S)}"):
            connection.execute(f"PRAGMA {pragma}")

    def begin(connection: sa.Connection) -> None:
        # a writer says so at once: a reader that turns writer may be refused without waiting
        writes = connection.get_execution_options().get("skadi_write")
        if writes:
            connection.exec_driver_sql(f"PRAGMA synchronous={writes}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "begin", begin)
    return engine


def _make_tables(connection: sa.Connection) -> None:
    names = set(sa.inspect(connection).get_table_names())
    ours = {table.name for table in _METADATA.sorted_tables}
    if "meta" not in names:
        if names & ours:
            raise InputError(
                f"database_url: the database has tables of another program: {', '.join(sorted(names & ours))}; "
                "give a database of its own"
            )
        _METADATA.create_all(connection)
        connection.execute(META.insert(), [
            {"name": "application", "value": _APPLICATION}, {"name": "schema", "value": str(SCHEMA_VERSION)},
        ])  # fmt: skip
        return
    try:
        found = {row.name: row.value for row in connection.execute(sa.select(META.c.name, META.c.value))}
    except DBAPIError:
        found = {}
    if found.get("application") != _APPLICATION:
        raise InputError("database_url: the database belongs to another program; give a database of its own")
    if found.get("schema") != str(SCHEMA_VERSION):
        raise InputError(
            f"database_url: the store has schema {found.get('schema')!r}, this version of the program knows "
            f"{SCHEMA_VERSION}; {_ELSEWHERE}"
        )
    missing = _missing(connection)
    if missing:
        raise InputError(f"database_url: the store lacks {', '.join(missing)}; {_ELSEWHERE}")


def _missing(connection: sa.Connection) -> list[str]:
    """Return the tables, and the columns of those that are there, that statements name and the store does not have."""
    found = sa.inspect(connection)
    names, missing = set(found.get_table_names()), []
    for table in _METADATA.sorted_tables:
        if table.name not in names:
            missing.append(table.name)
            continue
        columns = {column["name"] for column in found.get_columns(table.name)}
        missing += [f"{table.name}.{column.name}" for column in table.c if column.name not in columns]
    return missing


@contextmanager
def _available() -> Iterator[None]:
    """Turn the database's own troubles into StoreUnavailable; a wrong statement stays an error of ours."""
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError, PoolTimeoutError) as error:
        raise StoreUnavailable(_reason(error)) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreUnavailable(_reason(error)) from error
        raise


def _reason(error: BaseException) -> str:
    """Return the first line of the database's own words, without statement and parameters."""
    return str(getattr(error, "orig", None) or error).strip().split("\n", 1)[0]

"""What the live hall was told, written down: runs with the scenario that each has become, and commands."""

import io
import json
import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from ruamel.yaml import YAML

from api.hall_run import Energy, HallRun
from api.store import HALL_COMMANDS, HALL_RUNS, RACKS, Store
from sim.common.time_units import EPOCH, format_duration, format_instant_us, instant_us
from sim.scenario.schema import Scenario

WEEK = timedelta(weeks=1)


class HallLog:
    """Runs and commands in the store. Raises StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, scenario: Scenario) -> int:
        """Write down that a run begins and return its number."""
        row = {
            "created_us": time.time_ns() // 1000, "document": json.dumps(document_of(scenario)), "reached_s": 0.0,
            "energy": json.dumps(asdict(Energy())),
        }  # fmt: skip
        with self._store.writing() as connection:
            number: int = connection.execute(HALL_RUNS.insert().values(row)).inserted_primary_key[0]  # type: ignore[index]
        return number

    def note(self, run_id: int, run: HallRun, commands: list[dict[str, Any]]) -> None:
        """Write down commands, the scenario that the run has become by them, and how far it has come."""
        changed = {
            "document": json.dumps(document_of(run.scenario)), "reached_s": run.now_s,
            "energy": json.dumps(asdict(run.energy)),
        }  # fmt: skip
        with self._store.writing() as connection:
            if commands:
                connection.execute(HALL_COMMANDS.insert(), [{"run_id": run_id, **command} for command in commands])
            connection.execute(HALL_RUNS.update().where(HALL_RUNS.c.run_id == run_id).values(changed))

    def latest(self) -> dict[str, Any] | None:
        """Return the latest run, None where there was none."""
        query = sa.select(HALL_RUNS).order_by(HALL_RUNS.c.run_id.desc()).limit(1)
        with self._store.reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else dict(row)

    def commands(self, limit: int) -> list[dict[str, Any]]:
        """Return the latest commands, newest first."""
        query = sa.select(HALL_COMMANDS).order_by(HALL_COMMANDS.c.command_id.desc()).limit(limit)
        with self._store.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            {
                "command_id": row["command_id"], "run_id": row["run_id"], "ts": format_instant_us(row["ts_us"]),
                "received": format_instant_us(row["received_us"]), "command": row["command"],
                "details": json.loads(row["details"]),
            }
            for row in rows
        ]  # fmt: skip

    def start_after(self, scenario: Scenario, racks: tuple[str, ...]) -> Scenario:
        """Return a scenario moved on by whole weeks past all that is stored of its racks: nothing is told twice."""
        newest_us = self.newest_us(racks)
        start_us = instant_us(scenario.start)
        if newest_us is None or newest_us < start_us:
            return scenario
        weeks = (newest_us - start_us) // (WEEK // timedelta(microseconds=1)) + 1
        return scenario.model_copy(update={"start": scenario.start + weeks * WEEK})

    def newest_us(self, racks: tuple[str, ...]) -> int | None:
        """Return the instant of the newest sample that is stored of some racks, None where there is none."""
        wanted = set(racks)
        with self._store.reading() as connection:
            rows = connection.execute(sa.select(RACKS.c.rack_id, RACKS.c.newest_us))
            return max((row.newest_us for row in rows if row.rack_id in wanted), default=None)


def document_of(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario as a file has it; what it reads is named from the root, wherever the file will lie."""
    document: dict[str, Any] = scenario.model_dump(mode="json", exclude_unset=True)
    if scenario.demand.file is not None:
        document["demand"]["file"] = str(Path(scenario.demand.file).resolve())
    return document


def scenario_text(document: dict[str, Any], reached_s: float) -> str:
    """Return a scenario as YAML."""
    text = io.StringIO()
    text.write(f"# the live hall as it was run, up to {format_duration(reached_s)}\n")
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(document, text)
    return text.getvalue()


def ts_us(scenario: Scenario, now_s: float) -> int:
    """Return microseconds since 1970 of an instant of a run [s]."""
    return (scenario.start - EPOCH) // timedelta(microseconds=1) + round(now_s * 1e6)

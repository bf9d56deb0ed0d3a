"""Alarms in a file held against a finished run's truth, as the backend's referee holds those over its live hall."""

import json
from pathlib import Path
from typing import Any

from sim.common.atomic_files import AtomicFile
from sim.common.errors import InputError
from sim.incidents.catalogue import CATALOGUE
from training.alarms import Known, read_alarms, scoreboard
from training.console import text_table
from training.evaluation import Protocol
from training.events import Truth
from training.labels import read_labels
from training.telemetry import read_telemetry

COLUMNS = {
    "name": "contestant", "alarms": "alarms", "incidents_observable": "observable", "incidents_found": "found",
    "delay_median_s": "median delay s", "delay_p90_s": "90 % delay s",
    "false_alarms_per_rack_day": "false alarms per rack-day", "duplicates": "duplicates", "cause_hit": "cause hit",
    "transient_called_persistent": "transient called persistent",
}  # fmt: skip
"""Figures of the printed table; the JSON file has all, with their intervals."""


def judge(data: Path, labels: Path | None, alarms: Path, protocol: Protocol, output: Path) -> dict[str, Any]:
    """Write the scoreboard of the alarms over a run as JSON and return it.

    Raises InputError for files that are not there or not of one run, and for alarms of racks that it does not have.
    """
    contestants = read_alarms(alarms)
    telemetry = read_telemetry(data)
    unknown = sorted({a.rack for of in contestants.values() for a in of} - set(telemetry.racks))
    if unknown:
        raise InputError(f"{alarms}: racks that {data} does not have: {', '.join(unknown[:12])}")
    truth_of_rows = read_labels(labels or _companion(data, "labels"), telemetry)
    keys = telemetry.rack, telemetry.ts_s, telemetry.interval_s
    truth = Truth.of(truth_of_rows, *keys, protocol.truth, protocol.ignored)
    board = scoreboard(truth, telemetry.racks, _incidents(_companion(data, "events")), contestants)
    with AtomicFile(output) as file:
        file.write(json.dumps(board, indent=1, allow_nan=False).encode() + b"\n")
    return board


def _companion(data: Path, kind: Any) -> Path:
    from sim.runs.manifest import checked_companion  # noqa: PLC0415 - keeps Arrow out of --help

    path = checked_companion(data, kind)
    if path is None:
        raise InputError(f"{data}: has no {kind} beside it; alarms are judged by a run's labels and events")
    return path


def _incidents(path: Path) -> dict[str, Known]:
    """Return the incidents of an events file by id."""
    from sim.runs.run import read_events  # noqa: PLC0415 - as above

    rows = read_events(path).select(["event_id", "type", "kind", "root_asset"]).to_pylist()
    return {
        row["event_id"]: Known(row["kind"], CATALOGUE[row["kind"]].group, tuple((row["root_asset"] or "").split("|")))
        for row in rows
        if row["type"] != "episode"
    }


def table(board: list[dict[str, Any]]) -> str:
    """Return the contestants of a scoreboard as the command prints them."""
    return text_table(list(COLUMNS.values()), [[_text(row[name]) for name in COLUMNS] for row in board])


def _text(value: Any) -> str:
    return "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)

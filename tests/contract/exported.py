"""Runs to export, the export command, and what is true of a run, for the tests of exports."""

import csv
import hashlib
import json

import pandas as pd
from click.testing import CliRunner

from sim.cli.commands import export, run_sim

HALL = ["--scenario", "week", "--set", "facility.rows=1", "--set", "occupancy.rows={}", "--quiet"]
CALM = ["--seed", "6", "--duration", "2d", "--set", "occupancy.anytime={thermal_event: 0.02, overcooled: 0.01}"]
"""A hall calm enough that its racks are of every sort: clean, with a clean beginning, and with an early anomaly."""
TARGETS = ("timeeval", "tsb-ad", "nab")
COUNTED = ("cooling", "custom", "incident", "sensor")


def simulated(path, *args):
    """Run the simulator into a file and return it."""
    result = CliRunner().invoke(run_sim, [*HALL, *args, "--output", str(path)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return path


def exported(target, telemetry, output, *args):
    """Call the export command; return its exit code and what it said."""
    given = ["--to", target, "--input", str(telemetry), "--output", str(output), *map(str, args)]
    result = CliRunner().invoke(export, given, catch_exceptions=False)
    return result.exit_code, result.output


def truth(telemetry):
    """Return the rows of each rack, with `expected`: whether they count as anomalous by default."""
    frame = pd.read_csv(telemetry, parse_dates=["ts"])
    kinds = pd.read_parquet(telemetry.with_name(f"{telemetry.stem}.labels.parquet"))["anomaly_kind"]
    frame["expected"] = kinds.astype(str).isin(COUNTED).astype(int).to_numpy()
    return {rack: rows.reset_index(drop=True) for rack, rows in frame.groupby("rack_id")}


def record(folder):
    """Return what an export says of itself."""
    return json.loads((folder / "export.json").read_text())


def lengths(labels):
    """Return the lengths of the unbroken runs of ones."""
    return [len(run) for run in "".join(map(str, labels)).split("0") if run]


def sealed(telemetry, path, change):
    """Change a file of a run and its manifest with it, as if the simulator had written that; for what it cannot yet."""
    path.write_text(change(path.read_text()))
    manifest = telemetry.with_name(f"{telemetry.stem}.manifest.json")
    content = json.loads(manifest.read_text())
    content["files"][path.name]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(content))


def copied(telemetry, folder):
    """Copy a run into a folder; return its telemetry there."""
    for path in telemetry.parent.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder / telemetry.name


def labelled(kind, first, last):
    """Return a change that gives one rack's rows of some ticks an anomaly kind."""

    def change(text):
        lines = list(csv.DictReader(text.splitlines()))
        for i, line in enumerate(lines):
            line["anomaly_kind"] = kind if line["rack_id"] == "R-A-01" and first <= i // 2 <= last else "normal"
        return "\n".join([",".join(lines[0]), *(",".join(line.values()) for line in lines)]) + "\n"

    return change

"""What the page on changes walks through works in a copy of the project, entered as it says."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "changing.md").read_text(encoding="utf-8")
_, *PARTS = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
CHANGES = dict(zip(PARTS[::2], PARTS[1::2], strict=True))
PARAGRAPH = re.compile(r"(?P<told>(?:^\S.*\n)+)\n(?P<block>(?:^(?: {4}.*)?\n)+)", re.MULTILINE)
"""What is told, and the indented block that it is told of."""

PLACE = re.compile(r"(above|below) `([^`]+)` in\s+`([\w/.]+)`")
THERE = re.compile(r"(above|below) `([^`]+)` there|below (that line)")
NEW = re.compile(r"(?:a new file|here) `(\w+\.yaml)`(?: in `([\w/]+)`)?")


def blocks(change):
    """Yield what is told of each block of a change, in one line, and its text."""
    for found in PARAGRAPH.finditer(CHANGES[change]):
        lines = [line[4:] for line in found["block"].strip("\n").splitlines()]
        if lines:
            yield " ".join(found["told"].split()), "\n".join(lines) + "\n"


def put(path, side, anchor, text):
    """Put lines above or below the one line of a file that a text stands in."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    [at] = [i for i, line in enumerate(lines) if line.strip().startswith(anchor)]
    path.write_text("".join([*lines[: at + (side == "below")], text, *lines[at + (side == "below") :]]), "utf-8")


def enter(project, change):
    """Do what the page says, and return the commands that it ends with."""
    commands, last = [], None
    for told, text in blocks(change):
        if told.endswith("See it:"):
            commands += text.strip().splitlines()
        elif place := PLACE.search(told):
            last = place[3], place[2]
            put(project / place[3], place[1], place[2], text)
        elif there := THERE.search(told):
            last = last[0], there[2] or last[1]
            put(project / last[0], there[1] or "below", last[1], text)
        elif new := NEW.search(told):
            (project / (new[2] or "") / new[1]).write_text(text, encoding="utf-8")
        else:
            path = project / re.search(r"at the end of `([\w/.]+)`", told)[1]
            path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    return commands


@pytest.fixture
def project(tmp_path):
    for folder in ("sim", "scenarios"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "data").mkdir()
    for path in ("run_sim.py", "data/channels.csv", "data/profiles.csv"):
        shutil.copy(ROOT / path, tmp_path / path)
    return tmp_path


def walk_through(project, change):
    """Enter a change and run its commands; return what they printed."""
    printed = []
    for command in enter(project, change):
        words = command.split()
        assert words[0] == "python"
        done = subprocess.run(  # noqa: S603 - our own page
            [sys.executable, *words[1:]],
            check=False,
            cwd=project,
            env={"PYTHONPATH": str(project)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    return "\n".join(printed)


def labels(project, name):
    return pyarrow.parquet.read_table(project / "out" / f"{name}.labels.parquet").to_pydict()


def test_a_channel_is_reported_as_the_last_column(project):
    walk_through(project, "A channel")
    header, first, *_ = (project / "out" / "channel.csv").read_text(encoding="utf-8").splitlines()
    assert header.endswith("gpu_power_kw,humidity_pct")
    assert 0 < float(first.rpartition(",")[2]) < 100


def test_a_kind_is_explained_seen_and_labelled(project):
    assert "valve_hunting (cooling)" in walk_through(project, "A kind of incident")
    assert "valve_hunting-1" in labels(project, "kind")["observed_id"]


def test_a_profile_is_described_and_occurs(project):
    assert "fine_tuning" in walk_through(project, "A profile")
    assert "fine_tuning" in labels(project, "profile")["profile"]


def test_a_sink_writes_what_reports_read(project):
    walk_through(project, "A sink")
    first = (project / "out" / "sink.jsonl").read_text(encoding="utf-8").partition("\n")[0]
    assert first.startswith('{"ts": "2025-01-06T04:00:00Z", "rack_id": "R-A-01", "inlet_c": ')
    assert (project / "out" / "sink.report.html").is_file()


def test_a_fault_of_sensors_shows_in_readings_and_labels(project):
    walk_through(project, "A fault of sensors")
    assert "sensor_coarse-1" in labels(project, "fault")["observed_id"]


def test_these_are_the_five_changes():
    assert len(CHANGES) == 5

"""What commands tell a person: summaries and descriptions, in full whatever the terminal."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_a_channel_that_is_never_read_has_no_figures_in_the_summary(run):
    dead = "incidents=[{kind: sensor_dropout, target: 'rack:*', at: 0, duration: 1d}]"
    code, text = run("--scenario", "small", "--set", dead)
    assert code == 0
    assert re.search(r"inlet_c +nan +nan", text)


def test_describe_tells_each_planned_incident_in_full_however_many_racks_it_affects(run):
    told = (("sensor_dropout", "23h59m", "23:59:00", "1m"), ("a_name_of_some_length", "1h30m", "01:30:00", "12m30s"))
    for name, at, clock, lasts in told:
        incident = f"{{kind: sensor_dropout, id: {name}, target: 'rack:*', at: {at}, duration: {lasts}}}"
        text = run("--describe", "--set", f"incidents=[{incident}]")[1]
        assert "…" not in text
        assert re.search(rf"^{name} +2025-01-06 {clock} +{lasts} +1 +R-A-01, R-A-02,", text, re.MULTILINE), text
        assert "and 60 more" in re.sub(r"\s+", " ", text)


def test_describe_writes_large_numbers_out(run):
    text = run("--describe")[1]
    assert "10000-14000 (12000)" in text
    assert not re.search(r"\de[+-]\d", text)


def on_a_terminal(columns, *arguments):
    """Return what a command says on a terminal of so many columns, without colours, line by line."""
    pty = pytest.importorskip("pty")  # Windows has none
    ours, theirs = pty.openpty()
    command = [sys.executable, str(ROOT / "run_sim.py"), *arguments]
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "dumb"}
    process = subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env=environment)  # noqa: S603
    os.close(theirs)
    text = b""
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # the other end is closed
            part = b""
        if not part:
            break
        text += part
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return re.sub(r"\x1b\[[\d;]*m", "", text.decode()).splitlines()


def test_the_summary_of_a_run_fits_a_terminal_of_80_columns_and_no_figure_is_cut(tmp_path):
    lines = on_a_terminal(80, "--scenario", "pump_trip", "--duration", "2h", "--output", f"{tmp_path}/")
    tables = lines[next(i for i, line in enumerate(lines) if line.startswith("Readings")) :]
    assert max(len(line.rstrip()) for line in tables) <= 80
    assert "…" not in "".join(lines)


def test_a_table_wider_than_the_terminal_keeps_its_figures():
    assert any("10000-14000 (12000)" in line for line in on_a_terminal(80, "--describe"))


def test_a_profile_without_a_share_is_told(run):
    described = ("--scenario", "small", "--check", "--set", "profiles.slow={inlet_c: [20, 24]}")
    code, text = run(*described)
    assert code == 0
    assert "note: profiles.slow: described, but without a share in occupancy" in text
    assert "note" not in run(*described, "--set", "occupancy.anytime.slow=0.1")[1]
    assert "note" not in run("--scenario", "hot_site", "--check")[1]

"""A report tells what was done and what it saved, whatever the words that people give as reasons."""

import re
import zlib
from base64 import a85decode

import pytest

from api import figures, report

PERIOD = figures.Period(1736121600000000, 1736154000000000)
SYSTEM = {"mode": "closed_loop", "kill_switch": False}


def action(status="applied", name="decrease_fan_rpm", **changes):
    return {
        "id": 1, "ts": "2025-01-06T03:00:00Z", "action": name, "params": {}, "reason": "cool", "target": "system",
        "pred_saving_pct": 1.5, "realized_saving_pct": None, "status": status, "mode": "closed_loop", **changes,
    }  # fmt: skip


def document(*actions):
    return report.document(None, PERIOD, actions, SYSTEM, "2026-01-01T00:00:00Z")


def words(pdf):
    """Return what the pages of a PDF show, as its content streams say it."""
    streams = re.findall(rb"(?<!end)stream\n(.*?)~>endstream", pdf, re.DOTALL)
    shown = b"".join(zlib.decompress(a85decode(stream)) for stream in streams)
    return "".join(re.findall(r"\((.*?)\) Tj", shown.decode("latin-1")))


def test_actions_are_counted_by_what_became_of_them_and_by_name():
    told = document(action(), action("advisory"), action("rejected", "increase_cdu_pump"), action("failed"))
    assert told["actions"] == {
        "total_actions": 4, "applied": 1, "advisory": 1, "rejected": 1,
        "by_type": {"decrease_fan_rpm": 3, "increase_cdu_pump": 1},
    }  # fmt: skip
    assert told["system_performance"] == {**SYSTEM, "data_points": 0, "actions_executed": 1}


def test_predictions_of_what_was_not_applied_are_no_savings_and_what_was_not_measured_is_null():
    told = document(action("advisory", pred_saving_pct=9.0))["savings_attribution"]
    assert (told["total_predicted_savings_pct"], told["total_realized_savings_pct"]) == (None, None)
    told = document(action(pred_saving_pct=2.0), action("advisory", pred_saving_pct=9.0))["savings_attribution"]
    assert (told["total_predicted_savings_pct"], told["total_realized_savings_pct"]) == (2.0, None)


def test_what_two_actions_saved_together_is_not_counted_twice():
    # each is measured from its own begin to the end: the first's saving holds the second's
    told = document(action(realized_saving_pct=3.0), action(realized_saving_pct=1.0))
    assert told["savings_attribution"]["total_realized_savings_pct"] == 3.0
    assert told["kpis"]["energy_saved_pct"] == 3.0


def test_the_pdf_shows_the_figures_of_the_report():
    shown = words(report.pdf(document(action(realized_saving_pct=3.25))))
    assert "2025-01-06T00:00:00Z to 2025-01-06T09:00:00Z" in shown
    assert "3.25" in shown
    assert "not measured" in shown


@pytest.mark.parametrize(
    "reason",
    [
        "<b>",
        "<para></font>",
        "&amp;&",
        "a\0b\x1b[31m",
        "\ud7ff\U0001f525 \u202e",
        "x" * 10_000,
        "<img src='/etc/passwd'/>",
    ],
)
def test_reasons_are_text_in_the_pdf_and_never_markup(reason):
    pdf = report.pdf(document(*(action(reason=reason) for _ in range(50))))
    assert pdf.startswith(b"%PDF-1.")
    assert "decrease_fan_rpm" in words(pdf)
    if reason == "<b>":
        assert "applied1.5notmeasured<b>" in words(pdf)


def test_the_log_of_a_pdf_ends_with_the_latest_hundred_actions():
    told = document(*(action(reason=f"reason {i:03d}") for i in range(150)))
    assert [a["reason"] for a in told["action_log"]] == [f"reason {i:03d}" for i in range(50, 150)]
    assert told["actions"]["total_actions"] == 150


def test_what_was_done_to_the_live_hall_is_told_with_what_it_was_measured_to_save(client):
    assert client.post("/mode", json={"mode": "closed_loop"}).status_code == 200
    assert client.post("/hall/start", json={"scenario": "small", "paused": True}).status_code == 200
    client.post("/hall/step", json={"ticks": 5})
    asked = {"action": "decrease_fan_rpm", "params": {"delta_pct": 5}, "reason": "cool", "pred_saving_pct": 1.0}
    applied = client.post("/actions/apply", json=asked).json()
    client.post("/hall/step", json={"ticks": 30})
    client.post("/hall/stop")
    (logged,) = client.get("/actions/log").json()["actions"]
    told = client.get("/report/judges").json()
    assert told["kpis"]["energy_saved_pct"] == pytest.approx(logged["realized_saving_pct"], abs=1e-6)
    assert told["savings_attribution"]["total_predicted_savings_pct"] == 1.0
    assert (told["actions"]["applied"], told["system_performance"]["mode"]) == (1, "closed_loop")
    assert client.get("/state/overview").json()["energy_saved_pct"] == told["kpis"]["energy_saved_pct"]
    (done,) = client.get("/timeline", params=told["period"]).json()["actions"]
    assert done == {
        "ts": applied["ts"], "action": "decrease_fan_rpm", "reason": "cool", "pred_saving_pct": 1.0,
        "status": applied["status"],
    }  # fmt: skip
    assert client.get("/report/judges/pdf").content.startswith(b"%PDF")

"""Alarms against the truth: what counts as found, as false, as late; and the file that holds them."""

import csv

import numpy as np
import pytest
from click.testing import CliRunner

from sim.common.errors import InputError
from tests.training.test_events import TICKS, states, truth_of
from training.alarms import Alarm, Known, alarm_rows, read_alarms, scoreboard
from training.evaluate import main as evaluate
from training.events import event_figures, spans

KNOWN = {"e0": Known("pump_trip", "cooling", ("CL-1",)), "e1": Known("breaker_trip", "power", ("R-A-02",))}
RACKS = ("R-A-01", "R-A-02", "R-A-03")


def alarm(rack, begin, end=None, **more):
    return Alarm(RACKS[rack], begin * 60.0, None if end is None else end * 60.0, **more)


def board(truth, *alarms, known=KNOWN):
    told = scoreboard(truth, RACKS, known, {"mine": alarms})
    return told["contestants"][0], {i["incident_id"]: i for i in told["incidents"]}


def test_an_incident_of_several_racks_is_found_by_the_first_alarm_of_any_of_them():
    truth = truth_of((0, 100, 130), racks=3)
    truth.event.reshape(TICKS, 3)[104:120, 2] = True
    truth.key.reshape(TICKS, 3)[104:120, 2] = "e0"
    figures, incidents = board(truth, alarm(2, 109, 115), alarm(0, 112, 118))
    assert (figures["incidents_observable"], figures["incidents_found"]) == (1, 1)
    assert incidents["e0"]["racks"] == ["R-A-01", "R-A-03"]
    assert incidents["e0"]["found_by"] == [
        {"contestant": "mine", "start": "1970-01-01T01:49:00Z", "delay_s": 540.0, "cause": None}
    ]


def test_an_alarm_that_was_open_before_finds_without_delay_and_one_of_another_rack_finds_nothing():
    truth = truth_of((0, 100, 130), (1, 100, 130), racks=3)
    figures, incidents = board(truth, alarm(0, 90), alarm(2, 100, 130))
    assert incidents["e0"]["found_by"][0]["delay_s"] == 0.0
    assert incidents["e1"]["found_by"] == []
    assert (figures["incidents_found"], figures["false_alarms"], figures["recall"]) == (1, 1, 0.5)


def test_an_incident_too_short_to_be_observed_is_not_asked_for_but_tells_what_is_called_persistent():
    truth = truth_of((0, 100, 103), (1, 200, 230), racks=3)
    figures, _ = board(truth, alarm(0, 101, 104), alarm(1, 205, 220))
    assert (figures["incidents_observable"], figures["transients"]) == (1, 1)
    assert figures["transient_called_persistent"] == 1.0
    calm, _ = board(truth, alarm(0, 101, 104, transient=True), alarm(1, 205, 220))
    assert (calm["transient_called_persistent"], calm["alarms"]) == (0.0, 1)


@pytest.mark.parametrize(
    ("cause", "hit"), [("pump_trip", 1.0), ("COOLING", 1.0), ("cl-1", 1.0), ("power", 0.0), ("", None)]
)
def test_a_cause_hits_if_it_names_kind_group_or_target(cause, hit):
    figures, _ = board(truth_of((0, 100, 130), racks=3), alarm(0, 105, 120, cause=cause))
    assert figures["cause_hit"] == hit


def test_alarms_are_measured_as_the_states_that_they_are():
    """The same alarms as MMS states of every row, and as spans: the definitions are one."""
    truth = truth_of((0, 100, 130), (1, 40, 44), (1, 200, 230), racks=3)
    raised = (0, 95, 110), (0, 112, 118), (1, 41, 47), (1, 300, 310), (2, 10, 20)
    state = states(*raised, racks=3)
    none = np.full(state.size, "")
    found = spans(state > 0, none, truth.rack, truth.ts_s, truth.interval_s)
    assert found.rack.size == len(raised)
    by_state, (by_span, _) = event_figures(truth, state), board(truth, *(alarm(*a) for a in raised))
    for name in ("precision", "recall", "f05", "false_alarms_per_rack_day", "duplicates"):
        assert getattr(by_state, name) == by_span[name], name


def test_an_alarm_between_two_samples_lasts_for_one_and_one_beyond_the_run_is_not_counted():
    truth = truth_of((0, 100, 130), racks=3)
    figures, _ = board(truth, Alarm("R-A-02", 61.0, 62.0), alarm(1, TICKS + 5), Alarm("R-A-02", -500.0, -400.0))
    assert (figures["alarms"], figures["false_alarms"]) == (1, 1)


def test_intervals_hold_what_they_are_of_and_narrow_as_more_is_known():
    """Wilson's interval of 1 of 1 is 0.2065 to 1; Byar's of a count of 0 is 0 to 3.67 (the exact one: 3.69)."""
    one, _ = board(truth_of((0, 100, 130), racks=3), alarm(0, 105, 120))
    assert one["found_interval"] == pytest.approx([0.2065, 1.0], abs=1e-4)
    assert one["false_alarms_interval"][0] == 0.0
    quiet_days = (3 * TICKS - 30 - 15) * 60 / 86_400
    assert one["false_alarms_interval"][1] * quiet_days == pytest.approx(3.69, abs=0.03)
    assert one["delay_median_interval_s"] is None
    many = {f"e{k}": Known("pump_trip", "cooling", ("CL-1",)) for k in range(9)}
    truth = truth_of(*((0, 40 * k + 20, 40 * k + 30) for k in range(9)), racks=3)
    nine, _ = board(truth, *(alarm(0, 40 * k + 20 + k, 40 * k + 30) for k in range(9)), known=many)
    low, high = nine["delay_median_interval_s"]
    assert low <= nine["delay_median_s"] == 240.0 <= high
    assert (low, high) == (60.0, 420.0)  # the 2nd and the 8th of 9: the sign test's 96 %
    assert nine["found_interval"][0] > one["found_interval"][0]


def write(path, *rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_what_is_written_is_read_back(tmp_path):
    alarms = {"a": [alarm(0, 1.5, 9, cause="x, y")], "b": [alarm(1, 2), alarm(2, 3, 3, transient=True)]}
    assert read_alarms(write(tmp_path / "alarms.csv", *alarm_rows(alarms))) == alarms


def test_every_wrong_line_is_named(tmp_path):
    head = ["contestant", "rack_id", "start", "end", "cause", "kind"]
    path = write(
        tmp_path / "alarms.csv", head, ["a", "", "1970-01-01T00:00:00Z"], ["a", "R", "noon"],
        ["a", "R", "1970-01-02", "1970-01-01", "", "odd"],
    )  # fmt: skip
    with pytest.raises(InputError) as error:
        read_alarms(path)
    lines = str(error.value).split("\n  ")[1:]
    assert [line.split(": ")[0:2] for line in lines] == [
        ["line 2", "rack_id is empty"], ["line 3", "start"], ["line 4", "end"], ["line 4", "kind"],
    ]  # fmt: skip
    with pytest.raises(InputError, match="columns missing: contestant, start"):
        read_alarms(write(tmp_path / "other.csv", ["rack_id"]))
    with pytest.raises(InputError, match="cannot be read"):
        read_alarms(tmp_path / "none.csv")


def test_alarms_are_judged_alone(tmp_path):
    path = write(tmp_path / "alarms.csv", *alarm_rows({}))
    result = CliRunner().invoke(evaluate, ["--data", "x.csv", "--alarms", str(path), "--against", "all"])
    assert (result.exit_code, "leave out --models and --against" in result.output) == (2, True)

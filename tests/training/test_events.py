import numpy as np
import pytest

from training.events import Truth, event_figures, spans
from training.mms import NOMINAL, PERSISTENT, RECOVERING, TRANSIENT

TICKS = 400


def truth_of(*events, ignored=(), racks=1):
    """A run of `racks` racks at 60 s; events and ignored stretches are (rack, first tick, last tick + 1)."""
    on, off = np.zeros((TICKS, racks), dtype=bool), np.zeros((TICKS, racks), dtype=bool)
    key = np.full((TICKS, racks), "", dtype="<U8")
    for number, (rack, begin, end) in enumerate(events):
        on[begin:end, rack], key[begin:end, rack] = True, f"e{number}"
    for number, (rack, begin, end) in enumerate(ignored):
        off[begin:end, rack], key[begin:end, rack] = True, f"i{number}"
    ts_s, rack = np.repeat(np.arange(TICKS) * 60.0, racks), np.tile(np.arange(racks), TICKS)
    return Truth(on.ravel(), off.ravel(), key.ravel(), rack, ts_s, 60.0)


def states(*alarms, racks=1, state=PERSISTENT):
    out = np.full((TICKS, racks), NOMINAL, dtype=np.int8)
    for rack, begin, end in alarms:
        out[begin:end, rack] = state
    return out.ravel()


def test_spans_split_at_racks_and_keys():
    on = np.array([1, 1, 1, 1, 0, 1], dtype=bool)
    key = np.array(["a", "x", "a", "x", "", "y"])
    found = spans(on, key, np.array([0, 1] * 3), np.repeat([0.0, 60.0, 120.0], 2), 60.0)
    assert found.rack.tolist() == [0, 1, 1]
    assert found.begin_s.tolist() == [0.0, 0.0, 120.0]
    assert found.end_s.tolist() == [120.0, 120.0, 180.0]
    assert found.key.tolist() == ["a", "x", "y"]


def test_an_event_found_at_once_is_perfect():
    figures = event_figures(truth_of((0, 100, 130)), states((0, 100, 135)))
    assert (figures.precision, figures.recall, figures.f05) == (1.0, 1.0, 1.0)
    assert figures.delays_s.tolist() == [0.0]


def test_the_delay_runs_from_the_begin_to_the_alarm():
    figures = event_figures(truth_of((0, 100, 130), (0, 200, 230)), states((0, 107, 130), (0, 220, 240)))
    assert figures.delays_s.tolist() == [420.0, 1200.0]


def test_precision_is_corrected_for_the_time_of_false_alarms():
    # one event found, one false alarm of 30 of the ticks outside 100..145 (event and 15 min of settling)
    figures = event_figures(truth_of((0, 100, 130)), states((0, 105, 130), (0, 300, 330)))
    quiet = TICKS - 30 - 15
    assert figures.precision == pytest.approx(0.5 * (1 - 30 / quiet))
    assert figures.false_alarms_per_rack_day == pytest.approx(1 / (quiet * 60 / 86_400))


def test_false_alarms_are_counted_per_rack_and_day_of_rows_that_are_quiet():
    """Rack 0 is ignored throughout, rack 1 has one event, rack 2 nothing: alarms count by the time of 1 and 2 alone."""
    truth = truth_of((1, 100, 130), ignored=[(0, 0, TICKS)], racks=3)
    alarms = (0, 50, 60), (1, 20, 30), (1, 105, 125), (1, 300, 310), (2, 110, 120)
    figures = event_figures(truth, states(*alarms, racks=3))
    quiet_days = (2 * TICKS - 30 - 15) * 60 / 86_400
    assert figures.false_alarms_per_rack_day == pytest.approx(3 / quiet_days)
    assert figures.false_time == pytest.approx(30 / (2 * TICKS - 30 - 15))


def test_false_alarms_per_day_do_not_depend_on_the_interval():
    minutes = truth_of((0, 100, 130))
    halves = Truth(*(np.repeat(a, 2) for a in (minutes.event, minutes.ignored, minutes.key, minutes.rack)),
                   np.arange(2 * TICKS) * 30.0, 30.0)  # fmt: skip
    alarms = states((0, 20, 30), (0, 105, 125), (0, 300, 310))
    once, twice = event_figures(minutes, alarms), event_figures(halves, np.repeat(alarms, 2))
    # the settled time ends with the tick after 900 s: at most one tick's time is counted otherwise
    assert twice.false_alarms_per_rack_day == pytest.approx(once.false_alarms_per_rack_day, rel=1 / (TICKS - 45))


def test_an_alarm_that_reaches_into_rows_that_are_not_quiet_is_not_false():
    for alarm in ((0, 90, 101), (0, 140, 150), (0, 195, 201)):
        figures = event_figures(truth_of((0, 100, 130), ignored=[(0, 200, 250)]), states(alarm))
        assert figures.false_alarms_per_rack_day == 0.0


def test_an_alarm_while_the_hall_settles_is_neither_found_late_nor_false():
    figures = event_figures(truth_of((0, 100, 130)), states((0, 100, 130), (0, 140, 150)))
    assert figures.false_alarms_per_rack_day == 0.0
    assert figures.duplicates == 1


def test_an_alarm_in_an_ignored_stretch_is_not_false():
    figures = event_figures(truth_of((0, 100, 130), ignored=[(0, 200, 250)]), states((0, 100, 130), (0, 210, 240)))
    assert figures.precision == 1.0
    assert figures.false_alarms_per_rack_day == 0.0


def test_an_alarm_on_another_rack_finds_nothing():
    figures = event_figures(truth_of((0, 100, 130), racks=2), states((1, 100, 130), racks=2))
    assert figures.recall == 0.0
    assert figures.false_alarms_per_rack_day > 0


def test_recovering_is_part_of_the_alarm():
    state = states((0, 100, 130))
    state[110:115] = RECOVERING
    assert event_figures(truth_of((0, 100, 130)), state).duplicates == 0


def test_the_confusion_counts_what_long_and_short_events_were_called():
    truth = truth_of((0, 20, 50), (0, 100, 102), (0, 200, 230), (0, 300, 303))
    state = states((0, 25, 50))
    state[301:303] = TRANSIENT
    state[210:220] = TRANSIENT
    assert event_figures(truth, state).confusion.tolist() == [[1, 1, 0], [0, 1, 1]]


def test_long_and_short_events_called_persistent_are_shares_of_their_own():
    truth = truth_of((0, 20, 50), (0, 100, 120), (0, 200, 202), (0, 300, 302))
    figures = event_figures(truth, states((0, 25, 50), (0, 300, 310)))
    assert figures.persistent_of_long == 0.5
    assert figures.persistent_of_short == 0.5


def test_a_short_event_beside_another_anomaly_does_not_stand_alone():
    truth = truth_of((0, 100, 102), (0, 300, 302), ignored=[(0, 102, 130)])
    figures = event_figures(truth, states((0, 103, 120)))
    assert figures.persistent_of_short == 0.5
    assert figures.persistent_of_short_alone == 0.0


def test_without_an_alarm_precision_is_unknown_and_recall_zero():
    figures = event_figures(truth_of((0, 100, 130)), states())
    assert np.isnan(figures.precision)
    assert figures.recall == 0.0
    assert figures.delays_s.size == 0


def test_an_alarm_that_was_open_before_a_short_event_did_not_begin_in_it():
    truth = truth_of((0, 100, 102), (0, 300, 302), ignored=[(0, 80, 99)])
    figures = event_figures(truth, states((0, 90, 110), (0, 305, 315)))
    assert figures.persistent_of_short == 1.0
    assert figures.persistent_of_short_begun == 0.5


def test_f05_weighs_precision_four_times_as_much_as_recall():
    """Two events, one found; one false alarm of ten ticks: F = 1.25 P R / (0.25 P + R)."""
    figures = event_figures(truth_of((0, 50, 80), (0, 150, 180)), states((0, 50, 80), (0, 300, 310)))
    precision, recall = 0.5 * (1 - 10 / (TICKS - 2 * (30 + 15))), 0.5
    assert figures.f05 == pytest.approx(1.25 * precision * recall / (0.25 * precision + recall))
    many = event_figures(truth_of((0, 50, 80)), states((0, 50, 80), (0, 200, 201), (0, 300, 301)))
    precise = 1 / 3 * (1 - 2 / (TICKS - 45))
    assert many.f05 == pytest.approx(1.25 * precise / (0.25 * precise + 1))


@pytest.mark.parametrize(("ticks", "counts"), [(5, 0), (6, 1)])
def test_an_event_has_to_be_found_from_six_minutes_on(ticks, counts):
    assert event_figures(truth_of((0, 100, 100 + ticks)), states()).events == counts


def test_an_alarm_that_was_open_already_finds_an_event_at_once():
    figures = event_figures(truth_of((0, 100, 130)), states((0, 90, 110)))
    assert figures.delays_s.tolist() == [0.0]


def test_an_alarm_that_is_always_open_finds_nothing():
    """It began for no reason, long before either event; one that began with another anomaly may go on into the next."""
    truth = truth_of((0, 100, 130), (0, 300, 330))
    assert event_figures(truth, states((0, 0, TICKS))).recall == 0.0
    for begin, recall in ((84, 0.0), (85, 0.5), (100, 0.5)):
        assert event_figures(truth, states((0, begin, 200))).recall == recall
    assert event_figures(truth, states((0, 105, TICKS))).recall == 1.0


def test_an_alarm_up_to_fifteen_minutes_after_an_event_still_finds_it():
    for begin, recall in ((130, 1.0), (144, 1.0), (145, 0.0)):
        assert event_figures(truth_of((0, 100, 130)), states((0, begin, begin + 9))).recall == recall

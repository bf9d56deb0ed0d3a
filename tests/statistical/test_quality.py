"""Quality checks of benchmarks: each can fail, and shortened benchmarks pass those that are cheap."""

from dataclasses import replace

import numpy as np
import pytest

import benchmarks.quality
from sim.model.channels import MEASURED
from sim.runs.checks import honesty, quality
from sim.runs.checks.counterfactual import Counterfactual
from sim.runs.checks.quality import weakened
from sim.runs.checks.visibility import (
    Window,
    across_channels,
    control_windows,
    in_windows,
    incident_windows,
    passes,
    residuals,
    rolling,
    single_channel,
    without_gaps,
)
from sim.runs.memory import record
from sim.scenario.files import read_scenario
from training.detection import rank_correlation, volume

PREFIX_DAYS, DAYS = 2, 4


def shortened(name):
    """Return a benchmark of four days, two of them clean, with as many incidents in the other two as in nine."""
    scenario = read_scenario(name).data
    rates = scenario["incident_rates"]
    return {**scenario, "duration": f"{DAYS}d", "incident_rates": {**rates, "after": f"{PREFIX_DAYS}d"}}


@pytest.fixture(scope="module")
def scenario():
    return shortened("benchmark_mixed")


@pytest.fixture(scope="module")
def facts(scenario):
    return Counterfactual(record(scenario))


def failed(checks, ids):
    return [str(c) for c in checks if c.id in ids and not c.passed]


def with_marks(facts, **changed):
    """Return the facts of the same run with other labels."""
    return Counterfactual(replace(facts.run, incident_labels=replace(facts.run.incident_labels, **changed)))


def with_events(facts, change):
    return Counterfactual(replace(facts.run, incidents=[change(e) for e in facts.run.incidents]))


def test_a_shortened_benchmark_is_honest(facts):
    assert failed(quality.labels(facts), {"Q5", "Q6", "Q7", "Q8"}) == []
    assert failed(quality.prefix(facts), {"Q11"}) == []
    assert failed(quality.normal_events(facts), {"Q12"}) == []


def test_a_shortened_benchmark_has_clean_racks_and_both_lengths(facts):
    clean = quality.density(facts)[1]
    transient, persistent = quality.durations(facts)[1:]
    assert clean.passed
    # of about 70 incidents: three standard errors of a share of 30 %
    assert min(transient.value, persistent.value) > 30 - 3 * 100 * (0.3 * 0.7 / len(facts.faults)) ** 0.5


def test_the_same_seed_hands_out_the_same_bytes_and_another_does_not(scenario):
    some_hours = {**scenario, "duration": "6h"}
    some_hours["incident_rates"] = {**scenario["incident_rates"], "after": "1h"}
    one, other = (record({**some_hours, "seed": seed}, truth=False) for seed in (6, 7))
    assert len(one.incidents) > 10
    assert quality.same_bytes(one, {**some_hours, "seed": 6})[0].passed
    assert quality.digest(other) != quality.digest(one)


def test_a_label_that_starts_late_is_seen(facts):
    late = facts.incident_labels.physical.copy(), facts.incident_labels.sensor.copy()
    for event in facts.faults:
        for rack, ticks in facts.rows(event):
            for mask in late:
                mask[ticks[:3], rack] = False
    assert failed(quality.labels(with_marks(facts, physical=late[0], sensor=late[1])), {"Q5"})


def test_an_effect_that_no_label_names_is_seen(facts):
    assert failed(
        quality.labels(with_marks(facts, incidents=np.zeros_like(facts.incident_labels.incidents))), {"Q6", "Q7"}
    )


def test_an_event_that_counts_other_ticks_than_its_labels_is_seen(facts):
    name = facts.faults[0].id
    changed = with_events(facts, lambda e: replace(e, ticks=e.ticks + (e.id == name)))
    assert honesty.disagreements(facts)[1] == 0
    assert honesty.disagreements(changed)[1] == 1


def test_a_late_onset_is_seen_where_nobody_else_can_be_why_the_rows_before_it_depart(facts):
    def begins_alone(event):
        begin = round(event.onset_s / facts.tick_s)
        return (facts.names_only(event) & honesty.departing(facts, event))[begin : begin + 5].any()

    event = next(e for e in facts.faults if e.group == "load" and e.ticks > 20 and begins_alone(e))
    late = replace(event, onset_s=event.onset_s + 600)
    itself = np.zeros(facts.anomalous.shape, dtype=np.int16)
    itself[honesty._while_felt(facts, event)] = 1
    assert honesty._agrees(facts, event, itself)
    assert not honesty._agrees(facts, late, itself)
    assert honesty._agrees(facts, late, itself + 1)


def test_an_effect_before_its_cause_is_seen(facts):
    delayed = with_events(facts, lambda e: replace(e, start_s=e.start_s + 3600) if e.group != "sensor" else e)
    assert failed(quality.labels(delayed), {"Q8"})
    assert honesty.early_differences(delayed) > 0
    assert honesty.early_differences(facts) == 0


def test_an_effect_on_a_rack_out_of_reach_is_seen(facts):
    truth = {name: values.copy() for name, values in facts.run.truth.items()}
    first = np.full(facts.anomalous.shape[1], len(facts.anomalous))
    for event in facts.run.incidents:
        reached = honesty.reached(facts, facts.planned_of(event), event)
        first[reached] = np.minimum(first[reached], facts.begin(event))
    rack = int(first.argmax())
    assert first[rack] > facts.test_from
    truth["inlet_c"][facts.test_from : first[rack], rack] += 1e-9
    leaking = Counterfactual(replace(facts.run, truth=truth))
    assert honesty.unreachable(leaking)[1] > 0


def test_an_incident_in_the_prefix_is_seen(facts):
    marked = facts.incident_labels.incidents.copy()
    marked[10, 3] = 1
    assert failed(quality.prefix(with_marks(facts, incidents=marked)), {"Q11"})


def test_readings_beyond_the_prefix_are_seen(facts):
    readings = dict(facts.run.readings)
    readings["inlet_c"] = readings["inlet_c"].copy()
    readings["inlet_c"][facts.test_from :] += 20
    assert quality.prefix(Counterfactual(replace(facts.run, readings=readings)))[1].value == 100


def test_a_normal_event_that_is_called_anomalous_is_seen(facts):
    assert failed(quality.normal_events(with_marks(facts, physical=facts.incident_labels.incidents != 0)), {"Q12"})


def test_too_dense_and_too_rare_anomalies_are_seen(facts):
    for share in (0.0, 1.0):
        everywhere = np.full(facts.anomalous.shape, bool(share))
        nothing = np.zeros_like(everywhere)
        assert failed(quality.density(with_marks(facts, physical=everywhere, sensor=nothing)), {"Q3"})


def test_incidents_of_one_length_are_seen(facts):
    alike = with_events(facts, lambda e: replace(e, end_s=e.start_s + 600, persistent=True))
    assert len(failed(quality.durations(alike), {"Q9"})) == 2


def test_starts_at_the_end_only_are_not_uniform():
    rng = np.random.default_rng(1)
    even = rng.random(1000)
    assert quality.uniform_p(even) > 0.05
    assert quality.uniform_p(even**0.8) < 0.01
    assert quality.uniform_p((np.arange(1000) + 0.5) / 1000) == 1.0


def test_windows_know_whether_a_mask_is_set_inside():
    mask = np.zeros((10, 2), dtype=bool)
    mask[4, 1] = True
    windows = [Window(1, 4, 4), Window(1, 0, 3), Window(1, 5, 9), Window(0, 0, 9), Window(1, 0, 9)]
    assert in_windows(mask, windows).tolist() == [True, False, False, False, True]


def test_limits_are_what_the_prefix_never_passes():
    values = np.zeros((6, 2))
    values[:3] = [[0, 10], [1, 11], [2, 12]]
    values[3:] = [[2, 12], [5, 11], [-1, 20]]
    windows = [Window(0, 3, 3), Window(0, 4, 4), Window(0, 5, 5), Window(1, 5, 5)]
    own, hall = passes(values, 3, windows)
    assert own.tolist() == [False, True, True, True]
    assert hall.tolist() == [False, False, True, True]


def test_rolling_statistics_are_those_of_the_last_ticks():
    x = np.random.default_rng(2).normal(50, 1, (200, 3))
    mean, sd = rolling(x, 10)
    assert mean[100] == pytest.approx(x[91:101].mean(axis=0))
    assert sd[100] == pytest.approx(x[91:101].std(axis=0))
    assert mean[2] == pytest.approx(x[:3].mean(axis=0))


def test_gaps_take_the_reading_before():
    x = np.array([[1.0], [np.nan], [np.nan], [4.0]])
    assert without_gaps(x).ravel().tolist() == [1, 1, 1, 4]


HALF_PERIOD, LONG_PREFIX = 126, 20_000


def hand_made(ticks=22_000, racks=2):
    """Return readings of racks whose channels all follow one load that swings to and fro, each with its own noise."""
    rng = np.random.default_rng(3)
    load = np.sin(np.pi * np.arange(ticks) / HALF_PERIOD)[:, None] + 0.1 * rng.standard_normal((ticks, racks))
    names = (*MEASURED, "delta_t")
    return {n: 20 + load * (1 + i) + 0.05 * rng.standard_normal((ticks, racks)) for i, n in enumerate(names)}


def test_a_plain_jump_is_found_in_one_channel_and_a_hidden_one_across_channels_only():
    readings = hand_made()
    readings["pdu_kw"][21_000:21_020, 0] += 40
    begin = 170 * HALF_PERIOD
    # low where the load is high: what the fan does half a period later anyway
    hidden = slice(begin, begin + HALF_PERIOD)
    readings["fan_rpm_pct"][hidden, 1] = readings["fan_rpm_pct"][begin + HALF_PERIOD : begin + 2 * HALF_PERIOD, 1]
    windows = [Window(0, 21_000, 21_019), Window(1, begin, begin + HALF_PERIOD - 1)]
    alone, names = single_channel(readings, LONG_PREFIX, windows)
    across = across_channels(residuals(readings, LONG_PREFIX), LONG_PREFIX, windows)
    assert alone.hall[names.index("pdu_kw: raw"), 0]
    assert not alone.hall[[name.startswith("fan") for name in names], 1].any()
    assert across.hall[MEASURED.index("fan_rpm_pct") * 3 :][:3, 1].all()


def test_a_missing_reading_is_found():
    readings = hand_made()
    readings["inlet_c"][21_000, 0] = np.nan
    alone, names = single_channel(readings, LONG_PREFIX, [Window(0, 21_000, 21_000), Window(0, 21_001, 21_001)])
    assert alone.hall[names.index("inlet_c: raw")].tolist() == [True, False]


def test_residuals_are_what_the_other_channels_leave():
    readings = hand_made()
    apart = residuals(readings, LONG_PREFIX)
    assert apart.shape == (len(MEASURED), 22_000, 2)
    assert apart[:, :LONG_PREFIX].std(axis=1) == pytest.approx(1.0)


def test_every_incident_has_a_window_and_controls_are_where_nothing_is_named(facts):
    own = [window for _, window in incident_windows(facts)]
    assert len(own) == len(facts.faults)
    for w in control_windows(facts, own[:5], np.random.default_rng(0)):
        assert not facts.incident_labels.incidents[w.first : w.last + 1, w.rack].any()
        assert w.first >= facts.test_from


def test_a_score_that_knows_the_truth_reaches_one_and_one_that_knows_nothing_does_not():
    anomalous = np.zeros((500, 3), dtype=bool)
    anomalous[100:150, 1] = True
    knows = anomalous.T.ravel().astype(float) + 1e-6 * np.random.default_rng(4).random(1500)
    assert volume(knows, anomalous, 600.0) > 0.9
    assert volume(np.random.default_rng(5).random(1500), anomalous, 600.0) < 0.3


def test_weaker_faults_keep_their_times_and_normal_events_their_strength(scenario):
    half = weakened(scenario, 0.5)
    kinds = half["incident_rates"]["kinds"]
    assert kinds["row_fan_fault"]["severity"] == [0.3, 0.5]
    assert kinds["firmware_roll"] == scenario["incident_rates"]["kinds"]["firmware_roll"]
    assert quality._starts(half).tolist() == quality._starts(scenario).tolist()


def test_rank_correlation_knows_order_only():
    assert rank_correlation([4, 3, 2, 1], [100, 9, 8, 0]) == pytest.approx(1)
    assert rank_correlation([4, 3, 2, 1], [1, 2, 3, 4]) == pytest.approx(-1)


def test_a_run_without_any_normal_window_is_an_error_not_a_search_without_end(facts):
    own = [window for _, window in incident_windows(facts)]
    crowded = with_marks(facts, incidents=np.ones_like(facts.incident_labels.incidents))
    with pytest.raises(ValueError, match="no rack is without incidents"):
        control_windows(crowded, own[:1], np.random.default_rng(0))


@pytest.mark.parametrize("name", ["small", "no_such"])
def test_what_cannot_be_judged_is_told_before_anything_runs(monkeypatch, capsys, name):
    monkeypatch.setattr("sys.argv", ["quality", "--scenario", name])
    with pytest.raises(SystemExit) as stopped:
        benchmarks.quality.main()
    assert stopped.value.code == 2
    assert name in capsys.readouterr().err

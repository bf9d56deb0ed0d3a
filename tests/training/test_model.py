import dataclasses

import numpy as np
import pytest

from training import Monitor, fit, score_batch, score_one
from training.features import FEATURES, GROUPS, RESOLUTION
from training.fitting import _false_alarms, scaling
from training.model import LEVELS, Model, causes_by_group, explain_vector, top_causes
from training.telemetry import Telemetry


@pytest.mark.parametrize("which", ["model", "plain_model", "hyperbox_model", "context_boxes"])
def test_score_one_equals_score_batch_row_by_row(which, hall, request):
    model = request.getfixturevalue(which)
    x = hall.telemetry().x[:400].copy()
    x[::7, 3] = np.nan
    x[::11, :5] = np.nan
    scores = score_batch(model, x)
    for k in range(len(x)):
        one = score_one(model, x[k])
        assert np.array_equal(one.deviation, scores.deviation[k], equal_nan=True)
        assert one.level == LEVELS[scores.level[k]]
        assert one.degraded == scores.degraded[k]
        assert one.cluster == scores.cluster[k]


def test_a_sample_as_a_mapping_scores_like_its_vector(model, hall):
    sample = {name: column[100] for name, column in hall.columns.items()}
    assert score_one(model, sample) == score_one(model, hall.telemetry().x[100])


def test_under_seventy_percent_of_the_features_is_refused(model, hall):
    x = hall.telemetry().x[:2].copy()
    x[0, :3] = np.nan
    x[1, :4] = np.nan
    scores = score_batch(model, x)
    assert np.isfinite(scores.deviation[0])
    assert scores.degraded.all()
    assert LEVELS[scores.level[1]] == "refused"
    assert np.isnan(scores.deviation[1])


def test_a_sample_without_gpu_power_is_scored_and_not_alarmed_for_it(plain_model, hall):
    model = plain_model
    x = hall.telemetry().x[hall.truth["profile"] == "nominal"][:300].copy()
    with_it = score_batch(model, x).deviation
    x[:, FEATURES.index("gpu_power_kw")] = np.nan
    scores = score_batch(model, x)
    assert scores.degraded.all()
    # leaving one of d features out can raise the distance by sqrt(d / (d - 1)) at most
    assert (scores.deviation <= with_it * (10 / 9) ** 0.5 + 1e-12).all()


def test_scores_do_not_change_with_a_features_unit(hall):
    telemetry = hall.telemetry()
    kelvin = telemetry.x.copy()
    kelvin[:, FEATURES.index("tokens_ps")] = kelvin[:, FEATURES.index("tokens_ps")] * 60.0 + 1e3
    other = dataclasses.replace(telemetry, x=kelvin)
    here, there = (fit(run, algorithm="hyperbox", features="plain") for run in (telemetry, other))
    assert score_batch(there, kelvin).deviation == pytest.approx(score_batch(here, telemetry.x).deviation, abs=1e-9)


@pytest.mark.parametrize("feature", FEATURES)
def test_a_single_sensor_fault_is_blamed_on_its_sensor(hyperbox_model, hall, feature):
    nominal = ~hall.labels().anomaly
    x = hall.telemetry().x[nominal][:500].copy()
    j = FEATURES.index(feature)
    x[:, j] += 6.0 * hyperbox_model.scale[j]
    top = top_causes(hyperbox_model, x, 1)
    # 500 rows: three standard errors of a share of 0.95 are 0.03
    assert (top.feature[:, 0] == j).mean() >= 0.92
    assert (top.sign[top.feature[:, 0] == j, 0] == 1).all()


@pytest.mark.parametrize("which", ["model", "plain_model"])
def test_the_group_of_the_fault_explains_most(which, hall, request):
    model = request.getfixturevalue(which)
    x = hall.telemetry().x[~hall.labels().anomaly][:200].copy()
    x[:, FEATURES.index("fan_rpm_pct")] += 40.0
    share = causes_by_group(model, x)
    assert (share.argmax(axis=1) == list(GROUPS).index("cooling")).mean() > 0.99


@pytest.mark.parametrize("which", ["model", "plain_model"])
def test_an_explanation_gives_the_range_in_engineering_units(which, hall, request):
    model = request.getfixturevalue(which)
    x = hall.telemetry().x[~hall.labels().anomaly][0].copy()
    x[:3] = 35.0, x[1], x[1] - 35.0
    first = explain_vector(model, x)[0]
    assert (first.feature, first.unit, first.sign) == ("inlet_c", "degC", "high")
    assert 20.0 < first.low < first.high < 27.0
    assert first.excess == pytest.approx(35.0 - first.high)


def test_a_vector_inside_a_cluster_has_no_cause(hyperbox_model):
    middle = (hyperbox_model.range_lo[0] + hyperbox_model.range_hi[0]) / 2
    assert score_one(hyperbox_model, middle).deviation == 0.0
    assert explain_vector(hyperbox_model, middle) == []


def simple_model(**more):
    """Return a model of one centre at 0 in units of 1, whose deviations are distances; thresholds 1 and 2."""
    d = len(FEATURES)
    centre, one = np.zeros((1, d)), np.ones(d)
    model = Model("m", "kmeans", 0 * one, one, centre, centre, np.array([1]), centre - 0.5, centre + 0.5, 1.0, 2.0, 0)
    return dataclasses.replace(model, **more)


def at(*distances):
    """Return vectors so far from 0, by their first feature alone."""
    x = np.zeros((len(distances), len(FEATURES)))
    x[:, 0] = distances
    return x


def test_a_level_begins_at_its_threshold():
    levels = [LEVELS[k] for k in score_batch(simple_model(), at(0.0, 0.999, 1.0, 1.999, 2.0, 9.0)).level]
    assert levels == ["normal", "normal", "watch", "watch", "high", "high"]


@pytest.mark.parametrize(("value", "sign", "excess"), [(2.0, "high", 1.5), (-3.0, "low", 2.5), (0.25, "inside", 0.0)])
def test_a_cause_says_which_way_and_how_far_beyond_the_range(value, sign, excess):
    (cause,) = explain_vector(simple_model(), at(value)[0])
    assert (cause.feature, cause.sign, cause.excess) == ("inlet_c", sign, excess)
    assert (cause.share, cause.low, cause.high) == (abs(value), -0.5, 0.5)


def test_no_spread_is_believed_to_be_finer_than_a_sensor_can_tell():
    x = np.tile(np.arange(len(FEATURES), dtype=float), (50, 1))
    x[::2, 0] += 1.0
    mean, scale = scaling(x)
    assert scale[0] == 0.5
    assert scale[1:] == pytest.approx(RESOLUTION[1:])
    assert mean == pytest.approx(x.mean(axis=0))
    assert scaling(x, {"inlet_c": 4.0})[1][0] == 0.125


@pytest.mark.parametrize("features", ["context", "plain"])
def test_a_fault_to_learn_from_is_an_anomaly_other_than_load(hall, features):
    """The model's faulty scores are a histogram of those rows, with one row added to each bin."""
    labels, t = hall.labels(), hall.telemetry()
    learnt = fit(t, labels=labels, features=features)
    found, _ = Monitor(learnt).score(t.racks, t.rack, t.ts_s, t.x)
    faulty = found[labels.anomaly & (labels.kind == "cooling")]
    edges = learnt.densities.edges
    counts = np.histogram(np.clip(np.log1p(faulty), 0, edges[-1]), edges)[0] + 1.0
    assert np.exp(learnt.densities.log_faulty) * np.diff(edges) == pytest.approx(counts / counts.sum())
    assert (np.exp(learnt.densities.log_nominal) * np.diff(edges)).sum() == pytest.approx(1.0)


def test_the_live_monitor_equals_the_batch(model, hall):
    telemetry = hall.telemetry()
    n = 40 * 12
    batch = Monitor(model).update_batch(telemetry.racks, telemetry.rack[:n], telemetry.ts_s[:n], telemetry.x[:n])
    live = Monitor(model)
    for k in range(n):
        sample = {name: column[k] for name, column in hall.columns.items()}
        reading = live.update(telemetry.racks[telemetry.rack[k]], float(telemetry.ts_s[k]), sample)
        assert reading.deviation == batch.scores.deviation[k]
        assert reading.ema == batch.ema[k]
        assert reading.event == batch.event[k]
        assert reading.learning == batch.learning[k]
        assert reading.causes == explain_vector(model, telemetry.x[k], 3, batch.states[k])


def test_a_monitor_derives_power_from_the_racks_own_interval(plain_model, hall):
    model = plain_model
    monitor = Monitor(model)
    rows = np.flatnonzero(hall.rack == 0)[:5]
    for k in rows:
        sample = {n: c[k] for n, c in hall.columns.items() if n != "gpu_power_kw"}
        reading = monitor.update("R-A-01", float(hall.ts_s[k]), sample)
        assert reading.degraded == (k == rows[0])
    assert reading.deviation == pytest.approx(score_one(model, hall.telemetry().x[rows[-1]]).deviation, abs=1e-9)


def test_a_monitor_takes_text_and_datetime_instants(model, hall):
    sample = {name: column[0] for name, column in hall.columns.items()}
    monitor = Monitor(model)
    assert monitor.update("R", "2025-01-06T00:00:00Z", sample).ts_s == 1_736_121_600.0


def test_a_monitor_refuses_the_same_instant_twice(model, hall):
    from sim.common.errors import InputError  # noqa: PLC0415

    sample = {name: column[0] for name, column in hall.columns.items()}
    monitor = Monitor(model)
    monitor.update("R", 0.0, sample)
    with pytest.raises(InputError, match="rack R was sampled at this time"):
        monitor.update("R", 0.0, sample)


def test_the_cards_false_alarms_are_events_on_nominal_rows_per_rack_and_day_of_them():
    """Two racks at 30 s. Rack 0 deviates for ten minutes, rack 1 too, and once more where its rows are not nominal."""
    ticks = 400
    deviation = np.zeros((ticks, 2))
    deviation[50:70, 0] = deviation[100:120, 1] = deviation[200:300, 1] = 5.0
    rows = np.ones((ticks, 2), dtype=bool)
    rows[190:310, 1] = False
    when = np.repeat(np.arange(ticks) * 30.0, 2), np.tile([0, 1], ticks)
    telemetry = Telemetry(*when, ("R0", "R1"), at(*deviation.ravel()), 30.0, "run.csv")
    days = (2 * ticks - 120) * 30 / 86_400
    found = _false_alarms(simple_model(), telemetry, rows.ravel(), deviation.ravel())
    assert found == pytest.approx(2 / days, abs=1e-4)  # it has four decimals

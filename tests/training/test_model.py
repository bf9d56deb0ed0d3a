import dataclasses

import numpy as np
import pytest

from training import Monitor, fit, score_batch, score_one
from training.features import FEATURES, GROUPS
from training.model import LEVELS, causes_by_group, explain_vector, top_causes


@pytest.mark.parametrize("which", ["model", "boxes_model"])
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
        assert one.box == scores.box[k]


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


def test_a_sample_without_gpu_power_is_scored_and_not_alarmed_for_it(model, hall):
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
    here, there = fit(telemetry, algorithm="hyperbox"), fit(other, algorithm="hyperbox")
    assert score_batch(there, kelvin).deviation == pytest.approx(score_batch(here, telemetry.x).deviation, abs=1e-9)


@pytest.mark.parametrize("feature", FEATURES)
def test_a_single_sensor_fault_is_blamed_on_its_sensor(boxes_model, hall, feature):
    nominal = ~hall.labels().anomaly
    x = hall.telemetry().x[nominal][:500].copy()
    j = FEATURES.index(feature)
    x[:, j] += 6.0 * boxes_model.scale[j]
    top = top_causes(boxes_model, x, 1)
    # 500 rows: three standard errors of a share of 0.95 are 0.03
    assert (top.feature[:, 0] == j).mean() >= 0.92
    assert (top.sign[top.feature[:, 0] == j, 0] == 1).all()


def test_the_group_of_the_fault_explains_most(model, hall):
    x = hall.telemetry().x[~hall.labels().anomaly][:200].copy()
    x[:, FEATURES.index("fan_rpm_pct")] += 40.0
    share = causes_by_group(model, x).share
    assert (share.argmax(axis=1) == list(GROUPS).index("cooling")).mean() > 0.99


def test_an_explanation_gives_the_range_in_engineering_units(model, hall):
    x = hall.telemetry().x[~hall.labels().anomaly][0].copy()
    x[0] = 35.0
    first = explain_vector(model, x)[0]
    assert (first.feature, first.unit, first.sign) == ("inlet_c", "degC", "high")
    assert 20.0 < first.low < first.high < 27.0
    assert first.excess == pytest.approx(35.0 - first.high)


def test_a_vector_inside_a_box_has_no_cause(boxes_model):
    middle = (boxes_model.range_lo[0] + boxes_model.range_hi[0]) / 2
    assert score_one(boxes_model, middle).deviation == 0.0
    assert explain_vector(boxes_model, middle) == []


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


def test_a_monitor_derives_power_from_the_racks_own_interval(model, hall):
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

import numpy as np
import pytest

from sim.common.errors import InputError
from tests.training.halls import make_hall
from training.features import FEATURES
from training.labels import Labels, seconds_in_regime
from training.nominal import EDGES, MISSING, nominal_rows
from training.telemetry import Telemetry

NOMINAL_ROW = dict(zip(FEATURES, [22.4, 35.0, 12.6, 7.9, 5.5, 8350.0, 187.0, 37.0, 65.0, 57.5], strict=True))


def run_of(*changes):
    """A run of one rack whose rows differ from a nominal one, 200 nominal rows before and after."""
    rows = [{}] * 200 + list(changes) + [{}] * 200
    x = np.array([[{**NOMINAL_ROW, **row}[name] for name in FEATURES] for row in rows])
    return Telemetry(np.arange(len(x)) * 60.0, np.zeros(len(x), dtype=int), ("R",), x, 60.0, "run.csv")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"inlet_c": 28.1}, "inlet_c <= 28"),
        ({"latency_p95_ms": 250.1}, "latency_p95_ms <= 250"),
        ({"delta_t": 0.0}, "delta_t > 0"),
        ({"pdu_kw": 2.0}, "2 < pdu_kw < 11.4"),
        ({"pdu_kw": 11.4}, "2 < pdu_kw < 11.4"),
        ({"tokens_ps": np.nan}, MISSING),
    ],
)
@pytest.mark.parametrize("name", ["reference", "extended"])
def test_each_rule_removes_what_it_says(name, change, rule):
    result = nominal_rows(run_of(change), name)
    assert result.removed[rule] == 1
    assert not result.keep[200]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"inlet_c": 20.5, "fan_rpm_pct": 80.0}, "not (fan_rpm_pct > 75 and inlet_c < 21)"),
        ({"inlet_c": 19.9}, "20.0 <= inlet_c <= 26.5"),
        ({"inlet_c": 26.6}, "20.0 <= inlet_c <= 26.5"),
    ],
)
def test_the_extended_filter_also_removes_the_overcooled_and_the_extreme(change, rule):
    assert nominal_rows(run_of(change), "reference").kept == 401
    result = nominal_rows(run_of(change), "extended")
    assert result.removed[rule] == 1
    assert result.removed[EDGES] == 2
    assert result.kept == 398


@pytest.mark.parametrize("change", [{"inlet_c": 20.0}, {"inlet_c": 26.5}, {"inlet_c": 20.9}, {"fan_rpm_pct": 90.0}])
def test_the_rules_keep_their_own_limits(change):
    assert nominal_rows(run_of(change), "extended").kept == 401


def test_a_lost_reading_is_not_the_edge_of_a_regime_at_the_runs_ends():
    assert nominal_rows(run_of(), "extended").removed[EDGES] == 0


def test_a_rows_neighbours_are_those_of_its_own_rack():
    """Rack 0 ends and rack 2 begins with a row that is not nominal: rack 1, between them, keeps its first and last."""
    telemetry, _ = labelled("n" * 150, "n" * 150, "n" * 150)
    telemetry.x[[3 * 149, 2], FEATURES.index("inlet_c")] = 30.0
    result = nominal_rows(telemetry, "extended")
    keep = result.keep.reshape(150, 3)
    assert np.flatnonzero(~keep[:, 0]).tolist() == [148, 149]
    assert keep[:, 1].all()
    assert np.flatnonzero(~keep[:, 2]).tolist() == [0, 1]


def test_every_row_is_removed_once_or_kept():
    telemetry = make_hall(racks=6, ticks=300, seed=4).telemetry()
    result = nominal_rows(telemetry, "extended")
    assert sum(result.removed.values()) + result.kept == result.rows_in == telemetry.rows


def test_the_extended_filter_keeps_the_overcooled_out_where_the_reference_lets_them_in():
    hall = make_hall(racks=12, ticks=600, seed=4)
    cold = hall.truth["profile"] == "overcooled"
    assert nominal_rows(hall.telemetry(), "reference").keep[cold].mean() == 1.0
    assert nominal_rows(hall.telemetry(), "extended").keep[cold].mean() < 0.1


def test_labels_keep_what_is_nominal_and_has_settled():
    hall = make_hall(racks=6, ticks=400, seed=5)
    keep = nominal_rows(hall.telemetry(), "labels", hall.labels()).keep
    assert not (keep & hall.truth["is_anomaly"]).any()
    since = seconds_in_regime(hall.labels(), hall.telemetry())
    assert np.array_equal(keep, ~hall.truth["is_anomaly"] & (since >= 900))


def labelled(*racks):
    """A run at 60 s of racks whose ticks have a profile each, n or t for nominal or thermal_event, and its labels."""
    profile = np.array([list(rack) for rack in racks]).T
    ticks, count = profile.shape
    hot = (profile == "t").ravel()
    x = np.tile([NOMINAL_ROW[name] for name in FEATURES], (hot.size, 1))
    ts_s, rack = np.repeat(np.arange(ticks) * 60.0, count), np.tile(np.arange(count), ticks)
    telemetry = Telemetry(ts_s, rack, tuple(f"R{k}" for k in range(count)), x, 60.0, "run.csv")
    names = np.where(hot, "thermal_event", "nominal")
    return telemetry, Labels(names, np.where(hot, "cooling", "none"), np.where(hot, "e", ""), hot, hot)


def test_a_run_starts_settled_where_it_is_nominal_and_in_its_first_second_where_it_is_not():
    """What a rack is in at the first tick began before the run, nobody knows when: only nominal counts as long."""
    telemetry, labels = labelled("nnnn" + "tt" + "nnnn", "tttt" + "nn" + "tttt")
    since = seconds_in_regime(labels, telemetry).reshape(10, 2)
    assert since[:, 0].tolist() == [np.inf] * 4 + [0, 60] + [0, 60, 120, 180]
    assert since[:, 1].tolist() == [0, 60, 120, 180, 0, 60, 0, 60, 120, 180]


def test_rows_after_an_anomaly_at_the_runs_start_are_learnt_from_once_they_have_settled():
    telemetry, labels = labelled("n" * 150, "t" + "n" * 149)
    keep = nominal_rows(telemetry, "labels", labels).keep.reshape(150, 2)
    assert keep[:, 0].all()
    assert np.flatnonzero(keep[:, 1])[0] == 1 + 900 / 60
    assert keep[16:, 1].all()


def test_labels_are_needed_to_filter_by_them():
    with pytest.raises(InputError, match="needs the run's labels"):
        nominal_rows(run_of(), "labels")


def test_too_few_rows_left_names_the_rule_that_took_most():
    telemetry = run_of()
    telemetry.x[:350, FEATURES.index("latency_p95_ms")] = 300.0
    message = r"50 nominal rows of 400 are left, at least 100 .*'latency_p95_ms <= 250' took 350"
    with pytest.raises(InputError, match=message):
        nominal_rows(telemetry, "reference")


def test_time_in_a_regime_counts_from_its_entry_and_is_endless_at_the_start():
    hall = make_hall(racks=3, ticks=600, seed=2)
    since = seconds_in_regime(hall.labels(), hall.telemetry()).reshape(600, 3)
    profile = hall.truth["profile"].reshape(600, 3)
    for rack in range(3):
        changes = np.flatnonzero(profile[1:, rack] != profile[:-1, rack]) + 1
        assert (since[: changes[0], rack] == np.inf).all()
        assert (since[changes, rack] == 0).all()
        assert since[changes[0] + 1, rack] == 60.0

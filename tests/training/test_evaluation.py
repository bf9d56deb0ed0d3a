import dataclasses
import math
import sys
from types import ModuleType

import numpy as np
import pytest

from sim.common.errors import InputError
from tests.training.halls import make_hall
from training.detectors import Run, choose, largest_z, pca, windows
from training.evaluate import main as evaluate_command
from training.evaluation import Evaluated, Protocol, compare, measure_model, measure_twin, split
from training.features import FEATURES
from training.metrics import vus_pr
from training.mms import Smoother
from training.nominal import nominal_rows
from training.report import cell, detector_table, means


@pytest.fixture(scope="module")
def run_of_hall(hall):
    return Evaluated.of(hall.telemetry(), hall.labels(), Protocol(seeds=(0, 1)))


def test_ims_is_far_above_the_floor_on_the_cooling_anomalies(run_of_hall, model):
    result = measure_model(run_of_hall, "ims", model)
    assert result.auc > 0.95
    assert result.vus_pr > 0.8
    assert result.events.recall > 0.8


def test_settled_cooling_anomalies_are_told_from_nominal_rows(run_of_hall, model):
    figures = {f.profile: f for f in measure_model(run_of_hall, "ims", model).profiles}
    for name in ("overcooled", "thermal_event"):
        assert figures[name].auc_settled >= 0.95
        assert figures[name].recall_settled >= 0.9
    assert np.isnan(figures["nominal"].auc)
    assert figures["nominal"].recall < 0.05


@pytest.fixture(scope="module")
def builders():
    found, without = choose(["ims-kmeans", "pca", "kmeans-window", "knn", "lof", "iforest", "ims-hyperbox"])
    assert without == []
    return found


@pytest.fixture(scope="module")
def compared(hall, run_of_hall, builders):
    return list(compare(run_of_hall, hall.telemetry(), builders))


def test_every_detector_is_measured_with_every_seed_in_the_same_way(builders, compared):
    results = compared
    assert {(r.name, r.seed) for r in results} == {(n, s) for n in builders for s in (0, 1)}
    found = means(results)
    # a random ranking's AUC has a standard deviation of sqrt((n + 1) / 12 n1 n0), here under 0.01
    assert found["random"]["auc"][0] == pytest.approx(0.5, abs=0.035)
    assert all(found[n]["auc"][0] > 0.8 for n in builders if n not in ("random", "lof"))
    assert found["pca"]["auc"][1] == 0.0
    assert [row[0] for row in detector_table(results)][-1] == "random"


def test_the_same_seeds_give_the_same_figures(hall, run_of_hall, compared):
    builders, _ = choose(["ims-kmeans", "iforest"])
    again = [r.row() for r in compare(run_of_hall, hall.telemetry(), builders)]
    assert len(again) == 2 * len(builders)
    np.testing.assert_equal(again, [r.row() for r in compared if r.name in builders])


def test_a_twin_without_a_difference_has_no_alarm_and_with_one_has(hall, run_of_hall):
    telemetry = hall.telemetry()
    assert measure_twin(run_of_hall, telemetry).events.recall == 0.0
    x = telemetry.x.copy()
    x[run_of_hall.truth.event, 0] -= 5.0
    ceiling = measure_twin(run_of_hall, dataclasses.replace(telemetry, x=x))
    assert ceiling.auc == 1.0
    assert ceiling.vus_pr > 0.9


def test_a_twin_of_another_run_is_refused(run_of_hall):
    other = make_hall(racks=3, ticks=100, seed=0).telemetry()
    with pytest.raises(InputError, match="is not the twin of"):
        measure_twin(run_of_hall, other)


def test_a_run_without_the_kind_to_find_names_the_kinds_in_it(hall):
    with pytest.raises(InputError, match=r"no anomaly of kind incident to find \(kinds in it: cooling, load\)"):
        Evaluated.of(hall.telemetry(), hall.labels(), Protocol(truth=("incident",)))


def test_a_split_keeps_every_row_once_and_in_time(hall):
    (early, early_labels), (late, _) = split(hall.telemetry(), hall.labels(), 0.6)
    assert early.rows + late.rows == hall.ts_s.size
    assert early.ts_s[-1] < late.ts_s[0]
    assert early_labels.profile.size == early.rows


@pytest.mark.parametrize("share", [0.25, 0.6, 0.6005, 1 / 3])
def test_a_split_takes_the_ticks_that_begin_in_the_first_share_of_the_time(hall, share):
    (early, _), _ = split(hall.telemetry(), hall.labels(), share)
    ticks = hall.ts_s.size // len(hall.racks)
    assert early.rows == math.ceil(share * ticks) * len(hall.racks)


def test_detectors_learn_from_nominal_rows_of_the_first_four_fifths_and_are_set_by_those_of_the_last(hall, run_of_hall):
    """All that a detector is given is scaled by what it learns from; its thresholds are points of nominal scores."""
    given = {}

    def builder(run, rows, seed):
        given[seed] = run, rows
        return lambda other: np.abs(other.z[:, 0])

    t = hall.telemetry()
    nominal = nominal_rows(t, "extended").keep
    late = t.ts_s >= t.ts_s[0] + 0.8 * (t.ts_s[-1] + 60 - t.ts_s[0])
    results = list(compare(run_of_hall, t, {"mine": builder}))
    assert [r.seed for r in results] == [0, 1]
    for run, rows in given.values():
        assert np.array_equal(rows, nominal & ~late)
        assert run.z[rows].mean(axis=0) == pytest.approx(0, abs=1e-9)
        assert run.z[rows].std(axis=0) == pytest.approx(1)
    held = np.abs(given[0][0].z[:, 0])[nominal & late]
    assert (results[0].tau_fast, results[0].tau_persist) == pytest.approx(tuple(np.percentile(held, (95, 98))))


def test_rows_of_kinds_that_are_ignored_are_neither_right_nor_wrong(run_of_hall):
    ignored = run_of_hall.truth.ignored
    assert ignored.any()
    score = np.random.default_rng(3).random(ignored.size) + run_of_hall.truth.event
    smoother = {"tau_fast": 5.0, "tau_persist": 9.0, "interval_s": 60.0}
    low, high = (
        run_of_hall.measure("x", 0, np.where(ignored, level, score), Smoother(**smoother)) for level in (0.0, 4.0)
    )
    assert (low.auc, low.vus_pr) == (high.auc, high.vus_pr)
    assert np.array_equal(low.curve, high.curve)


def test_only_anomalies_of_the_kinds_to_find_are_events(hall):
    labels = hall.labels()
    for kinds, others in (("cooling", "load"), ("load", "cooling")):
        truth = Evaluated.of(hall.telemetry(), labels, Protocol(truth=(kinds,), ignored=(others,))).truth
        assert np.array_equal(truth.event, labels.kind == kinds)
        assert np.array_equal(truth.ignored, labels.kind == others)
    neither = Evaluated.of(hall.telemetry(), labels, Protocol(truth=("cooling",), ignored=())).truth
    assert not neither.ignored.any()


def test_a_twin_departs_in_standard_deviations_of_the_sensor_and_its_rounding(hall, run_of_hall):
    """The queue's sensor scatters by 1.5 % and shows whole requests; the inlet's by 0.1 K, in steps of 0.01 K."""
    telemetry = hall.telemetry()
    x = telemetry.x.copy()
    queue, inlet = FEATURES.index("queue_depth"), FEATURES.index("inlet_c")
    x[5, queue] += 1.0
    x[6, inlet] += 1.0
    x[7, queue], x[7, inlet] = x[7, queue] + 1.0, x[7, inlet] + 1.0
    score = measure_twin(run_of_hall, dataclasses.replace(telemetry, x=x)).score
    by_queue = 1.0 / np.hypot(0.015 * x[[5, 7], queue], 1.0 / 12**0.5)
    by_inlet = 1.0 / np.hypot(0.1, 0.01 / 12**0.5)
    assert score[[5, 6, 7]] == pytest.approx([by_queue[0], by_inlet, max(by_queue[1], by_inlet)])
    assert not np.delete(score, [5, 6, 7]).any()


def test_the_largest_window_of_the_volume_is_a_time_whatever_the_interval():
    hall = make_hall(racks=3, ticks=400, tick_s=30, seed=6)
    run = Evaluated.of(hall.telemetry(), hall.labels(), Protocol(buffer_s=300.0, ignored=()))
    score = np.random.default_rng(4).random(hall.ts_s.size) + 0.5 * run.truth.event
    order = np.argsort(hall.rack, kind="stable")
    volume = vus_pr(score[order], run.truth.event[order], hall.rack[order], 10)
    smoother = Smoother(tau_fast=5.0, tau_persist=9.0, interval_s=30.0)
    assert run.measure("x", 0, score, smoother).vus_pr == pytest.approx(volume)


def test_a_window_is_a_row_and_the_four_before_it_of_its_rack():
    rack = np.array([0, 1] * 6)
    values = np.arange(12.0)[:, None]
    assert windows(rack, values)[10].tolist() == [10, 8, 6, 4, 2]
    assert windows(rack, values)[3].tolist() == [3, 1, 1, 1, 1]


def test_pca_scores_the_distance_to_the_plane_of_the_training_rows():
    rng = np.random.default_rng(0)
    z = np.outer(rng.normal(size=500), [1.0, 1.0, 0.0]) + np.array([0.0, 0.0, 2.0])
    scorer = pca(Run(z, np.zeros(500, dtype=int)), np.ones(500, dtype=bool), 0)
    at = np.array([[5.0, 5.0, 2.0], [1.0, 1.0, 5.0], [1.0, -1.0, 2.0]])
    assert scorer(Run(at, np.zeros(3, dtype=int))) == pytest.approx([0.0, 3.0, 2**0.5], abs=1e-9)


def test_the_largest_z_is_that_of_any_feature():
    scorer = largest_z(None, None, 0)
    assert scorer(Run(np.array([[1.0, -3.0], [0.5, 0.0]]), None)).tolist() == [3.0, 0.5]


def test_a_detector_that_is_not_known_is_refused_with_those_that_are():
    with pytest.raises(InputError, match=r"not known: magic \(detectors: ims, .*iforest.*copod"):
        choose(["pca", "magic"])


def test_without_pyod_its_detectors_are_left_out_by_name(monkeypatch):
    monkeypatch.setattr("training.detectors.find_spec", lambda _: None)
    builders, without = choose(["hbos", "pca"])
    assert without == ["hbos"]
    assert list(builders) == ["pca", "random", "largest-z"]


def test_with_pyod_its_detectors_are_asked_for_their_decision_function(monkeypatch):
    class HBOS:
        def fit(self, z):
            self.mean = z.mean(axis=0)

        def decision_function(self, z):
            return np.abs(z - self.mean).sum(axis=1)

    fake = ModuleType("pyod.models.hbos")
    fake.HBOS = HBOS
    for name, module in (
        ("pyod", ModuleType("pyod")),
        ("pyod.models", ModuleType("pyod.models")),
        ("pyod.models.hbos", fake),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("training.detectors.find_spec", lambda name: name)
    builders, without = choose(["hbos"])
    assert without == []
    run = Run(np.array([[0.0], [2.0]]), np.zeros(2, dtype=int))
    assert builders["hbos"](run, np.ones(2, dtype=bool), 0)(run).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("mean", "half", "text"),
    [(0.12345, 0.0, "0.123"), (0.5, 0.01, "0.500 +- 0.010"), (0.5, 0.0004, "0.500"), (np.nan, 0.0, "-")],
)
def test_a_cell_shows_three_digits_and_its_interval(mean, half, text):
    assert cell(mean, half) == text


def test_the_command_writes_a_table_two_csv_files_and_a_page_without_links(hall_csv, model_json, tmp_path, run):
    code, text = run(evaluate_command, "--data", hall_csv, "--models", model_json, "--output", tmp_path / "ev")
    assert code == 0, text
    assert "ims_hall" in text
    assert {p.name for p in tmp_path.iterdir()} == {"ev.html", "ev.csv", "ev_profiles.csv"}
    page = (tmp_path / "ev.html").read_text()
    assert page.count("<svg") == 5
    assert "src=" not in page
    assert "<link" not in page
    assert "<script" not in page


def test_the_command_compares_after_a_split_in_time_and_says_what_is_missing(hall_csv, tmp_path, run, monkeypatch):
    monkeypatch.setattr("training.detectors.find_spec", lambda _: None)
    arguments = ["--data", hall_csv, "--against", "pca,hbos", "--seeds", 2, "--output", tmp_path / "ev"]
    code, text = run(evaluate_command, *arguments)
    assert code == 0, text
    assert "pyod is not installed: hbos left out" in text
    page = (tmp_path / "ev.html").read_text()
    assert "pyod is not installed: hbos left out" in page
    assert "the first 60% of the run, 2 seeds" in page
    assert len((tmp_path / "ev.csv").read_text().splitlines()) == 1 + 3 * 2


def test_several_models_and_another_run_to_learn_from(hall_csv, model_json, tmp_path, run):
    train = make_hall(racks=6, ticks=400, seed=8).write(tmp_path / "train.csv")
    code, text = run(
        evaluate_command, "--data", hall_csv, "--train", train, "--models", f"{model_json},{model_json}", model_json,
        "--against", "pca", "--seeds", 1, "--output", tmp_path / "ev", "--racks", "R-A-01",
    )  # fmt: skip
    assert code == 0, text
    assert len((tmp_path / "ev.csv").read_text().splitlines()) == 1 + 3 + 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --models, or --against"),
        (["--against", "magic"], "not known: magic"),
        (["--models", "none.json"], "no such model"),
        (["--against", "pca", "--truth", "incident"], "kinds in it: cooling, load"),
        (["--against", "pca", "--racks", "R-Z-01"], "--racks: not in the run: R-Z-01"),
        (["--against", "pca", "--labels", "none.parquet"], "no such labels file"),
    ],
)
def test_what_cannot_be_evaluated_is_exit_2_and_writes_nothing(hall_csv, tmp_path, run, arguments, message):
    code, text = run(evaluate_command, "--data", hall_csv, "--output", tmp_path / "ev", *arguments)
    assert code == 2
    assert message in text
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_labels_is_exit_2(hall, model_json, tmp_path, run):
    data = hall.write(tmp_path / "bare.csv", labels=False)
    code, text = run(evaluate_command, "--data", data, "--models", model_json, "--output", tmp_path / "ev")
    assert code == 2
    assert "bare.labels.parquet is not beside it; give --labels" in text


def test_pyods_own_detectors_tell_cooling_from_nominal(hall, run_of_hall):
    pytest.importorskip("pyod")
    builders, _ = choose(["hbos", "copod", "ecod"])
    found = means(list(compare(run_of_hall, hall.telemetry(), builders)))
    assert all(found[name]["auc"][0] > 0.8 for name in ("hbos", "copod", "ecod"))


def test_a_model_is_measured_with_either_smoother_on_the_same_scores(run_of_hall, model):
    ema, likelihood = (measure_model(run_of_hall, "ims", model, kind) for kind in ("ema", "likelihood"))
    assert (ema.auc, ema.vus_pr) == (likelihood.auc, likelihood.vus_pr)
    assert likelihood.events.recall > 0.8
    assert not np.array_equal(ema.state, likelihood.state)

"""The monitors on runs of the simulator with incidents: empty cells, labels of incidents, the twin."""

from dataclasses import fields, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from sim.cli.commands import run_sim
from training import Monitor, fit, score_batch, score_one
from training.evaluate import main as evaluate_command
from training.evaluation import Evaluated, Protocol, compare, measure_model, measure_twin
from training.features import FEATURES
from training.labels import find_labels, read_labels, seconds_in_regime
from training.nominal import MISSING, nominal_rows
from training.telemetry import read_telemetry

DROPOUT_ROWS = 2 * 120
TUNING = "{kind: setpoint_tuning, target: 'loop:CL-1', at: 5h, duration: 2h}"
FAULTS = """
  {kind: pump_trip, target: 'loop:CL-2', at: 9h},
  {kind: sensor_dropout, target: ['rack:R-A-01', 'rack:R-F-12'], at: 6h, duration: 2h},
  {kind: sensor_offset, target: 'rack:R-A-02', at: 6h, duration: 1h, parameters: {channel: pdu_kw}},
  {kind: job_drain, target: 'rack:R-A-02', at: 6h30m, duration: 1h, id: drained}"""


def simulate(path, *options, incidents=f"{FAULTS}, {TUNING}"):
    arguments = ["--scenario", "week", "--duration", "12h", "--set", f"incidents=[{incidents}]", "--output", path]
    done = CliRunner().invoke(run_sim, [*map(str, arguments), *options])
    assert done.exit_code == 0, done.output
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("incidents")
    simulate(folder / "faulty.csv", "--twin")
    return folder


@pytest.fixture(scope="module")
def telemetry(folder):
    return read_telemetry(folder / "faulty.csv")


@pytest.fixture(scope="module")
def truth(folder):
    return pq.read_table(find_labels(folder / "faulty.csv")).to_pandas()


@pytest.fixture(scope="module")
def labels(folder, telemetry):
    return read_labels(find_labels(folder / "faulty.csv"), telemetry)


@pytest.fixture(scope="module")
def faulty_model(telemetry, labels):
    return fit(telemetry, labels=labels)


def test_an_empty_cell_is_missing_with_all_that_is_derived_from_it(telemetry):
    absent = np.isnan(telemetry.x)
    dark = absent[:, FEATURES.index("latency_p95_ms")]
    assert dark.any(), "a rack that heat shuts down serves nothing, and has no latency"
    assert absent[dark].sum() == dark.sum()
    assert absent[~dark].any(axis=1).sum() == DROPOUT_ROWS
    assert {FEATURES[j] for j in np.flatnonzero(absent[~dark].any(axis=0))} == {"inlet_c", "delta_t"}


def test_parquet_holds_the_same_gaps_as_csv(tmp_path, telemetry):
    other = read_telemetry(simulate(tmp_path / "faulty.parquet"))
    assert np.array_equal(np.isnan(other.x), np.isnan(telemetry.x))
    # float32 holds about seven digits
    np.testing.assert_allclose(other.x, telemetry.x, rtol=1e-6)


@pytest.mark.parametrize("name", ["reference", "extended", "labels"])
def test_training_drops_rows_with_a_missing_value(telemetry, labels, name):
    result = nominal_rows(telemetry, name, labels)
    assert result.removed[MISSING] == np.isnan(telemetry.x).any(axis=1).sum() > DROPOUT_ROWS
    assert not np.isnan(telemetry.x[result.keep]).any()


def test_scoring_leaves_a_missing_feature_out_and_flags_the_row(telemetry, faulty_model):
    scores = score_batch(faulty_model, telemetry.x)
    gaps = np.isnan(telemetry.x).any(axis=1)
    assert np.array_equal(scores.degraded, gaps)
    assert np.isfinite(scores.deviation).all()
    for row in np.flatnonzero(gaps)[:20]:
        one = score_one(faulty_model, telemetry.x[row])
        assert (one.deviation, one.degraded) == (scores.deviation[row], True)


def test_a_live_monitor_goes_on_through_a_dropout(telemetry, faulty_model):
    rows = np.flatnonzero(telemetry.rack == telemetry.racks.index("R-F-12"))
    monitor = Monitor(faulty_model)
    readings = [
        monitor.update("R-F-12", float(telemetry.ts_s[row]), dict(zip(FEATURES, telemetry.x[row], strict=True)))
        for row in rows
    ]
    assert sum(r.degraded for r in readings) == DROPOUT_ROWS // 2
    assert all(np.isfinite(r.ema) for r in readings)
    batch = Monitor(faulty_model).update_batch(
        ["R-F-12"], np.zeros(rows.size, dtype=int), telemetry.ts_s[rows], telemetry.x[rows]
    )
    assert [r.ema for r in readings] == batch.ema.tolist()


def test_rows_of_an_incident_are_named_after_it_and_others_after_their_episode(truth, labels):
    affected = truth["anomaly_kind"].isin(["incident", "sensor"]).to_numpy()
    assert set(labels.episode[affected]) == {"pump_trip-1", "sensor_dropout-1", "sensor_offset-1", "drained"}
    assert np.array_equal(labels.profile[affected], truth["anomaly_kind"].astype(str)[affected])
    assert np.array_equal(
        labels.episode[~affected], truth["episode_id"].astype(object).fillna("")[~affected].astype(str)
    )
    assert np.array_equal(labels.profile[~affected], truth["profile"].astype(str)[~affected])


def test_where_two_incidents_meet_the_first_has_the_row(tmp_path, telemetry):
    path = tmp_path / "meet.parquet"
    table = pa.table(
        {
            "ts": telemetry.ts_s[:4].astype("datetime64[s]"),
            "rack_id": [telemetry.racks[k] for k in telemetry.rack[:4]],
            "profile": ["nominal"] * 4,
            "is_anomaly": [True] * 4,
            "anomaly_kind": ["incident", "sensor", "incident", "cooling"],
            "episode_id": ["", "", "R-A-03#1", "R-A-04#7"],
            "is_persistent": [True] * 4,
            "observed_id": ["b-1|a-1", "a-1", "a-1|b-1", None],
        }
    )
    pq.write_table(table, path)

    t = telemetry
    part = replace(t, ts_s=t.ts_s[:4], rack=t.rack[:4], x=t.x[:4])
    assert read_labels(path, part).episode.tolist() == ["b-1", "a-1", "a-1", "R-A-04#7"]


def test_time_in_a_regime_runs_on_through_the_profiles_that_an_incident_brings(telemetry, truth, labels):
    tripped = labels.episode == "pump_trip-1"
    since = seconds_in_regime(labels, telemetry)
    racks = [
        r for r in np.unique(telemetry.rack[tripped]) if len(set(truth["profile"][tripped & (telemetry.rack == r)])) > 1
    ]
    assert racks
    for rack in racks:
        at = np.flatnonzero(tripped & (telemetry.rack == rack))
        together = np.diff(telemetry.ts_s[at], prepend=-np.inf) == telemetry.interval_s
        assert (np.diff(since[at], prepend=0.0)[together] == telemetry.interval_s).all()


def test_incidents_and_sensor_faults_are_events_to_find_and_kinds_of_their_own(telemetry, labels, faulty_model):
    result = measure_model(Evaluated.of(telemetry, labels, Protocol()), "ims", faulty_model)
    figures = {f.profile: f for f in result.profiles}
    for kind in ("incident", "sensor"):
        assert figures[kind].rows == (labels.kind == kind).sum() >= DROPOUT_ROWS // 2
    assert result.events.events > 0


def of_racks(telemetry, labels, names):
    """Return what a run has of some racks, in its order."""
    chosen = [telemetry.racks.index(name) for name in names]
    rows = np.isin(telemetry.rack, chosen)
    rack = np.searchsorted(chosen, telemetry.rack[rows])
    part = replace(telemetry, ts_s=telemetry.ts_s[rows], rack=rack, racks=tuple(names), x=telemetry.x[rows])
    return part, replace(labels, **{f.name: getattr(labels, f.name)[rows] for f in fields(labels)})


def test_detectors_that_need_every_feature_get_the_mean_where_one_is_missing(telemetry, labels):
    from training.detectors import choose  # noqa: PLC0415

    builders, _ = choose(["ims-kmeans", "pca", "kmeans-window", "knn", "lof", "iforest"])
    few, few_labels = of_racks(telemetry, labels, ["R-A-01", "R-A-02", "R-B-05", "R-C-07", "R-E-03", "R-F-12"])
    assert np.isnan(few.x).any(axis=1).sum() >= DROPOUT_ROWS
    run = Evaluated.of(few, few_labels, Protocol(seeds=(0,)))
    assert all(np.isfinite(r.score).all() for r in compare(run, few, builders))


def test_the_twin_is_a_ceiling_for_faults(tmp_path):
    """Planned work departs from the twin as well, and is labelled normal: it is left out here."""
    telemetry = read_telemetry(simulate(tmp_path / "faults.csv", "--twin", incidents=FAULTS))
    labels = read_labels(find_labels(tmp_path / "faults.csv"), telemetry)
    protocol = Protocol(truth=("incident", "sensor"), ignored=("load", "cooling", "custom"))
    run = Evaluated.of(telemetry, labels, protocol)
    ceiling = measure_twin(run, read_telemetry(tmp_path / "faults.twin.csv"))
    assert ceiling.auc > 0.99
    assert ceiling.events.recall == 1.0
    assert ceiling.events.false_alarms_per_rack_day == 0.0


def test_the_command_compares_a_part_of_the_run_with_that_part_of_its_twin(folder, tmp_path, run):
    code, text = run(
        evaluate_command, "--data", folder / "faulty.csv", "--twin", folder / "faulty.twin.csv", "--against", "pca",
        "--seeds", 1, "--output", tmp_path / "ev",
    )  # fmt: skip
    assert code == 0, text
    assert "twin " in text
    assert "the twin knows of incidents only: --truth incident,sensor --ignore load,cooling,custom" in text


def test_a_twin_needs_no_other_detector(folder, tmp_path, run, model_json):
    code, text = run(
        evaluate_command, "--data", folder / "faulty.csv", "--twin", folder / "faulty.twin.csv",
        "--models", model_json, "--output", tmp_path / "ev",
    )  # fmt: skip
    assert code == 0, text
    assert [line.split(",")[0] for line in (tmp_path / "ev.csv").read_text().splitlines()[1:]] == ["ims_hall", "twin"]

"""Exports keep the rules of the tools that read them: TimeEval, TSB-AD-M and NAB."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sim.model.channels import TELEMETRY_CHANNELS
from sim.runs.exports.series import fill_gaps
from sim.runs.exports.timeeval import trend
from tests.contract.exported import CALM, TARGETS, exported, labelled, lengths, record, sealed, simulated, truth

# TimeEval


def test_timeeval_lists_its_series_in_the_columns_and_order_of_its_index(exports):
    index = pd.read_csv(exports[0] / "timeeval" / "datasets.csv")
    assert ",".join(index.columns) == (
        "collection_name,dataset_name,train_path,test_path,dataset_type,datetime_index,split_at,train_type,"
        "train_is_normal,input_type,length,dimensions,contamination,num_anomalies,min_anomaly_length,"
        "median_anomaly_length,max_anomaly_length,mean,stddev,trend,stationarity,period_size"
    )
    assert index["dataset_name"].tolist() == [f"R-A-{i:02d}" for i in range(1, 7)]
    assert set(index["train_type"]) == {"semi-supervised", "unsupervised"}
    assert (index["train_is_normal"] == index["train_path"].notna()).all()


def test_timeeval_files_hold_the_run_train_before_test_and_no_anomaly_to_train_on(exports, calm):
    folder, rows = exports[0] / "timeeval", truth(calm)
    for line in pd.read_csv(folder / "datasets.csv").itertuples():
        parts = [pd.read_csv(folder / line.test_path, parse_dates=["timestamp"])]
        if line.train_is_normal:
            parts.insert(0, pd.read_csv(folder / line.train_path, parse_dates=["timestamp"]))
            assert line.train_path == f"{line.dataset_name}/train_no_anomaly.csv"
            assert not parts[0]["is_anomaly"].any()
            assert len(parts[0]) >= 500
        for part in parts:
            assert tuple(part.columns) == ("timestamp", *TELEMETRY_CHANNELS, "is_anomaly")
            assert part.notna().all().all()
        whole, run = pd.concat(parts, ignore_index=True), rows[line.dataset_name]
        assert (whole["timestamp"] == run["ts"].dt.tz_localize(None)).all()
        assert (whole["is_anomaly"] == run["expected"]).all()
        assert (whole[list(TELEMETRY_CHANNELS)] == run[list(TELEMETRY_CHANNELS)]).all().all()


def test_timeeval_figures_are_those_of_the_test_file(exports):
    folder = exports[0] / "timeeval"
    for line in pd.read_csv(folder / "datasets.csv").itertuples():
        test = pd.read_csv(folder / line.test_path)
        values, runs = test[list(TELEMETRY_CHANNELS)], lengths(test["is_anomaly"]) or [0]
        assert (line.length, line.dimensions) == values.shape
        assert line.contamination == pytest.approx(test["is_anomaly"].mean())
        assert line.num_anomalies == len(lengths(test["is_anomaly"]))
        assert line.min_anomaly_length == min(runs)
        assert line.median_anomaly_length == int(np.median(runs))
        assert line.max_anomaly_length == max(runs)
        assert line.mean == pytest.approx(values.mean().mean())
        assert line.stddev == pytest.approx(values.std().mean())


def test_the_daily_period_is_told_where_two_days_are_tested(calm, exports):
    index = pd.read_csv(exports[0] / "timeeval" / "datasets.csv")
    whole = index["length"] == len(truth(calm)["R-A-01"])
    assert (index["period_size"].notna() == whole).all()
    assert set(index["period_size"].dropna()) == {1440}


def test_a_trend_is_the_highest_order_whose_line_explains_over_half_the_variance():
    t = np.arange(1, 1001) / 1000
    wave = np.where(np.arange(1000) % 2 == 0, 1.0, -1.0)

    def told(channel):
        return trend(np.stack([wave, channel], axis=1))

    assert told(np.ones(1000)) == told((t - 0.5) ** 2) == "no trend"
    # over [0, 1] t^a has with t^b the covariance 1/(a+b+1) - 1/((a+1)(b+1)), so r2 for b = 1, 2, 3 is
    assert told(t) == "kubic trend"  # 1, 0.94, 0.84
    assert told(t**0.05) == "quadratic trend"  # 0.78, 0.59, 0.47
    assert told(t**-0.2) == "linear trend"  # 0.56, 0.38, 0.29


# TSB-AD

INDEPENDENT = [name for name in TELEMETRY_CHANNELS if name not in ("delta_t", "gpu_power_kw")]


def test_tsb_ad_names_say_where_training_ends_and_the_first_anomaly_is(exports, calm):
    folder, rows = exports[0] / "tsb-ad", truth(calm)
    names = pd.read_csv(folder / "File_List" / "TSB-AD-M.csv")["file_name"].tolist()
    assert names == sorted(p.name for p in (folder / "TSB-AD-M").iterdir())
    series = record(folder)["series"]
    assert [s["file"] for s in series] == [f"TSB-AD-M/{name}" for name in names]
    for number, (name, told) in enumerate(zip(names, series, strict=True), start=1):
        match = re.fullmatch(r"(\d{3})_([A-Za-z0-9]+)_id_(\d+)_Facility_tr_(\d+)_1st_(\d+)\.csv", name)
        assert (int(match[1]), match[2], int(match[3])) == (number, "CalmHallV1", number)
        train, first = int(match[4]), int(match[5])
        expected = rows[told["rack_id"]]["expected"]
        assert first == expected.to_numpy().argmax()
        assert expected[train:].any()
        assert train >= 500
        assert int(name.split(".")[0].split("_")[-3]) == train  # as its scripts read it


def test_tsb_ad_files_hold_the_run_without_gaps_in_the_same_columns(exports, calm):
    folder, rows = exports[0] / "tsb-ad", truth(calm)
    for told in record(folder)["series"]:
        frame, run = pd.read_csv(folder / told["file"]), rows[told["rack_id"]]
        assert list(frame.columns) == [*INDEPENDENT, "Label"]
        assert len(frame.dropna()) == len(run)
        assert (frame["Label"] == run["expected"]).all()
        assert (frame[INDEPENDENT] == run[INDEPENDENT]).all().all()


def test_the_covariance_of_a_tsb_ad_series_can_be_inverted_as_its_pca_does(exports):
    """A channel that is a difference or a multiple of others makes it singular; TSB-AD's PCA is then not finite."""
    folder = exports[0] / "tsb-ad"
    for told in record(folder)["series"]:
        values = pd.read_csv(folder / told["file"])[INDEPENDENT]
        correlations = np.linalg.eigvalsh(np.corrcoef(values.to_numpy(), rowvar=False))
        assert correlations[0] > 1e-4


def test_channels_that_follow_from_others_are_exported_to_tsb_ad_when_asked_for(calm, tmp_path):
    assert exported("tsb-ad", calm, tmp_path / "out", "--channels", "inlet_c,outlet_c,delta_t")[0] == 0
    told = record(tmp_path / "out")["series"][0]
    assert list(pd.read_csv(tmp_path / "out" / told["file"]).columns) == ["inlet_c", "outlet_c", "delta_t", "Label"]


def test_tsb_ad_leaves_out_racks_without_an_anomaly_to_find_and_says_so(exports, calm):
    folder, said = exports
    clean = [rack for rack, rows in truth(calm).items() if not rows["expected"][500:].any()]
    assert 0 < len(clean) < 6
    assert record(folder / "tsb-ad")["skipped"] == clean
    assert f"skipped, no anomaly after the train rows: {', '.join(clean)}" in said["tsb-ad"][1]


# NAB


def test_nab_windows_are_the_anomalies_after_the_probationary_rows(exports, calm):
    folder, rows = exports[0] / "nab", truth(calm)
    windows = json.loads((folder / "labels" / "combined_windows.json").read_text())
    assert set(windows) == {p.relative_to(folder / "data").as_posix() for p in (folder / "data").rglob("*.csv")}
    assert set(windows) == {f"CalmHallV1/{rack}_inlet_c.csv" for rack in rows}
    for path, found in windows.items():
        frame = pd.read_csv(folder / "data" / path)
        run = rows[Path(path).name.removesuffix("_inlet_c.csv")]
        assert tuple(frame.columns) == ("timestamp", "value")
        assert (frame["value"] == run["inlet_c"]).all()
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", t) for t in frame["timestamp"])
        probation = min(math.floor(0.15 * len(frame)), 750)
        labelled = np.zeros(len(frame), dtype=int)
        row = {t: i for i, t in enumerate(frame["timestamp"])}
        for window in found:
            assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", t) for t in window)
            first, last = (row[t.removesuffix(".000000")] for t in window)
            assert probation <= first <= last
            labelled[first : last + 1] = 1
        # an anomaly under way when the probation ends has no window either
        begun = run["expected"].to_numpy().copy()
        begun[: probation + (run["expected"][probation:].to_numpy().argmin() if begun[probation - 1] else 0)] = 0
        assert (labelled == begun).all()


def test_nab_says_what_has_no_window(exports):
    folder, said = exports
    assert re.search(r"anomalies without a window, begun in the 432 probationary rows: [1-9]", said["nab"][1])
    without = [s["rack_id"] for s in record(folder / "nab")["series"] if not s["windows"]]
    assert 0 < len(without) < 6
    assert f"without a window: {', '.join(without)}" in said["nab"][1]


def test_nab_writes_a_series_for_each_channel_asked_for(calm, tmp_path):
    code, _ = exported("nab", calm, tmp_path / "n", "--racks", "R-A-06,R-A-03", "--channels", "outlet_c,latency_p95_ms")
    assert code == 0
    assert {p.name for p in (tmp_path / "n" / "data" / "CalmHallV1").iterdir()} == {
        f"{rack}_{channel}.csv" for rack in ("R-A-03", "R-A-06") for channel in ("outlet_c", "latency_p95_ms")
    }


# what all formats share


def test_the_same_run_as_parquet_gives_the_same_files(exports, tmp_path):
    telemetry = simulated(tmp_path / "calm_hall.v1.parquet", *CALM, "--set", "facility.racks_per_row=6")
    for target in TARGETS:
        assert exported(target, telemetry, tmp_path / target)[0] == 0
        for path in (exports[0] / target).rglob("*.*"):
            if path.is_file() and path.name != "export.json":
                assert (tmp_path / target / path.relative_to(exports[0] / target)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kind", ["incident", "sensor", "custom", "cooling"])
def test_incidents_and_faults_count_as_anomalous(copy, tmp_path, kind):
    sealed(copy, copy.with_name("short.labels.csv"), labelled(kind, 30, 39))
    assert exported("tsb-ad", copy, tmp_path / "out", "--train", "0.25")[0] == 0
    names = [p.name for p in (tmp_path / "out" / "TSB-AD-M").iterdir()]
    assert names == ["001_Short_id_1_Facility_tr_15_1st_30.csv"]
    labels = pd.read_csv(tmp_path / "out" / "TSB-AD-M" / names[0])["Label"]
    assert np.flatnonzero(labels).tolist() == list(range(30, 40))


def test_load_counts_only_when_asked_for(copy, tmp_path):
    sealed(copy, copy.with_name("short.labels.csv"), labelled("load", 30, 39))
    code, said = exported("timeeval", copy, tmp_path / "out")
    assert code == 2
    assert "of kind cooling, custom, incident, sensor: nothing to detect" in said
    assert exported("timeeval", copy, tmp_path / "out", "--anomalies", "load")[0] == 0
    assert pd.read_csv(tmp_path / "out" / "R-A-01" / "test.csv")["is_anomaly"].sum() == 10


def test_gaps_are_filled_forward_the_first_ones_backward_and_told(copy, tmp_path):
    sealed(copy, copy.with_name("short.labels.csv"), labelled("sensor", 30, 39))

    def without_inlet(text):
        lines = [line.split(",") for line in text.splitlines()]
        for tick in (0, 1, 30, 31, 32):
            lines[1 + 2 * tick][2] = ""
        return "\n".join(map(",".join, lines)) + "\n"

    sealed(copy, copy, without_inlet)
    given = pd.read_csv(copy).query("rack_id == 'R-A-01'")["inlet_c"].reset_index(drop=True)
    assert given.isna().sum() == 5
    for target, file in (("timeeval", "R-A-01/test.csv"), ("nab", "data/Short/R-A-01_inlet_c.csv"), ("tsb-ad", None)):
        extra = ["--train", "0.25"] if target == "tsb-ad" else []
        code, said = exported(target, copy, tmp_path / target, *extra)
        assert code == 0, said
        assert "5 empty cells filled forward, those before a first reading backward: R-A-01" in said
        told = record(tmp_path / target)["series"][0]
        frame = pd.read_csv(tmp_path / target / (file or told["file"]))
        assert told["filled_cells"] == 5
        assert frame["value" if target == "nab" else "inlet_c"].equals(given.ffill().bfill())


def test_a_channel_without_any_reading_is_refused(copy, tmp_path):
    sealed(copy, copy.with_name("short.labels.csv"), labelled("sensor", 30, 39))

    def mute(text):
        lines = [line.split(",") for line in text.splitlines()]
        lines[1:] = [[*line[:7], "", *line[8:]] if line[1] == "R-A-02" else line for line in lines[1:]]
        return "\n".join(map(",".join, lines)) + "\n"

    sealed(copy, copy, mute)
    code, said = exported("timeeval", copy, tmp_path / "out")
    assert code == 2
    assert "no reading at all: R-A-02 latency_p95_ms" in said
    assert exported("timeeval", copy, tmp_path / "out", "--racks", "R-A-01")[0] == 0


def test_filling_takes_the_last_reading_before_or_the_first_after():
    nan = np.nan
    filled, count = fill_gaps(np.array([[nan, 1.0], [nan, nan], [3.0, nan], [nan, 4.0]]))
    assert filled.tolist() == [[3.0, 1.0], [3.0, 1.0], [3.0, 1.0], [3.0, 4.0]]
    assert count == 5


@pytest.mark.parametrize("train", ["0.5", "2025-01-07T00:00:00Z", "2025-01-07"])
def test_the_train_part_can_be_chosen(calm, tmp_path, train):
    assert exported("timeeval", calm, tmp_path / "t", "--train", train)[0] == 0
    rows = truth(calm)
    for told in record(tmp_path / "t")["series"]:
        clean = not rows[told["rack_id"]]["expected"][:1440].any()
        assert told["train_rows"] == (1440 if clean else 0)
    assert exported("tsb-ad", calm, tmp_path / "s", "--train", train)[0] == 0
    assert {told["train_rows"] for told in record(tmp_path / "s")["series"]} == {1440}


def test_a_default_train_part_stops_a_hundred_rows_before_the_first_anomaly(exports, calm):
    rows = truth(calm)
    for told in record(exports[0] / "timeeval")["series"]:
        expected = rows[told["rack_id"]]["expected"]
        first = expected.to_numpy().argmax() if expected.any() else len(expected)
        proposed = min(first - 100, len(expected) // 4)
        assert told["train_rows"] == (proposed if proposed >= 500 else 0)


@pytest.fixture(scope="module")
def effects(tmp_path_factory):
    """A run in which one sensor of power is off, and later a loop's pump trips, with what incidents change told."""
    folder = tmp_path_factory.mktemp("effects")
    (folder / "two.yaml").write_text(
        "extends: calm\nduration: 6h\nfacility: {rows: 2, racks_per_row: 3}\nincidents:\n"
        "  - {kind: sensor_offset, target: rack:R-A-02, at: 2h, duration: 30m, parameters: {channel: pdu_kw}}\n"
        "  - {kind: pump_trip, target: loop:CL-1, at: 4h, duration: 20m}\n"
    )
    return simulated(folder / "two.csv", "--scenario", str(folder / "two.yaml"), "--effects")


def windows_by_file(folder):
    found = json.loads((folder / "labels" / "combined_windows.json").read_text())
    return {Path(name).stem: windows for name, windows in found.items()}


def test_nab_windows_may_be_those_of_incidents_that_show_in_the_channel(effects, tmp_path):
    channels = "--channels", "inlet_c,pdu_kw"
    assert exported("nab", effects, tmp_path / "all", *channels)[0] == 0
    code, said = exported("nab", effects, tmp_path / "shown", *channels, "--visible")
    assert code == 0
    every, shown = windows_by_file(tmp_path / "all"), windows_by_file(tmp_path / "shown")
    assert len(every["R-A-02_inlet_c"]) == len(every["R-A-02_pdu_kw"]) == 2
    assert shown["R-A-02_inlet_c"] == every["R-A-02_inlet_c"][1:]  # the offset is of another sensor
    assert shown["R-A-02_pdu_kw"][0] == every["R-A-02_pdu_kw"][0]
    assert shown["R-A-01_inlet_c"] == every["R-A-01_inlet_c"]
    assert "windows left out, of incidents that do not show in their channel" in said


def test_what_a_coarse_sensor_cannot_tell_apart_is_not_visible(effects, tmp_path):
    """Steps of 60 K: a deviation of 17 K, three of which no rack gets in a pump trip."""
    two, coarse = effects.with_suffix(".yaml"), "sensors.resolution.inlet_c=60"
    run = simulated(tmp_path / "coarse.csv", "--scenario", str(two), "--effects", "--set", coarse)
    assert exported("nab", run, tmp_path / "all")[0] == exported("nab", run, tmp_path / "shown", "--visible")[0] == 0
    assert any(windows_by_file(tmp_path / "all").values())
    assert not any(windows_by_file(tmp_path / "shown").values())


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--channels", "delta_t"), "delta_t is derived from other channels"),
        ((), "run it with --effects"),
    ],
)
def test_what_cannot_be_told_visible_is_an_error(effects, calm, tmp_path, args, message):
    code, said = exported("nab", effects if args else calm, tmp_path / "out", "--visible", *args)
    assert code == 2
    assert message in said


def test_only_nab_has_windows_of_one_channel(calm, tmp_path):
    code, said = exported("tsb-ad", calm, tmp_path / "out", "--visible")
    assert code == 2
    assert "--visible: tsb-ad has one label for all channels" in said

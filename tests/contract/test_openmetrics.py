"""History in OpenMetrics text: as its standard has it, and as Prometheus itself loads and answers it."""

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import pytest
from prometheus_client.openmetrics.parser import text_fd_to_metric_families

from sim.runs.exports.openmetrics import History, escaped, labels, write_blocks
from tests.contract.exported import exported, simulated

COUNTERS = {"skadi_rack_gpu_energy_joules", "skadi_rack_generated_tokens"}
UNITS = {
    "skadi_rack_inlet_temperature_celsius": ("inlet_c", 1.0),
    "skadi_rack_power_watts": ("pdu_kw", 1000.0),
    "skadi_rack_latency_p95_seconds": ("latency_p95_ms", 0.001),
    "skadi_rack_fan_speed_ratio": ("fan_rpm_pct", 0.01),
    "skadi_rack_requests_in_system": ("queue_depth", 1.0),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return five hours of two racks with dropouts, from one o'clock, so that three blocks of 2 h hold them."""
    path = tmp_path_factory.mktemp("run") / "short.csv"
    silent = "incidents=[{kind: sensor_dropout, target: 'rack:R-A-01', at: 1h, duration: 1h}]"
    start = ["--set", "start=2025-01-06T01:00:00Z", "--set", silent]
    return simulated(path, "--duration", "5h", "--seed", "3", "--set", "facility.racks_per_row=2", *start)


@pytest.fixture(scope="module")
def history(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "om"
    code, text = exported("openmetrics", run, folder)
    assert code == 0, text
    return folder


def families(folder):
    """Return the families of each file, as the reference parser of the standard reads them."""
    found = {}
    for path in sorted(folder.glob("*.om")):
        with path.open() as file:
            found[path.name] = {family.name: family for family in text_fd_to_metric_families(file)}
    return found


def test_each_file_is_a_two_hour_block_of_prometheus_and_valid_by_itself(history):
    found = families(history)
    assert list(found) == ["2025-01-06T0000Z.om", "2025-01-06T0200Z.om", "2025-01-06T0400Z.om"]
    for name, block in found.items():
        hours = {float(s.timestamp) // 3600 % 24 for family in block.values() for s in family.samples}
        assert hours <= {int(name[11:13]), int(name[11:13]) + 1}
        assert {family.name for family in block.values() if family.type == "counter"} == COUNTERS
        assert (history / name).read_text().endswith("\n# EOF\n")


def test_every_reading_is_there_in_the_metric_s_unit_and_a_dropout_is_no_sample(history, run):
    frame = pd.read_csv(run, parse_dates=["ts"])
    assert frame["inlet_c"].isna().any()
    for name, (channel, factor) in UNITS.items():
        told = {
            (s.labels["rack"], float(s.timestamp)): s.value
            for block in families(history).values()
            for s in block[name].samples
        }
        seconds = frame["ts"].astype("int64") // 10 ** (9 if frame["ts"].dtype == "datetime64[ns, UTC]" else 6)
        wanted = dict(
            zip(zip(frame["rack_id"], seconds.astype(float), strict=True), frame[channel] * factor, strict=True)
        )
        wanted = {key: value for key, value in wanted.items() if not np.isnan(value)}
        assert told.keys() == wanted.keys()
        # readings of a run have four digits, files of the export twelve
        np.testing.assert_allclose(list(told.values()), [wanted[key] for key in told], rtol=1e-6)


def test_counters_are_running_sums_across_the_files(history, run):
    frame = pd.read_csv(run)
    for name, channel, each in (
        ("skadi_rack_gpu_energy_joules", "gpu_energy_j", 1),
        ("skadi_rack_generated_tokens", "tokens_ps", 60),
    ):
        last = families(history)["2025-01-06T0400Z.om"][name].samples
        for rack in ("R-A-01", "R-A-02"):
            total = frame.loc[frame["rack_id"] == rack, channel].sum() * each
            assert [s.value for s in last if s.labels["rack"] == rack][-1] == pytest.approx(total, rel=1e-6)


def test_labels_of_any_name_are_read_back_as_they_are(tmp_path):
    hostile = 'R-A\\"},{x="1-\n01'
    told = labels("S\\n1", 'H"1', hostile)
    write_blocks(tmp_path, History(np.array([0]), {"inlet_c": np.array([[22.0]])}, [told]))
    (block,) = families(tmp_path).values()
    (sample,) = block["skadi_rack_inlet_temperature_celsius"].samples
    assert {**sample.labels, "row": None} == {"site": "S\\n1", "hall": 'H"1', "row": None, "rack": hostile}
    assert escaped("plain") == "plain"


def test_a_run_is_moved_as_a_whole_to_end_at_an_instant(run, tmp_path):
    assert exported("openmetrics", run, tmp_path / "om", "--align-end", "2026-03-01T12:00:30Z")[0] == 0
    samples = [s for b in families(tmp_path / "om").values() for s in b["skadi_rack_power_watts"].samples]
    times = sorted({float(s.timestamp) for s in samples})
    assert times[-1] == pd.Timestamp("2026-03-01T12:00:30Z").timestamp()
    assert set(np.diff(times)) == {60.0}


BAD = {
    "an end that is no instant": (["--align-end", "soon"], "neither now nor an instant"),
    "train rows": (["--train", "0.5"], "openmetrics has no train rows"),
    "a channel without a metric": (["--channels", "delta_t"], "--channels: not known: 'delta_t'"),
}


@pytest.mark.parametrize(("options", "said"), BAD.values(), ids=BAD)
def test_what_history_has_not_is_refused(run, tmp_path, options, said):
    code, text = exported("openmetrics", run, tmp_path / "om", *options)
    assert code == 2
    assert said in text
    assert exported("timeeval", run, tmp_path / "te", "--align-end", "now")[0] == 2


@pytest.fixture
def prometheus(history, tmp_path):
    """Return the address of a Prometheus that has loaded the history's files by promtool."""
    if shutil.which("promtool") is None or shutil.which("prometheus") is None:
        pytest.skip("prometheus and promtool are not installed; Debian has both in its package prometheus")
    for path in sorted(history.glob("*.om")):
        subprocess.run(  # noqa: S603
            ["promtool", "tsdb", "create-blocks-from", "openmetrics", path, tmp_path / "data"],  # noqa: S607
            check=True, capture_output=True,
        )  # fmt: skip
    (tmp_path / "prometheus.yml").write_text("global: {}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        "prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
        "--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:  # noqa: S603
        try:
            yield ready(f"http://127.0.0.1:{port}", server)
        finally:
            server.terminate()


def ready(url, server):
    while server.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/-/ready").close()  # noqa: S310
        except OSError:
            time.sleep(0.1)
        else:
            return url
    raise AssertionError("prometheus ended")


def value(url, query, at):
    with urllib.request.urlopen(f"{url}/api/v1/query?{urlencode({'query': query, 'time': at})}") as answer:  # noqa: S310
        (found,) = json.load(answer)["data"]["result"]
    return float(found["value"][1])


def test_prometheus_answers_with_the_run_s_own_readings(prometheus, run):
    frame = pd.read_csv(run).set_index(["ts", "rack_id"])
    at = "2025-01-06T03:30:00Z"
    told = frame.loc[(at, "R-A-02")]
    assert not told.isna().any()
    inlet = value(prometheus, 'skadi_rack_inlet_temperature_celsius{rack="R-A-02",row="A",hall="H1"}', at)
    assert inlet == told["inlet_c"]
    energy = value(
        prometheus, 'increase(skadi_rack_gpu_energy_joules_total{rack="R-A-02"}[2h])', "2025-01-06T05:00:00Z"
    )
    hours = frame.xs("R-A-02", level="rack_id").loc["2025-01-06T03:00:00Z":"2025-01-06T05:00:00Z", "gpu_energy_j"]
    # 121 samples bound 120 intervals; a window of exactly 2 h may leave its first sample out
    assert energy == pytest.approx(hours[1:].sum(), rel=0.02)

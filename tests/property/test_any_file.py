"""Whatever a file holds, it is read rightly or told in an InputError; and a run leaves all of its files or none."""

import hashlib
import io
import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.cli.commands import run_sim
from sim.common.errors import InputError
from sim.model.channels import CHANNELS
from sim.runs.run import Run
from sim.scenario.checks import parse_scenario
from sim.scenario.files import load_scenario
from sim.scenario.request_trace import MAX_TOKENS, read_request_trace
from tests.examples import examples
from tests.property.spoiled import BYTES, TABLE, TABLE_TEXT, document_ways, no_hang, plain_cells, several, spoil
from training.artifact import from_bytes, load, to_text
from training.features import FEATURES, LIMITS
from training.labels import read_labels
from training.model import Model, ScoreDensities, score_batch
from training.telemetry import read_telemetry

DATA = Path(__file__).parents[1] / "data"
EVERY_READER = 200
"""Examples by day; 2,000 by night."""

TRACE = b"\n".join((DATA / "request_trace.csv").read_bytes().splitlines()[:13]) + b"\n"
TELEMETRY = b"\n".join((DATA / "hot.csv").read_bytes().splitlines()[:13]) + b"\n"
TYPED = pc.read_csv(io.BytesIO(TELEMETRY))
NO_VALUE = ("", "NaN", "nan", "null")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


def test_every_file_is_read_before_it_is_spoiled(folder, any_yaml, telemetry):
    (folder / "trace.csv").write_bytes(TRACE)
    assert read_request_trace(folder / "trace.csv", 1.0, "total").requests == 12
    write_parquet(TYPED, folder / "any.parquet", None)
    assert np.array_equal(read_telemetry(folder / "any.parquet").x, telemetry.x)
    (folder / "any.labels.csv").write_bytes(as_text(LABELS))
    assert read_labels(folder / "any.labels.csv", telemetry).anomaly.sum() == 4
    assert_scores(from_bytes(rehashed(WHOLE["model"])))
    any_yaml.write_text(flow(SCENARIO))
    assert ended("--scenario", any_yaml, "--check", "--quiet") == 0


def read_or_told(path, read, *args):
    """Return what a reader makes of a file, or None where it says in one message what is wrong with it."""
    with no_hang():
        try:
            return read(path, *args)
        except InputError as error:
            assert_readable(str(error))
            return None


def assert_readable(message):
    """Hold a message to be short enough for a terminal, and to do nothing to it."""
    assert 0 < len(message) < 2000
    assert all(character.isprintable() or character == "\n" for character in message)


# request traces


@examples(EVERY_READER)
@given(several([*BYTES, *TABLE_TEXT]), st.sampled_from([0.5, 1.0, 3600.0]), st.sampled_from(["total", "generated"]))
def test_any_request_trace_is_one_of_all_its_tokens_or_an_input_error(folder, ways, bin_s, tokens):
    raw = spoil(TRACE, ways)
    (folder / "trace.csv").write_bytes(raw)
    trace = read_or_told(folder / "trace.csv", read_request_trace, bin_s, tokens)
    if trace is None:
        return
    total = trace.rates_ps.sum() * trace.bin_s
    assert np.isfinite(trace.rates_ps).all()
    # differences of cumulative sums: nothing is less than 0 by more than the last bits of the sum
    assert trace.rates_ps.min() * trace.bin_s >= -1e-12 * total
    assert 0 < total <= 2 * MAX_TOKENS * trace.requests
    assert trace.sha256 == hashlib.sha256(raw).hexdigest()
    cells = plain_cells(raw)
    if cells:
        assert trace.requests == len(cells["TIMESTAMP"])
        counted = ("ContextTokens", "GeneratedTokens") if tokens == "total" else ("GeneratedTokens",)
        assert total == pytest.approx(sum(int(text) for name in counted for text in cells[name]), rel=1e-9)


# telemetry


def assert_plausible(telemetry):
    """Hold telemetry to what every file promises: instants in order, and values that a rack reports, or none."""
    assert telemetry.x.shape == (telemetry.rows, len(FEATURES))
    assert telemetry.rack.shape == telemetry.ts_s.shape == (telemetry.rows,)
    assert telemetry.rows > 0
    assert not np.isinf(telemetry.x).any()
    for name, values in zip(FEATURES, telemetry.x.T, strict=True):
        low, high = LIMITS[name]
        assert ((values >= low) & (values <= high) | np.isnan(values)).all()
    assert (np.diff(telemetry.ts_s) >= 0).all()
    assert 0 <= telemetry.ts_s[0] <= telemetry.ts_s[-1] < 2**33
    assert sorted(set(telemetry.rack.tolist())) == list(range(len(telemetry.racks)))
    assert math.isfinite(telemetry.interval_s)
    assert telemetry.interval_s > 0


def assert_values(telemetry, columns):
    """Hold vectors to the numbers of the columns that they come from, by name."""
    for name in columns.keys() & set(FEATURES):
        values = telemetry.x[:, FEATURES.index(name)]
        expected = np.array(columns[name])
        given_ = ~np.isnan(expected)  # the others may be derived
        assert np.array_equal(values[given_], expected[given_]), name


@examples(EVERY_READER)
@given(several([*BYTES, *TABLE_TEXT]))
def test_any_telemetry_in_text_is_its_numbers_or_an_input_error(folder, ways):
    raw = spoil(TELEMETRY, ways)
    (folder / "any.csv").write_bytes(raw)
    telemetry = read_or_told(folder / "any.csv", read_telemetry)
    if telemetry is None:
        return
    assert_plausible(telemetry)
    cells = plain_cells(raw)
    if cells:
        cells = {name.strip(): column for name, column in cells.items()}
        assert [telemetry.racks[k] for k in telemetry.rack] == cells["rack_id"]
        assert_values(
            telemetry,
            {n: [math.nan if c in NO_VALUE else float(c) for c in cells[n]] for n in cells if n in CHANNELS},
        )


@examples(EVERY_READER)
@given(several(TABLE), st.none() | several(BYTES, 2), st.integers(1, 20))
def test_any_telemetry_in_parquet_is_its_numbers_or_an_input_error(folder, ways, then, group):
    table, path = spoil(TYPED, ways), folder / "any.parquet"
    write_parquet(table, path, then, group)
    telemetry = read_or_told(path, read_telemetry)
    if telemetry is None:
        return
    assert_plausible(telemetry)
    if then is None:
        columns = dict(zip(table.column_names, table.columns, strict=True))
        assert [telemetry.racks[k] for k in telemetry.rack] == [str(name) for name in columns["rack_id"].to_pylist()]
        assert_values(
            telemetry,
            {
                n: [math.nan if v is None else float(v) for v in c.to_pylist()]
                for n, c in columns.items()
                if n in CHANNELS
            },
        )


def write_parquet(table, path, then, group=20):
    """Write a table and spoil the bytes after that; what Parquet has no type for stays unwritten."""
    file = io.BytesIO()
    try:
        pq.write_table(table, file, row_group_size=group)
    except pa.ArrowException:
        file = io.BytesIO(b"PAR1")
    path.write_bytes(spoil(file.getvalue(), then or ()))


# labels


def labels_table():
    n = TYPED.num_rows
    anomalous = [k in (3, 5, 7, 9) for k in range(n)]
    return pa.table(
        {
            "ts": TYPED["ts"],
            "rack_id": TYPED["rack_id"],
            "profile": ["high_load" if a else "nominal" for a in anomalous],
            "is_anomaly": anomalous,
            "anomaly_kind": ["incident" if k == 9 else "load" if a else "none" for k, a in enumerate(anomalous)],
            "episode_id": ["R-B-02-1" if a else None for a in anomalous],
            "is_persistent": [k in (5, 7) for k in range(n)],
            "observed_id": ["pump_trip-1|fan_failure-1" if k == 9 else None for k in range(n)],
        }
    )


@pytest.fixture(scope="module")
def telemetry(folder):
    (folder / "of_labels.csv").write_bytes(TELEMETRY)
    return read_telemetry(folder / "of_labels.csv")


LABELS = labels_table()
FLAGS = {"anomaly": "is_anomaly", "persistent": "is_persistent"}


def as_text(table):
    buffer = io.BytesIO()
    pc.write_csv(table, buffer, pc.WriteOptions(quoting_style="none"))
    return buffer.getvalue()


def assert_truth(labels, rows):
    for values in (labels.profile, labels.kind, labels.episode):
        assert values.shape == (rows,)
        assert values.dtype.kind == "U"
    for values in (labels.anomaly, labels.persistent):
        assert values.shape == (rows,)
        assert values.dtype == np.bool_


@examples(EVERY_READER)
@given(several([*BYTES, *TABLE_TEXT]))
def test_any_labels_in_text_are_the_truth_or_an_input_error(folder, telemetry, ways):
    raw = spoil(as_text(LABELS), ways)
    (folder / "any.labels.csv").write_bytes(raw)
    labels = read_or_told(folder / "any.labels.csv", read_labels, telemetry)
    if labels is None:
        return
    assert_truth(labels, telemetry.rows)
    cells = plain_cells(raw)
    if cells:
        for mine, name in FLAGS.items():
            said = [{"true": True, "1": True, "false": False, "0": False}[text.lower()] for text in cells[name]]
            assert getattr(labels, mine).tolist() == said
        assert labels.kind.tolist() == cells["anomaly_kind"]


@examples(EVERY_READER)
@given(several(TABLE), st.none() | several(BYTES, 2))
def test_any_labels_in_parquet_are_the_truth_or_an_input_error(folder, telemetry, ways, then):
    table, path = spoil(LABELS, ways), folder / "any.labels.parquet"
    write_parquet(table, path, then)
    labels = read_or_told(path, read_labels, telemetry)
    if labels is None:
        return
    assert_truth(labels, telemetry.rows)
    if then is None:
        for mine, name in FLAGS.items():
            assert getattr(labels, mine).tolist() == table[name].to_pylist()
        assert labels.kind.tolist() == [
            str("" if k is None else k) for k in table["anomaly_kind"].cast(pa.string()).to_pylist()
        ]


# models


def small_model():
    """A model of two clusters, the second far from the first."""
    d = len(FEATURES)
    lo = np.array([np.linspace(-1, 0, d), np.linspace(4, 5, d)])
    edges = np.linspace(0, 3, 4)
    densities = ScoreDensities(edges, np.log([0.6, 0.3, 0.1]), np.log([0.1, 0.3, 0.6]), "synthetic")
    return Model(
        "small", "hyperbox", np.linspace(20, 30, d), np.linspace(1, 2, d), lo, lo + 0.5, np.array([30, 7]),
        lo + 20, lo + 22, 0.5, 1.5, 7, {"compat": False, "eps": 0.1}, densities, {"rows_trained": 37, "data": "a.csv"},
    )  # fmt: skip


MODEL = small_model()
WHOLE = json.loads(to_text(MODEL))
json_values = (
    st.none()
    | st.booleans()
    | st.sampled_from(
        [0, -1, 1.5, 1e300, -1e300, 1e-320, 2**70, 10**400, "", "1.5", "nan", "\0", [], [[]], {}, {"a": 1}]
    )
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.lists(st.floats(-1e9, 1e9), max_size=10)
)


def rehashed(body):
    """Return the text of an artifact whose hash fits."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return json.dumps({**WHOLE, "sha256": hashlib.sha256(canonical.encode()).hexdigest(), "model": body}).encode()


def assert_scores(model):
    """Hold a model to what its user needs: finite scores of plausible vectors, and its own text again."""
    vectors = np.array([np.full(len(FEATURES), 25.0), np.linspace(0, 100, len(FEATURES))])
    scores = score_batch(model, vectors)
    assert np.isfinite(scores.deviation).all()
    assert to_text(from_bytes(to_text(model).encode())) == to_text(model)


@examples(EVERY_READER)
@given(several(document_ways(json_values)))
def test_any_model_with_a_fitting_hash_is_what_it_says_or_an_input_error(ways):
    body = spoil(WHOLE["model"], ways)
    model = read_or_told(rehashed(body), from_bytes)
    if model is not None:
        assert json.loads(to_text(model))["model"] == body
        assert_scores(model)


@examples(EVERY_READER)
@given(several(BYTES))
def test_any_bytes_of_a_model_are_the_same_model_or_an_input_error(folder, ways):
    (folder / "any.json").write_bytes(spoil(to_text(MODEL).encode(), ways))
    model = read_or_told(folder / "any.json", load)
    assert model is None or to_text(model) == to_text(MODEL)


# scenarios


class Written(str):
    """A value as it stands in a YAML file."""

    __slots__ = ()


SCENARIO = {
    "name": "any",
    "duration": "2h",
    "tick": "1h",
    "seed": 7,
    "start": "2025-01-06T04:00:00Z",
    "facility": {
        "rows": [{"name": "A", "racks": 2}, "B"],
        "racks_per_row": 2,
        "loops": [{"name": "CL-1", "feeds": ["A", "B"]}],
    },
    "profiles": {"siesta": {"inlet_c": {"low": 24, "high": 26}}},
    "occupancy": {"anytime": {"siesta": 0.1}, "rows": {"A": {"thermal_event": 0.1}}, "participation": 0.8},
    "dwell": {"law": "lognormal", "shape": 1.2, "mean": {"siesta": "30m"}},
    "sensors": {"noise_scale": 1, "noise": {"inlet_c": 0.1}},
    "demand": {"source": "trace", "file": "demand.csv", "bin": "30s"},
    "incidents": [
        {
            "kind": "pump_trip",
            "target": "loop:CL-1",
            "at": "30m",
            "duration": "20m",
            "id": "a",
            "causes": [{"incident": "b", "after": "5m"}],
        },
        {"kind": "fan_failure", "target": "random(rack, 1)", "at": "1h", "duration": "10m", "id": "b", "shape": "ramp"},
    ],
    "incident_rates": {"acceleration": 10, "kinds": {"sensor_spike": {"within": "rack:R-A-01"}}},
}
ODD_YAML = [
    "", "~", ".nan", "-.inf", "1e400", "-1", "0", "1.5", "true", "no", "22:00", "0o17", "0x1F", "1_000", "10" * 100,
    "'10'", "2025-01-06", "2025-13-45", "2025-01-06T00:00:00+25:00", "1h", "-1h", "8d", "1e-9", "mon 14:00", '"\\0"',
    '"\\e[31m"', "é", "row:B", "rack:*", "random(rack, 99)", "plant", "A", "siesta", "nominal", "inlet_c", "a", "small",
    "any.yaml", "../any.yaml", "!!binary aGk=", "!!binary '%'", "!!set {a}", "!!omap [a: 1]", "!!timestamp x",
    "!!int ''", "!!float []", "!!str {}", "!!python/object:os.system x", "!x y", "&a [*a]", "*a", "&b {c: *b}",
    "{<<: {rows: 1}}", "{<<: 3}", "{a: 1, a: 2}", "{[1]: 2}", "{1: 2}", "{? {a: b} : c}", "[]", "{}", "[[]]",
    "[" * 200 + "]" * 200, "{a: " * 150 + "1" + "}" * 150, "]", "}", "|", ">", "%", "@", "`", "- a", "? a", ": a",
    "# a", "'", '"', "\t", "...", "---",
]  # fmt: skip


def flow(value):
    """Return a document as one line of YAML; written values stand as they are."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(inside)}" for key, inside in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return value if isinstance(value, Written) else json.dumps(value)


yaml_values = (
    st.sampled_from(ODD_YAML).map(Written) | st.integers() | st.floats().map(repr).map(Written) | st.text(max_size=6)
)
yaml_files = st.builds(
    lambda ways, then: spoil(flow(spoil(SCENARIO, ways)).encode("utf-8", "replace"), then),
    several(document_ways(yaml_values)),
    st.just([]) | several(BYTES, 2),
)


def ended(*arguments):
    """Run the command and return its exit code; any other end is a traceback."""
    with no_hang():
        try:
            run_sim([str(a) for a in arguments], standalone_mode=False)
        except SystemExit as end:
            return end.code
    return 0


@pytest.fixture(scope="module")
def any_yaml(folder):
    (folder / "demand.csv").write_bytes((DATA / "request_trace.csv").read_bytes())
    return folder / "any.yaml"


@examples(EVERY_READER)
@given(yaml_files)
def test_any_scenario_file_is_a_scenario_or_an_input_error(any_yaml, raw):
    any_yaml.write_bytes(raw)
    code = ended("--scenario", any_yaml, "--check", "--quiet")
    assert code in (0, 2)
    if code == 0:
        scenario = load_scenario(str(any_yaml))
        assert parse_scenario(scenario.model_dump(mode="json"), "again") == scenario


@examples(EVERY_READER // 10)
@given(yaml_files)
def test_any_scenario_file_leaves_a_whole_run_or_nothing(any_yaml, tmp_path_factory, raw):
    any_yaml.write_bytes(raw)
    out = tmp_path_factory.mktemp("out")
    # two ticks, whatever the file says
    code = ended("--scenario", any_yaml, "--quiet", "--tick", "1h", "--duration", "2h", "--output", out / "run.csv")
    assert code in (0, 2)
    left = sorted(path.name for path in out.iterdir())
    if code:
        assert left == []
    else:
        run = Run.open(out / "run.csv", check=True)
        assert left == sorted([*run.manifest["files"], "run.manifest.json"])

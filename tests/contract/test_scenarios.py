"""Every shipped scenario keeps the contract of the files."""

import json
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from sim.engine.build import build, resolve
from sim.incidents.catalogue import CATALOGUE
from sim.model.channels import MEASURED, TELEMETRY_COLUMNS
from sim.model.profiles import shipped_profiles
from sim.plant.constants import SHUTDOWN_INLET_C
from sim.runs.files import RunFiles, run_paths
from sim.runs.tables import JOB_COLUMN, LABEL_COLUMNS
from sim.scenario.files import first_line, load_scenario, scenario_list, shipped_scenarios
from tests.contract.shortened import DIGESTS, FULL, IN_FULL, as_run, digest, run, under_constraints

DERIVED = {"delta_t": ("inlet_c", "outlet_c"), "gpu_energy_j": ("gpu_power_kw",)}
BLOCK_TICKS = 97
STOPS_RACKS = {"pump_trip", "breaker_trip", "pdu_loss", "planned_maintenance", "loss_of_flow", "job_crash"}
UNSEEN = {"utility_sag"}
"""Ten seconds of less power are below three deviations of any sensor; what they set off is seen, and is its own."""

USUAL_LOAD = ("nominal", "high_load", "under_utilized")


class Finished:
    """A scenario that ran twice: to CSV by the command, and in other blocks to CSV and Parquet at once."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        self.scenario = as_run(name)
        run(name, "--output", f"{folder}/csv.csv")
        hall = resolve(self.scenario)
        blocks, typed = (
            run_paths(name, f"{folder}/{to}", None, to.split(".")[1]) for to in ("blocks.csv", "typed.parquet")
        )
        with RunFiles(blocks, hall) as as_csv, RunFiles(typed, hall) as as_parquet:
            build(hall, [as_csv, as_parquet], block_ticks=BLOCK_TICKS).run()

    @cached_property
    def frame(self):
        """Telemetry as the CSV has it."""
        return pd.read_csv(self.folder / "csv.csv", parse_dates=["ts"])

    @cached_property
    def labels(self):
        """Labels of the CSV run; texts as plain objects."""
        labels = pq.read_table(self.folder / "csv.labels.parquet").to_pandas()
        return labels.astype({c: object for c in labels.columns if isinstance(labels[c].dtype, pd.CategoricalDtype)})

    @cached_property
    def events(self):
        """Events of the CSV run."""
        return pd.read_csv(self.folder / "csv.events.csv")


@pytest.fixture(
    scope="module",
    params=[
        *sorted(shipped_scenarios()),
        *(pytest.param(name, marks=pytest.mark.nightly) for name in IN_FULL),
    ],
)
def finished(request, tmp_path_factory):
    """Every shipped scenario, shortened where it is long."""
    return Finished(request.param, tmp_path_factory.mktemp("scenario"))


def plain(table):
    """Return a table whose texts are no dictionaries, which files may number differently."""
    fields = [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in table.schema]
    return table.cast(pa.schema(fields)).combine_chunks()


def test_telemetry_has_the_columns_rows_and_order_of_the_contract(finished):
    frame, scenario = finished.frame, finished.scenario
    assert tuple(frame.columns) == TELEMETRY_COLUMNS
    assert frame["ts"].iloc[0] == pd.Timestamp(scenario.start)
    steps = frame["ts"].drop_duplicates().diff().dropna().dt.total_seconds().unique()
    assert steps.tolist() == [scenario.tick]
    racks = frame["rack_id"].nunique()
    assert (frame["rack_id"].to_numpy().reshape(-1, racks) == frame["rack_id"].to_numpy()[:racks]).all()
    assert all((frame[c] != frame[c].iloc[0]).any() for c in TELEMETRY_COLUMNS[2:])


def test_a_cell_is_empty_only_where_its_sensor_is_silent_or_a_rack_answers_nobody(finished):
    frame, faults = finished.frame, finished.labels["sensor_fault"].fillna("")
    nobody = frame["tokens_ps"].fillna(1) == 0
    if "job_state" in finished.labels:
        nobody |= finished.labels["job_state"].notna()
    assert frame.loc[nobody, "latency_p95_ms"].isna().all()
    missing = finished.scenario.sensors.missing
    if missing.single or missing.silent:
        assert 0 < frame[list(MEASURED)].isna().to_numpy().mean() < 0.15
    else:
        silent = "sensor_dropout" in set(finished.events["kind"])
        assert frame.loc[~nobody, list(MEASURED)].isna().any().any() == silent
        for column in MEASURED:
            empty = frame[column].isna() & ~(nobody & (column == "latency_p95_ms"))
            assert faults[empty].str.split("|").map(lambda found, own=column: own in found).all()
    for column, sources in DERIVED.items():
        assert (frame[column].isna() == frame[list(sources)].isna().any(axis=1)).all()


def test_derived_columns_follow_from_what_is_written(finished):
    frame, tick_s = finished.frame, finished.scenario.tick
    assert np.allclose(frame["delta_t"], frame["outlet_c"] - frame["inlet_c"], atol=1e-9, equal_nan=True)
    energy_j = frame["gpu_power_kw"] * 1000 * tick_s
    # power is rounded to 0.01 kW, energy to 0.1 J
    assert (frame["gpu_energy_j"] - energy_j).abs().max() <= 0.005 * 1000 * tick_s + 0.1


def test_parquet_holds_the_csv_after_a_cast(finished):
    text = finished.frame
    table = pq.read_table(finished.folder / "typed.parquet").to_pandas()
    assert tuple(table.columns) == TELEMETRY_COLUMNS
    assert (table["ts"].to_numpy() == text["ts"].to_numpy()).all()
    assert (table["rack_id"].astype(str).to_numpy() == text["rack_id"].to_numpy()).all()
    for column in TELEMETRY_COLUMNS[2:]:
        cast = text[column].to_numpy().astype(table[column].dtype)
        assert np.array_equal(table[column].to_numpy(), cast, equal_nan=True), column


def test_the_same_run_has_the_same_bytes_whatever_its_format_and_blocks(finished):
    folder = finished.folder
    assert digest(folder / "blocks.csv") == digest(folder / "csv.csv")
    assert len({digest(folder / f"{run}.events.csv") for run in ("csv", "blocks", "typed")}) == 1


def test_labels_are_the_same_whatever_their_format_and_blocks(finished):
    folder = finished.folder
    whole = pq.read_table(folder / "csv.labels.parquet")
    assert plain(pq.read_table(folder / "typed.labels.parquet")) == plain(whole)
    types = pc.ConvertOptions(column_types=plain(whole).schema, strings_can_be_null=True)
    assert pc.read_csv(folder / "blocks.labels.csv", convert_options=types) == plain(whole)


def test_events_are_what_they_were(finished):
    golden = json.loads(DIGESTS.read_text(encoding="utf-8"))
    if under_constraints():
        assert digest(finished.folder / "csv.events.csv") == golden[finished.name], (
            "meant? then: python -m tests.contract.shortened"
        )
    assert set(golden) == {*shipped_scenarios(), *IN_FULL}


def test_labels_stand_beside_each_row_and_agree_with_the_events(finished):
    text, labels, events = finished.frame, finished.labels, finished.events
    job = (JOB_COLUMN,) if finished.scenario.training_job else ()
    assert tuple(labels.columns) == (*LABEL_COLUMNS, *job)
    assert (labels["rack_id"].to_numpy() == text["rack_id"].to_numpy()).all()
    assert (labels["ts"].to_numpy() == text["ts"].to_numpy()).all()
    faulty = labels["anomaly_kind"].isin(["incident", "sensor"])
    assert (labels["is_anomaly"] == ((labels["profile"] != "nominal") | faulty)).all()
    assert (labels["episode_id"].notna() == (labels["profile"] != "nominal")).all()
    of_racks = (events["type"] == "episode") & events["root_asset"].isin(text["rack_id"].unique())
    rack_events = events[of_racks].set_index("event_id")
    assert events["event_id"].is_unique
    assert labels["episode_id"].value_counts().to_dict() == rack_events["ticks"].to_dict()
    seen = labels[labels["episode_id"].notna()]
    by_id = seen.groupby("episode_id")["profile"].agg(["first", "nunique"])
    assert (by_id["nunique"] == 1).all()
    assert (by_id["first"] == rack_events["kind"].reindex(by_id.index)).all()
    # where an incident can be observed, a row may persist longer than its episode does
    lasting = rack_events["is_persistent"].reindex(seen["episode_id"]).to_numpy(dtype=bool)
    assert (seen["is_persistent"].to_numpy() >= lasting).all()
    assert (seen["is_persistent"].to_numpy() == lasting)[~faulty[seen.index]].all()


def test_every_incident_is_in_the_labels_as_long_as_the_events_say(finished):
    scenario, labels, events = finished.scenario, finished.labels, finished.events.copy()
    for instant in ("planned_start", "planned_end", "observable_onset", "peak", "observable_end"):
        events[instant] = pd.to_datetime(events[instant])
    incidents = events[events["type"] != "episode"].set_index("event_id")
    marked = labels[labels["incident_id"].notna()]
    assert (labels["phase"].notna() == labels["incident_id"].notna()).all()
    assert (labels["severity"].notna() == labels["incident_id"].notna()).all()
    rows = marked.assign(event_id=marked["incident_id"].str.split("|")).explode("event_id")
    assert set(rows["event_id"]) == set(incidents.index)
    assert set(incidents["cause_id"].dropna()) <= set(incidents.index)
    assert scenario.has_incidents == bool(len(incidents))
    tick = pd.Timedelta(seconds=scenario.tick)
    run_end = labels["ts"].iloc[-1] + tick
    for event_id, of_id in rows.groupby("event_id"):
        event, ts = incidents.loc[event_id], of_id["ts"]
        assert ts.nunique() == event["ticks"]
        assert ts.drop_duplicates().sort_values().diff().max() <= pd.Timedelta("15min") or event["ticks"] == 1
        assert event["planned_start"] <= ts.min() < event["planned_start"] + tick
        assert ts.max() + tick >= min(event["planned_end"], run_end)
        if pd.notna(event["observable_onset"]):
            assert ts.min() <= event["observable_onset"] <= event["peak"] <= ts.max()
            assert pd.isna(event["observable_end"]) or event["peak"] < event["observable_end"] <= ts.max() + tick
            racks = set(event["affected_assets"].split("|")) - {"CH-1"}
            assert racks <= set(of_id["rack_id"])


def test_a_sensors_fault_is_in_the_labels_of_the_racks_it_affects_only(finished):
    labels, events = finished.labels, finished.events
    sensors = events[events["type"] == "sensor"].set_index("event_id")
    ids = labels["incident_id"].fillna("")
    of_sensors = [joined for joined in ids.unique() if set(joined.split("|")) & set(sensors.index)]
    assert (labels["sensor_fault"].notna() == ids.isin(of_sensors)).all()
    affected = {rack for assets in sensors["root_asset"] for rack in assets.split("|")}
    assert set(labels["rack_id"][labels["sensor_fault"].notna()]) == affected


def test_the_manifest_is_complete_and_names_every_file(finished):
    folder = finished.folder
    manifest = json.loads((folder / "csv.manifest.json").read_text())
    assert manifest["status"] == "complete"
    assert manifest["rows"] == manifest["ticks"] * manifest["racks"]
    counters = {"csv.gpu.parquet"} if finished.scenario.has_counters else set()
    assert set(manifest["files"]) == {"csv.csv", "csv.labels.parquet", "csv.events.csv", *counters}
    assert all((folder / name).stat().st_size == f["bytes"] for name, f in manifest["files"].items())


def test_the_first_line_says_what_to_see(finished):
    assert len(first_line(shipped_scenarios()[finished.name.removesuffix(FULL)])) > len("a few words")


def test_a_kind_can_be_observed_in_its_scenario_and_stops_racks_only_where_it_should(finished):
    name, frame, events = finished.name, finished.frame, finished.events
    if name not in CATALOGUE:
        return
    told = events[events["kind"] == name]
    assert len(told) == 1
    assert told["observable_onset"].notna().all() == (name not in UNSEEN)
    assert told["observable_end"].notna().all() == (name not in UNSEEN)
    assert ((frame["tokens_ps"] == 0).any() or (frame["inlet_c"] > SHUTDOWN_INLET_C).any()) == (name in STOPS_RACKS)


def test_what_is_labelled_normal_is_no_anomaly_and_stays_within_the_ranges_of_usual_load(finished):
    name, frame, labels = finished.name, finished.frame, finished.labels
    if name not in CATALOGUE or not CATALOGUE[name].is_normal:
        return
    assert not labels["is_anomaly"].any()
    during = frame[labels["incident_id"].notna() & (frame["tokens_ps"] > 0)]  # a rack in service stands idle
    for channel in shipped_profiles()["nominal"].ranges:
        ranges = [shipped_profiles()[profile].ranges[channel] for profile in USUAL_LOAD]
        inside = np.any([during[channel].between(r.low, r.high) for r in ranges], axis=0)
        assert inside.mean() > 0.9, channel


def test_every_kind_of_incident_has_a_scenario_that_shows_it():
    assert set(CATALOGUE) <= set(shipped_scenarios())
    for kind in CATALOGUE:
        assert [spec.kind for spec in load_scenario(kind).incidents] == [kind]


def test_the_list_tells_runs_first_and_then_each_kind_of_incident():
    runs, kinds = scenario_list().split("incidents:\n")
    assert runs.startswith("runs:\n")
    assert {line.split()[0] for line in kinds.splitlines()} == set(CATALOGUE)
    assert {line.split()[0] for line in runs.splitlines()[1:]} == set(shipped_scenarios()) - set(CATALOGUE)

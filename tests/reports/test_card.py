"""A data card says what the files hold, and a validator and loader of others takes it."""

import json
import logging
import re
from datetime import date

import pyarrow.parquet
import pytest
from ruamel.yaml import YAML

import sim
from sim.common.errors import InputError
from sim.reports.card import card_paths, write_card

INCIDENTS = [{"kind": "pump_trip", "target": "loop:CL-1", "at": "40m", "duration": "20m"}]
SMALL = {"duration": "2h", "facility": {"rows": 2, "racks_per_row": 3}, "incidents": INCIDENTS}


@pytest.fixture(scope="module")
def carded(tmp_path_factory):
    telemetry = tmp_path_factory.mktemp("card") / "mine.csv"
    run = sim.run("calm", seed=3, **SMALL)
    run.write(telemetry)
    readme, croissant = write_card([telemetry], date(2026, 1, 2))
    return run, readme, croissant


def rows_of(text, title):
    """Return the cells of the last table under a heading."""
    part = text.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_readme_begins_with_what_hubs_read(carded):
    run, readme, _ = carded
    told = YAML(typ="safe").load(readme.read_text(encoding="utf-8").split("---\n")[1])
    assert (told["license"], told["size_categories"]) == ("cc-by-4.0", ["n<1K"])
    assert len(run.telemetry) == 720
    named = [of["data_files"] for of in told["configs"]]
    assert named == ["mine.csv", "mine.labels.parquet", "mine.twin.csv", "mine.events.csv"]
    assert all((readme.parent / name).is_file() for name in named)


def test_shares_and_splits_are_those_of_the_labels(carded):
    run, readme, _ = carded
    text = readme.read_text(encoding="utf-8")
    incident = (run.labels["anomaly_kind"] == "incident").mean()
    assert ["mine", "incident", f"{100 * incident:.2f} %"] in rows_of(text, "Truth")
    first, *_, last = rows_of(text, "Splits")
    assert first[:5] == ["mine", "train", "2025-01-06T08:00:00Z", "2025-01-06T09:12:00Z", "432"]  # 60 % of 120 ticks
    before = run.labels["ts"] < "2025-01-06T09:12:00Z"
    assert first[5] == f"{100 * run.labels[before]['is_anomaly'].mean():.2f} %"
    assert last[3] == "2025-01-06T10:00:00Z"


def test_hashes_are_those_of_the_manifest(carded):
    run, readme, croissant = carded
    text = readme.read_text(encoding="utf-8")
    listed = {of["@id"]: of["sha256"] for of in json.loads(croissant.read_text(encoding="utf-8"))["distribution"]}
    for name, of in sim.read(readme.with_name("mine.csv")).manifest["files"].items():
        assert of["sha256"] in text
        assert listed[name] == of["sha256"]
    assert set(listed) == {path.name for path in readme.parent.iterdir()} - {readme.name, croissant.name}
    assert run.manifest["seed"] == 3


def test_the_command_that_it_tells_is_checked_as_others_are(carded):
    _, readme, _ = carded
    [command] = re.findall(r"^ {4}(python run_sim.py .*)$", readme.read_text(encoding="utf-8"), re.MULTILINE)
    assert command.endswith("--output mine.csv")


@pytest.mark.filterwarnings("ignore")  # those of the validator's own dependencies
def test_croissant_is_valid_and_a_loader_reads_every_table_by_it(carded, caplog):
    croissants = pytest.importorskip("mlcroissant", reason="needs mlcroissant: pip install mlcroissant")
    run, _, croissant = carded
    with caplog.at_level(logging.WARNING):
        data = croissants.Dataset(str(croissant))
    assert not data.metadata.ctx.issues.errors
    assert not data.metadata.ctx.issues.warnings
    assert "not standard" not in caplog.text
    first = next(iter(data.records("mine/telemetry")))
    assert first["mine/telemetry/inlet_c"] == pytest.approx(float(run.telemetry["inlet_c"].iloc[0]), abs=1e-4)
    labels = list(data.records("mine/labels"))
    assert sum(of["mine/labels/is_anomaly"] for of in labels) == run.labels["is_anomaly"].sum()
    events = [of["mine/events/event_id"].decode() for of in data.records("mine/events")]
    assert events == run.events["event_id"].tolist()
    assert [of["mine/split/name"] for of in data.records("mine/split")] == ["train", "validation", "test"]


def test_a_clean_beginning_is_what_one_trains_on(tmp_path):
    rates = {"acceleration": 1000, "after": "1h"}
    keys = SMALL | {"incidents": [], "incident_rates": rates}
    sim.run("calm", seed=3, **keys).write(tmp_path / "b.parquet")
    readme, _ = write_card([tmp_path / "b.parquet"])
    parts = rows_of(readme.read_text(encoding="utf-8"), "Splits")
    assert [part[1:4] for part in parts] == [
        ["train", "2025-01-06T08:00:00Z", "2025-01-06T09:00:00Z"],
        ["test", "2025-01-06T09:00:00Z", "2025-01-06T10:00:00Z"],
    ]
    assert parts[0][5] == "0.00 %"


def test_runs_of_a_folder_share_its_readme_and_one_without_labels_has_a_card_too(tmp_path):
    for seed in (1, 2):
        sim.run("calm", seed=seed, **SMALL).write(tmp_path / f"run{seed}.parquet", labels="none", twin=False)
    readme, croissant = write_card([tmp_path / "run1.parquet", tmp_path / "run2.parquet"])
    assert (readme.name, croissant.name) == ("README.md", "croissant.json")
    text = readme.read_text(encoding="utf-8")
    assert "run1.parquet" in text
    assert "run2.parquet" in text
    assert rows_of(text, "Truth") == []


def test_a_run_called_telemetry_has_a_folder_to_itself(tmp_path):
    assert [path.name for path in card_paths([tmp_path / "telemetry.parquet"])] == ["README.md", "croissant.json"]


def test_what_is_no_card_of_ours_stays(tmp_path):
    sim.run("calm", seed=1, **SMALL).write(tmp_path / "telemetry.parquet")
    (tmp_path / "README.md").write_text("my notes", encoding="utf-8")
    with pytest.raises(InputError, match=r"README\.md: is no data card of ours"):
        write_card([tmp_path / "telemetry.parquet"])
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "my notes"


def test_files_that_changed_since_the_run_get_no_card(tmp_path):
    sim.run("calm", seed=1, **SMALL).write(tmp_path / "a.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    pyarrow.parquet.write_table(table.slice(1), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="changed since the run"):
        write_card([tmp_path / "a.parquet"])
    assert not (tmp_path / "a.card.md").exists()

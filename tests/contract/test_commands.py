"""The commands: what they write, what they refuse, and that nothing is lost or half-written."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from sim.cli.commands import export, generate_training_data, report, run_sim
from sim.cli.sweeping import sweep
from sim.engine.build import build, resolve
from sim.runs.files import RunFiles, run_paths
from sim.scenario.files import load_scenario
from tests.contract.conftest import TRACE, digests
from training import evaluate, explain, score, train_ims
from training.synthetic_data_generator import SyntheticDataGenerator

ROOT = Path(__file__).parents[2]


def test_the_same_scenario_and_seed_give_the_same_bytes_and_another_seed_others(run):
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert run("--scenario", "small", "--seed", seed, "--output", f"{folder}/")[0] == 0
    assert digests("a") == digests("b")
    assert digests("a")["small.csv"] != digests("c")["small.csv"]


def test_the_block_size_changes_no_byte(run, tmp_path):
    assert run("--scenario", "small", "--output", "a/", "--labels", "csv")[0] == 0
    hall = resolve(load_scenario("small"))
    for ticks in (1, 7):
        with RunFiles(run_paths("small", f"{tmp_path}/b{ticks}/", None, "csv"), hall) as files:
            build(hall, [files], block_ticks=ticks).run()
        assert digests(f"b{ticks}") == digests("a")


def test_a_run_writes_into_data_unless_told_otherwise_and_replaces_the_run_that_was_there(run):
    assert run("--scenario", "small", "--seed", "7")[0] == 0
    Path("data/small.csv").write_text("touched up since")
    code, text = run("--scenario", "small")
    assert code == 0
    assert "360 rows" in text
    assert len(Path("data/small.csv").read_text().splitlines()) == 361


def test_a_run_says_which_files_it_replaced(run):
    assert "replaced" not in run("--scenario", "small", "--seed", "7")[1]
    text = run("--scenario", "small", "--labels", "csv")[1]
    said = {line.split()[0]: line for line in text.splitlines() if line.startswith("  data")}
    assert [name for name, line in said.items() if line.endswith(", replaced")] == [
        str(Path("data", f"small.{end}")) for end in ("csv", "events.csv", "manifest.json")
    ]
    assert said[str(Path("data/small.labels.parquet"))].endswith("removed with the run that was there")


def test_runs_of_many_seeds_stand_side_by_side_when_their_names_say_the_seed(run, generate):
    for seed in (0, 1):
        assert run("--scenario", "small", "--seed", seed, "--output", "out/{scenario}_{seed}.csv")[0] == 0
    assert generate("--duration", "1", "--seed", "5", "--output", "out/{scenario}_{seed}.csv")[0] == 0
    names = {path.name for path in Path("out").glob("*.csv") if "events" not in path.name}
    assert names == {"small_0.csv", "small_1.csv", "training_main_5.csv"}
    code, text = run("--scenario", "small", "--output", "out/{sed}.csv")
    assert (code, "{sed} is not known" in text) == (2, True)


def test_a_run_that_may_not_replace_anything_names_all_that_is_there(run):
    assert run("--scenario", "small")[0] == 0
    before = digests("data")
    code, text = run("--scenario", "small", "--seed", "9", "--no-clobber")
    assert code == 2
    assert all(name in text for name in before)
    assert digests("data") == before
    assert run("--scenario", "small", "--output", "new/", "--no-clobber")[0] == 0


def test_a_check_tells_what_the_run_amounts_to(run):
    code, text = run("--scenario", "small", "--check")
    assert (code, "small: valid; 360 rows, about 32.8 kB of CSV" in text) == (0, True)
    assert not Path("data").exists()


def test_a_bare_duration_that_gives_a_few_samples_is_told_as_seconds(run):
    code, text = run("--scenario", "small", "--duration", "1200", "--check")
    assert (code, "--duration 1200 is 1200 seconds, 2 samples of each rack; 1200h" in text) == (0, True)
    assert "note" not in run("--scenario", "small", "--duration", "20m", "--check")[1]


def test_a_run_that_nobody_watches_tells_how_far_it_is(run, monkeypatch):
    monkeypatch.setattr("sim.cli.progress.TOLD_EVERY_S", 0.0)
    assert "small: 100% of the run" in run("--scenario", "small")[1]
    assert "of the run" not in run("--scenario", "small", "--quiet")[1]


@pytest.mark.parametrize(
    "command",
    [run_sim, generate_training_data, export, report, sweep, train_ims.main, score.main, evaluate.main, explain.main],
    ids=lambda command: command.callback.__module__ + "." + command.name,
)
def test_help_tells_the_exit_codes(run, command):
    assert "Exit codes: 0 done, 1" in run("-h", command=command)[1]


def test_an_incident_after_the_last_tick_is_no_episode_between_ticks(run):
    """Its only tick would be the one that the run ends with."""
    late = "incidents=[{kind: breaker_trip, target: 'rack:R-A-01', at: 19m30s, duration: 1m}]"
    for folder, more in (("a", ()), ("b", ("--set", late))):
        assert run("--scenario", "small", "--duration", "20m", "--output", f"{folder}/", *more)[0] == 0
    without, with_it = (json.loads(Path(f"{f}/small.manifest.json").read_text()) for f in "ab")
    assert with_it["incidents"] == {}
    assert with_it["episodes_between_ticks"] == without["episodes_between_ticks"]


def test_labels_of_an_earlier_run_do_not_stay_beside_a_run_without(run):
    assert run("--scenario", "small")[0] == 0
    assert run("--scenario", "small", "--labels", "none")[0] == 0
    assert sorted(p.name for p in Path("data").iterdir()) == ["small.csv", "small.events.csv", "small.manifest.json"]


BAD = [
    (["--scenario", "nosuch"], "not shipped"),
    (["--scenario", "none.yaml"], "cannot be read"),
    (["--scenario", "."], "cannot be read"),
    (["--seed", "x"], "not a valid integer"),
    (["--seed", "-1"], "seed: -1"),
    (["--duration", "-5"], "duration: -5s"),
    (["--duration", "100", "--tick", "7"], "does not divide"),
    (["--set", "foo=1"], "foo: unknown key"),
    (["--set", "facility.rowz=1"], "facility.rowz: unknown key; did you mean 'rows'?"),
    (["--set", "facility.rack_types.big.sice=2"], "facility.rack_types.big.sice: unknown key; did you mean 'size'?"),
    (["--set", "durations=2d"], "durations: unknown key; did you mean 'duration'?"),
    (["--set", "facility"], "key=value"),
    (["--set", "facility.rows=[A, A]"], "named twice"),
    (["--set", "facility.loops=[{name: CL-1, feeds: []}]"], "feeds nothing"),
    (["--set", "occupancy.anytime={thermal_event: 0.7, overcooled: 0.5}"], "120 %"),
    (["--set", "facility.rows=0"], "facility.rows"),
    (["--set", "facility.rows=50000"], "racks"),
    (["--set", "profiles.x.inlet_c=[50, 55]"], "profiles.x.inlet_c"),
    (["--set", "demand.source=trace", "--set", "demand.file=none.csv"], "cannot be read"),
    (["--scenario", "pump_trip", "--set", "incidents.²=1"], "there is no '²' to set"),
    (["--scenario", "pump_trip", "--set", "incidents.².at=1"], "incidents is not a section"),
    (["--scenario", "x" * 300], "not shipped"),
    (["--set", "demand.source=trace", "--set", 'demand.file="a\\0b"'], "cannot be read"),
    (["--output", "x.txt"], ".csv or .parquet"),
    (["--output", "x.csv", "--format", "parquet"], "disagree"),
]


@pytest.mark.parametrize(("args", "said"), BAD, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_bad_input_is_one_message_and_exit_2_and_writes_nothing(run, args, said):
    code, text = run(*args)
    assert code == 2
    assert said in text
    assert "Traceback" not in text
    assert not list(Path().rglob("*.csv"))


def test_all_offenders_are_told_at_once(run):
    Path("bad.yaml").write_text("tik: 1\nduration: -1\nseed: x\nfacility: {rows: [A, A]}\n")
    code, text = run("--scenario", "bad.yaml")
    assert code == 2
    assert all(
        word in text for word in ("4 problems", "tik: unknown key", "duration", "seed: 'x'", "'A' is named twice")
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"- 1\n", "mapping"),
        (b"a: 1\na: 2\n", "duplicate"),
        (b"a: [1\n", "line"),
        (b'tick: !!int ""\n', "not valid YAML"),
        (b"name: !!bool maybe\n", "not valid YAML"),
        (b"extends: bad.yaml\n", "circle"),
        (
            b"a: &a [x,x,x,x,x,x,x,x,x]\n"
            + b"".join(b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9)) for i in range(9)),
            "aliases",
        ),
        (b"a: " + b"[" * 3000 + b"]" * 3000, "nested too deeply"),
        (b"#" * 1_100_000, "larger"),
    ],
    ids=[
        "empty",
        "binary",
        "list",
        "duplicate key",
        "broken",
        "empty number",
        "no truth value",
        "circle",
        "bomb",
        "deep",
        "huge",
    ],
)
def test_a_file_that_is_no_scenario_is_exit_2(run, content, said):
    Path("bad.yaml").write_bytes(content)
    code, text = run("--scenario", "bad.yaml")
    assert code == 2
    assert said in text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes with names")
def test_a_pipe_in_place_of_a_file_to_read_is_exit_2_and_nobody_waits_for_it(run):
    os.mkfifo("pipe.yaml")
    Path("above.yaml").write_text("extends: pipe.yaml\n")
    trace = ["--set", "demand.source=trace", "--set", "demand.file=pipe.yaml"]
    for args in (["--scenario", "pipe.yaml"], ["--scenario", "above.yaml"], trace):
        code, text = run(*args)
        assert code == 2
        assert "pipe.yaml: the " in text
        assert "cannot be read: it is not a regular file" in text


def test_links_that_lead_in_a_circle_are_exit_2(run):
    Path("a.yaml").symlink_to("b.yaml")
    Path("b.yaml").symlink_to("a.yaml")
    Path("above.yaml").write_text("extends: a.yaml\n")
    for args in (["--scenario", "a.yaml"], ["--scenario", "above.yaml"]):
        code, text = run(*args)
        assert (code, text) == (2, "error: a.yaml: the scenario cannot be read: its links lead in a circle\n")


def test_a_name_that_no_file_can_have_is_exit_2(run):
    Path("above.yaml").write_text('extends: "./a\\0b"\n')
    code, text = run("--scenario", "above.yaml")
    assert code == 2
    assert "is not the name of a file" in text


def test_a_trace_without_a_token_is_exit_2(run):
    lines = [f"2023-11-16 {hour}:00:00.0000000,0,0" for hour in (18, 19)]
    Path("idle.csv").write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *lines, ""]))
    code, text = run("--set", "demand.source=trace", "--set", "demand.file=idle.csv")
    assert (code, text) == (2, "error: idle.csv: the request trace holds no tokens: 2 requests of 0\n")


def test_output_that_cannot_be_written_is_exit_1(run):
    Path("file").write_text("")
    code, text = run("--scenario", "small", "--output", "file/x.csv")
    assert code == 1
    assert "file" in text
    Path("folder.csv").mkdir()
    assert run("--scenario", "small", "--output", "folder.csv/")[0] == 0


def test_a_run_imports_no_library_that_it_can_do_without(tmp_path):
    code = "import sys; from sim.cli.commands import run_sim; run_sim(standalone_mode=False); print(*sys.modules)"
    args = [sys.executable, "-c", code, "--scenario", "small", "--quiet", "--output", f"{tmp_path}/"]
    done = subprocess.run(args, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    assert not {"pandas", "networkx", "scipy", "matplotlib"} & set(done.stdout.split())


def test_an_interrupt_is_exit_130_and_leaves_nothing_half_written(tmp_path):
    """Sixty days: a run that would not hear the interrupt ends by itself, with exit 0."""
    args = [sys.executable, str(ROOT / "run_sim.py"), "--duration", "60d", "--quiet"]
    process = subprocess.Popen(args, cwd=tmp_path, stderr=subprocess.PIPE, text=True)  # noqa: S603
    while process.poll() is None and not any(p.stat().st_size for p in tmp_path.glob("**/new/*.csv")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_describe_check_list_and_version_run_nothing(run):
    assert "72 racks" in run("--describe")[1]
    assert "week: valid" in run("--check")[1]
    assert "training_ims" in run("--list")[1]
    assert "0.1.0" in run("--version")[1]
    assert "--scenario week --seed 42" in run("--help")[1]
    assert not list(Path().iterdir())


def test_effects_without_the_labels_that_carry_them_are_refused(run):
    code, text = run("--scenario", "pump_trip", "--effects", "--labels", "none")
    assert (code, text) == (2, "error: --effects: goes into the labels, which --labels none leaves out\n")
    assert not list(Path().iterdir())


def test_what_brought_an_episode_is_itself_among_the_events(run):
    assert run("--scenario", "week", "--duration", "4d", "--tick", "30m", "--output", "x.csv")[0] == 0
    events = pd.read_csv("x.events.csv")
    named = events["cause_id"].dropna()
    assert len(named) > 100
    assert set(named) <= set(events["event_id"])


def test_all_writes_three_sets_of_different_seeds(generate, monkeypatch):
    import sim.cli.commands  # noqa: PLC0415 - to shorten the sets, not to mock them

    real = sim.cli.commands.load_scenario
    monkeypatch.setattr(sim.cli.commands, "load_scenario", lambda n, s, o: real(n, s, {**o, "duration": "1h"}))
    assert generate("--all", "--quiet")[0] == 0
    names = ("training_main", "training_ims", "validation")
    seeds = {json.loads(Path(f"data/{n}.manifest.json").read_text())["seed"] for n in names}
    assert len(seeds) == 3
    main, validation = (pd.read_csv(f"data/{n}.csv") for n in ("training_main", "validation"))
    assert not main["inlet_c"].equals(validation["inlet_c"])


def test_a_custom_set_has_the_hours_and_ticks_asked_for(generate):
    assert generate("--output", "data/high_res.csv", "--duration", "1", "--tick", "10", "--seed", "123")[0] == 0
    frame = pd.read_csv("data/high_res.csv")
    assert len(frame) == 360 * 72
    assert generate("--duration", "-1")[0] == 2


def test_a_request_trace_drives_the_load(run):
    base = ["--scenario", "small", "--tick", "60s", "--quiet"]
    assert run(*base, "--output", "a/")[0] == 0
    assert run(*base, "--output", "b/", "--set", "demand.source=trace", "--set", f"demand.file={TRACE}")[0] == 0
    plain, traced = pd.read_csv("a/small.csv"), pd.read_csv("b/small.csv")
    assert not plain["tokens_ps"].equals(traced["tokens_ps"])
    a, b = (pd.read_parquet(f"{x}/small.labels.parquet")["profile"].astype(str) for x in "ab")
    assert a.equals(b)  # the trace moves load inside profiles, never who is in which


def test_the_generator_makes_frames_whose_profiles_and_probabilities_can_be_edited():
    plain = SyntheticDataGenerator(seed=42)
    frame = plain.generate_timeseries("2025-01-06T09:00:00Z", 3, 60, rack_ids=["R-C-07", "R-A-01"])
    assert sorted(frame["rack_id"].unique()) == ["R-A-01", "R-C-07"]
    assert len(frame) == len(plain.labels) == 360
    edited = SyntheticDataGenerator(seed=42)
    edited.probabilities["anytime"]["thermal_event"] = 0.10
    edited.profiles["custom_profile"] = {"inlet_c": (20.0, 25.0), "outlet_c": (35.0, 40.0)}
    edited.probabilities["anytime"]["custom_profile"] = 0.30
    edited.generate_timeseries("2025-01-06T09:00:00Z", 3, 60)
    assert "custom_profile" in set(edited.labels["profile"])


def test_the_page_on_files_names_every_column_and_manifest_field_that_is_written(run):
    assert run("--scenario", "small", "--labels", "csv", "--output", "out/")[0] == 0
    page = set(re.findall(r"\w+", (ROOT / "docs" / "data.md").read_text(encoding="utf-8")))
    manifest = json.loads(Path("out/small.manifest.json").read_text())
    headers = [Path(f"out/small{part}.csv").read_text().splitlines()[0] for part in ("", ".labels", ".events")]
    assert not {*manifest, *manifest["versions"], *manifest["project"], *",".join(headers).split(",")} - page


TRACE_OF = "demand: {source: trace, file: mine.csv}\n"


def test_a_scenario_s_trace_starts_beside_the_scenario_and_one_that_is_set_in_the_working_folder(run):
    for folder in ("there", "here"):
        Path(folder).mkdir()
    Path("there/hall.yaml").write_text("extends: small\n" + TRACE_OF)
    Path("there/mine.csv").write_bytes(TRACE.read_bytes())
    assert run("--scenario", "there/hall.yaml", "--output", "here/a.csv")[0] == 0
    told = json.loads(Path("here/a.manifest.json").read_text())
    assert Path(told["scenario"]["demand"]["file"]) == Path("there/mine.csv")
    code, text = run("--scenario", "there/hall.yaml", "--set", "demand.file=mine.csv", "--output", "here/b.csv")
    assert (code, "'mine.csv': the request trace cannot be read" in text) == (2, True)
    Path("mine.csv").write_bytes(TRACE.read_bytes())
    assert run("--scenario", "there/hall.yaml", "--set", "demand.file=mine.csv", "--output", "here/b.csv")[0] == 0
    assert Path("here/a.csv").read_bytes() == Path("here/b.csv").read_bytes()


def test_a_check_reads_the_trace_that_the_run_would_read(run):
    Path("hall.yaml").write_text("extends: small\n" + TRACE_OF)
    code, text = run("--scenario", "hall.yaml", "--check")
    assert (code, "the request trace cannot be read: No such file" in text) == (2, True)
    Path("mine.csv").write_bytes(TRACE.read_bytes())
    assert run("--scenario", "hall.yaml", "--check")[0] == 0


@pytest.mark.parametrize("name", ["null", "none", "nan", "na"])
def test_a_profile_whose_name_readers_of_tables_take_for_an_empty_cell_is_refused(run, name):
    code, text = run("--set", f"profiles.{name}.inlet_c=[20, 24]", "--check")
    assert (code, "readers of tables take this word for an empty cell" in text) == (2, True)


@pytest.mark.parametrize(("suffix", "told"), [("csv", "CSV"), ("parquet", "Parquet")])
def test_a_check_s_bytes_are_those_of_the_file(run, suffix, told):
    """A day of the hall within a fifth: the first and last block of a Parquet file hold less than the others."""
    day = ("--scenario", "week", "--duration", "1d", "--labels", "none")
    expected_mb = float(re.search(rf"([\d.]+) MB of {told}", run(*day, "--check")[1])[1])
    assert run(*day, "--quiet", "--output", f"day.{suffix}")[0] == 0
    assert Path(f"day.{suffix}").stat().st_size / 1e6 == pytest.approx(expected_mb, rel=0.2)

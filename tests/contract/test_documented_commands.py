"""Every command of the README and of docs/ is run, as it stands but for what makes it short."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import sim
from sim.cli.commands import export, generate_training_data, report, run_sim
from sim.cli.judging import quality
from sim.cli.sweeping import sweep
from training import evaluate, explain, score, train_ims

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
COMMANDS = {
    "run_sim.py": run_sim, "generate_training_data.py": generate_training_data, "sim.report": report,
    "sim.export": export, "sim.sweep": sweep, "sim.quality": quality, "training.train_ims": train_ims.main,
    "training.score": score.main, "training.evaluate": evaluate.main, "training.explain": explain.main,
}  # fmt: skip
CALL = re.compile(r"python (?:-m )?((?:sim|training)\.[a-z_]+|run_sim\.py|generate_training_data\.py)((?: [^`]*)?)")
MAKE = re.compile(r"(?:`|^    )make ([a-z -]+?)(?:`|  |;|$)", re.MULTILINE)
ENDS = re.compile(r"  +#| \| | && | > |$")
"""What ends a command in a line: a comment, a pipe, another command, a file that takes its output."""

ELSEWHERE = {
    "--live": "sends to a server: tests/cli/test_live.py, tests/api",
    "--scheduler": "needs a cluster: tests/contract/test_sweep_on_a_cluster.py",
    "valve_hunting": "a kind that a reader adds: tests/contract/test_changing_page.py",
    "sensor_coarse": "as above",
    "sink.jsonl": "as above",
    "kept.yaml": "what a live hall gives: tests/api/test_hall.py",
    "my_profile.yaml": "as above",
    "channel.csv": "as above",
    "--alarms FILE": "tests/training/test_for_programs.py",
    "NAME.csv": "tests/cli/test_for_programs.py",
    "FILE": "a place for a file: the same command stands with one beside it",
    "--scenario F ": "as above",
}
"""Commands that are not run here, by what only they say."""

WHOLE_WEEKS = "--all --report"
TELLS_ONLY = "--list", "--incidents", "--explain", "--schema", "--describe", "--check"


def calls(text):
    """Yield the program and the rest of each command in a page: of its blocks, and of text between back ticks."""
    blocks = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    for piece in [*blocks, *re.findall(r"`([^`\n]+)`", text.replace("\n    ", "\n\n"))]:
        for found in CALL.finditer(piece):
            rest = found[2]
            yield found[1], rest[: ENDS.search(rest).start()].strip()


def all_calls():
    found = [call for page in PAGES for call in calls(page.read_text(encoding="utf-8"))]
    return sorted({call for call in found if call[1]})


def is_elsewhere(rest):
    return any(words in rest for words in ELSEWHERE)


def shortened(program, rest):
    """Return the arguments with what makes a run of weeks one of seconds: samples are farther apart."""
    args = shlex.split(rest)
    if program == "run_sim.py" and not {*TELLS_ONLY, "--duration", "--tick"} & {*args}:
        return [*args, "--tick", "10m"]
    if program == "sim.sweep":
        return [arg.replace("0-99", "0-1") for arg in args] + ["--set", "tick=1h", "--workers", "1"]
    if program == "training.evaluate" and "--against" in args:
        return [*args, "--seeds", "1"]
    return [*args, "--set", "tick=10m"] if args[0].startswith("benchmark") else args


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with what the commands take for given."""
    folder = tmp_path_factory.mktemp("prepared")
    trip = [{"kind": "pump_trip", "target": "loop:CL-1", "at": "14h", "duration": "30m"}]
    rows = [{"name": "A", "racks": 1}, {"name": "B", "racks": 1}, {"name": "C", "racks": 7}]
    hall = {"facility": {"rows": rows}, "duration": "1d"}
    for name, seed in (("week", 1), ("training_ims", 2), ("validation", 3)):
        sim.run("week", seed=seed, incidents=trip, **hall).write(folder / "data" / f"{name}.csv")
    sim.run("small").write(folder / "data" / "mine.csv")
    sim.run("small").write(folder / "theirs.parquet", labels="csv")
    shutil.move(folder / "theirs.labels.csv", folder / "their_labels.csv")
    for path in folder.glob("theirs.*"):
        if path.suffix != ".parquet":
            path.unlink()
    (folder / "my_hall.yaml").write_text("extends: small\nduration: 1h\n")
    (folder / "SWEEP.yaml").write_text("scenarios: [small]\nseeds: 2\n")
    _prepare_fleet_and_models(folder)
    return folder


def _prepare_fleet_and_models(folder):
    fleet = [
        "--scenario", "week", "--seeds", "0-1", "--workers", "1", "--set", "duration=10h", "--set", "facility.rows=2",
        "--set", "facility.racks_per_row=3", "--output", str(folder / "data" / "fleet"), "--quiet",
    ]  # fmt: skip
    assert CliRunner().invoke(sweep, fleet).exit_code == 0
    for output in ("m.json", "artifacts/ims_training_ims.json"):
        data = str(folder / "data" / "training_ims.csv")
        done = CliRunner().invoke(train_ims.main, ["--data", data, "--output", str(folder / output)])
        assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("program", "rest"),
    [
        pytest.param(*call, marks=pytest.mark.nightly) if call[1] == WHOLE_WEEKS else call
        for call in all_calls()
        if not is_elsewhere(call[1])
    ],
    ids=str,
)
def test_a_command_of_the_documents_does_what_they_say(prepared, tmp_path, monkeypatch, program, rest):
    shutil.copytree(prepared, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    if program == "sim.sweep":
        shutil.rmtree("data/fleet")
        if "--resume" in rest:
            assert CliRunner().invoke(sweep, shortened(program, rest.replace("--resume", ""))).exit_code == 0
    done = CliRunner().invoke(COMMANDS[program], shortened(program, rest))
    assert done.exit_code in ({0, 1} if program == "sim.quality" else {0}), done.output
    assert "Traceback" not in done.output


def test_what_is_run_elsewhere_is_still_in_the_documents():
    found = [rest for _, rest in all_calls()]
    assert [words for words in ELSEWHERE if not any(words in rest for rest in found)] == []


def test_targets_of_make_in_the_documents_are_there():
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = {name for found in MAKE.findall(pages) for name in found.split()}
    assert named >= {"week", "test", "docs"}
    assert named - made == set()


def test_a_command_is_found_in_blocks_and_in_lines_and_ends_where_it_ends():
    text = (
        "    python run_sim.py --list      # all\n    x && python -m sim.sweep B | jq\n\n`python -m sim.report A` or\n"
    )
    assert list(calls(text)) == [("run_sim.py", "--list"), ("sim.sweep", "B"), ("sim.report", "A")]

"""Completion in a real shell, by the lines of docs/editors.md."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = re.findall(
    r'^    (eval "\$\(_\w+=\w+_source [\w-]+\)"|_\w+=\w+_source .*\| source) +# (\w+)',
    (ROOT / "docs" / "editors.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)
FEED = """
complete -p {command}
COMP_WORDS=({words}) COMP_CWORD={count}
{function} {command}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
"""What bash does at the tab key: it calls the function that is registered for the command."""


@pytest.fixture
def commands(tmp_path):
    """A folder with the installed commands, as an installer would write them."""
    for name, module, function in (
        ("skadi-sim", "sim.cli.commands", "run_sim"),
        ("skadi-train", "training.train_ims", "main"),
    ):
        script = f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom {module} import {function}\n"
        (tmp_path / name).write_text(f"{script}{function}()\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def completed(commands, command, *words):
    """Return what bash completes the last word to, after the page's line for bash."""
    [line] = [line for line, shell in LINES if shell == "bash"]
    own = line.replace("skadi-sim", command).replace("SKADI_SIM", command.upper().replace("-", "_"))
    function = f"_{command.replace('-', '_')}_completion"
    fed = FEED.format(command=command, words=" ".join([command, *words]), count=len(words), function=function)
    done = subprocess.run(  # noqa: S603 - our own lines
        [shutil.which("bash") or "bash", "--norc", "-c", own + fed], capture_output=True, text=True, check=True,
        env={**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    registered, *found = done.stdout.splitlines()
    assert registered == f"complete -o nosort -F {function} {command}"
    return found


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not there")
@pytest.mark.parametrize(
    ("command", "words", "among"),
    [
        ("skadi-sim", ("--scenario", "pump_t"), {"pump_trip"}),
        ("skadi-sim", ("--explain", "sensor_"), {"sensor_stuck", "sensor_drift"}),
        ("skadi-sim", ("--scenario", "week", "--set", "facility.out"), {"facility.outdoor_c="}),
        ("skadi-sim", ("--no-",), {"--no-clobber"}),
        ("skadi-train", ("--algorithm", "hy"), {"hyperbox"}),
    ],
)
def test_bash_completes_names_keys_and_options(commands, command, words, among):
    assert among <= set(completed(commands, command, *words))


def test_the_page_has_a_line_for_each_shell():
    assert [shell for _, shell in LINES] == ["bash", "zsh", "fish"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_take_the_script_that_they_get(commands, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not there")
    env = {**os.environ, "_SKADI_SIM_COMPLETE": f"{shell}_source"}
    made = subprocess.run([commands / "skadi-sim"], capture_output=True, text=True, check=True, env=env)  # noqa: S603
    check = {"zsh": ["zsh", "-n", "-c"], "fish": ["fish", "--no-execute", "-c"]}[shell]
    assert subprocess.run([*check, made.stdout], check=False).returncode == 0  # noqa: S603

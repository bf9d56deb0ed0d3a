import subprocess
import sys
from pathlib import Path

import pytest

from sim.common.errors import InputError
from training.import_optional import import_optional, require

ROOT = Path(__file__).parents[2]


def test_a_module_that_is_not_installed_is_an_error_that_says_what_to_install():
    with pytest.raises(InputError, match=r"nowhere is not installed; python -m pip install 'skadi-sim\[training\]'"):
        import_optional("nowhere.at_all")


def test_a_module_that_is_there_is_returned():
    assert import_optional("json").loads("1") == 1


def test_all_that_is_missing_is_told_at_once():
    with pytest.raises(InputError, match=r"nowhere, nothing: not installed; .*skadi-sim\[training\]"):
        require("nowhere", "json", "nothing")
    require("json")


def test_commands_tell_it_before_they_read(tmp_path):
    """In a Python that finds no scikit-learn and no matplotlib: a finder in front of the others says so."""
    code = (
        "import sys\n"
        "class Without:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name in ('sklearn', 'matplotlib'):\n"
        "            sys.path_importer_cache.clear(); sys.path[:] = []\n"
        "sys.meta_path.insert(0, Without())\n"
        "from training.{0} import main\nmain({1!r})"
    )
    for command, arguments in (("train_ims", []), ("evaluate", ["--models", "m"])):
        given = ["--data", str(tmp_path / "gone.csv"), *arguments]
        done = subprocess.run(  # noqa: S603 - our own lines
            [sys.executable, "-c", code.format(command, given)], capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert done.returncode == 2
        assert "not installed" in done.stderr

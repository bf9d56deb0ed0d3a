"""The pages made of the commands and of the schema are what the code says, and name every key."""

import json
import re
from pathlib import Path

import pytest

from docs.reference_pages import COMMANDS, FOLDER, PAGES
from sim.cli.explanations import scenario_schema

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name):
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "stale: run python -m docs.reference_pages"


def test_the_page_of_keys_names_every_key_of_a_scenario():
    schema = json.loads(scenario_schema())
    keys = {key for section in [schema, *schema["$defs"].values()] for key in section.get("properties", {})}
    page = set(re.findall(r"\w+", (FOLDER / "scenario_keys.md").read_text(encoding="utf-8")))
    assert keys - page == set()


def test_the_page_of_commands_has_every_command_that_is_installed():
    scripts = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[project.scripts]")[2].partition("[")[0]
    installed = dict(re.findall(r'^([\w-]+) = "(.+)"$', scripts, re.MULTILINE))
    assert installed == {name: place for _, name, place in COMMANDS}

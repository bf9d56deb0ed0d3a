"""The page on scenario files names every key that a file may have."""

import json
import re
from pathlib import Path

from sim.cli.explanations import scenario_schema

ROOT = Path(__file__).parents[2]


def test_the_page_on_scenarios_names_every_key_but_those_of_incidents():
    schema = json.loads(scenario_schema())
    others = ("TriggerSpec", "IncidentSpec", "IncidentRates", "KindRate", "DurationLaw")  # docs/incidents.md has these
    sections = [schema, *(section for name, section in schema["$defs"].items() if name not in others)]
    keys = {key for section in sections for key in section.get("properties", {})}
    page = set(re.findall(r"\w+", (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")))
    assert keys - page == set()

"""Write docs/commands.md and docs/scenario_keys.md from the code: python -m docs.reference_pages."""

from collections.abc import Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import get_args

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from docs.incidents_page import default_text
from sim.agents.occupancy import Dwell, Occupancy
from sim.common.time_units import DurationS, format_duration
from sim.incidents.schema import DurationLaw, EndingSpec, IncidentRates, IncidentSpec, KindRate, TriggerSpec
from sim.model.channels import Missing, Sensors
from sim.model.facility import FacilitySpec, LoopSpec, RackType, RowSpec
from sim.model.profiles import RangeSpec
from sim.scenario.schema import Bursts, Demand, Scenario, TelemetrySpec, TrainingJobSpec
from sim.sweeps.schema import SiteSpec, SweepSpec

FOLDER = Path(__file__).parent
WIDTH = 100

COMMANDS = (
    ("python run_sim.py", "skadi-sim", "sim.cli.commands:run_sim"),
    ("python generate_training_data.py", "skadi-generate", "sim.cli.commands:generate_training_data"),
    ("python -m sim.report", "skadi-report", "sim.cli.commands:report"),
    ("python -m sim.export", "skadi-export", "sim.cli.commands:export"),
    ("python -m sim.sweep", "skadi-sweep", "sim.cli.sweeping:sweep"),
    ("python -m sim.quality", "skadi-quality", "sim.cli.judging:quality"),
    ("python -m training.train_ims", "skadi-train", "training.train_ims:main"),
    ("python -m training.score", "skadi-score", "training.score:main"),
    ("python -m training.evaluate", "skadi-evaluate", "training.evaluate:main"),
    ("python -m training.explain", "skadi-explain", "training.explain:main"),
    ("python -m api", "skadi-api", "api.__main__:main"),
)
"""As it is called in a checkout, as it is when installed, and where it is."""

SECTIONS: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("", "Beside these, `extends` names a shipped scenario, or a file beneath this one, that the keys are laid over.",
     Scenario),
    ("facility", "", FacilitySpec),
    ("facility.rows[]", "Where rows are listed.", RowSpec),
    ("facility.loops[]", "", LoopSpec),
    ("facility.rack_types.NAME", "", RackType),
    ("profiles.NAME.CHANNEL", "Also as a pair: `[low, high]`.", RangeSpec),
    ("occupancy", "", Occupancy),
    ("dwell", "", Dwell),
    ("demand", "", Demand),
    ("demand.bursts", "", Bursts),
    ("training_job", "", TrainingJobSpec),
    ("sensors", "", Sensors),
    ("sensors.missing", "", Missing),
    ("telemetry", "", TelemetrySpec),
    ("incidents[]", "", IncidentSpec),
    ("incidents[].causes[]", "The keys of an incident but `id` and `at`, and", TriggerSpec),
    ("endings[]", "", EndingSpec),
    ("incident_rates", "", IncidentRates),
    ("incident_rates.kinds.KIND", "", KindRate),
    ("incident_rates.kinds.KIND.duration", "", DurationLaw),
)  # fmt: skip

SWEEP_SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (("", SweepSpec), ("sites[]", SiteSpec))


def commands_page() -> str:
    """Return what every command's help says."""
    lines = [
        "# Commands",
        "",
        "Made from the commands' own help by `python -m docs.reference_pages`. After `pip install skadi-sim` a command",
        "is called by the second name, from a checkout by the first.",
        "",
    ]
    for called, installed, place in COMMANDS:
        lines += [f"## {called}", "", f"Installed: `{installed}`.", "", "```text", *_help(called, place), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _help(called: str, place: str) -> list[str]:
    module, _, name = place.partition(":")
    command: click.Command = getattr(import_module(module), name)
    context = click.Context(command, info_name=called, terminal_width=WIDTH, **command.context_settings)
    return [line.rstrip() for line in command.get_help(context).splitlines()]


def keys_page() -> str:
    """Return every key of scenario files and of sweeps, with its default and what it means."""
    lines = [
        "# Keys of scenario files",
        "",
        "Made from the schema by `python -m docs.reference_pages`; [scenarios.md](scenarios.md) shows how such a file",
        "is written, `run_sim.py --schema` gives the same as JSON Schema for editors.",
        "",
    ]
    for place, about, model in SECTIONS:
        of_incident = IncidentSpec.model_fields if model is TriggerSpec else {}
        fields = {name: f for name, f in model.model_fields.items() if f.description != _said(of_incident.get(name))}
        lines += [f"## {place or 'The file'}", "", *([about, ""] if about else []), *_table(fields)]
    lines += ["## A sweep", "", "The file of [`python -m sim.sweep`](scale.md).", ""]
    for place, model in SWEEP_SECTIONS:
        lines += [*([f"### {place}", ""] if place else []), *_table(model.model_fields)]
    return "\n".join(lines).rstrip() + "\n"


def _said(field: FieldInfo | None) -> str:
    return "" if field is None else field.description or ""


def _table(fields: dict[str, FieldInfo]) -> Iterator[str]:
    yield from ("| key | default | meaning |", "|---|---|---|")
    for name, field in fields.items():
        yield f"| {name} | {_shown(field)} | {_said(field)} |"
    yield ""


def _shown(field: FieldInfo) -> str:
    """Return a default as a file would write it; of whole sections nothing, they have a table of their own."""
    value = None if field.is_required() else field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return ""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, dict):
        shown = format_duration if DurationS in get_args(field.annotation) else _nested
        return ", ".join(f"{key}: {shown(of)}" for key, of in value.items())
    return ", ".join(value) if isinstance(value, list) else default_text(field)


def _nested(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_nested(of)}" for key, of in value.items()) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)


PAGES = {"commands.md": commands_page, "scenario_keys.md": keys_page}


def main() -> None:
    """Write the pages."""
    for name, made in PAGES.items():
        (FOLDER / name).write_text(made(), encoding="utf-8")


if __name__ == "__main__":
    main()

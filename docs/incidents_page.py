"""Write docs/incidents.md and its pictures from the catalogue: python -m docs.incidents_page."""

from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sim.cli.explanations import kind_facts
from sim.common.time_units import DurationS, format_duration
from sim.incidents.catalogue import CATALOGUE
from sim.incidents.envelope import SeverityEnvelope
from sim.incidents.kinds import Kind
from sim.incidents.schema import DurationLaw, EndingSpec, IncidentRates, IncidentSpec, KindRate, TriggerSpec
from sim.incidents.selectors import FORMS
from sim.scenario.files import first_line, shipped_scenarios

PAGE = Path(__file__).with_name("incidents.md")
PICTURES = Path(__file__).with_name("incidents")
EXAMPLES = ("scripted_week", "cascade", "random_month")

GROUPS = {
    "cooling": "Cooling",
    "room": "Room and rack",
    "power": "Power",
    "load": "Load",
    "sensor": "Sensors",
    "normal": "Normal but rare",
}

SECTIONS: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("incidents", "a list, each with", IncidentSpec),
    ("incidents[].causes", "a list, each with the keys of an incident but `id` and `at`, and", TriggerSpec),
    ("endings", "a list of incidents that are ended before their time; what they have set off goes on", EndingSpec),
    ("incident_rates", "incidents drawn at random", IncidentRates),
    ("incident_rates.kinds.KIND", "each key may be left out", KindRate),
    ("incident_rates.kinds.KIND.duration", "", DurationLaw),
)


def page() -> str:
    """Return the whole page."""
    groups = [line for group, title in GROUPS.items() for line in [f"## {title}", "", *_group(group)]]
    return "\n".join([*_head(), *_language(), *groups]).rstrip() + "\n"


def _head() -> list[str]:
    return [
        "# Incidents",
        "",
        "Made from the code by `python -m docs.incidents_page`, pictures included; edit sim/incidents/catalogue.py,",
        "not this page. `run_sim.py --incidents` lists the kinds, `--explain KIND` prints one, `--schema` lets an",
        "editor complete and check a scenario file. Each kind has a scenario of its own name, as in",
        "`run_sim.py --scenario pump_trip --twin --effects`.",
        "",
        "The pictures show the readings of what is affected (their mean, and from lowest to highest where there are",
        "several) against those of its twin, the run of the same seed without incidents. Shaded: while the cause",
        "lasts, fainter while it fades.",
        "",
    ]


def _language() -> list[str]:
    lines = ["## The language", ""]
    for place, about, model in SECTIONS:
        fields = {n: f for n, f in model.model_fields.items() if model is not TriggerSpec or _own(n, f)}
        lines += [f"`{place}`" + (f": {about}" if about else ""), "", "| key | default | meaning |", "|---|---|---|"]
        lines += [f"| {name} | {default_text(field)} | {field.description} |" for name, field in fields.items()]
        lines.append("")
    course = (SeverityEnvelope.__doc__ or "").split("\n\n")[1]
    lines += [f"Targets: {FORMS}; several in a list; `*` and `?` stand for any characters.", ""]
    lines += [f"Shapes: {' '.join(course.split())}".replace("_s`", "`"), ""]
    lines += [
        "Several at once act together: factors multiply, shifts add, the strictest limit holds, and the end of one "
        "never repairs another.",
        "",
    ]
    for name in EXAMPLES:
        path = shipped_scenarios()[name]
        lines += [f"{first_line(path)} (`scenarios/{name}.yaml`):", "", "```yaml"]
        lines += [*path.read_text(encoding="utf-8").splitlines()[2:], "```", ""]  # without what it is, and for editors
    return lines


def _own(name: str, field: FieldInfo) -> bool:
    """Return whether a key of causes is not one of incidents, or means something else there."""
    of_incident = IncidentSpec.model_fields.get(name)
    return of_incident is None or of_incident.description != field.description


def default_text(field: FieldInfo) -> str:
    """Return the default of a key as a file would write it, nothing where it has none."""
    value: Any = None if field.is_required() else field.get_default(call_default_factory=True)
    if field.is_required():
        return "required"
    if value in (None, "", {}, []):
        return ""
    if any(part in get_args(DurationS) for part in field.metadata):
        return format_duration(value)
    return (
        ", ".join(f"{v:g}" for v in value)
        if isinstance(value, tuple)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _group(group: str) -> list[str]:
    return [line for kind in CATALOGUE.values() if kind.group == group for line in _kind(kind)]


def _kind(kind: Kind) -> list[str]:
    return [
        f"### {kind.name}",
        "",
        f"{kind.line}.",
        "",
        *(f"- {fact}" for fact in kind_facts(kind)),
        f"- scenario `{kind.name}`: {first_line(shipped_scenarios()[kind.name])}",
        "",
        f"![{kind.name} against its twin]({PICTURES.name}/{kind.name}.png)",
        "",
    ]


def main() -> None:
    """Write the page, and a picture for each kind."""
    from docs.incident_pictures import draw  # noqa: PLC0415 - the page's text needs no Matplotlib

    PAGE.write_text(page(), encoding="utf-8")
    PICTURES.mkdir(exist_ok=True)
    for name in CATALOGUE:
        draw(name, PICTURES / f"{name}.png")


if __name__ == "__main__":
    main()

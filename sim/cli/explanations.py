"""What the catalogue and the scenario format say of themselves, as text."""

import json
from typing import Any

from pydantic import BaseModel

from sim.common.errors import InputError
from sim.common.time_units import format_duration
from sim.incidents.catalogue import CATALOGUE, CHANNEL, DEFAULT_CHANNEL
from sim.incidents.checks import near_kind
from sim.incidents.kinds import FAULT_INPUTS, Kind
from sim.model.channels import MEASURED
from sim.scenario.files import first_line, shipped_scenarios
from sim.scenario.schema import Scenario

_EXAMPLES = {"rack": "rack:R-C-07", "row": "row:C", "loop": "loop:CL-2", "ups": "ups:UPS-1", "plant": "plant"}
"""A target of each level, in the shipped halls."""


def kind_list() -> str:
    """Return every kind of incident with one line, group by group."""
    width = max(map(len, CATALOGUE))
    lines: list[str] = []
    for group in dict.fromkeys(kind.group for kind in CATALOGUE.values()):
        lines += [f"{group}:", *(f"  {k.name:{width}}  {k.line}" for k in CATALOGUE.values() if k.group == group)]
    return "\n".join(lines)


def kinds_listed() -> list[dict[str, str]]:
    """Return every kind of incident for programs."""
    return [{"kind": k.name, "group": k.group, "line": k.line} for k in CATALOGUE.values()]


def scenarios_listed() -> list[dict[str, str]]:
    """Return every shipped scenario for programs."""
    return [
        {"scenario": name, "line": first_line(path), "file": str(path)} for name, path in shipped_scenarios().items()
    ]


def dotted_keys(model: type[BaseModel] = Scenario, above: str = "") -> list[str]:
    """Return the keys of a scenario, those of its sections dotted."""
    keys = []
    for name, field in model.model_fields.items():
        of = field.annotation
        section = of if isinstance(of, type) and issubclass(of, BaseModel) else None
        keys += dotted_keys(section, f"{above}{name}.") if section else [f"{above}{name}"]
    return keys


def kind_explained(name: str) -> str:
    """Return what a kind does, its relations and constants. Raises InputError for a name that is no kind."""
    kind = _kind(name)
    return "\n".join([f"{kind.name} ({kind.group}): {kind.line}", *(f"  {line}" for line in kind_facts(kind))])


def kind_for_programs(name: str) -> dict[str, Any]:
    """Return the same for programs: each of the facts as a line."""
    kind = _kind(name)
    return {"kind": kind.name, "group": kind.group, "line": kind.line, "facts": kind_facts(kind)}


def _kind(name: str) -> Kind:
    if name not in CATALOGUE:
        raise InputError(f"--explain: {name!r} is not a kind of incident{near_kind(name)}")
    return CATALOGUE[name]


def kind_facts(kind: Kind) -> list[str]:
    """Return what there is to know of a kind, a line each."""
    target = " or ".join(kind.target_levels) + (f"; {kind.target} unless given" if kind.target else "")
    period = f" of {format_duration(kind.period_s)}" if kind.period_s else ""
    rise = f" rising over {format_duration(kind.rise_s)}" if kind.rise_s else ""
    course = f"{kind.shape}{period}{rise}, {format_duration(kind.duration_s)} long"
    recovery = f"; fades over {format_duration(kind.recovery_s)}" if kind.recovery_s else "; ends at once"
    d = kind.durations
    lines = [
        f"how it is felt: {kind.relation}",
        f"target: {target}" + (f", of type {kind.rack_type}" if kind.rack_type else ""),
        f"course unless given: {course}{recovery}",
        *(_effect_line(kind, e.fault_input, e.parameter) for e in kind.effects),
        *(
            f"parameter {p.name} = {p.default:g} {p.unit} ({p.low:g} to {p.high:g}); {p.source}"
            for p in kind.parameters
        ),
        *([f"parameter {CHANNEL} = {DEFAULT_CHANNEL}: the sensor it is in"] if kind.sensor else []),
        *(["parameter to: who takes the load; the target's own neighbours unless given"] if kind.moves_load else []),
        *(
            f"sets off: {c.kind} of {c.target} after {format_duration(c.after_s)}, lasting "
            f"{format_duration(c.duration_s)}, with probability {c.probability:g}; {c.source}"
            for c in kind.triggers
        ),
        f"drawn: {kind.per_year:g} a year and asset ({kind.rate_source}), median {format_duration(d.median_s)}, "
        f"{format_duration(d.shortest_s)} to {format_duration(d.longest_s)}",
    ]
    lines += [f"unseen at its usual severity: {kind.unseen}"] if kind.unseen else []
    return lines + (["labelled normal: rare, but no fault"] if kind.is_normal else [])


def _effect_line(kind: Kind, input_name: str, parameter: str) -> str:
    fault_input, full = FAULT_INPUTS[input_name], kind.defaults()[parameter]
    how = {
        "scale": f"{full:g} {fault_input.unit}",
        "shift": f"{full:+g} {fault_input.unit}",
        "ceiling": f"at most {full:g} {fault_input.unit}",
        "floor": f"at least {full:g} {fault_input.unit}",
    }
    return f"effect at full severity: {fault_input.text}: {how[fault_input.rule]} ({input_name} <- {parameter})"


def kind_yaml(name: str) -> str:
    """Return a kind as an entry of `incidents` to paste, all of its own values written out. Raises InputError."""
    kind = _kind(name)
    target = kind.target or _EXAMPLES[kind.target_levels[0]]
    lines = [
        f"  - kind: {kind.name}",
        f'    target: "{target}"  # {" or ".join(kind.target_levels)}',
        "    at: 1h  # or mon 14:00, or an instant",
        f"    duration: {format_duration(kind.duration_s)}",
        "    severity: 1.0  # part of the full effect",
        f"    shape: {kind.shape}",
        *([f"    period: {format_duration(kind.period_s)}"] if kind.period_s else []),
        f"    recovery: {format_duration(kind.recovery_s)}",
    ]
    own = [f"{p.name}: {p.default:g}  # {p.unit}, {p.low:g} to {p.high:g}" for p in kind.parameters]
    own += [f"{CHANNEL}: {DEFAULT_CHANNEL}  # or {', '.join(MEASURED)}"] if kind.sensor else []
    if own:
        lines += ["    parameters:", *(f"      {line}" for line in own)]
    if kind.triggers:
        lines += ["    causes:"]
        for of in kind.triggers:
            lasts = format_duration(of.duration_s)
            lines += [
                f'      - {{kind: {of.kind}, target: "{of.target}", after: {format_duration(of.after_s)}, '
                f"duration: {lasts}, probability: {of.probability:g}}}"
            ]
    return "\n".join([f"# {kind.line}", *_hall_for(kind), "incidents:", *lines])


def _hall_for(kind: Kind) -> list[str]:
    """Return the keys of a hall that has what a kind affects, where not every hall has it."""
    if kind.rack_type:
        return ["facility:", f"  rows: [A, B, {{name: C, rack_type: {kind.rack_type}}}]  # it affects no others"]
    return ["training_job: {racks: row:C}"] if kind.whole_job else []


def scenario_schema() -> str:
    """Return the JSON Schema of scenario files, with the kinds and channels that there are, for editors."""
    schema = Scenario.model_json_schema()
    extends = {"type": "string", "description": "shipped scenario or path beneath this file"}
    schema["properties"] = {"extends": extends, **schema["properties"]}
    schema["required"] = []  # a file's name stands in for `name`
    kinds, parts = {"enum": list(CATALOGUE)}, schema["$defs"]
    for name in ("IncidentSpec", "TriggerSpec"):
        of = parts[name]["properties"]["kind"]
        parts[name]["properties"]["kind"] = (
            {**of, "anyOf": [kinds, {"type": "null"}]} if "anyOf" in of else {**of, **kinds}
        )
    by_name, listed = parts["IncidentRates"]["properties"]["kinds"]["anyOf"]
    by_name["propertyNames"] = listed["items"] = kinds
    parts["Sensors"]["properties"]["noise"]["propertyNames"] = {"enum": list(MEASURED)}
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2)

"""What the catalogue and the scenario format say of themselves, as text."""

import json

from sim.common.errors import InputError
from sim.common.time_units import format_duration
from sim.incidents.catalogue import CATALOGUE, CHANNEL, DEFAULT_CHANNEL
from sim.incidents.checks import near_kind
from sim.incidents.kinds import FAULT_INPUTS, Kind
from sim.scenario.schema import Scenario


def kind_list() -> str:
    """Return every kind of incident with one line, group by group."""
    width = max(map(len, CATALOGUE))
    lines: list[str] = []
    for group in dict.fromkeys(kind.group for kind in CATALOGUE.values()):
        lines += [f"{group}:", *(f"  {k.name:{width}}  {k.line}" for k in CATALOGUE.values() if k.group == group)]
    return "\n".join(lines)


def kind_explained(name: str) -> str:
    """Return what a kind does, its relations and constants. Raises InputError for a name that is no kind."""
    kind = CATALOGUE.get(name)
    if kind is None:
        raise InputError(f"--explain: {name!r} is not a kind of incident{near_kind(name)}")
    return "\n".join([f"{kind.name} ({kind.group}): {kind.line}", *(f"  {line}" for line in kind_facts(kind))])


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


def scenario_schema() -> str:
    """Return the JSON Schema of scenario files."""
    schema = Scenario.model_json_schema()
    extends = {"type": "string", "description": "shipped scenario or path beneath this file"}
    schema["properties"] = {"extends": extends, **schema["properties"]}
    schema["required"] = []  # a file's name stands in for `name`
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2)

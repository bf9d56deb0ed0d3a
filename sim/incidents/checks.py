"""Everything that can be wrong with a scenario's incidents, each with its place."""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING, Any

from sim.common.text import join_names, join_sorted
from sim.common.time_units import format_duration
from sim.incidents.catalogue import CATALOGUE, CHANNEL, SWAPPED
from sim.incidents.kinds import DAY_S, Kind, Parameter
from sim.incidents.planning import (
    MAX_OCCURRENCES,
    TO,
    assets_left,
    destination,
    expected_draws,
    incident_ids,
    racks_of_job,
    racks_of_type,
    selectors_of,
    triggers_of,
)
from sim.incidents.schema import IncidentRates, IncidentSpec, KindRate, RunDocument, TriggerSpec, seconds_into_run
from sim.incidents.selectors import Selector, SelectorError, asset_names, fixed_assets, parse_selector
from sim.model.channels import MEASURED
from sim.model.facility import Facility, build_facility

if TYPE_CHECKING:
    import networkx as nx

Spec = IncidentSpec | TriggerSpec

MAX_DRAWS = 20_000
LONGEST_S = 3650 * DAY_S
"""Ten years: what files can write as an instant, and longer than any run makes sense."""


def incident_problems(s: RunDocument) -> Iterator[str]:
    """Yield what is wrong with each scripted incident of a scenario whose facility is sound."""
    facility = build_facility(s.facility)
    for i, spec in enumerate(s.incidents):
        yield from _spec_problems(f"incidents[{i}]", spec, facility)
        yield from _start_problems(f"incidents[{i}]", spec, s)
        yield from _job_problems(f"incidents[{i}]", spec, s, facility)
        for place, cause in _all_triggers(f"incidents[{i}]", spec):
            yield from _job_problems(place, cause, s, facility)
    yield from _overlap_problems(s, facility)


def _job_problems(place: str, spec: Spec, s: RunDocument, facility: Facility) -> Iterator[str]:
    """Find what strikes a training job where there is none, or racks that are none of its."""
    kind = CATALOGUE.get(spec.kind or "")
    if kind is None or not kind.whole_job:
        return
    try:
        job = racks_of_job(s, facility)
        named = [asset for text in spec.target or () for asset in parse_selector(text, facility).assets]
    except SelectorError:  # told where it stands
        return
    others = [asset for asset in named if asset not in job]
    if not job:
        yield f"{place}.kind: {kind.name} affects a training job; the scenario has no training_job"
    elif others:
        yield f"{place}.target: {join_names(others)}: not among the training job's racks ({join_names(job)})"


def chain_problems(s: RunDocument) -> Iterator[str]:
    """Yield what is wrong with how the scripted incidents set each other off."""
    ids = incident_ids(s.incidents)
    times = Counter(ids)
    for name in sorted(name for name, count in times.items() if count > 1):
        yield f"incidents: the id {name!r} is given twice"
    for name in ids:
        first, _, time = name.rpartition(".")
        if first in times and time.isdigit():
            yield f"incidents: the id {name!r} is what {first!r} is called when it happens again; choose another"
    known = f"(ids: {join_sorted(times)})"
    set_off = {}
    for i, spec in enumerate(s.incidents):
        for place, cause in _all_triggers(f"incidents[{i}]", spec):
            if cause.incident is not None:
                set_off[cause.incident] = f"{place}.incident: {cause.incident!r} is not the id of an incident {known}"
    yield from (line for name, line in set_off.items() if name not in times)
    for i, spec in enumerate(s.incidents):
        if spec.at is None and ids[i] not in set_off:
            yield f"incidents[{i}].at: is missing, and no other incident sets off {ids[i]!r}"
    if set_off:
        yield from _circle_problems(s, ids)


def ending_problems(s: RunDocument) -> Iterator[str]:
    """Yield what is wrong with the incidents that are ended before their time."""
    ids = incident_ids(s.incidents)
    seen: set[str] = set()
    for i, ending in enumerate(s.endings):
        name, place = ending.incident, f"endings[{i}]"
        if name in seen:
            yield f"{place}.incident: {name!r} is ended twice"
        seen.add(name)
        if not any(name == known or name.startswith(f"{known}.") for known in ids) and not _may_be_drawn(name, s):
            yield f"{place}.incident: {name!r} is not the id of an incident (ids: {join_sorted(ids)})"
        yield from _instant_problems(f"{place}.at", ending.at, s)


def _may_be_drawn(name: str, s: RunDocument) -> bool:
    """Return whether an id can be that of an incident which rates bring, or of what it sets off."""
    kind, _, number = name.partition(".")[0].rpartition("-r")
    return s.incident_rates is not None and kind in CATALOGUE and number.isdecimal()


def _all_triggers(place: str, spec: Spec) -> Iterator[tuple[str, TriggerSpec]]:
    """Yield every cause of a spec, those within causes included, with its place."""
    for j, cause in enumerate(triggers_of(spec)):
        yield f"{place}.causes[{j}]", cause
        yield from _all_triggers(f"{place}.causes[{j}]", cause)


def rate_problems(s: RunDocument) -> Iterator[str]:
    """Yield what is wrong with the random catalogue of a scenario whose facility is sound."""
    rates = s.incident_rates
    if rates is None:
        return
    facility = build_facility(s.facility)
    if rates.after >= s.duration:
        yield (
            f"incident_rates.after: {format_duration(rates.after)} is not before the run's end, "
            f"{format_duration(s.duration)}"
        )
    spared = list(_spared_problems(rates, facility))
    yield from spared
    of_kinds = [line for name, rate in rates.kinds.items() for line in _rate_problems(name, rate, facility)]
    yield from of_kinds
    if not spared and not of_kinds:
        yield from _nothing_left(s, rates, facility)
    yield from _crowd_problems(rates)
    if not of_kinds and sum(expected_draws(s, facility)) > MAX_DRAWS:
        yield f"incident_rates: more than {MAX_DRAWS:,} incidents are to be expected; lower acceleration or rates"


def _spared_problems(rates: IncidentRates, facility: Facility) -> Iterator[str]:
    place = "incident_rates.spared"
    if rates.spared is not None and not rates.spared:
        yield f"{place}: the list is empty; name assets, or leave it out for none"
    for text in rates.spared or ():
        try:
            parse_selector(text, facility)
        except SelectorError as error:
            yield f"{place}: {error}"


def _nothing_left(s: RunDocument, rates: IncidentRates, facility: Facility) -> Iterator[str]:
    """Find faults that have nothing left to affect, whatever is drawn to be spared."""
    for name, rate in rates.kinds.items():
        if rate.count and not assets_left(CATALOGUE[name], rate, s, facility):
            yield f"incident_rates.kinds.{name}.count: {rate.count}, but nothing is left that it can affect"


def _rate_problems(name: str, rate: KindRate, facility: Facility) -> Iterator[str]:
    place, kind = f"incident_rates.kinds.{name}", CATALOGUE.get(name)
    if kind is None:
        yield f"{place}: {name!r} is not a kind of incident{near_kind(name)}"
        return
    yield from _within_problems(f"{place}.within", rate.within, kind, facility)
    if TO in rate.parameters and kind.moves_load:
        yield from _recipient_problems(f"{place}.parameters.{TO}", name, rate, facility)
    if rate.count is not None and rate.per_year is not None:
        yield f"{place}: count {rate.count} and per_year {rate.per_year:g}: give one of them"
    if rate.severity[0] > rate.severity[1]:
        yield f"{place}.severity: [{rate.severity[0]:g}, {rate.severity[1]:g}]: the low end comes first"
    law = rate.duration
    if law and not 1 <= law.shortest <= law.median <= law.longest <= LONGEST_S:
        longest = format_duration(LONGEST_S)
        yield f"{place}.duration: shortest, median and longest must lie between 1 s and {longest}, in this order"
    channels = rate.parameters.get(CHANNEL)
    for channel in channels if isinstance(channels, list) and channels else [channels]:
        one = {} if channels is None else {CHANNEL: channel}
        yield from _parameter_problems(place, kind, {**rate.parameters, **one})


def _within_problems(place: str, within: Sequence[str] | None, kind: Kind, facility: Facility) -> Iterator[str]:
    if within is not None and not within:
        yield f"{place}: the list is empty; name assets, or leave it out for all"
    for text in within or ():
        wrong = list(_selector_problems(place, text, kind, facility))
        yield from wrong
        if not wrong:
            try:
                fixed_assets(text, facility)
            except SelectorError as error:
                yield f"{place}: {error}"


def _recipient_problems(place: str, name: str, rate: KindRate, facility: Facility) -> Iterator[str]:
    """Find names of recipients that are not in the hall; whether they are affected themselves depends on the draw."""
    try:
        destination(TriggerSpec(kind=name, parameters=rate.parameters), (), facility)
    except ValueError as error:
        yield f"{place}: {error}"


def _crowd_problems(rates: IncidentRates) -> Iterator[str]:
    if rates.spacing < 0 or rates.after < 0:
        yield "incident_rates: after and spacing must not be negative"
    if rates.rack_time_limit is not None and not 1 <= rates.rack_time_limit <= LONGEST_S:
        limit, longest = format_duration(rates.rack_time_limit), format_duration(LONGEST_S)
        yield f"incident_rates.rack_time_limit: {limit} must be between 1 s and {longest}"


@cache
def near_kind(word: str | None) -> str:
    """Return a hint at the kind that was perhaps meant."""
    near = difflib.get_close_matches(str(word), CATALOGUE, 1)
    return f"; did you mean {near[0]!r}?" if near else "; run_sim.py --incidents lists them"


def _spec_problems(place: str, spec: Spec, facility: Facility) -> Iterator[str]:
    kind = CATALOGUE.get(spec.kind or "")
    if kind is None:
        yield f"{place}.kind: {spec.kind!r} is not a kind of incident{near_kind(spec.kind)}"
    else:
        yield from _target_problems(place, spec, kind, facility)
        yield from _parameter_problems(place, kind, spec.parameters)
        yield from _shape_problems(place, spec, kind)
    yield from _time_problems(place, spec)
    for j, cause in enumerate(triggers_of(spec) if spec.causes is not None else ()):
        yield from _trigger_problems(f"{place}.causes[{j}]", cause, facility)


def _given(cause: TriggerSpec) -> set[str]:
    """Return the keys that say more than their default: a scenario as resolved writes all keys."""
    fields = TriggerSpec.model_fields
    return {n for n in fields if getattr(cause, n) != fields[n].get_default(call_default_factory=True)}


def _trigger_problems(place: str, cause: TriggerSpec, facility: Facility) -> Iterator[str]:
    if cause.after < 0:
        yield f"{place}.after: {format_duration(cause.after)} must not be negative"
    beside = sorted(_given(cause) - {"kind", "incident", "after", "probability", "note"})
    if cause.incident is not None and cause.kind is None and beside:
        yield f"{place}: {', '.join(beside)}: belongs to the incident {cause.incident!r} itself"
    if (cause.kind is None) == (cause.incident is None):
        yield f"{place}: give either kind, or incident with the id of one of the list"
    elif cause.kind is not None:
        yield from _spec_problems(place, cause, facility)


def _target_problems(place: str, spec: Spec, kind: Kind, facility: Facility) -> Iterator[str]:
    if spec.target is not None:
        if not spec.target:
            yield f"{place}.target: the list is empty; name at least one asset"
            return
        wrong = [p for text in spec.target for p in _selector_problems(f"{place}.target", text, kind, facility)]
        yield from wrong
        if wrong:
            return
    try:
        selectors = selectors_of(spec, facility)
    except ValueError as error:
        yield f"{place}.target: {error}"
        return
    if kind.moves_load:
        try:
            destination(spec, _worst_draw(selectors, facility, named=TO in spec.parameters), facility)
        except ValueError as error:
            yield f"{place}.parameters.{TO}: {error}"


def _worst_draw(selectors: Sequence[Selector], facility: Facility, *, named: bool) -> tuple[str, ...]:
    """Return what may be affected: all that may be drawn where recipients are named, else as many racks as possible."""
    affected = [a for s in selectors if s.count is None or named for a in s.assets]
    for s in selectors:
        if s.count is not None and not named:
            fresh = [a for a in s.assets if a not in affected]
            fresh.sort(key=lambda a: -len(facility.racks_under([a])))
            affected += fresh[: s.count]
    return tuple(affected)


def _selector_problems(place: str, text: str, kind: Kind, facility: Facility) -> Iterator[str]:
    try:
        selector = parse_selector(text, facility)
    except SelectorError as error:
        yield f"{place}: {error}"
        return
    if selector.level not in kind.target_levels:
        yield f"{place}: {text!r}: {kind.name} affects a {' or a '.join(kind.target_levels)}, not a {selector.level}"
        return
    if kind.rack_type is not None:
        fitting = racks_of_type(kind.rack_type, facility)
        others = [asset for asset in selector.assets if asset not in fitting]
        if others:
            known = join_names(list(fitting)) or "none in this hall"
            yield (
                f"{place}: {text!r}: {kind.name} affects racks of type {kind.rack_type} ({known}), "
                f"not {join_names(others)}"
            )


def _parameter_problems(place: str, kind: Kind, given: Mapping[str, Any]) -> Iterator[str]:
    known = {p.name: p for p in kind.parameters}
    texts = [CHANNEL] if kind.sensor else [TO] if kind.moves_load else []
    for name, value in given.items():
        where = f"{place}.parameters.{name}"
        if name in known:
            yield from _number_problems(where, known[name], value)
        elif name not in texts:
            names = ", ".join([*known, *texts]) or "none"
            yield f"{where}: {kind.name} has no such parameter (parameters: {names})"
    channel = given.get(CHANNEL)
    allowed = tuple(SWAPPED) if kind.sensor == "swap" else MEASURED
    if kind.sensor and channel is not None and channel not in allowed:
        yield f"{place}.parameters.{CHANNEL}: {channel!r} must be one of {', '.join(allowed)}"


def _shape_problems(place: str, spec: Spec, kind: Kind) -> Iterator[str]:
    if spec.shape == "wave" and not kind.has_both_signs:
        able = join_names([k.name for k in CATALOGUE.values() if k.has_both_signs and not k.is_normal])
        yield f"{place}.shape: a wave swings to both sides of the healthy value, which {kind.name} cannot (can: {able})"


def _number_problems(where: str, parameter: Parameter, value: Any) -> Iterator[str]:
    if not isinstance(value, (int, float)):
        yield f"{where}: {value!r} must be a number ({parameter.unit})"
    elif not parameter.low <= value <= parameter.high:
        yield f"{where}: {value:g} is not within {parameter.low:g} to {parameter.high:g} ({parameter.unit})"


def _time_problems(place: str, spec: Spec) -> Iterator[str]:
    for name, value in (("duration", spec.duration), ("rise", spec.rise), ("period", spec.period)):
        if value is not None and not 1 <= value <= LONGEST_S:
            yield f"{place}.{name}: {format_duration(value)} must be between 1 s and {format_duration(LONGEST_S)}"
    if spec.recovery is not None and not 0 <= spec.recovery <= LONGEST_S:
        yield f"{place}.recovery: {format_duration(spec.recovery)} must be between 0 s and {format_duration(LONGEST_S)}"


def _start_problems(place: str, spec: IncidentSpec, s: RunDocument) -> Iterator[str]:
    if spec.at is not None:
        yield from _instant_problems(f"{place}.at", spec.at, s)


def _instant_problems(place: str, at: str, s: RunDocument) -> Iterator[str]:
    at_s = seconds_into_run(at, s.start, s.utc_offset)
    if at_s < 0:
        yield f"{place}: {at!r} is before the run's start"
    elif at_s >= s.duration:
        yield f"{place}: {at!r} is past the run's end, {format_duration(s.duration)} after its start"


def _circle_problems(s: RunDocument, ids: list[str]) -> Iterator[str]:
    """Find incidents that set each other off for ever, one circle of each group that hangs together."""
    import networkx as nx  # noqa: PLC0415 - a run without incidents can spare it

    lasts_s = {i: _duration_s(spec) for i, spec in zip(ids, s.incidents, strict=True)}
    for certain in (False, True):
        graph: nx.DiGraph[str] = nx.DiGraph()
        for identity, spec in zip(ids, s.incidents, strict=True):
            _add_triggers(graph, identity, spec, 0.0, certain=certain)
        groups = [g for g in nx.strongly_connected_components(graph) if len(g) > 1 or graph.has_edge(*(2 * [*g]))]
        for circle in sorted(_a_circle(graph, group) for group in groups):
            each_s = sum(graph.edges[edge]["after_s"] for edge in pairwise(circle))
            names = " -> ".join(circle)
            if not certain:
                yield f"incidents: {names}: they set each other off without delay; give one of them an `after`"
            elif each_s > max(lasts_s.get(name, 0.0) for name in circle) and s.duration / each_s > MAX_OCCURRENCES:
                yield (
                    f"incidents: {names}: set each other off every {format_duration(each_s)}, "
                    f"{s.duration / each_s:,.0f} times in the run; at most {MAX_OCCURRENCES:,}: give a longer `after`"
                )


def _a_circle(graph: "nx.DiGraph[str]", group: set[str]) -> list[str]:
    """Return one circle of a strongly connected group, from its first name on back to it."""
    import networkx as nx  # noqa: PLC0415 - as above

    edges = nx.find_cycle(graph.subgraph(sorted(group)), min(group))
    names = [edge[0] for edge in edges]
    first = names.index(min(names))
    return [*names[first:], *names[: first + 1]]


def _add_triggers(graph: "nx.DiGraph[str]", identity: str, spec: Spec, after_s: float, *, certain: bool) -> None:
    """Add what an incident sets off, itself or through what it sets off: surely after a delay, or perhaps without."""
    for trigger in triggers_of(spec):
        counts = (trigger.probability >= 1 and trigger.after >= 0) if certain else trigger.after <= 0
        if counts and trigger.incident is not None:
            graph.add_edge(identity, trigger.incident, after_s=after_s + trigger.after)
        elif counts:
            _add_triggers(graph, identity, trigger, after_s + trigger.after, certain=certain)


def _duration_s(spec: Spec) -> float:
    kind = CATALOGUE.get(spec.kind or "")
    return spec.duration if spec.duration is not None else kind.duration_s if kind else 0.0


@dataclass(frozen=True, slots=True)
class _Hold:
    """For how long a scripted incident holds an asset [s]."""

    begin_s: float
    end_s: float
    place: str


def _overlap_problems(s: RunDocument, facility: Facility) -> Iterator[str]:
    """Find scripted incidents that would begin where one of their kind still lasts, such as an open breaker."""
    held: dict[tuple[str, str], list[_Hold]] = {}
    ids = incident_ids(s.incidents)
    ended_s = {e.incident: seconds_into_run(e.at, s.start, s.utc_offset) for e in s.endings}
    for i, spec in enumerate(s.incidents):
        kind = CATALOGUE.get(spec.kind)
        if kind is None or not kind.exclusive or spec.at is None:
            continue
        try:
            selectors = selectors_of(spec, facility)
        except ValueError:
            continue
        begin_s = seconds_into_run(spec.at, s.start, s.utc_offset)
        end_s, cut_s = begin_s + _duration_s(spec), ended_s.get(ids[i], inf)
        hold = _Hold(begin_s, min(end_s, cut_s) if cut_s > begin_s else end_s, f"incidents[{i}]")
        for asset in {a for selector in selectors if selector.count is None for a in selector.assets}:
            held.setdefault((kind.name, asset), []).append(hold)
    both: dict[tuple[str, str, str], list[str]] = {}
    for (kind_name, asset), holds in held.items():
        for one, other in _meeting(holds):
            both.setdefault((other.place, kind_name, one.place), []).append(asset)
    for (other_place, kind_name, one_place), assets in both.items():
        names = join_names(asset_names(sorted(assets)))
        yield f"{other_place}: a {kind_name} of {names} while {one_place} still holds it"


def _meeting(holds: Sequence[_Hold]) -> Iterator[tuple[_Hold, _Hold]]:
    """Yield those that begin while another holds the asset, each with the one that holds it longest."""
    longest: _Hold | None = None
    for hold in sorted(holds, key=lambda h: h.begin_s):
        if longest is not None and hold.begin_s < longest.end_s:
            yield longest, hold
        if longest is None or hold.end_s > longest.end_s:
            longest = hold

"""Everything that can be wrong with a scenario, found before the clock starts and told all at once."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from sim.domain.channels import MEASURED
from sim.domain.errors import InputError
from sim.domain.facility import MAX_RACKS, loop_specs, row_specs
from sim.domain.profiles import NOMINAL
from sim.domain.quantities import format_duration
from sim.domain.scenario import ROWS, Scenario

MAX_TICKS = 50_000_000
MIN_NOMINAL_SHARE = 0.01


def parse_scenario(data: dict[str, Any], where: str) -> Scenario:
    """Return the scenario that `data` describes. Raises InputError that lists every offender, each with its place."""
    found: list[str] = []
    broken: set[str] = set()
    remaining = dict(data)
    scenario: Scenario | None = None
    for _ in range(len(data) + 2):
        try:
            scenario = Scenario.model_validate(remaining)
            break
        except ValidationError as error:
            found += _field_problems(error)
            sections = {str(detail["loc"][0]) for detail in error.errors() if detail["loc"]}
            broken |= sections
            # the rest of the file is still checked, so that one round of mending is enough
            remaining = {key: value for key, value in remaining.items() if key not in sections}
            if "name" in sections:
                remaining["name"] = "unnamed"
    if scenario is not None:
        found += [p for needs, check in _CHECKS if not broken & set(needs) for p in check(scenario)]
    if found or scenario is None:
        raise InputError(f"{where}: {len(found)} problem{'s' * (len(found) != 1)}\n  " + "\n  ".join(found))
    return scenario


def _field_problems(error: ValidationError) -> Iterator[str]:
    seen: set[str] = set()
    for detail in error.errors():
        if _is_other_branch(detail, error):
            continue
        place = _place(detail["loc"])
        message = _message(detail)
        line = f"{place}: {message}"
        if line not in seen:
            seen.add(line)
            yield line


def _is_other_branch(detail: Any, error: ValidationError) -> bool:
    """Tell whether this is the alternative of a union that the file's author did not mean."""
    tag = {"int": int, "list": list}
    for part in detail["loc"]:
        if part == "int" and detail["loc"][0] == "facility":
            given = detail["input"]
            return isinstance(given, list)
        if isinstance(part, str) and part.startswith("list["):
            return detail["type"] == "list_type" and any(
                "int" in other["loc"] for other in error.errors() if other is not detail
            )
    return not tag


def _place(loc: tuple[int | str, ...]) -> str:
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part in ("int", "[key]") or "[" in part:
            continue
        else:
            text += f".{part}" if text else part
    return text or "(top level)"


_PHRASES: dict[str, Callable[[Any], str]] = {
    "extra_forbidden": lambda _: "unknown key",
    "missing": lambda _: "is missing",
}


def _message(detail: Any) -> str:
    phrase = _PHRASES.get(detail["type"])
    if phrase:
        return phrase(detail)
    text = detail["msg"].removeprefix("Value error, ")
    given = repr(detail["input"])
    given = given if len(given) <= 80 else given[:77] + "..."  # noqa: PLR2004 - one line of a terminal
    return f"{given}: {text[0].lower()}{text[1:]}"


def _clock_problems(s: Scenario) -> Iterator[str]:
    for name, value in (("duration", s.duration), ("tick", s.tick)):
        if value <= 0:
            yield f"{name}: {format_duration(value)} must be longer than 0 s"
        elif value != int(value):
            yield f"{name}: {value:g} s must be a whole number of seconds"
    if min(s.duration, s.tick) <= 0:
        return
    if s.tick > 3600:  # noqa: PLR2004 - an hour
        yield f"tick: {format_duration(s.tick)} is longer than the longest tick, 1h"
    if s.tick > s.duration or s.duration % s.tick:
        yield f"tick: {format_duration(s.tick)} does not divide the duration {format_duration(s.duration)}"
    elif s.duration / s.tick > MAX_TICKS:
        yield f"duration: {s.duration / s.tick:.3g} ticks are more than {MAX_TICKS:,}; shorten it or lengthen the tick"


def _duplicates(names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    return [n for n in names if n in seen or seen.add(n)]  # type: ignore[func-returns-value]


def _facility_problems(s: Scenario) -> Iterator[str]:
    f = s.facility
    if f.racks_per_row < 1:
        yield f"facility.racks_per_row: {f.racks_per_row} must be at least 1"
        return
    count = f.rows if isinstance(f.rows, int) else len(f.rows)
    if not 1 <= count <= MAX_RACKS:
        yield f"facility.rows: {count} rows; a hall has 1 to {MAX_RACKS:,} racks"
        return
    rows = row_specs(f)
    yield from _rack_problems(s, rows)
    names = [row.name for row in rows]
    for name in _duplicates(names):
        yield f"facility.rows: row {name!r} is named twice"
    yield from _loop_problems(s, names)


def _rack_problems(s: Scenario, rows: Any) -> Iterator[str]:
    types = {"standard", *s.facility.rack_types}
    for i, row in enumerate(rows):
        if row.racks is not None and row.racks < 1:
            yield f"facility.rows[{i}].racks: {row.racks} must be at least 1"
        if row.rack_type not in types:
            yield f"facility.rows[{i}].rack_type: {row.rack_type!r} is not among the rack types ({_list(types)})"
    racks = sum(row.racks if row.racks is not None else s.facility.racks_per_row for row in rows)
    if racks > MAX_RACKS:
        yield f"facility: {racks:,} racks are more than {MAX_RACKS:,}; split the site into several scenarios"


def _loop_problems(s: Scenario, rows: list[str]) -> Iterator[str]:
    loops = loop_specs(s.facility)
    if not loops:
        yield "facility.loops: the list is empty; at least one loop must feed the rows"
    for name in _duplicates(loop.name for loop in loops):
        yield f"facility.loops: loop {name!r} is named twice"
    fed: dict[str, str] = {}
    for i, loop in enumerate(loops):
        if not loop.feeds:
            yield f"facility.loops[{i}].feeds: loop {loop.name!r} feeds nothing; name the rows it cools"
        for row in loop.feeds:
            if row not in rows:
                yield f"facility.loops[{i}].feeds: {row!r} is not a row of the hall (rows: {_list(rows)})"
            elif row in fed:
                yield f"facility.loops[{i}].feeds: row {row!r} is fed by {fed[row]} already; one loop feeds a row"
            fed.setdefault(row, loop.name)
    if loops:
        for row in dict.fromkeys(rows):
            if row not in fed:
                yield f"facility.loops: no loop feeds row {row!r}"


def _profile_problems(s: Scenario) -> Iterator[str]:
    for name, channels in s.profiles.items():
        for channel, given in channels.items():
            place = f"profiles.{name}.{channel}"
            if given.low >= given.high:
                yield f"{place}: [{given.low:g}, {given.high:g}]: the low end must be below the high end"
            elif given.typical is not None and not given.low <= given.typical <= given.high:
                yield f"{place}.typical: {given.typical:g} is outside [{given.low:g}, {given.high:g}]"


def _occupancy_problems(s: Scenario) -> Iterator[str]:
    o, known = s.occupancy, set(s.resolved_profiles())
    tables = {"anytime": o.anytime, "business": o.business, "off_hours": o.off_hours}
    tables |= {f"rows.{row}": shares for row, shares in o.rows.items()}
    for table, shares in tables.items():
        for profile in shares:
            if profile == NOMINAL:
                yield f"occupancy.{table}.{NOMINAL}: nominal is what the others leave; do not give it a share"
            elif profile not in known:
                yield f"occupancy.{table}: {profile!r} is not a profile (profiles: {_list(known)})"
    for row in ["", *o.rows]:
        anytime = {**o.anytime, **o.rows.get(row, {})}
        where = f"occupancy.rows.{row}" if row else "occupancy"
        for hours, of_the_rest in (("business", o.business), ("off_hours", o.off_hours)):
            nominal = (1 - sum(anytime.values())) * (1 - sum(of_the_rest.values()))
            if sum(anytime.values()) > 1 or sum(of_the_rest.values()) > 1 or nominal < MIN_NOMINAL_SHARE:
                yield (
                    f"{where}: in {hours} the shares add up to {100 * sum(anytime.values()):.4g} % of all time and "
                    f"{100 * sum(of_the_rest.values()):.4g} % of the rest; at least 1 % must be left for nominal"
                )


def _row_share_problems(s: Scenario) -> Iterator[str]:
    rows = {row.name for row in row_specs(s.facility)}
    for row in s.occupancy.rows:
        if row not in rows and row not in ROWS:
            yield f"occupancy.rows: {row!r} is not a row of the hall (rows: {_list(rows)})"


def _dwell_problems(s: Scenario) -> Iterator[str]:
    known = set(s.resolved_profiles()) - {NOMINAL}
    for profile, seconds in s.dwell.mean.items():
        if profile not in known:
            yield f"dwell.mean: {profile!r} is not a profile one can leave (profiles: {_list(known)})"
        if not 30 <= seconds <= 30 * 86_400:  # noqa: PLR2004 - half a tick, a month
            yield f"dwell.mean.{profile}: {format_duration(seconds)} must be between 30 s and 30 d"


def _demand_problems(s: Scenario) -> Iterator[str]:
    d = s.demand
    if d.source == "trace" and d.file is None:
        yield "demand.file: is missing; source: trace needs the request trace to replay"
    if d.source == "profiles" and d.file is not None:
        yield "demand.file: is given, but demand.source is 'profiles'; say source: trace to replay it"
    if not 1 <= d.bin <= 3600:  # noqa: PLR2004 - a second, an hour
        yield f"demand.bin: {format_duration(d.bin)} must be between 1 s and 1 h"
    if d.stagger < 0:
        yield f"demand.stagger: {d.stagger:g} s must not be negative"


def _sensor_problems(s: Scenario) -> Iterator[str]:
    for channel in s.sensors.noise:
        if channel not in MEASURED:
            yield f"sensors.noise: {channel!r} has no sensor of its own (sensors: {', '.join(MEASURED)})"


def _list(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:12]) + (f" and {len(ordered) - 12} more" if len(ordered) > 12 else "")  # noqa: PLR2004


_CHECKS: tuple[tuple[tuple[str, ...], Callable[[Scenario], Iterator[str]]], ...] = (
    (("duration", "tick"), _clock_problems),
    (("facility",), _facility_problems),
    (("profiles",), _profile_problems),
    (("profiles", "occupancy"), _occupancy_problems),
    (("facility", "occupancy"), _row_share_problems),
    (("profiles", "dwell"), _dwell_problems),
    (("demand",), _demand_problems),
    (("sensors",), _sensor_problems),
)
"""Checks across fields, each with the top-level keys that must be sound before it can say anything."""

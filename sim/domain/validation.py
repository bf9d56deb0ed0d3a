"""Everything that can be wrong with a scenario, found before the clock starts and told all at once."""

import reprlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from sim.domain.channels import CHANNELS, MEASURED
from sim.domain.errors import InputError
from sim.domain.facility import CHILLER_PLANT, MAX_RACKS, loop_specs, rack_names, row_specs
from sim.domain.incident_checks import incident_problems, rate_problems
from sim.domain.profiles import CHANNEL_LIMITS, NOMINAL
from sim.domain.quantities import format_duration
from sim.domain.scenario import COUNTED, LISTED, ROWS, LoopSpec, RowSpec, Scenario

MAX_TICKS = 50_000_000
CLOCK = ("start", "duration", "utc_offset")
MIN_NOMINAL_SHARE = 0.01


def parse_scenario(data: Any, where: str) -> Scenario:
    """Return the scenario that `data` describes. Raises InputError that lists every offender, each with its place."""
    if not isinstance(data, dict):
        raise InputError(f"{where}: a scenario is a mapping of keys to values, not {type(data).__name__}")
    found = [f"{_shown(key)}: a key is text" for key in data if not isinstance(key, str)]
    remaining = {key: value for key, value in data.items() if isinstance(key, str)}
    broken: set[str] = set()
    scenario: Scenario | None = None
    while scenario is None:
        try:
            scenario = Scenario.model_validate(remaining)
        except ValidationError as error:
            problems = error.errors(include_url=False)
            found += dict.fromkeys(f"{_place(problem['loc'])}: {_message(problem)}" for problem in problems)
            broken |= {str(problem["loc"][0]) for problem in problems if problem["type"] != _UNKNOWN}
            remaining = _sound(remaining, broken, [p["loc"] for p in problems if p["type"] == _UNKNOWN])
    found += [p for needs, check in _CHECKS if not broken & set(needs) for p in check(scenario)]
    if found:
        raise InputError(f"{where}: {len(found)} problem{'s' * (len(found) != 1)}\n  " + "\n  ".join(found))
    return scenario


Loc = tuple[int | str, ...]

_UNKNOWN = "extra_forbidden"
_TAGS = ("[key]", COUNTED, LISTED)
"""What pydantic puts into a place that the file's author did not write."""

_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother, _REPR.maxlong = 3, 60, 60, 40


def _sound(data: dict[str, Any], broken: set[str], unknown: Iterable[Loc]) -> dict[str, Any]:
    """Return what can still be checked, so that one round of mending is enough: no broken section, no unknown key."""
    sound = {key: value for key, value in data.items() if key not in broken}
    for place in unknown:
        sound = _dropped(sound, place)
    return sound | ({"name": "unnamed"} if "name" in broken else {})


def _dropped(value: Any, place: Loc) -> Any:
    """Return a copy of nested data without the key at a place; the data itself where it has no such place."""
    part, rest = place[0], place[1:]
    if isinstance(value, dict) and part in value:
        inner = {part: _dropped(value[part], rest)} if rest else {}
        return {key: inner.get(key, kept) for key, kept in value.items() if rest or key != part}
    if isinstance(value, list) and isinstance(part, int):
        return [_dropped(kept, rest) if i == part else kept for i, kept in enumerate(value)]
    return _dropped(value, rest) if rest else value


def _place(loc: Loc) -> str:
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part not in _TAGS:
            text += f".{part}" if text else part
    return text


_PHRASES = {_UNKNOWN: "unknown key", "missing": "is missing"}


def _message(problem: Any) -> str:
    phrase = _PHRASES.get(problem["type"])
    if phrase:
        return phrase
    text = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if problem["type"] in ("model_type", "dict_type"):
        text = "must be a mapping of keys to values"
    return f"{_shown(problem['input'])}: {text[0].lower()}{text[1:]}"


def _shown(value: Any) -> str:
    """Return a value as one short line, however large, deep or circular it is."""
    try:
        text = _REPR.repr(value)
    except ValueError:  # Python does not write out integers of thousands of digits
        text = f"a number of {value.bit_length()} bits" if isinstance(value, int) else "a value of huge numbers"
    return text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004 - one line of a terminal


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
    count = f.rows if isinstance(f.rows, int) else len(f.rows)
    if not 1 <= count <= MAX_RACKS:
        yield f"facility.rows: {count} rows; a hall has 1 to {MAX_RACKS:,} racks"
        return
    rows, loops = row_specs(f), loop_specs(f)
    types = {"standard", *f.rack_types}
    for i, row in enumerate(rows):
        if row.rack_type not in types:
            yield f"facility.rows[{i}].rack_type: {row.rack_type!r} is not among the rack types ({_list(types)})"
    for name in _duplicates([row.name for row in rows]):
        yield f"facility.rows: row {name!r} is named twice"
    for name in _duplicates([loop.name for loop in loops]):
        yield f"facility.loops: loop {name!r} is named twice"
    if f.loops is not None:  # the loops made for a file that lists none follow from its rows
        yield from _feed_problems(loops, [row.name for row in rows])
    racks = sum(row.racks or f.racks_per_row for row in rows)
    if racks > MAX_RACKS:
        yield f"facility: {racks:,} racks are more than {MAX_RACKS:,}; split the site into several scenarios"
    else:
        yield from _name_problems(s, rows, loops)


def _feed_problems(loops: Sequence[LoopSpec], rows: Sequence[str]) -> Iterator[str]:
    if not loops:
        yield "facility.loops: the list is empty; at least one loop must feed the rows"
        return
    known, listed = dict.fromkeys(rows), _list(rows)
    fed: dict[str, str] = {}
    for i, loop in enumerate(loops):
        if not loop.feeds:
            yield f"facility.loops[{i}].feeds: loop {loop.name!r} feeds nothing; name the rows it cools"
        for row in loop.feeds:
            if row not in known:
                yield f"facility.loops[{i}].feeds: {row!r} is not a row of the hall (rows: {listed})"
            elif row in fed:
                yield f"facility.loops[{i}].feeds: row {row!r} is fed by {fed[row]} already; one loop feeds a row"
            fed.setdefault(row, loop.name)
    for row in known:
        if row not in fed:
            yield f"facility.loops: no loop feeds row {row!r}"


def _name_problems(s: Scenario, rows: Sequence[RowSpec], loops: Sequence[LoopSpec]) -> Iterator[str]:
    """Find the names that two assets of different kinds would share."""
    f = s.facility
    taken = {CHILLER_PLANT: "the chiller plant"} | {f"UPS-{i}": "a UPS" for i in range(1, f.ups_count + 1)}
    for row in rows:
        taken |= {f"PDU-{row.name}": "a PDU"} | dict.fromkeys(rack_names(row, f.racks_per_row), "a rack")
    own = [("site", f.site), ("hall", f.hall)]
    own += [(f"loops[{i}].name", loop.name) for i, loop in enumerate(loops)]
    for place, name in own:
        if name in taken and not (taken[name].startswith("loops") and place.startswith("loops")):
            yield f"facility.{place}: {name!r} is the name of {taken[name]} as well; choose another"
        taken.setdefault(name, place)


def _profile_problems(s: Scenario) -> Iterator[str]:
    for name, channels in s.profiles.items():
        for channel, given in channels.items():
            place, unit = f"profiles.{name}.{channel}", CHANNELS[channel].unit
            least, most = CHANNEL_LIMITS[channel]
            if given.low >= given.high:
                yield f"{place}: [{given.low:g}, {given.high:g}]: the low end must be below the high end"
            elif not least <= given.low < given.high <= most:
                yield f"{place}: [{given.low:g}, {given.high:g}] is not within {least:g} to {most:g} {unit}"
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


def _following_problems(s: Scenario) -> Iterator[str]:
    o = s.occupancy
    brought = o.participation * (o.row_share + o.loop_share)
    if brought > 1:
        yield (
            f"occupancy.row_share: with row_share {o.row_share:g}, loop_share {o.loop_share:g} and participation "
            f"{o.participation:g}, rows and loops bring {100 * brought:.4g} % of each share; at most 100 %"
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


def _in_sound_hall(check: Callable[[Scenario], Iterator[str]]) -> Callable[[Scenario], Iterator[str]]:
    """Return a check that says nothing while the hall itself has problems: targets could not be told."""

    def checked(s: Scenario) -> Iterator[str]:
        if next(_facility_problems(s), None) is None:
            yield from check(s)

    return checked


def _list(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:12]) + (f" and {len(ordered) - 12} more" if len(ordered) > 12 else "")  # noqa: PLR2004


_CHECKS: tuple[tuple[tuple[str, ...], Callable[[Scenario], Iterator[str]]], ...] = (
    (("duration", "tick"), _clock_problems),
    (("facility",), _facility_problems),
    (("profiles",), _profile_problems),
    (("profiles", "occupancy"), _occupancy_problems),
    (("occupancy",), _following_problems),
    (("facility", "occupancy"), _row_share_problems),
    (("profiles", "dwell"), _dwell_problems),
    (("demand",), _demand_problems),
    (("sensors",), _sensor_problems),
    (("facility", "incidents", *CLOCK), _in_sound_hall(incident_problems)),
    (("facility", "incident_rates", *CLOCK), _in_sound_hall(rate_problems)),
)
"""Checks across fields, each with the top-level keys that must be sound before it can say anything."""

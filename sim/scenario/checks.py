"""Everything that can be wrong with a scenario, found before the clock starts and told all at once."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Literal

from pydantic import ValidationError

from sim.agents.occupancy import ROWS
from sim.common.errors import InputError
from sim.common.text import join_lines, join_sorted, short_repr
from sim.common.time_units import format_duration
from sim.incidents.checks import chain_problems, ending_problems, incident_problems, rate_problems
from sim.incidents.selectors import SelectorError, fixed_assets
from sim.model.channels import CHANNELS, MEASURED
from sim.model.facility import (
    CHILLER_PLANT,
    MAX_RACKS,
    SIZES,
    RowSpec,
    build_facility,
    loop_specs,
    rack_names,
    row_specs,
)
from sim.model.profiles import CHANNEL_LIMITS, NOMINAL
from sim.scenario.lines import NO_LINES, Lines
from sim.scenario.partial_document import PartialDocument
from sim.scenario.schema import Scenario

MAX_TICKS = 50_000_000
MIN_NOMINAL_SHARE = 0.01


def parse_scenario(data: Any, where: str, lines: Lines = NO_LINES) -> Scenario:
    """Return the scenario that `data` describes. Raises InputError that lists every offender, each with its place.

    lines: where the data stands in files, which the offenders are told by.
    """
    if not isinstance(data, dict):
        raise InputError(f"{where}: a scenario is a mapping of keys to values, not {type(data).__name__}")
    found = [f"{short_repr(key)}: a key is text" for key in data if not isinstance(key, str)]
    document = PartialDocument({key: value for key, value in data.items() if isinstance(key, str)}, Scenario)
    scenario: Scenario | None = None
    while scenario is None:
        try:
            scenario = Scenario.model_validate({"name": "unnamed", **document.data} if found else document.data)
        except ValidationError as error:
            found += document.drop(error.errors(include_url=False))
    for needs, check in _CHECKS:
        if all(map(document.sound, needs)):
            found += [document.as_written(line) for line in check(scenario)]
    if found:
        told = join_lines(lines.told(found))
        raise InputError(f"{where}: {len(found):,} problem{'s' * (len(found) != 1)}{told}")
    return scenario


def _length_problems(name: Literal["duration", "tick"], s: Scenario) -> Iterator[str]:
    seconds = getattr(s, name)
    if seconds <= 0:
        yield f"{name}: {format_duration(seconds)} must be longer than 0 s"
    elif seconds != int(seconds):
        yield f"{name}: {seconds:g} s must be a whole number of seconds"


def _tick_problems(s: Scenario) -> Iterator[str]:
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


def _rows(s: Scenario) -> list[RowSpec]:
    """Return the rows of a hall, none where they are too many to be worth listing."""
    rows = s.facility.rows
    return row_specs(s.facility) if not isinstance(rows, int) or rows <= MAX_RACKS else []


def _row_count_problems(s: Scenario) -> Iterator[str]:
    count = s.facility.rows if isinstance(s.facility.rows, int) else len(s.facility.rows)
    if not 1 <= count <= MAX_RACKS:
        yield f"facility.rows: {count} rows; a hall has 1 to {MAX_RACKS:,} racks"


def _rack_type_problems(s: Scenario) -> Iterator[str]:
    types = {*SIZES, *s.facility.rack_types}
    for i, row in enumerate(_rows(s)):
        if row.rack_type not in types:
            yield f"facility.rows[{i}].rack_type: {row.rack_type!r} is not among the rack types ({join_sorted(types)})"


def _duplicate_problems(s: Scenario) -> Iterator[str]:
    for name in _duplicates([row.name for row in _rows(s)]):
        yield f"facility.rows: row {name!r} is named twice"
    listed = s.facility.loops if isinstance(s.facility.loops, list) else []
    for name in _duplicates([loop.name for loop in listed]):
        yield f"facility.loops: loop {name!r} is named twice"


def _loop_count_problems(s: Scenario) -> Iterator[str]:
    rows, loops = len(_rows(s)), s.facility.loops
    if isinstance(loops, int) and 0 < rows < loops:
        yield f"facility.loops: {loops:,} loops are more than the rows, {rows:,}; a loop feeds one at least"


def _feed_problems(s: Scenario) -> Iterator[str]:
    rows, loops = [row.name for row in _rows(s)], s.facility.loops
    if not isinstance(loops, list) or not rows:  # the loops made for a file that lists none follow from its rows
        return
    if not loops:
        yield "facility.loops: the list is empty; at least one loop must feed the rows"
        return
    known, listed = dict.fromkeys(rows), join_sorted(rows)
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


def _rack_count_problems(s: Scenario) -> Iterator[str]:
    racks = _rack_count(s)
    if racks > MAX_RACKS:
        yield f"facility: {racks:,} racks are more than {MAX_RACKS:,}; split the site into several scenarios"


def _rack_count(s: Scenario) -> int:
    return sum(row.racks or s.facility.racks_per_row for row in _rows(s))


def _name_problems(s: Scenario) -> Iterator[str]:
    """Find the names that two assets of different kinds would share."""
    f, rows = s.facility, _rows(s)
    counted = f.loops if isinstance(f.loops, int) else 0
    if not rows or _rack_count(s) > MAX_RACKS or counted > len(rows):
        return
    loops = loop_specs(f)
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


def _shared_profile_problems(s: Scenario) -> Iterator[str]:
    o, known = s.occupancy, set(s.resolved_profiles())
    tables = {"anytime": o.anytime, "business": o.business, "off_hours": o.off_hours}
    tables |= {f"rows.{row}": shares for row, shares in o.rows.items()}
    for table, shares in tables.items():
        for profile in shares:
            if profile == NOMINAL:
                yield f"occupancy.{table}.{NOMINAL}: nominal is what the others leave; do not give it a share"
            elif profile not in known:
                yield f"occupancy.{table}: {profile!r} is not a profile (profiles: {join_sorted(known)})"


def _share_problems(s: Scenario) -> Iterator[str]:
    o = s.occupancy
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
    rows = {row.name for row in _rows(s)}
    for row in s.occupancy.rows:
        if rows and row not in rows and row not in ROWS:
            yield f"occupancy.rows: {row!r} is not a row of the hall (rows: {join_sorted(rows)})"


def _dwelling_profile_problems(s: Scenario) -> Iterator[str]:
    known = set(s.resolved_profiles()) - {NOMINAL}
    for profile in s.dwell.mean:
        if profile not in known:
            yield f"dwell.mean: {profile!r} is not a profile one can leave (profiles: {join_sorted(known)})"


def _dwell_problems(s: Scenario) -> Iterator[str]:
    for profile, seconds in s.dwell.mean.items():
        if not 30 <= seconds <= 30 * 86_400:  # noqa: PLR2004 - half a tick, a month
            yield f"dwell.mean.{profile}: {format_duration(seconds)} must be between 30 s and 30 d"


def _trace_problems(s: Scenario) -> Iterator[str]:
    d = s.demand
    if d.source == "trace" and d.file is None:
        yield "demand.file: is missing; source: trace needs the request trace to replay"
    if d.source == "profiles" and d.file is not None:
        yield "demand.file: is given, but demand.source is 'profiles'; say source: trace to replay it"


def _demand_problems(s: Scenario) -> Iterator[str]:
    d = s.demand
    if not 1 <= d.bin <= 3600:  # noqa: PLR2004 - a second, an hour
        yield f"demand.bin: {format_duration(d.bin)} must be between 1 s and 1 h"
    if d.stagger < 0:
        yield f"demand.stagger: {d.stagger:g} s must not be negative"
    if not 1 <= d.bursts.duration <= 86_400:  # noqa: PLR2004 - a second, a day
        yield f"demand.bursts.duration: {format_duration(d.bursts.duration)} must be between 1 s and 1 d"


def _sensor_problems(s: Scenario) -> Iterator[str]:
    for name in s.sensors.resolution:
        if name not in MEASURED:
            yield f"sensors.resolution: {short_repr(name)} has no sensor of its own (sensors: {', '.join(MEASURED)})"
    for name in s.sensors.noise:
        if name not in MEASURED:
            yield f"sensors.noise: {short_repr(name)} has no sensor of its own (sensors: {', '.join(MEASURED)})"
    for name in MEASURED:
        channel, noise = CHANNELS[name], s.sensors.noise.get(name, CHANNELS[name].noise)
        most = 2.0 if channel.noise_kind == "relative" else (channel.plausible[1] - channel.plausible[0]) / 2
        if s.sensors.noise_scale * noise > most:
            unit = "of the reading" if channel.noise_kind == "relative" else channel.unit
            yield (
                f"sensors.noise.{name}: {noise:g} times noise_scale {s.sensors.noise_scale:g} is more than "
                f"{most:g} {unit}; no sensor is that bad"
            )


def _job_problems(s: Scenario) -> Iterator[str]:
    """Find what is wrong with the training job of a scenario whose facility is sound."""
    job = s.training_job
    if job is None or any(problem for of_hall in _OF_HALL for problem in of_hall(s)):
        return
    if not job.racks:
        yield "training_job.racks: the list is empty; name racks, rows or loops"
    facility = build_facility(s.facility)
    for text in job.racks:
        try:
            fixed_assets(text, facility)
        except SelectorError as error:
            yield f"training_job.racks: {error}"
    if not job.checkpoint < job.checkpoint_every:
        yield (
            f"training_job.checkpoint: {format_duration(job.checkpoint)} must be shorter than checkpoint_every, "
            f"{format_duration(job.checkpoint_every)}"
        )


_OF_HALL = (
    _row_count_problems, _rack_type_problems, _duplicate_problems, _loop_count_problems, _feed_problems,
    _rack_count_problems, _name_problems,
)  # fmt: skip


def _in_sound_hall(check: Callable[[Scenario], Iterator[str]]) -> Callable[[Scenario], Iterator[str]]:
    """Return a check that says nothing while the hall itself has problems: targets could not be told."""

    def checked(s: Scenario) -> Iterator[str]:
        if s.has_incidents and not any(problem for of_hall in _OF_HALL for problem in of_hall(s)):
            yield from check(s)

    return checked


_ROWS, _RACKS = "facility.rows.*.name", ("facility.rows.*.racks", "facility.racks_per_row")
_LOOPS, _PROFILES = "facility.loops.*.name", "profiles.*.name"
_CLOCK = ("start", "duration", "utc_offset")
_INCIDENTS = ("incidents.*.id", "incidents.*.at", "incidents.*.kind", "incidents.*.causes.*.incident")

_CHECKS: tuple[tuple[tuple[str, ...], Callable[[Scenario], Iterator[str]]], ...] = (
    (("duration",), partial(_length_problems, "duration")),
    (("tick",), partial(_length_problems, "tick")),
    (("duration", "tick"), _tick_problems),
    ((_ROWS,), _row_count_problems),
    (("facility.rack_types.*.name",), _rack_type_problems),
    ((), _duplicate_problems),
    ((_ROWS,), _loop_count_problems),
    ((_ROWS, "facility.loops.*.feeds"), _feed_problems),
    ((_ROWS, *_RACKS), _rack_count_problems),
    ((_ROWS, *_RACKS, _LOOPS, "facility.site", "facility.hall", "facility.ups_count"), _name_problems),
    ((), _profile_problems),
    ((_PROFILES,), _shared_profile_problems),
    (("occupancy.anytime", "occupancy.business", "occupancy.off_hours", "occupancy.rows"), _share_problems),
    (("occupancy.participation", "occupancy.row_share", "occupancy.loop_share"), _following_problems),
    ((_ROWS,), _row_share_problems),
    ((_PROFILES,), _dwelling_profile_problems),
    ((), _dwell_problems),
    (("demand.source", "demand.file"), _trace_problems),
    ((), _demand_problems),
    ((), _sensor_problems),
    (("facility", "training_job"), _job_problems),
    (("facility", "training_job", *_CLOCK), _in_sound_hall(incident_problems)),
    (_INCIDENTS, chain_problems),
    ((*_INCIDENTS, *_CLOCK, "endings.*.at"), ending_problems),
    (("facility", "training_job", *_CLOCK), _in_sound_hall(rate_problems)),
)
"""Checks across fields, each with what must be sound before it can say anything (`PartialDocument.sound`): not the
values that it checks one by one, but those whose absence would make it blame the rest."""

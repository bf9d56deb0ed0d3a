"""What a scenario file may say of incidents."""

import re
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Annotated, Any, Literal, Protocol

import numpy as np
from pydantic import BeforeValidator, Field

from sim.common.schema_base import Name, Section, Share
from sim.common.time_units import DURATION_PATTERN, DurationS, parse_duration_s, parse_whole_instant
from sim.incidents.envelope import Shape
from sim.model.facility import FacilitySpec

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"(mon|tue|wed|thu|fri|sat|sun) ([01]?\d|2[0-3]):([0-5]\d)", re.IGNORECASE)
_AT = "a time is an offset like 2d14h, a site clock time like 'mon 14:00', or an instant like 2025-01-08T14:00:00Z"


def _at(value: Any) -> Any:
    """Check the text of a time; what it means depends on when the run starts."""
    if isinstance(value, datetime):
        return parse_whole_instant(value).isoformat()
    if isinstance(value, str) and (_CLOCK.fullmatch(value.strip()) or "-" in value.strip()[1:]):
        if not _CLOCK.fullmatch(value.strip()):
            try:
                parse_whole_instant(value)
            except ValueError:
                raise ValueError(_AT) from None
        return value.strip()
    try:
        known = isfinite(parse_duration_s(value))
    except ValueError:
        known = False
    if not known:
        raise ValueError(_AT)
    # no exponent, whose minus would look like a date's
    return value.strip() if isinstance(value, str) else np.format_float_positional(float(value), trim="0")


_ANY_CASE = "|".join("".join(f"[{c.upper()}{c}]" for c in day) for day in WEEKDAYS)
_AT_PATTERN = rf"^\s*({DURATION_PATTERN}|({_ANY_CASE}) ([01]?\d|2[0-3]):[0-5]\d|\d{{4}}-\d\d-\d\d.*)\s*$"
At = Annotated[str, BeforeValidator(_at, json_schema_input_type=float | Annotated[str, Field(pattern=_AT_PATTERN)])]
"""A time within a run, as text until the run's start is known."""


def seconds_into_run(at: str, start: datetime, utc_offset_h: float) -> float:
    """Return when an `at` falls [s from the run's start]; a clock time is the first such one from the start on."""
    clock = _CLOCK.fullmatch(at)
    if clock:
        local = start + timedelta(hours=utc_offset_h)
        day, hour, minute = WEEKDAYS.index(clock[1].lower()), int(clock[2]), int(clock[3])
        midnight = local.replace(hour=0, minute=0, second=0)
        then = midnight + timedelta(days=(day - local.weekday()) % 7, hours=hour, minutes=minute)
        return ((then - local).total_seconds()) % (7 * 86_400)
    if "-" in at[1:]:
        return (parse_whole_instant(at) - start.astimezone(UTC)).total_seconds()
    return parse_duration_s(at)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Selectors = Annotated[
    list[str],
    BeforeValidator(_as_list, json_schema_input_type=list[str] | str),
]
"""Selectors: `loop:CL-2`, `row:C`, `rack:R-C-07`, `rack:*`, `random(rack, 3)`, or a list of these."""


def _value(value: Any) -> Any:
    """Leave what the union takes to it; what it does not is told in one line."""
    texts = isinstance(value, list) and all(isinstance(text, str) for text in value)
    if isinstance(value, bool) or not (texts or isinstance(value, (int, float, str))):
        raise ValueError("a parameter is a number, a text or a list of texts")
    try:
        finite = not isinstance(value, (int, float)) or isfinite(value)
    except OverflowError:
        finite = False
    if not finite:
        raise ValueError("must be a finite number")
    return value


Value = Annotated[float | str | list[str], BeforeValidator(_value, json_schema_input_type=float | str | list[str])]


class _EnvelopeSpec(Section):
    """What an incident does over time; shared by those that start by the clock and those that others set off."""

    kind: str = Field(description="what happens; `run_sim.py --incidents` lists the kinds")
    target: Selectors | None = Field(
        default=None,
        description="what it is aimed at: rack:R-C-07, row:C, loop:CL-2, ups:UPS-1, rack:*, random(rack, 3), a list; "
        "may be left out where the kind affects the whole plant or hall",
    )
    duration: DurationS | None = Field(
        default=None, description="how long the cause lasts; the kind's own unless given"
    )
    severity: float = Field(default=1.0, ge=0, le=1, description="part of the kind's full effect")
    shape: Shape | None = Field(default=None, description="how the effect comes; the kind's own unless given")
    rise: DurationS | None = Field(
        default=None, description="how long a ramp rises; a quarter of the duration, or of a rack's turn, unless given"
    )
    period: DurationS | None = Field(
        default=None,
        description="of a sawtooth, a pulse or a wave; the kind's own, or a quarter of the duration or of a rack's "
        "turn, unless given",
    )
    recovery: DurationS | None = Field(
        default=None, description="how long the effect fades after the end; the kind's own unless given"
    )
    parameters: dict[str, Value] = Field(
        default_factory=dict, description="the kind's own parameters; `run_sim.py --explain KIND` prints them"
    )
    causes: "list[TriggerSpec] | None" = Field(
        default=None, description="what it sets off; the kind's own unless given"
    )
    note: str = Field(default="", max_length=500, description="why it is here, for people")


class TriggerSpec(_EnvelopeSpec):
    """Something that an incident sets off: a kind described here, or another incident of the list by its id."""

    kind: str | None = Field(default=None, description="what is set off, described here")  # type: ignore[assignment]
    incident: Name | None = Field(default=None, description="id of an incident of the list that is set off")
    after: DurationS = Field(default=0.0, description="delay after the start of what sets it off")
    probability: Share = Field(default=1.0, description="chance that it is set off at all")


class IncidentSpec(_EnvelopeSpec):
    """One scripted fault or event."""

    id: Name | None = Field(default=None, description="its name in labels and events; KIND-n unless given")
    at: At | None = Field(
        default=None,
        description="when it begins: an offset (2d14h), a site clock time (mon 14:00) or an instant; left out for one "
        "that only others set off",
    )


class EndingSpec(Section):
    """An incident that is ended before its time."""

    incident: str = Field(
        min_length=1, max_length=200, description="its id in labels and events, one that was set off or drawn included"
    )
    at: At = Field(description="when its cause ends, with the strength that it has then; it fades as it would have")


class DurationLaw(Section):
    """How long drawn incidents last."""

    law: Literal["lognormal", "weibull", "fixed"] = Field(default="lognormal", description="law of the duration")
    median: DurationS = Field(default=3600.0, description="half of them last longer")
    shape: float = Field(default=0.8, gt=0.05, le=5, description="sigma of the log-normal, or Weibull's k")
    shortest: DurationS = Field(default=60.0, description="shorter draws last this long")
    longest: DurationS = Field(default=172_800.0, description="longer draws last this long")


class KindRate(Section):
    """How often a kind happens by itself."""

    per_year: float | None = Field(
        default=None, ge=0, le=1e6, description="of each asset it can affect; the kind's own rate unless given"
    )
    count: int | None = Field(
        default=None,
        ge=0,
        le=20_000,
        description="so many in the run whatever the seed, in place of a rate: stratified (a Latin hypercube) over "
        "times, assets, durations, severities and channels",
    )
    gaps: Literal["exponential", "weibull"] = Field(
        default="exponential", description="law of the time between two: memoryless, or Weibull"
    )
    gap_shape: float = Field(default=0.7, ge=0.2, le=5, description="Weibull's k of the gaps; below 1 they cluster")
    duration: DurationLaw | None = Field(
        default=None, description="how long they last; the kind's own law unless given"
    )
    severity: tuple[Share, Share] = Field(default=(0.3, 1.0), description="drawn evenly between these")
    within: Selectors | None = Field(default=None, description="assets it may affect; all it can unless given")
    parameters: dict[str, Value] = Field(
        default_factory=dict,
        description="the kind's own parameters, of every draw; of a list of channels each draw takes one",
    )


def _as_kinds(value: Any) -> Any:
    if value == []:
        raise ValueError("the list is empty; name kinds, or leave it out for all")
    listed = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return {name: {} for name in value} if listed else value


class IncidentRates(Section):
    """Incidents drawn at random from stated rates."""

    acceleration: float = Field(
        default=10.0, gt=0, le=1e6, description="factor on every rate; real halls see almost no plant fault in a week"
    )
    after: DurationS = Field(default=0.0, description="none begins earlier in the run")
    spacing: DurationS = Field(
        default=0.0, description="a draw is dropped where another reaches the same racks within this time"
    )
    spared: Selectors | None = Field(
        default=None, description="no drawn fault is aimed at these or what is below them; random(loop, 1) draws them"
    )
    rack_time_limit: DurationS | None = Field(
        default=None, description="a drawn fault is cut where its racks times its duration are more than this"
    )
    kinds: Annotated[
        dict[str, KindRate], BeforeValidator(_as_kinds, json_schema_input_type=dict[str, KindRate] | list[str])
    ] = Field(
        default_factory=dict,
        description="kinds and their rates, or a list of kinds at their own rates; all unless given",
    )

    @property
    def draws_at_rates(self) -> bool:
        """Whether any kind comes at a rate; of others the number is given."""
        return not self.kinds or any(rate.count is None for rate in self.kinds.values())


TriggerSpec.model_rebuild()
IncidentSpec.model_rebuild()


class RunDocument(Protocol):
    """What planning needs of a scenario: time, hall and incidents."""

    @property
    def start(self) -> datetime: ...
    @property
    def duration(self) -> float: ...
    @property
    def utc_offset(self) -> float: ...
    @property
    def facility(self) -> FacilitySpec: ...
    @property
    def incidents(self) -> list[IncidentSpec]: ...
    @property
    def endings(self) -> list[EndingSpec]: ...
    @property
    def incident_rates(self) -> IncidentRates | None: ...
    @property
    def job_racks(self) -> list[str]:
        """Selectors of the racks that a training job has, none where there is no job."""
        ...

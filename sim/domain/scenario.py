"""What a scenario file may say: the keys, their defaults and their limits."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from sim.domain.incident_specs import IncidentRates, IncidentSpec
from sim.domain.profiles import PROFILE_CHANNELS, Profile, Range, shipped_profiles
from sim.domain.quantities import DurationS, Instant
from sim.domain.section import Name, Section, Share

ProfileName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


def _range_from_pair(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        if len(value) != 2:  # noqa: PLR2004 - a low and a high end
            raise ValueError("a range is [low, high]")
        return {"low": value[0], "high": value[1]}
    return value


class RangeSpec(Section):
    """The range of one channel in a profile: `[low, high]`, or low, high and typical."""

    low: float = Field(description="low end, in the channel's unit")
    high: float = Field(description="high end")
    typical: float | None = Field(default=None, description="where the steady state aims; the middle unless given")


RangeOrPair = Annotated[
    RangeSpec, BeforeValidator(_range_from_pair, json_schema_input_type=RangeSpec | tuple[float, float])
]
ProfileSpec = dict[Literal[PROFILE_CHANNELS], RangeOrPair]  # type: ignore[valid-type]


class RowSpec(Section):
    """One row of racks."""

    name: Name = Field(description="such as C; its racks are R-C-01, R-C-02, ..")
    racks: Count | None = Field(default=None, description="number of racks; racks_per_row unless given")
    rack_type: Name = Field(default="standard", description="one of rack_types, or standard")


class LoopSpec(Section):
    """One cooling loop and the rows it feeds."""

    name: Name = Field(description="such as CL-1")
    feeds: list[Name] = Field(description="rows that it cools; each row hangs on one loop")


class RackType(Section):
    """A kind of rack, by its size relative to the rack the profiles describe."""

    size: float = Field(gt=0, le=20, description="load, power, airflow and cooling relative to a standard rack")


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


COUNTED, LISTED = "(number)", "(list)"


def _rows_kind(value: Any) -> str:
    return LISTED if isinstance(value, list) else COUNTED


Rows = Annotated[
    Annotated[Count, Tag(COUNTED)]
    | Annotated[list[Annotated[RowSpec, BeforeValidator(_named, json_schema_input_type=RowSpec | str)]], Tag(LISTED)],
    Discriminator(_rows_kind),
]
"""Rows by their number or one by one; the file's own form decides which of the two is checked."""


class FacilitySpec(Section):
    """The hall: rows, racks, cooling loops, power and climate."""

    site: Name = Field(default="S1", description="name of the site")
    hall: Name = Field(default="H1", description="name of the hall")
    rows: Rows = Field(default=6, description="a number, or a list of names or of {name, racks, rack_type}")
    racks_per_row: Count = Field(default=12, description="of rows that do not say how many they have")
    loops: list[LoopSpec] | None = Field(default=None, description="pairs of rows in order unless given")
    rack_types: dict[Name, RackType] = Field(default_factory=dict, description="kinds of rack by name")
    ups_count: int = Field(default=2, ge=1, le=64, strict=True, description="UPS, which the rows' PDUs hang on in turn")
    supply_water_c: float = Field(default=15.0, ge=4, le=40, description="setpoint of the loops' supply water, degC")
    outdoor_c: float = Field(default=12.0, ge=-40, le=50, description="mean outdoor temperature, degC")
    outdoor_swing_c: float = Field(default=5.0, ge=0, le=20, description="half the daily swing, K")
    chiller_capacity_kw: float | None = Field(
        default=None, gt=0, description="heat the plant can take away; 1.15 x the racks' design load unless given"
    )


def _over(defaults: dict[str, Any]) -> BeforeValidator:
    """Lay what the file says over the defaults, key by key, so that naming one share keeps the others."""

    def lay(value: Any) -> Any:
        """Return the defaults with `value` over them; what is no mapping is left for the types to refuse."""
        if not isinstance(value, dict):
            return value
        both = {
            key: {**defaults[key], **value[key]}
            for key in defaults
            if isinstance(defaults[key], dict) and isinstance(value.get(key), dict)
        }
        return {**defaults, **value, **both}

    return BeforeValidator(lay)


ANYTIME: dict[str, Any] = {"thermal_event": 0.05, "overcooled": 0.03}
BUSINESS: dict[str, Any] = {"high_load": 0.30}
OFF_HOURS: dict[str, Any] = {"under_utilized": 0.20}
ROWS: dict[str, Any] = {"C": {"thermal_event": 0.08}, "E": {"overcooled": 0.15}}
DWELL_S: dict[str, Any] = {"thermal_event": 1500.0, "high_load": 2700.0, "overcooled": 3600.0, "under_utilized": 4500.0}
CUSTOM_DWELL_S = 2700.0

Shares = dict[ProfileName, Share]


class Occupancy(Section):
    """The share of time in each profile, by hour and row: the occupancy law.

    `anytime` shares are of all time; `business` and `off_hours` shares are of what the former leave.
    """

    anytime: Annotated[Shares, _over(ANYTIME)] = Field(default=ANYTIME, description="shares of all time, by profile")
    business: Annotated[Shares, _over(BUSINESS)] = Field(
        default=BUSINESS, description="shares of what anytime leaves, from 9 to 17"
    )
    off_hours: Annotated[Shares, _over(OFF_HOURS)] = Field(
        default=OFF_HOURS, description="shares of what anytime leaves, from 18 to 8"
    )
    rows: Annotated[dict[Name, Shares], _over(ROWS)] = Field(
        default=ROWS, description="shares of all time that hold in one row instead of the hall's"
    )
    weekends: Literal["as_weekdays", "as_off_hours"] = Field(
        default="as_weekdays", description="which law holds on Saturdays and Sundays"
    )
    row_share: Share = Field(default=0.25, description="part of each profile's share that whole rows bring")
    loop_share: Share = Field(default=0.10, description="part that whole cooling loops bring")
    participation: float = Field(default=0.8, gt=0, le=1, description="chance that a rack joins its row or loop")


class Dwell(Section):
    """How long an agent stays in a profile before leaving."""

    mean: Annotated[dict[ProfileName, DurationS], _over(DWELL_S)] = Field(
        default=DWELL_S, description="mean stay by profile; 45m where a custom one gives none"
    )
    law: Literal["exponential", "lognormal", "weibull"] = Field(default="exponential", description="law of the stays")
    shape: float = Field(default=1.0, gt=0.1, le=10, description="sigma of the log-normal, or Weibull's k")


class Demand(Section):
    """Where the load inside a profile comes from."""

    source: Literal["profiles", "trace"] = Field(
        default="profiles", description="the profiles' own noise, or a request trace in its place"
    )
    file: str | None = Field(default=None, description="request trace, CSV: TIMESTAMP,ContextTokens,GeneratedTokens")
    tokens: Literal["total", "generated"] = Field(default="total", description="which tokens of the trace count")
    bin: DurationS = Field(default=30.0, description="over which the trace's token rate is taken")
    stagger: DurationS = Field(default=0.0, description="each rack replays the trace up to this much later")


class Sensors(Section):
    """How readings differ from the truth."""

    noise_scale: float = Field(default=1.0, ge=0, le=100, description="factor on every sensor's noise")
    noise: dict[str, Annotated[float, Field(ge=0, le=1000)]] = Field(
        default_factory=dict, description="standard deviation by channel, as data/channels.csv states it"
    )


class Scenario(Section):
    """A run, described completely: the same scenario and seed give the same bytes."""

    schema_version: Literal[1] = Field(default=1, description="of the format of this file")
    name: Name = Field(description="name of the run and its files; the file's own unless given")
    description: str = Field(default="", description="a sentence for people")
    start: Instant = Field(
        default=datetime(2025, 1, 6, tzinfo=UTC), description="first sample, UTC unless it says else"
    )
    duration: DurationS = Field(default=604_800.0, description="such as 90m, 2d14h or seconds")
    tick: DurationS = Field(default=60.0, description="time between samples; divides the duration")
    seed: int = Field(default=42, ge=0, lt=2**63, strict=True, description="of all that is drawn")
    utc_offset: float = Field(default=0.0, ge=-12, le=14, description="hours of the site's clock ahead of UTC")
    facility: FacilitySpec = Field(default_factory=FacilitySpec, description="the hall")
    profiles: dict[ProfileName, ProfileSpec] = Field(
        default_factory=dict, description="ranges by profile and channel, over the shipped ones or new"
    )
    occupancy: Occupancy = Field(default_factory=Occupancy, description="the law of the profiles' shares")
    dwell: Dwell = Field(default_factory=Dwell, description="how long stays last")
    demand: Demand = Field(default_factory=Demand, description="where the load inside a profile comes from")
    sensors: Sensors = Field(default_factory=Sensors, description="how readings differ from the truth")
    incidents: list[IncidentSpec] = Field(default_factory=list, description="scripted faults and events")
    incident_rates: IncidentRates | None = Field(default=None, description="faults and events drawn at random")

    @property
    def has_incidents(self) -> bool:
        """Whether the run carries a twin: something may happen that its twin does not see."""
        return bool(self.incidents) or self.incident_rates is not None

    @property
    def tick_count(self) -> int:
        """Number of samples of each rack."""
        return round(self.duration / self.tick)

    def resolved_profiles(self) -> dict[str, Profile]:
        """Return the shipped profiles with this scenario's changes and additions, nominal first."""
        profiles = shipped_profiles()
        for name, channels in self.profiles.items():
            ranges = dict(profiles[name].ranges) if name in profiles else {}
            ranges |= {c: Range.of(r.low, r.high, r.typical) for c, r in channels.items()}
            profiles[name] = Profile(name, ranges)
        return profiles

    def mean_dwell_s(self, profile: str) -> float:
        """Return the mean stay in a profile [s]; custom profiles without one stay 45 minutes."""
        return self.dwell.mean.get(profile, CUSTOM_DWELL_S)

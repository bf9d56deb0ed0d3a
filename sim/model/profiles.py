"""Operational profiles: the ranges a rack's telemetry lies in while it is settled in a profile."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sim.common.resources import DATA
from sim.common.schema_base import Section, no_null_word
from sim.model.channels import CHANNELS

NOMINAL = "nominal"

LOAD = "load"
"""What `anomaly_kind` says of profiles that requests bring."""

ANOMALY_KIND: dict[str, str] = {
    NOMINAL: "normal",
    "high_load": LOAD,
    "under_utilized": LOAD,
    "thermal_event": "cooling",
    "overcooled": "cooling",
}
"""What `anomaly_kind` says of each shipped profile; a custom profile is of kind `custom`."""

INCIDENT, SENSOR = "incident", "sensor"
"""What `anomaly_kind` says where an incident, or only a sensor's fault, can be observed."""


@dataclass(frozen=True, slots=True)
class Range:
    """The values a channel takes in a profile, in the channel's unit; `typical` is where its steady state aims."""

    low: float
    high: float
    typical: float

    @classmethod
    def of(cls, low: float, high: float, typical: float | None = None) -> "Range":
        """Make a range whose typical value, unless given, is the middle."""
        return cls(low, high, (low + high) / 2 if typical is None else typical)

    def shifted(self, by: float) -> "Range":
        """Return the range somewhere else, in the channel's unit."""
        return Range(self.low + by, self.high + by, self.typical + by)

    @property
    def half_width(self) -> float:
        """Distance from the typical value to the nearer end."""
        return min(self.typical - self.low, self.high - self.typical)


@dataclass(frozen=True, slots=True)
class Profile:
    """A named operating regime; channels it does not name follow from the physics."""

    name: str
    ranges: Mapping[str, Range] = field(default_factory=dict)

    @property
    def anomaly_kind(self) -> str:
        """What the labels call this profile's kind."""
        return ANOMALY_KIND.get(self.name, "custom")

    def warmed(self, by_k: float) -> "Profile":
        """Return the profile in warmer air, at inlet and outlet alike."""
        air = {channel: self.ranges[channel].shifted(by_k) for channel in ("inlet_c", "outlet_c")}
        return Profile(self.name, {**self.ranges, **air}) if by_k else self


CHANNEL_LIMITS: dict[str, tuple[float, float]] = {
    name: channel.profile_limits for name, channel in CHANNELS.items() if channel.profile_limits is not None
}
"""What a profile may ask of a standard rack, in the channel's unit; assumed, far beyond what a hall reaches."""

PROFILE_CHANNELS: tuple[str, ...] = tuple(CHANNEL_LIMITS)
"""Channels whose range a profile may state."""


def shipped_profiles() -> dict[str, Profile]:
    """Read data/profiles.csv: the five profiles in their order, nominal first."""
    ranges: dict[str, dict[str, Range]] = {}
    with (DATA / "profiles.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            typical = float(row["typical"]) if row["typical"] else None
            ranges.setdefault(row["profile"], {})[row["channel"]] = Range.of(
                float(row["low"]), float(row["high"]), typical
            )
    return {name: Profile(name, channels) for name, channels in ranges.items()}


PROFILE_PATTERN = r"^[a-z][a-z0-9_]*$"
ProfileName = Annotated[str, Field(pattern=PROFILE_PATTERN, max_length=64), AfterValidator(no_null_word)]


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

"""What a scenario file may say: the keys, their defaults and their limits."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from sim.agents.occupancy import CUSTOM_DWELL_S, MINUTE_S, WEEK_S, Dwell, Occupancy
from sim.common.schema_base import Name, Section, Share
from sim.common.time_units import DurationS, Instant
from sim.incidents.schema import EndingSpec, IncidentRates, IncidentSpec, Selectors
from sim.model.channels import Sensors
from sim.model.facility import CLIMATES, FacilitySpec
from sim.model.profiles import Profile, ProfileName, ProfileSpec, Range, shipped_profiles


class Bursts(Section):
    """Surges of demand that the whole hall sees at once."""

    per_day: float = Field(
        default=0.0, ge=0, le=1000, description="how many begin in a day on average; none unless given"
    )
    size: float = Field(default=0.3, ge=0, le=5, description="of the load that a usual one adds; others are log-normal")
    duration: DurationS = Field(default=300.0, description="how long one lasts on average")


class Demand(Section):
    """Where the load inside a profile comes from, and how it moves over the week."""

    source: Literal["profiles", "trace"] = Field(
        default="profiles", description="the profiles' own noise, or a request trace in its place"
    )
    reading: Literal["standardised", "rate"] = Field(
        default="standardised",
        description="the trace's swings brought to the profiles' own size, or as they are around the profiles' mean",
    )
    segments: Literal["tiled", "drawn"] = Field(
        default="tiled", description="a trace shorter than the run begins anew, or each time at a drawn place"
    )
    weekly: Literal["none", "chat"] = Field(
        default="none",
        description="how busy racks are by hour of the week: the occupancy law's hours, or a chat service's",
    )
    bursts: Bursts = Field(default_factory=Bursts, description="surges that the whole hall sees")
    common: Share = Field(default=0.2, description="part of the variance of the load's noise that all racks share")
    file: str | None = Field(default=None, description="request trace, CSV: TIMESTAMP,ContextTokens,GeneratedTokens")
    tokens: Literal["total", "generated"] = Field(default="total", description="which tokens of the trace count")
    bin: DurationS = Field(default=30.0, description="over which the trace's token rate is taken")
    stagger: DurationS = Field(default=0.0, description="each rack replays the trace up to this much later")


class TrainingJobSpec(Section):
    """A training job: all GPUs of its racks work in step, save together and stop together."""

    racks: Selectors = Field(description="what it runs on: row:C, rack:R-C-07, loop:CL-2, or a list")
    plateau: float = Field(
        default=0.76, gt=0.2, le=1, description="power while it runs, of what the racks' breakers carry"
    )
    checkpoint_every: DurationS = Field(default=1800.0, gt=0, description="time between the starts of two checkpoints")
    checkpoint: DurationS = Field(default=60.0, gt=0, description="how long one takes")
    checkpoint_power: Share = Field(default=0.35, description="power meanwhile, of that while it runs")
    restart: DurationS = Field(default=600.0, gt=0, description="how long it takes to restart after a crash")
    gpu_hours_per_failure: float | None = Field(
        default=50_700.0, gt=0, description="of its GPUs until one of them fails; null: none does"
    )


class TelemetrySpec(Section):
    """What a run writes beside its telemetry, whose columns are the same in every run."""

    counters: Literal["none", "dcgm"] = Field(
        default="none", description="dcgm: NAME.gpu.parquet with counters of the racks' GPUs"
    )
    gpu_hours_per_xid: float = Field(default=50_700.0, gt=0, description="of a GPU until it reports an error (XID)")


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
    training_job: TrainingJobSpec | None = Field(
        default=None, description="a job that keeps some racks busy in place of requests"
    )
    telemetry: TelemetrySpec = Field(default_factory=TelemetrySpec, description="what is written beside the telemetry")
    sensors: Sensors = Field(default_factory=Sensors, description="how readings differ from the truth")
    incidents: list[IncidentSpec] = Field(default_factory=list, description="scripted faults and events")
    endings: list[EndingSpec] = Field(default_factory=list, description="incidents that are ended before their time")
    incident_rates: IncidentRates | None = Field(default=None, description="faults and events drawn at random")

    @property
    def has_incidents(self) -> bool:
        """Whether the run carries a twin: something may happen that its twin does not see."""
        return bool(self.incidents) or self.incident_rates is not None

    @property
    def has_counters(self) -> bool:
        """Whether the run writes counters of GPUs."""
        return self.telemetry.counters != "none"

    @property
    def job_racks(self) -> list[str]:
        """Selectors of the racks that a training job has, none where there is no job."""
        return self.training_job.racks if self.training_job else []

    @property
    def tick_count(self) -> int:
        """Number of samples of each rack."""
        return round(self.duration / self.tick)

    @property
    def start_minute_of_week(self) -> float:
        """Minute of the site's week (Monday 00:00 is 0) at which the run starts."""
        start = self.start
        clock_s = start.weekday() * 86_400 + start.hour * 3600 + start.minute * 60 + start.second
        return (clock_s + self.utc_offset * 3600) % WEEK_S / MINUTE_S

    def resolved_profiles(self) -> dict[str, Profile]:
        """Return the shipped profiles, as warm as the climate makes them, with this scenario's changes and additions.

        nominal is the first.
        """
        warmer_k = CLIMATES[self.facility.climate].warmer_k
        profiles = {name: profile.warmed(warmer_k) for name, profile in shipped_profiles().items()}
        for name, channels in self.profiles.items():
            ranges = dict(profiles[name].ranges) if name in profiles else {}
            ranges |= {c: Range.of(r.low, r.high, r.typical) for c, r in channels.items()}
            profiles[name] = Profile(name, ranges)
        return profiles

    def mean_dwell_s(self, profile: str) -> float:
        """Return the mean stay in a profile [s]; custom profiles without one stay 45 minutes."""
        return self.dwell.mean.get(profile, CUSTOM_DWELL_S)

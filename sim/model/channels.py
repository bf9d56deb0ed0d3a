"""The telemetry channels, as data/channels.csv lists them."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sim.common.resources import DATA
from sim.common.schema_base import Section

Limits = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Channel:
    """One telemetry column.

    decimals: digits written after the point. noise: standard deviation of the sensor, in `unit` when `noise_kind`
    is absolute, as a fraction of the reading when it is relative; a derived channel has no sensor. reading: `instant`
    is the value at t, `mean` the mean over [t - tick, t) as a meter reports it. limits: what the sensor can show.
    profile_limits: what a profile may ask of a standard rack, None where it states no range of the channel.
    plausible: what any rack may report, beyond it the unit is wrong. All limits are in `unit`. The channel's value is
    in sim/engine/channel_values.py.
    """

    name: str
    unit: str
    decimals: int
    noise: float
    noise_kind: Literal["absolute", "relative", "derived"]
    reading: Literal["instant", "mean"]
    limits: Limits
    profile_limits: Limits | None
    plausible: Limits
    description: str
    source: str


def _load() -> dict[str, Channel]:
    with (DATA / "channels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        row["channel"]: Channel(
            name=row["channel"],
            unit=row["unit"],
            decimals=int(row["decimals"]),
            noise=float(row["noise"]),
            noise_kind=row["noise_kind"],  # type: ignore[arg-type]
            reading=row["reading"],  # type: ignore[arg-type]
            limits=_limits(row, ""),
            profile_limits=_limits(row, "profile_") if row["profile_low"] else None,
            plausible=_limits(row, "plausible_"),
            description=row["description"],
            source=row["source"],
        )
        for row in rows
    }


def _limits(row: dict[str, str], kind: str) -> Limits:
    """Return two limits of a row, endless where a cell is empty."""
    return float(row[f"{kind}low"] or -inf), float(row[f"{kind}high"] or inf)


CHANNELS: dict[str, Channel] = _load()
"""Every channel there is, by name."""

TELEMETRY_CHANNELS: tuple[str, ...] = (
    "inlet_c",
    "outlet_c",
    "pdu_kw",
    "gpu_energy_j",
    "tokens_ps",
    "latency_p95_ms",
    "queue_depth",
    "fan_rpm_pct",
    "pump_rpm_pct",
    "delta_t",
    "gpu_power_kw",
)
"""The channels of the training document, which every run reports, in the order of the columns."""

TELEMETRY_COLUMNS: tuple[str, ...] = ("ts", "rack_id", *TELEMETRY_CHANNELS)
"""The columns of a telemetry file that reports no more than those, in order."""


def measured(channels: Iterable[str]) -> tuple[str, ...]:
    """Return those channels that have a sensor of their own; the others are computed from them."""
    return tuple(name for name in channels if CHANNELS[name].noise_kind != "derived")


MEASURED: tuple[str, ...] = measured(TELEMETRY_CHANNELS)
"""The sensors of every run."""

MISSING = -(2**63)
"""Stands in blocks of readings for a sample that is not there; an empty cell in files."""


class Missing(Section):
    """Which samples never arrive."""

    single: float = Field(default=0.0, ge=0, le=1, description="part of single readings, each channel by itself")
    silent: float = Field(
        default=0.0, ge=0, le=1, description="part of the racks that say nothing for a day, day by day"
    )


class Sensors(Section):
    """How readings differ from the truth."""

    noise_scale: float = Field(default=1.0, ge=0, le=100, description="factor on every sensor's noise")
    noise: dict[str, Annotated[float, Field(ge=0, le=1000)]] = Field(
        default_factory=dict, description="standard deviation by channel, as data/channels.csv states it"
    )
    missing: Missing = Field(default_factory=Missing, description="samples that are not there; none unless given")
    resolution: dict[str, Annotated[float, Field(gt=0, le=1000)]] = Field(
        default_factory=dict,
        description="steps that a channel's sensor tells apart, in its unit; its digits unless given",
    )


def reading_sigma(spec: Sensors, name: str, truth: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the standard deviation of a healthy reading, its rounding included, like `truth` [channel's unit].

    sqrt(noise^2 + step^2 / 12), step: what the sensor tells apart, at least its last digit.
    """
    noise = spec.noise_scale * spec.noise.get(name, CHANNELS[name].noise)
    scale = np.abs(truth) if CHANNELS[name].noise_kind == "relative" else 1.0
    rounding = max(10.0 ** -CHANNELS[name].decimals, spec.resolution.get(name, 0.0)) / 12**0.5
    return np.asarray(np.hypot(noise * scale, rounding))


def within_limits(name: str, value: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keep values, in place, where the channel's sensor can show them."""
    low, high = CHANNELS[name].limits
    if low > -inf:
        np.maximum(value, low, out=value)
    if high < inf:
        np.minimum(value, high, out=value)
    return value

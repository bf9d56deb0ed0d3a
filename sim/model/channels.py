"""The telemetry channels, as data/channels.csv lists them."""

import csv
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sim.common.resources import DATA
from sim.common.schema_base import Section


@dataclass(frozen=True, slots=True)
class Channel:
    """One telemetry column.

    decimals: digits written after the point. noise: standard deviation of the sensor, in `unit` when `noise_kind`
    is absolute, as a fraction of the reading when it is relative. reading: `instant` is the value at t, `mean` the
    mean over [t - tick, t) as a meter reports it.
    """

    name: str
    unit: str
    decimals: int
    noise: float
    noise_kind: Literal["absolute", "relative", "derived"]
    reading: Literal["instant", "mean"]
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
            description=row["description"],
            source=row["source"],
        )
        for row in rows
    }


CHANNELS: dict[str, Channel] = _load()
"""Every telemetry channel by name, in the order of the columns."""

TELEMETRY_COLUMNS: tuple[str, ...] = ("ts", "rack_id", *CHANNELS)
"""The columns of a telemetry file, in order."""

MEASURED: tuple[str, ...] = tuple(c.name for c in CHANNELS.values() if c.noise_kind != "derived")
"""Channels with a sensor of their own; the others are computed from them."""

MISSING = -(2**63)
"""Stands in blocks of readings for a sample that is not there; an empty cell in files."""


class Sensors(Section):
    """How readings differ from the truth."""

    noise_scale: float = Field(default=1.0, ge=0, le=100, description="factor on every sensor's noise")
    noise: dict[str, Annotated[float, Field(ge=0, le=1000)]] = Field(
        default_factory=dict, description="standard deviation by channel, as data/channels.csv states it"
    )


def within_limits(name: str, value: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keep values, in place, where a sensor can show them: only temperatures can be negative, speeds end at 100 %."""
    if not name.endswith("_c"):
        np.maximum(value, 0.0, out=value)
    if name.endswith("_pct"):
        np.minimum(value, 100.0, out=value)
    return value

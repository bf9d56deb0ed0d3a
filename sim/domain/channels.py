"""The telemetry channels, as data/channels.csv lists them."""

import csv
from dataclasses import dataclass
from typing import Literal

from sim.domain.shipped import DATA


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

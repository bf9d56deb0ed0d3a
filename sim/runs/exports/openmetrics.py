"""OpenMetrics text for `promtool tsdb create-blocks-from openmetrics`: one file for each of Prometheus' 2 h blocks.

The same names, units and labels as the backend's `GET /metrics`, which reads FAMILIES too.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

import numpy as np
import numpy.typing as npt

from sim.common.time_units import format_instant_us

BLOCK_S = 2 * 3600
"""Prometheus cuts its data at whole multiples of this from 1970 on; promtool reads a file once for each block in it."""

_PLACE = re.compile(r"R-(.+)-\d+")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Family:
    """A metric of racks. channel: what it is made from; factor: from the channel's unit to the metric's.

    A counter adds up: of `reading` what came in since the sample before, of `rate` what came in each second.
    """

    name: str
    channel: str
    text: str
    factor: float = 1.0
    kind: Literal["gauge", "reading", "rate"] = "gauge"

    @property
    def is_counter(self) -> bool:
        """Tell whether it is a running sum."""
        return self.kind != "gauge"


FAMILIES = (
    Family("skadi_rack_inlet_temperature_celsius", "inlet_c", "Inlet air temperature."),
    Family("skadi_rack_outlet_temperature_celsius", "outlet_c", "Outlet air temperature."),
    Family("skadi_rack_power_watts", "pdu_kw", "Power draw of the rack.", 1e3),
    Family("skadi_rack_gpu_power_watts", "gpu_power_kw", "GPU power of the rack.", 1e3),
    Family("skadi_rack_gpu_energy_joules_total", "gpu_energy_j", "GPU energy, a running sum.", kind="reading"),
    Family("skadi_rack_generated_tokens_total", "tokens_ps", "Tokens generated, a running sum.", kind="rate"),
    Family("skadi_rack_latency_p95_seconds", "latency_p95_ms", "95th percentile latency of requests.", 1e-3),
    Family("skadi_rack_requests_in_system", "queue_depth", "Requests waiting or in flight."),
    Family("skadi_rack_fan_speed_ratio", "fan_rpm_pct", "Speed of the rack's cooling fan, of its full speed.", 1e-2),
    Family("skadi_rack_pump_speed_ratio", "pump_rpm_pct", "Speed of the rack's branch pump, of its full speed.", 1e-2),
)
CHANNELS_TOLD = tuple(family.channel for family in FAMILIES)


def labels(site: str, hall: str, rack: str) -> str:
    """Return the labels of a rack's metrics, whatever its names hold; row is that of a name like R-A-01."""
    place = _PLACE.fullmatch(rack)
    told = (site, hall, place[1] if place else "", rack)
    pairs = zip(("site", "hall", "row", "rack"), told, strict=True)
    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in pairs) + "}"


def escaped(value: str) -> str:
    """Return a label's value as it stands between quotation marks."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@dataclass(frozen=True, slots=True)
class History:
    """What is written: readings by channel (ticks, racks), NaN where there is none, and the labels of each rack.

    times_s: seconds since 1970 (ticks,), each standing for as long as there is from one to the next.
    """

    times_s: npt.NDArray[np.int64]
    readings: Mapping[str, Floats]
    labels: Sequence[str]

    @property
    def tick_s(self) -> int:
        """Return what a sample stands for [s]; a single one stands for no time."""
        return int(self.times_s[1] - self.times_s[0]) if len(self.times_s) > 1 else 0


def write_blocks(folder: Path, history: History) -> list[str]:
    """Write the files of a history and return their names, in the order of time."""
    families = [family for family in FAMILIES if family.channel in history.readings]
    columns = [(family, _values(family, history)) for family in families]
    starts, names = history.times_s // BLOCK_S, []
    for start in np.unique(starts).tolist():
        name = f"{format_instant_us(start * BLOCK_S * 1_000_000)[:16].replace(':', '')}Z.om"
        rows = np.flatnonzero(starts == start)
        with (folder / name).open("w", encoding="utf-8", newline="\n") as file:
            for family, values in columns:
                _write_family(file, family, history, values[rows], history.times_s[rows])
            file.write("# EOF\n")
        names.append(name)
    return names


def _values(family: Family, history: History) -> Floats:
    """Return a family's values (ticks, racks); a counter stays where there is no reading."""
    values = history.readings[family.channel] * family.factor
    if not family.is_counter:
        return values
    each = values * history.tick_s if family.kind == "rate" else values
    total: Floats = np.cumsum(np.nan_to_num(each), axis=0)
    return total


def _write_family(
    file: TextIO, family: Family, history: History, values: Floats, times_s: npt.NDArray[np.int64]
) -> None:
    """Write a family, rack by rack, each in the order of time, as OpenMetrics has it."""
    kind, name = ("counter", family.name.removesuffix("_total")) if family.is_counter else ("gauge", family.name)
    file.write(f"# TYPE {name} {kind}\n# HELP {name} {family.text}\n")
    instants = [str(t) for t in times_s.tolist()]
    for rack, its_labels in enumerate(history.labels):
        file.writelines(_lines(f"{family.name}{its_labels}", values[:, rack], instants))


def _lines(start: str, values: Floats, instants: Sequence[str]) -> Iterator[str]:
    # twelve digits hold a year of joules, and hide what a factor of 0.001 leaves at the end
    return (
        f"{start} {value:.12g} {at}\n"
        for value, at in zip(values.tolist(), instants, strict=True)
        if value == value  # noqa: PLR0124 - a sensor that said nothing
    )

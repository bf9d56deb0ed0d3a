"""What a run amounts to, gathered block by block: the figures of the summary."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.engine.blocks import Array, Integers, Labels, Telemetry
from sim.engine.build import Hall
from sim.incidents.labels import IncidentEvent
from sim.model.channels import CHANNELS, MISSING
from sim.model.episodes import Episode
from sim.plant.overhead import chiller_cop, cooling_power_kw, facility_power_kw, outdoor_c
from sim.plant.rack_types import air_share

EXPECTED: dict[str, tuple[float, float, float]] = {
    "inlet_c": (17, 30, 22),
    "outlet_c": (28, 52, 36),
    "delta_t": (8, 18, 12),
    "pdu_kw": (3, 12.5, 8),
    "tokens_ps": (2000, 14000, 8000),
    "latency_p95_ms": (120, 350, 200),
}
"""The training document's "Expected Statistics" for a week: minimum, maximum, mean."""


@dataclass(frozen=True, slots=True)
class ChannelFigures:
    """One channel over the run, in its unit: extremes, 0.1 % and 99.9 % points, mean."""

    minimum: float
    low: float
    mean: float
    high: float
    maximum: float


class Statistics:
    """A sink that keeps counts, never samples."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        racks = len(hall.facility.racks)
        self._counts = {name: np.zeros(1, dtype=np.int64) for name in EXPECTED}
        self._lowest = dict.fromkeys(EXPECTED, 0)
        self._rack_inlet_sum = np.zeros(racks)
        self.rack_occupancy_ticks = np.zeros((len(hall.profiles), racks), dtype=np.int64)
        self._expected_share = np.zeros((len(hall.profiles), len(hall.facility.rows)))
        self._minute = hall.scenario.start_minute_of_week
        self._it_kw, self._facility_kw, self._ticks = 0.0, 0.0, 0
        self.incidents: list[IncidentEvent] = []
        self.durations_s = {name: array("d") for name in list(hall.profiles)[1:]}

    def telemetry(self, block: Telemetry) -> None:
        """Count readings, and add up what the hall draws."""
        for name in EXPECTED:
            values = block.readings[name].reshape(-1)
            self._count(name, values if values.min() != MISSING else values[values != MISSING])
        self._rack_inlet_sum += block.truth["inlet_c"].sum(axis=0)
        self._ticks += block.ticks
        it_kw, facility_kw = site_power_kw(self._hall, block)
        self._it_kw += float(it_kw.sum())
        self._facility_kw += float(facility_kw.sum())

    def _count(self, name: str, values: Integers) -> None:
        if not len(values):
            return
        low, high = int(values.min()), int(values.max())
        kept, lowest = self._counts[name], self._lowest[name]
        bottom, top = min(low, lowest), max(high, lowest + len(kept) - 1)
        if bottom < lowest or top >= lowest + len(kept):
            grown = np.zeros(top - bottom + 1, dtype=np.int64)
            grown[lowest - bottom : lowest - bottom + len(kept)] = kept
            self._counts[name], self._lowest[name] = grown, bottom
        counts = np.bincount(values - low)
        at = low - self._lowest[name]
        self._counts[name][at : at + len(counts)] += counts

    def labels(self, block: Labels) -> None:
        """Count profiles, and what the law expects of the same hours."""
        for profile in range(len(self._hall.profiles)):
            self.rack_occupancy_ticks[profile] += (block.racks.profile == profile).sum(axis=0)
        tick = np.arange(block.first_tick, block.first_tick + len(block.racks.profile))
        minutes = (self._minute + tick * self._hall.scenario.tick / 60).astype(np.intp) % (7 * 1440)
        totals = {id(t): t.total[:, minutes].sum(axis=1) for t in self._hall.occupancy_shares}
        for row, target in enumerate(self._hall.occupancy_shares):
            self._expected_share[:, row] += totals[id(target)]

    def events(self, finished: Sequence[Episode | IncidentEvent]) -> None:
        """Keep how long racks' episodes lasted, those that outlast the run up to its end, and every incident."""
        racks = set(self._hall.facility.racks) if finished else set()
        names = list(self._hall.profiles)
        for episode in finished:
            if isinstance(episode, IncidentEvent):
                self.incidents.append(episode)
            elif episode.asset in racks:
                self.durations_s[names[episode.profile]].append(episode.lasts_s(self._hall.scenario.duration))

    def figures(self, name: str) -> ChannelFigures:
        """Return a channel's figures, NaN where it was never read."""
        counts, digit = self._counts[name], 10.0 ** -CHANNELS[name].decimals
        filled = np.flatnonzero(counts)
        if not len(filled):
            return ChannelFigures(*(float("nan"),) * 5)
        cumulative = np.cumsum(counts)
        value = (self._lowest[name] + np.arange(len(counts))) * digit
        low, high = (value[np.searchsorted(cumulative, q * cumulative[-1])] for q in (0.001, 0.999))
        mean = float((value * counts).sum() / cumulative[-1])
        return ChannelFigures(float(value[filled[0]]), float(low), mean, float(high), float(value[filled[-1]]))

    def occupancy(self, rows: Sequence[str] | None = None) -> tuple[Array, Array]:
        """Return each profile's share over the racks of some rows (all, unless named), and what the law expects."""
        facility = self._hall.facility
        chosen = np.array([rows is None or facility.rows[r] in rows for r in facility.row_of_rack])
        seen = self.rack_occupancy_ticks[:, chosen].sum(axis=1)
        expected = self._expected_share[:, facility.row_of_rack[chosen]].sum(axis=1)
        return seen / seen.sum(), expected / expected.sum()

    def mean_inlet_c(self, rows: Sequence[str] | None = None) -> float:
        """Return the mean true inlet of the racks of some rows [degC]."""
        facility = self._hall.facility
        chosen = np.array([rows is None or facility.rows[r] in rows for r in facility.row_of_rack])
        return float(self._rack_inlet_sum[chosen].mean() / self._ticks)

    @property
    def pue(self) -> float:
        """Power usage effectiveness over the run, NaN where nothing drew power."""
        return self._facility_kw / self._it_kw if self._it_kw else float("nan")


def site_power_kw(hall: Hall, block: Telemetry) -> tuple[Array, Array]:
    """Return the racks' power and the whole site's in the weather of the hour, (ticks,) each [kW]."""
    speeds = block.truth["fan_rpm_pct"], block.truth["pump_rpm_pct"]
    facility = hall.facility
    return facility_power_kw(
        block.truth["pdu_kw"], *speeds, facility.size_of_rack, _cop(hall, block), air_share(facility.type_of_rack)
    )


def cooling_kw(hall: Hall, block: Telemetry) -> Array:
    """Return what fans, pumps and chillers draw of the site's power in the weather of the hour, (ticks,) [kW]."""
    speeds = block.truth["fan_rpm_pct"], block.truth["pump_rpm_pct"]
    it_kw = block.truth["pdu_kw"].sum(axis=1)
    facility = hall.facility
    return cooling_power_kw(it_kw, *speeds, facility.size_of_rack, _cop(hall, block), air_share(facility.type_of_rack))


def _cop(hall: Hall, block: Telemetry) -> Array:
    tick = np.arange(block.first_tick, block.first_tick + block.ticks)
    hour = (hall.scenario.start_minute_of_week + tick * hall.scenario.tick / 60) % 1440 / 60
    return chiller_cop(outdoor_c(hall.facility.spec, hour))

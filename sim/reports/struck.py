"""The incidents of a run, as a report tells and draws them: each on the rack and channel that shows it best."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.model.channels import CHANNELS, Sensors, measured, reading_sigma
from sim.reports.recorded import Array, Recorded

POINTS = 140
"""Most points of a picture."""
_FAR = 50.0
"""Deviations beyond which a departure is as plain as can be."""
_AROUND, _FEWEST_AROUND = 0.3, 12
"""How much is shown before and after, as a share of what an incident lasts, and in ticks at least."""


@dataclass(frozen=True)
class Drawn:
    """A picture: when [s since 1970], what was read, and what the twin read, None without a twin.

    apart: how far the reading that departs most is off, in deviations of the sensor.
    """

    rack: str
    channel: str
    at_s: list[float]
    ours: list[float | None]
    twin: list[float | None] | None
    apart: float


@dataclass(frozen=True)
class Struck:
    """An incident as the events tell it; instants in seconds since 1970, None where they are not there."""

    event_id: str
    kind: str
    type: str
    root: str
    cause: str
    origin: str
    severity: float | None
    start_s: float
    end_s: float | None
    onset_s: float | None
    peak_s: float | None
    observed_end_s: float | None
    racks: tuple[int, ...]
    drawn: Drawn | None = None


def incidents_of(recorded: Recorded) -> list[Struck]:
    """Return the incidents of a run in the order in which they begin, not drawn."""
    if recorded.events is None:
        return []
    number = {rack: i for i, rack in enumerate(recorded.grid.racks)}
    return sorted(_told(recorded.events, number), key=lambda each: (each.start_s, each.event_id))


def _told(events: Any, number: dict[str, int]) -> Iterator[Struck]:
    for i, kind in enumerate(events["type"]):
        if kind != "episode":
            of = {name: column[i] for name, column in events.items()}
            reached = str(of["affected_assets"] or "").split("|")
            yield Struck(
                of["event_id"], of["kind"], kind, of["root_asset"] or "", of["cause_id"] or "", of["origin"] or "",
                of["severity"], _s(of["planned_start"]) or 0.0, _s(of["planned_end"]), _s(of["observable_onset"]),
                _s(of["peak"]), _s(of["observable_end"]), tuple(number[rack] for rack in reached if rack in number),
            )  # fmt: skip


def _s(instant: datetime | None) -> float | None:
    return None if instant is None else instant.timestamp()


def draw(recorded: Recorded, incident: Struck) -> Drawn | None:
    """Return the picture of an incident, None where it reached no rack or no tick."""
    ticks = _window(recorded, incident)
    if not incident.racks or ticks.stop - ticks.start < 2:  # noqa: PLR2004 - a line
        return None
    racks = np.array(incident.racks)
    best: tuple[float, str, int, Array] | None = None
    for channel in measured(recorded.channels):
        apart = _departure(recorded, channel, ticks, racks, incident)
        weight = np.minimum(apart, _FAR).sum(axis=0)  # what lasts shows more than one spike
        k = int(weight.argmax())
        if best is None or weight[k] > best[0]:
            best = float(weight[k]), channel, int(racks[k]), apart[:, k]
    return None if best is None else _drawn(recorded, ticks, *best[1:])


def most_telling(incidents: Sequence[Struck]) -> int | None:
    """Return the place of the incident whose picture shows most: many racks, far from what they would be."""
    weight = [len(each.racks) * min(each.drawn.apart, _FAR) if each.drawn else 0.0 for each in incidents]
    return int(np.argmax(weight)) if any(weight) else None


def _window(recorded: Recorded, incident: Struck) -> slice:
    grid = recorded.grid
    ends = [s for s in (incident.end_s, incident.observed_end_s) if s is not None]
    first, last = (
        (s - grid.start_us / 1e6) / grid.tick_s for s in (incident.start_s, max(ends, default=incident.start_s))
    )
    around = max(_FEWEST_AROUND, _AROUND * (last - first))
    return slice(max(0, int(first - around)), min(grid.ticks, int(last + around) + 2))


def _departure(recorded: Recorded, channel: str, ticks: slice, racks: npt.NDArray[np.intp], incident: Struck) -> Array:
    """Return how far readings are from the twin's in deviations of the sensor, or from those before, (n, racks)."""
    ours, of = recorded.readings[channel][ticks][:, racks], CHANNELS[channel]
    if recorded.twin is not None and channel in recorded.twin:
        beside = recorded.twin[channel][ticks][:, racks].astype(np.float64)
        sensors = Sensors() if recorded.scenario is None else recorded.scenario.sensors
        apart = np.abs(ours - beside) / reading_sigma(sensors, channel, beside)
        return np.where(np.isnan(ours) & np.isfinite(beside), np.inf, np.nan_to_num(apart))
    before = max(1, int((incident.start_s - recorded.grid.start_us / 1e6) / recorded.grid.tick_s) - ticks.start)
    calm = ours[:before]
    known = np.isfinite(calm)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, calm, 0.0).sum(axis=0) / count
    deviation = np.sqrt(np.where(known, (calm - mean) ** 2, 0.0).sum(axis=0) / count)
    return np.asarray(np.nan_to_num(np.abs(ours - mean) / np.maximum(deviation, 10.0**-of.decimals)))


def _drawn(recorded: Recorded, ticks: slice, channel: str, rack: int, apart: Array) -> Drawn:
    """Return a picture of POINTS at most: of ticks taken together the one that departs most."""
    width = -(-len(apart) // POINTS)
    chosen = np.array([at + int(apart[at : at + width].argmax()) for at in range(0, len(apart), width)]) + ticks.start
    decimals = CHANNELS[channel].decimals
    twin = None if recorded.twin is None else recorded.twin.get(channel)
    return Drawn(
        recorded.grid.racks[rack],
        channel,
        recorded.grid.seconds[chosen].tolist(),
        _plain(recorded.readings[channel][chosen, rack], decimals),
        None if twin is None else _plain(twin[chosen, rack].astype(np.float64), decimals),
        float(apart.max()),
    )


def _plain(values: Array, decimals: int) -> list[float | None]:
    return [round(v, decimals) if np.isfinite(v) else None for v in values.tolist()]

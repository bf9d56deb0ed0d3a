"""A run as arrays, (ticks, racks), with the truth before sensors where it was kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sim.engine.blocks import Array, Integers, Labels, Telemetry
from sim.engine.build import Hall
from sim.incidents.labels import IncidentEvent, IncidentLabels
from sim.model.channels import CHANNELS, MISSING
from sim.model.episodes import SETTLED_S, Episode

Profiles = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RunArrays:
    """A run as arrays over all its ticks, (ticks, racks) unless said otherwise.

    readings: by channel, in its unit, NaN where one is missing. truth: by channel, before sensors. profile,
    row_profile, loop_profile: index of the profile that the rack, its row and its loop are in. episode: number of the
    rack's episode, -1 while nominal. episodes: all of the run, in the order in which they were handed out. Of a run
    with incidents also: incident_labels, what incidents mean for rows; incidents, all that happened; twin_truth and
    twin_readings, of the same hall without them. job: what a training job is about, None in a run without one.
    """

    hall: Hall
    readings: dict[str, Array]
    truth: dict[str, Array]
    profile: Profiles
    row_profile: Profiles
    loop_profile: Profiles
    episode: npt.NDArray[np.int32]
    persistent: Mask
    episodes: list[Episode]
    incident_labels: IncidentLabels | None = None
    incidents: Sequence[IncidentEvent] = ()
    twin_truth: Mapping[str, Array] = field(default_factory=dict)
    twin_readings: Mapping[str, Array] = field(default_factory=dict)
    job: Profiles | None = None

    @property
    def tick_s(self) -> float:
        """Time between samples [s]."""
        return self.hall.scenario.tick

    def is_in(self, profile: str) -> Mask:
        """Return which samples are in a profile."""
        return np.asarray(self.profile == list(self.hall.profiles).index(profile))

    @cached_property
    def settled(self) -> Mask:
        """Samples at least SETTLED_S after the last change of their rack, its row and its loop."""
        still = np.ones(self.profile.shape, dtype=np.bool_)
        for changing in (self.profile, self.row_profile, self.loop_profile):
            still &= _ticks_unchanged(changing) * self.tick_s >= SETTLED_S
        return still


def _ticks_unchanged(profile: Profiles) -> npt.NDArray[np.int64]:
    """Return for how many ticks each asset has been in its profile; what is under way at the start is old."""
    long_ago = -(10**9)
    tick = np.arange(len(profile))[:, None]
    entered = np.full(profile.shape, long_ago)
    entered[1:] = np.where(profile[1:] != profile[:-1], tick[1:], long_ago)
    return np.asarray(tick - np.maximum.accumulate(entered, axis=0))


def join_blocks(
    hall: Hall,
    telemetry: Sequence[Telemetry],
    labels: Sequence[Labels],
    episodes: list[Episode],
    incidents: Sequence[IncidentEvent],
) -> RunArrays:
    """Return the blocks of a run that is over, joined."""
    rows = np.concatenate([block.rows.profile for block in labels])
    loops = np.concatenate([block.loops.profile for block in labels])
    jobs = [block.job for block in labels if block.job is not None]
    twins = [block.twin for block in telemetry if block.twin is not None]
    return RunArrays(
        hall=hall,
        readings=_in_units([block.readings for block in telemetry]),
        truth=_joined([block.truth for block in telemetry]),
        profile=np.concatenate([block.racks.profile for block in labels]),
        row_profile=rows[:, hall.facility.row_of_rack],
        loop_profile=loops[:, hall.facility.loop_of_rack],
        episode=np.concatenate([block.racks.episode for block in labels]),
        persistent=np.concatenate([block.persistent for block in labels]),
        episodes=episodes,
        incident_labels=_joined_labels([b.incident_labels for b in labels if b.incident_labels is not None]),
        incidents=incidents,
        twin_truth=_joined([twin.truth for twin in twins]),
        twin_readings=_in_units([twin.readings for twin in twins]),
        job=np.concatenate(jobs) if jobs else None,
    )


def _joined(blocks: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([block[name] for block in blocks]) for name in (blocks[0] if blocks else ())}


def _in_units(blocks: Sequence[Mapping[str, Integers]]) -> dict[str, Array]:
    """Return readings in their channels' units, NaN where one is missing."""
    values = {}
    for name in blocks[0] if blocks else ():
        whole = np.concatenate([block[name] for block in blocks])
        values[name] = np.where(whole == MISSING, np.nan, whole / 10.0 ** CHANNELS[name].decimals)
    return values


def _joined_labels(blocks: Sequence[IncidentLabels]) -> IncidentLabels | None:
    """Return the labels of all blocks as one; each block numbers its texts by itself."""
    if not blocks:
        return None
    incidents, incident_names = _renumbered([(m.incidents, m.incident_names) for m in blocks])
    observed, observed_names = _renumbered([(m.observed, m.observed_names) for m in blocks])
    sensors, sensor_names = _renumbered([(m.sensors, m.sensor_names) for m in blocks])
    return IncidentLabels(
        incidents,
        incident_names,
        observed,
        observed_names,
        sensors,
        sensor_names,
        np.concatenate([m.phase for m in blocks]),
        np.concatenate([m.severity for m in blocks]),
        np.concatenate([m.physical for m in blocks]),
        np.concatenate([m.sensor for m in blocks]),
        np.concatenate([m.persistent for m in blocks]),
    )


def _renumbered(
    blocks: Sequence[tuple[npt.NDArray[np.int32], Sequence[str]]],
) -> tuple[npt.NDArray[np.int32], list[str]]:
    names = list(dict.fromkeys(["", *(name for _, of_block in blocks for name in of_block)]))
    number = {name: i for i, name in enumerate(names)}
    parts = [np.array([number[name] for name in of_block], dtype=np.int32)[cells] for cells, of_block in blocks]
    return np.concatenate(parts), names

"""A run kept whole in memory, for whoever measures it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.domain.channels import CHANNELS
from sim.domain.episodes import SETTLED_S, Episode
from sim.domain.validation import parse_scenario
from sim.engine.blocks import Array, IncidentEvent, Labels, Telemetry
from sim.engine.build import Hall, build, resolve

Profiles = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]


class Recording:
    """A sink that keeps everything it is handed; the truth before sensors, which takes half the room, if wanted."""

    def __init__(self, *, truth: bool = True) -> None:
        self._truth = truth
        self.telemetry_blocks: list[Telemetry] = []
        self.label_blocks: list[Labels] = []
        self.finished: list[Episode] = []
        self.incidents: list[IncidentEvent] = []

    def telemetry(self, block: Telemetry) -> None:
        """Keep readings."""
        self.telemetry_blocks.append(block if self._truth else replace(block, truth={}, twin=None))

    def labels(self, block: Labels) -> None:
        """Keep the truth of ticks."""
        self.label_blocks.append(block)

    def events(self, finished: Sequence[Episode | IncidentEvent]) -> None:
        """Keep episodes and incidents, each in the order in which they come."""
        self.finished += [e for e in finished if isinstance(e, Episode)]
        self.incidents += [e for e in finished if isinstance(e, IncidentEvent)]


@dataclass(frozen=True)
class Recorded:
    """A run as arrays over all its ticks, (ticks, racks) unless said otherwise.

    readings: by channel, in its unit. truth: by channel, before sensors. profile, row_profile, loop_profile: index of
    the profile that the rack, its row and its loop are in. episode: number of the rack's episode, -1 while nominal.
    episodes: all of the run, in the order in which they were handed out.
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


def record(scenario: dict[str, Any], *, truth: bool = True) -> Recorded:
    """Run a scenario to its end, with the truth before sensors or without."""
    hall = resolve(parse_scenario({"name": "recorded", **scenario}, "recorded"))
    kept = Recording(truth=truth)
    build(hall, [kept]).run()
    return recorded(hall, kept)


def recorded(hall: Hall, kept: Recording) -> Recorded:
    """Join the blocks of a run that is over."""
    seen, labels = kept.telemetry_blocks, kept.label_blocks
    rows = np.concatenate([block.rows.profile for block in labels])
    loops = np.concatenate([block.loops.profile for block in labels])
    return Recorded(
        hall=hall,
        readings={
            name: np.concatenate([block.readings[name] for block in seen]) * 10.0**-channel.decimals
            for name, channel in CHANNELS.items()
        },
        truth={name: np.concatenate([block.truth[name] for block in seen]) for name in seen[0].truth},
        profile=np.concatenate([block.racks.profile for block in labels]),
        row_profile=rows[:, hall.facility.row_of_rack],
        loop_profile=loops[:, hall.facility.loop_of_rack],
        episode=np.concatenate([block.racks.episode for block in labels]),
        persistent=np.concatenate([block.persistent for block in labels]),
        episodes=kept.finished,
    )

"""What the engine hands to sinks: blocks of whole ticks, never the run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sim.incidents.labels import IncidentEvent, IncidentLabels
from sim.model.episodes import Episode

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Readings of consecutive ticks.

    first_tick: number of the first tick. readings: by channel, (ticks, racks), in units of the channel's last
    written digit, so that every file format holds the same value, MISSING where there is none. truth: by channel,
    (ticks, racks), before sensors; also `airflow_m3s`, the air that servers draw. twin: the readings and the truth of
    the same hall without its incidents, where the run has any. counters: of GPUs by name, (ticks, racks), NaN where
    none tells them, in a run that has them.
    """

    first_tick: int
    readings: Mapping[str, Integers]
    truth: Mapping[str, Array]
    twin: "Telemetry | None" = None
    counters: Mapping[str, Array] | None = None

    @property
    def ticks(self) -> int:
        """Number of ticks in the block."""
        return len(next(iter(self.readings.values())))


@dataclass(frozen=True, slots=True)
class Assets:
    """The truth of one kind of asset over a block's ticks, (ticks, assets) each.

    profile: by index. episode: its number, -1 while nominal.
    """

    profile: npt.NDArray[np.int8]
    episode: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Labels:
    """The truth of consecutive ticks, once it is known which episodes persist and how far incidents are felt.

    episodes: by number, those seen in the block. persistent: whether a rack's episode lasts at least PERSISTENT_S,
    (ticks, racks). incident_labels: what incidents mean, None in a run without any. effect: by channel, what
    incidents change of the truth, (ticks, racks), where it was asked for. job: what a training job is about on each
    rack, (ticks, racks), None in a run without one.
    """

    first_tick: int
    racks: Assets
    rows: Assets
    loops: Assets
    episodes: Mapping[int, Episode]
    persistent: npt.NDArray[np.bool_]
    incident_labels: IncidentLabels | None = None
    effect: Mapping[str, npt.NDArray[np.float32]] | None = None
    job: npt.NDArray[np.int8] | None = None

    @property
    def after(self) -> int:
        """Number of the tick after the last."""
        return self.first_tick + len(self.racks.profile)


class Sink(Protocol):
    """Where a run's output goes. Blocks arrive in order; labels and events come later than their telemetry."""

    def telemetry(self, block: Telemetry) -> None:
        """Take readings."""

    def labels(self, block: Labels) -> None:
        """Take the truth of ticks."""

    def events(self, finished: Sequence[Episode | IncidentEvent]) -> None:
        """Take episodes and incidents about which nothing more will be learned, in order of their end."""

"""What the engine hands to sinks: blocks of whole ticks, never the run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sim.domain.episodes import Episode

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Readings of consecutive ticks.

    first_tick: number of the first tick. readings: by channel, (ticks, racks), in units of the channel's last
    written digit, so that every file format holds the same value, MISSING where there is none. truth: by channel,
    (ticks, racks), before sensors; also `airflow_m3s`, the air that servers draw. twin: the readings and the truth of
    the same hall without its incidents, where the run has any.
    """

    first_tick: int
    readings: Mapping[str, Integers]
    truth: Mapping[str, Array]
    twin: "Telemetry | None" = None

    @property
    def ticks(self) -> int:
        """Number of ticks in the block."""
        return len(self.truth["inlet_c"])


@dataclass(frozen=True, slots=True)
class Assets:
    """The truth of one kind of asset over a block's ticks, (ticks, assets) each.

    profile: by index. episode: its number, -1 while nominal.
    """

    profile: npt.NDArray[np.int8]
    episode: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Marks:
    """What incidents mean for the rows of a block, (ticks, racks) each.

    incidents, sensors: index of the text in `incident_names`, `sensor_names`; 0 is none. phase: index in PHASES, 0 is
    none. severity: the strongest one's, 0..1. physical, sensor: whether an incident's effect, or a sensor's fault, can
    be observed. persistent: whether it can for at least PERSISTENT_S.
    """

    incidents: npt.NDArray[np.int32]
    incident_names: Sequence[str]
    sensors: npt.NDArray[np.int32]
    sensor_names: Sequence[str]
    phase: npt.NDArray[np.int8]
    severity: npt.NDArray[np.float32]
    physical: npt.NDArray[np.bool_]
    sensor: npt.NDArray[np.bool_]
    persistent: npt.NDArray[np.bool_]


PHASES = ("", "recovery", "onset", "hold")
"""Phases of an incident; where several meet, the later in this list is told."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The truth of consecutive ticks, once it is known which episodes persist and how far incidents are felt.

    episodes: by number, those seen in the block. persistent: whether a rack's episode lasts at least PERSISTENT_S,
    (ticks, racks). marks: what incidents mean, None in a run without any. effect: by channel, what incidents change of
    the truth, (ticks, racks), where it was asked for.
    """

    first_tick: int
    racks: Assets
    rows: Assets
    loops: Assets
    episodes: Mapping[int, Episode]
    persistent: npt.NDArray[np.bool_]
    marks: Marks | None = None
    effect: Mapping[str, npt.NDArray[np.float32]] | None = None


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """One time that an incident happened, complete; instants in seconds of the run, None where there is none.

    assets: what it struck. affected: racks that departed from their twins, or whose sensor it was. observable_end_s:
    the first tick at which the departure is gone for good. persistent: whether it was observed for PERSISTENT_S.
    """

    id: str
    kind: str
    group: str
    cause: str | None
    assets: tuple[str, ...]
    affected: tuple[str, ...]
    start_s: float
    end_s: float
    onset_s: float | None
    peak_s: float | None
    observable_end_s: float | None
    severity: float
    ticks: int
    persistent: bool
    saturated: bool
    origin: str


class Sink(Protocol):
    """Where a run's output goes. Blocks arrive in order; labels and events come later than their telemetry."""

    def telemetry(self, block: Telemetry) -> None:
        """Take readings."""

    def labels(self, block: Labels) -> None:
        """Take the truth of ticks."""

    def events(self, finished: Sequence[Episode | IncidentEvent]) -> None:
        """Take episodes and incidents about which nothing more will be learned, in order of their end."""

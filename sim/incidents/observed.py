"""When an effect counts as observed, and the cells of a run in which one is."""

from collections.abc import Callable, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.model.episodes import PERSISTENT_S

OBSERVABLE_SIGMAS = 3.0
"""An effect is seen where it is more than this many standard deviations of a healthy sensor in any channel."""

QUIET_S = 900.0
"""An effect is gone for good once it was not seen for so long; assumed: the hall's own settling time."""

LOOK_AHEAD_S = QUIET_S + PERSISTENT_S
"""How far beyond a row one has to see to know all about it."""

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Departure = npt.NDArray[np.float32]
"""In single precision, so that departures that are equal but for what rounding left of them count as equal: the first
of them is the peak, and one of exactly OBSERVABLE_SIGMAS cannot be observed, on whatever processor."""
Sigma = Callable[[str, Array], Array]
"""The standard deviation of a healthy sensor's readings, from the channel's name and its true values."""


class Cells(NamedTuple):
    """Cells of a run, by tick and rack, (n,) each, in order of time."""

    ticks: npt.NDArray[np.int64]
    racks: npt.NDArray[np.int64]


def at(tick: int, racks: npt.NDArray[np.intp]) -> Cells:
    """Return the cells of some racks at one tick."""
    return Cells(np.full(len(racks), tick), racks.astype(np.int64))


def joined(parts: Sequence[Cells]) -> Cells:
    """Return the cells of all parts, which are in order of time."""
    nothing = np.zeros(0, dtype=np.int64)
    return Cells(
        np.concatenate([nothing, *(p.ticks for p in parts)]), np.concatenate([nothing, *(p.racks for p in parts)])
    )


def quiet_ticks(tick_s: float) -> int:
    """Return how many ticks lie at most between two that are seen of one stretch; two in a row always are."""
    return max(1, int(QUIET_S // tick_s))


def lasting_ticks(tick_s: float) -> int:
    """Return how many ticks a stretch has at least that lasts PERSISTENT_S."""
    return ceil(PERSISTENT_S / tick_s)

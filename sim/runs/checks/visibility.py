"""How visible incidents are: to one threshold on one transform of one channel, and only across channels.

Every rule learns its limits from the clean prefix, such that nothing there passes them, and an incident is found when a
rule passes its limits in the incident's own window: from its first to its last observed row on the rack that departs
most. What a rule finds by chance is counted on windows of the same length, on random racks, where nothing is
marked; it is taken off.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim.engine.blocks import Array
from sim.incidents.labels import IncidentEvent
from sim.model.channels import MEASURED
from sim.runs.arrays import Mask
from sim.runs.checks.counterfactual import Counterfactual

CHANNELS_SEEN = (*MEASURED, "delta_t")
"""gpu_energy_j is gpu_power_kw in another unit."""

SHORT, LONG = 10, 60
"""Windows of rolling transforms [ticks]."""

RIDGE = 1.0
"""Keeps regressions on channels that nearly say the same from running away; a row of the prefix weighs as much."""

CONTROLS = 20
"""Random windows for each incident's own."""


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive ticks of a rack, both ends included."""

    rack: int
    first: int
    last: int


@dataclass(frozen=True)
class Seen:
    """Every observable fault, and which of them one threshold finds, and which only a look across channels, (faults,).

    own_threshold: which a threshold for each rack finds. by_chance: the shares of random normal windows that are found
    in these three ways.
    """

    faults: list[IncidentEvent]
    one_threshold: Mask
    only_across: Mask
    own_threshold: Mask
    by_chance: tuple[float, float, float]


def seen(facts: Counterfactual, apart: Array, rng: np.random.Generator) -> Seen:
    """Return how faults are seen; apart: `residuals` of the run; rng chooses the normal windows."""
    pairs = incident_windows(facts)
    own = [window for _, window in pairs]
    windows = [*own, *control_windows(facts, own, rng)]
    alone, _ = single_channel(facts.run.readings, facts.test_from, windows)
    across = any_rule(across_channels(apart, facts.test_from, windows).hall)
    plain, racks_own = any_rule(alone.hall), any_rule(alone.own)
    ways, n = (plain, across & ~plain, racks_own), len(own)
    one, only, own_one = (found[:n] for found in ways)
    chance = tuple(float(found[n:].mean()) for found in ways)
    return Seen([event for event, _ in pairs], one, only, own_one, (chance[0], chance[1], chance[2]))


@dataclass(frozen=True)
class Found:
    """What rules pass their limits in, (rules, windows): limits of each rack's own prefix, and of the whole hall's."""

    own: Mask
    hall: Mask


def any_rule(found: Mask) -> Mask:
    """Return which windows any rule finds, (windows,)."""
    return np.asarray(found.any(axis=0))


def incident_windows(facts: Counterfactual) -> list[tuple[IncidentEvent, Window]]:
    """Return every observable fault with its window."""
    strength = np.maximum(facts.apart, facts.off)
    windows = []
    for event in facts.faults:
        rows = list(facts.rows(event))
        if rows:
            rack, ticks = max(rows, key=lambda r: float(strength[r[1], r[0]].max()))
            windows.append((event, Window(rack, int(ticks[0]), int(ticks[-1]))))
    return windows


def control_windows(facts: Counterfactual, windows: Sequence[Window], rng: np.random.Generator) -> list[Window]:
    """Return CONTROLS windows of each one's length on random racks of the test part, where the labels name nothing.

    Raises ValueError where the test part has no such window.
    """
    marked = np.vstack(
        [np.zeros((1, facts.incident_labels.incidents.shape[1]), dtype=np.int64), facts.incident_labels.incidents != 0]
    )
    before = np.cumsum(marked, axis=0)
    ticks, racks = facts.incident_labels.incidents.shape
    controls = []
    for window in windows:
        length = window.last - window.first + 1
        if not (before[facts.test_from + length :] == before[facts.test_from : ticks - length + 1]).any():
            raise ValueError(f"no rack is without incidents for {length} ticks on end: nothing to compare with")
        wanted = CONTROLS
        while wanted:
            rack, first = int(rng.integers(racks)), int(rng.integers(facts.test_from, ticks - length + 1))
            if before[first + length, rack] == before[first, rack]:
                controls.append(Window(rack, first, first + length - 1))
                wanted -= 1
    return controls


def transforms(x: Array) -> Iterator[tuple[str, Array]]:
    """Yield what a rule may look at of a channel without gaps, (ticks, racks); rolling windows look back."""
    step = np.diff(x, axis=0, prepend=x[:1])
    yield "raw", x
    yield "difference", step
    yield "absolute difference", np.abs(step)
    for ticks in (SHORT, LONG):
        mean, sd = rolling(x, ticks)
        yield f"mean of {ticks}", mean
        yield f"deviation of {ticks}", sd
        yield f"from the mean of {ticks}", x - mean


def rolling(x: Array, ticks: int) -> tuple[Array, Array]:
    """Return mean and standard deviation of the last ticks, (ticks, racks); of those there are at the start."""
    centred = x - x.mean(axis=0)
    sums = [np.vstack([np.zeros((1, x.shape[1])), np.cumsum(v, axis=0)]) for v in (centred, centred**2)]
    end = np.arange(1, len(x) + 1)
    begin = np.maximum(end - ticks, 0)
    mean, square = ((s[end] - s[begin]) / (end - begin)[:, None] for s in sums)
    return mean + x.mean(axis=0), np.sqrt(np.maximum(square - mean**2, 0.0))


def without_gaps(x: Array) -> Array:
    """Return readings with the last one there was in place of those that are missing."""
    if not np.isnan(x).any():
        return x
    tick = np.where(np.isnan(x), 0, np.arange(len(x))[:, None])
    return np.asarray(np.take_along_axis(x, np.maximum.accumulate(tick, axis=0), axis=0))


def passes(values: Array, prefix: int, windows: Sequence[Window]) -> tuple[Mask, Mask]:
    """Return in which windows values pass limits that the prefix keeps: each rack's own, and the hall's, (windows,)."""
    low, high = values[:prefix].min(axis=0), values[:prefix].max(axis=0)
    return (
        in_windows((values < low) | (values > high), windows),
        in_windows((values < low.min()) | (values > high.max()), windows),
    )


def in_windows(mask: Mask, windows: Sequence[Window]) -> Mask:
    """Return in which windows a mask is set anywhere, (windows,)."""
    count = np.vstack([np.zeros((1, mask.shape[1]), dtype=np.int32), np.cumsum(mask, axis=0, dtype=np.int32)])
    rack, first, last = (
        np.array([getattr(w, name) for w in windows], dtype=np.intp) for name in ("rack", "first", "last")
    )
    return np.asarray(count[last + 1, rack] > count[first, rack])


def single_channel(readings: Mapping[str, Array], prefix: int, windows: Sequence[Window]) -> tuple[Found, list[str]]:
    """Return what rules on one transform of one channel find, and the rules' names.

    Values are z-scores against the rack's own prefix, so that the hall's limits do not measure where racks stand. A
    missing reading passes every limit: who looks for gaps finds it.
    """
    own, hall, names = [], [], []
    for channel in CHANNELS_SEEN:
        x = readings[channel]
        missing = in_windows(np.isnan(x), windows)
        z = without_gaps((x - x[:prefix].mean(axis=0)) / x[:prefix].std(axis=0))
        for name, values in transforms(z):
            of_own, of_hall = passes(values, prefix, windows)
            own.append(of_own | missing)
            hall.append(of_hall | missing)
            names.append(f"{channel}: {name}")
    return Found(np.array(own), np.array(hall)), names


def residuals(readings: Mapping[str, Array], prefix: int) -> Array:
    """Return how far each channel is from what the rack's other channels say it should be, (channels, ticks, racks).

    A ridge regression for each rack and channel, fitted on its prefix, on the others' readings, their squares and their
    means of SHORT and LONG ticks; in deviations of the prefix's own residuals.
    """
    z = np.stack([_standard(without_gaps(readings[c]), prefix) for c in MEASURED], axis=2)
    apart = np.stack([_residuals(z[:, rack], prefix) for rack in range(z.shape[1])], axis=2)
    return np.stack([_standard(apart[:, channel], prefix) for channel in range(len(MEASURED))])


def across_channels(apart: Array, prefix: int, windows: Sequence[Window]) -> Found:
    """Return what rules on residuals find, as they are and as their means of SHORT and LONG ticks."""
    found = [
        passes(values, prefix, windows) for r in apart for values in (r, rolling(r, SHORT)[0], rolling(r, LONG)[0])
    ]
    return Found(np.array([own for own, _ in found]), np.array([hall for _, hall in found]))


def _standard(x: Array, prefix: int) -> Array:
    return np.asarray((x - x[:prefix].mean(axis=0)) / x[:prefix].std(axis=0))


def _residuals(x: Array, prefix: int) -> Array:
    """Return each channel's residual, (ticks, channels), of one rack's channels in z-scores."""
    given = regressors(x)
    return np.asarray(x - given @ ridge(given[:prefix], x[:prefix]))


def regressors(x: Array) -> Array:
    """Return what the channels of a rack are regressed on: (ticks, channels) and their squares and means, and 1."""
    return np.hstack([x, x**2, rolling(x, SHORT)[0], rolling(x, LONG)[0], np.ones((len(x), 1))])


def ridge(given: Array, x: Array) -> Array:
    """Return the weights by which each channel (ticks, channels) follows from its `regressors`, but for its own."""
    channels = x.shape[1]
    gram = given.T @ given
    weights = np.zeros((given.shape[1], channels))
    for channel in range(channels):
        others = np.array([i for i in range(len(gram)) if i == len(gram) - 1 or i % channels != channel])
        inner = gram[np.ix_(others, others)] + RIDGE * np.eye(len(others))
        weights[others, channel] = np.linalg.solve(inner, gram[others, channel])
    return weights

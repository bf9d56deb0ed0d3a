"""The figures of a report, from telemetry on its grid and its labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.agents.occupancy import WEEK_MINUTES, occupancy_shares
from sim.model.channels import CHANNELS
from sim.model.episodes import PERSISTENT_S, SETTLED_S
from sim.model.facility import build_facility
from sim.model.profiles import NOMINAL, Profile, shipped_profiles
from sim.reports.recorded import NONE, Array, Codes, Flags, Grid, Named, Recorded, Truth

DAY_HOURS = 24
ENDS = (0.001, 0.999)
"""Shares of a channel's readings that lie below the two points that stand for its extremes."""
LAGS_S = (60.0, 300.0, 900.0, 3600.0, 6 * 3600.0, 24 * 3600.0)
STUCK_TICKS = 10
"""So many equal readings in a row, away from the channel's limits, are told; assumed."""
PARTS = (("train", 0.6), ("validation", 0.2), ("test", 0.2))
"""A split in time, as shares of the ticks."""
MOST_PAIRED = 500
"""Racks up to which each is set against each."""
_DELTA_T_K, _ENERGY_SHARE = 0.011, 0.02
"""How far derived channels may be from what they derive from: a last digit; and of energy the rounding of its power."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How a channel's readings are spread, in its unit: extremes, the points at ENDS, mean and middle."""

    minimum: float
    low: float
    mean: float
    median: float
    high: float
    maximum: float


def spread(values: Array) -> Spread:
    """Return how readings are spread, NaN where there are none."""
    known = values[np.isfinite(values)]
    if not known.size:
        return Spread(*(float("nan"),) * 6)
    low, median, high = np.quantile(known, (ENDS[0], 0.5, ENDS[1]))
    return Spread(*map(float, (known.min(), low, known.mean(), median, high, known.max())))


def profiles_of(recorded: Recorded) -> dict[str, Profile]:
    """Return the profiles that a run may be in, nominal first; of telemetry that is no run's those of its labels."""
    profiles = recorded.scenario.resolved_profiles() if recorded.scenario else shipped_profiles()
    seen = recorded.truth.names["profile"].names if recorded.truth and "profile" in recorded.truth.names else ()
    return profiles | {name: Profile(name) for name in sorted(seen) if name not in profiles}


def coded_profiles(truth: Truth, profiles: Sequence[str]) -> Codes | None:
    """Return each cell's profile by its place among some names, NONE where there is none, (ticks, racks)."""
    return _recoded(truth.names["profile"], profiles) if "profile" in truth.names else None


def _recoded(column: Named, names: Sequence[str]) -> Codes:
    place = np.array([*(names.index(name) if name in names else NONE for name in column.names), NONE], dtype=np.int32)
    return np.asarray(place[column.codes])  # NONE, which is -1, takes the last


def clock_minutes(grid: Grid, utc_offset_h: float) -> Array:
    """Return the minute of the site's week (Monday 00:00 is 0) of each tick, (ticks,)."""
    monday_s = 4 * 86_400  # 1 January 1970 was a Thursday
    return (grid.seconds - monday_s + utc_offset_h * 3600) / 60 % WEEK_MINUTES


@dataclass(frozen=True)
class Occupancy:
    """Shares of time by row, hour of the site's day and profile, (rows, 24, profiles), NaN for hours that never were.

    law: what the scenario's law expects of the same ticks, None where that is not known. weights: cells by row, hour.
    """

    rows: tuple[str, ...]
    profiles: tuple[str, ...]
    seen: Array
    law: Array | None
    weights: Array

    def over(self, shares: Array, axis: int | tuple[int, ...]) -> Array:
        """Return shares over rows (axis 0), hours (axis 1) or both, each hour of a row as often as it was."""
        weights = self.weights[..., None]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.nansum(shares * weights, axis=axis) / weights.sum(axis=axis))


def occupancy(recorded: Recorded, profiles: Sequence[str], codes: Codes) -> Occupancy:
    """Return how often which profile was, beside the law of the run's scenario."""
    grid = recorded.grid
    rows = tuple(dict.fromkeys(grid.rows))
    minutes = clock_minutes(grid, recorded.scenario.utc_offset if recorded.scenario else 0.0)
    hour, row_of_rack = (minutes // 60 % DAY_HOURS).astype(np.int64), np.array([rows.index(row) for row in grid.rows])
    place = (row_of_rack[None, :] * DAY_HOURS + hour[:, None]) * len(profiles) + codes
    counts = np.bincount(place[codes != NONE], minlength=len(rows) * DAY_HOURS * len(profiles))
    cells = counts.reshape(len(rows), DAY_HOURS, len(profiles)).astype(np.float64)
    weights = cells.sum(axis=2)
    with np.errstate(invalid="ignore"):
        seen = cells / weights[..., None]
    return Occupancy(rows, tuple(profiles), seen, _law(recorded, rows, profiles, minutes, hour), weights)


def _law(
    recorded: Recorded, rows: Sequence[str], profiles: Sequence[str], minutes: Array, hour: npt.NDArray[np.int64]
) -> Array | None:
    """Return what the law expects, or None unless it is known of every row."""
    if recorded.scenario is None:
        return None
    facility = build_facility(recorded.scenario.facility)
    names = [n for n in recorded.scenario.resolved_profiles() if n in profiles]
    place = {facility_row(rack): facility.row_of_rack[i] for i, rack in enumerate(facility.racks)}
    if not set(rows) <= place.keys():
        return None
    shares = occupancy_shares(recorded.scenario.occupancy, names, facility)
    ticks = np.maximum(np.bincount(hour, minlength=DAY_HOURS), 1)
    expected = np.zeros((len(rows), DAY_HOURS, len(profiles)))
    known: dict[int, Array] = {}
    for i, row in enumerate(rows):
        total = shares[place[row]].total
        if id(total) not in known:  # rows under one law share it
            at = total[:, minutes.astype(np.intp)]
            known[id(total)] = (
                np.stack([np.bincount(hour, p, minlength=DAY_HOURS) for p in at], axis=1) / ticks[:, None]
            )
        expected[i, :, [profiles.index(name) for name in names]] = known[id(total)].T
    return expected


def facility_row(rack: str) -> str:
    """Return the row of a rack by its name, as the grid tells it."""
    return Grid(0, 1.0, 1, (rack,)).rows[0]


@dataclass(frozen=True)
class Dwell:
    """How long racks stayed in a profile that is not nominal, as the ticks tell it: ticks in a row times the tick."""

    profile: str
    lasted_s: Array
    cut: int
    law_s: float | None

    @property
    def persistent(self) -> int:
        """How many lasted PERSISTENT_S."""
        return int((self.lasted_s >= PERSISTENT_S).sum())


def dwells(recorded: Recorded, profiles: Sequence[str], codes: Codes) -> list[Dwell]:
    """Return the stays in each profile but nominal. cut: those that begin or end with the telemetry."""
    starts, ends, of = runs_of(codes)
    cut = (starts % len(codes) == 0) | (ends % len(codes) == 0)
    found = []
    for i, name in enumerate(profiles):
        if name != NOMINAL:
            lasted_s = (ends - starts)[of == i] * recorded.grid.tick_s
            law_s = recorded.scenario.mean_dwell_s(name) if recorded.scenario else None
            found.append(Dwell(name, lasted_s, int(cut[of == i].sum()), law_s))
    return found


def runs_of(cells: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Return where equal cells of a rack begin and end, rack after rack, and what they hold, from (ticks, racks)."""
    flat = np.ascontiguousarray(cells.T).reshape(-1)
    changed = np.ones(flat.size + 1, dtype=np.bool_)
    changed[1:-1] = flat[1:] != flat[:-1]
    changed[:: len(cells)] = True  # a rack ends where the next begins
    at = np.flatnonzero(changed)
    return at[:-1], at[1:], flat[at[:-1]]


def settled(recorded: Recorded, codes: Codes) -> Flags:
    """Return the cells at least SETTLED_S after the last change of profile of their rack, its row and its loop."""
    truth = recorded.truth
    changing = [codes] + [truth.names[n].codes for n in ("row_profile", "loop_profile") if truth and n in truth.names]
    still = np.ones(codes.shape, dtype=np.bool_)
    for cells in changing:
        starts, ends, _ = runs_of(cells)
        since = np.arange(ends[-1]) - np.repeat(starts, ends - starts)
        since += np.repeat(np.where(starts % len(cells) == 0, 10**9, 0), ends - starts)  # what was at the start is old
        still &= (since.reshape(cells.shape[::-1]).T * recorded.grid.tick_s) >= SETTLED_S
    return still


@dataclass(frozen=True)
class ProfileRange:
    """A channel's readings in a profile, and what share of the settled ones without a fault lies in its range."""

    readings: Spread
    low: float | None
    high: float | None
    inside: float | None


def ranges(recorded: Recorded, profiles: Mapping[str, Profile], codes: Codes) -> dict[str, dict[str, ProfileRange]]:
    """Return how each channel is spread in each profile, by channel and profile."""
    truth, quiet = recorded.truth, settled(recorded, codes)
    for name in ("observed_id", "sensor_fault"):
        if truth and name in truth.names:
            quiet &= truth.names[name].codes == NONE
    found: dict[str, dict[str, ProfileRange]] = {}
    for channel, values in recorded.readings.items():
        found[channel] = {}
        for i, (name, profile) in enumerate(profiles.items()):
            own, stated = codes == i, profile.ranges.get(channel)
            found[channel][name] = ProfileRange(
                spread(values[own]),
                stated.low if stated else None,
                stated.high if stated else None,
                _inside(values[own & quiet], stated.low, stated.high) if stated else None,
            )
    return found


def _inside(values: Array, low: float, high: float) -> float | None:
    known = values[np.isfinite(values)]
    return float(((known >= low) & (known <= high)).mean()) if known.size else None


def correlations(recorded: Recorded, chosen: Flags) -> Array:
    """Return how the channels of some cells go together, (channels, channels), NaN where one does not change."""
    x = np.stack([values[chosen] for values in recorded.readings.values()])
    x = x[:, np.isfinite(x).all(axis=0)]
    if x.shape[1] < 2:  # noqa: PLR2004 - two samples make a relation
        return np.full((len(x), len(x)), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.atleast_2d(np.corrcoef(x))


def autocorrelations(recorded: Recorded) -> tuple[list[float], dict[str, list[float]]]:
    """Return lags [s] and by channel how a rack's readings go with its own so much later, the mean over the racks.

    The mean and variance are of all of the rack's readings; a rack whose readings never change does not count.
    """
    tick_s, ticks = recorded.grid.tick_s, recorded.grid.ticks
    lags = sorted({max(1, round(lag / tick_s)) for lag in (tick_s, *LAGS_S) if lag <= tick_s * ticks / 2})
    found = {}
    for channel, values in recorded.readings.items():
        known = np.isfinite(values)
        with np.errstate(invalid="ignore", divide="ignore"):
            off = np.where(known, values - np.nansum(values, axis=0) / known.sum(axis=0), 0.0)
            variance = (off**2).sum(axis=0) / known.sum(axis=0)
            own = [_lagged(off, known, variance, lag) for lag in lags]
        found[channel] = [float(np.mean(r[np.isfinite(r)])) if np.isfinite(r).any() else float("nan") for r in own]
    return [lag * tick_s for lag in lags], found


def _lagged(off: Array, known: Flags, variance: Array, lag: int) -> Array:
    both = (known[:-lag] & known[lag:]).sum(axis=0)
    return np.asarray((off[:-lag] * off[lag:]).sum(axis=0) / both / np.where(variance > 0, variance, np.nan))


@dataclass(frozen=True, slots=True)
class Quality:
    """What is wrong with a channel's readings.

    missing: rows without one. longest_gap_s: of one rack, rows that are not there counted. stuck: readings of racks
    that repeat for STUCK_TICKS or more away from the channel's limits, and of how many racks. implausible: readings
    that no rack reports.
    """

    missing: int
    longest_gap_s: float
    stuck: int
    stuck_racks: int
    implausible: int


def quality(recorded: Recorded, channel: str) -> Quality:
    """Return what is wrong with a channel's readings."""
    values, of = recorded.readings[channel], CHANNELS[channel]
    gone = ~np.isfinite(values)
    starts, ends, is_gone = runs_of(gone)
    gaps = (ends - starts)[is_gone.astype(np.bool_)]
    starts, ends, held = runs_of(np.where(gone, np.nan, values))
    free = np.isfinite(held.astype(np.float64)) & ~np.isin(held, [limit for limit in of.limits if np.isfinite(limit)])
    stuck = free & (ends - starts >= STUCK_TICKS)
    low, high = of.plausible
    return Quality(
        int(gone.sum()) - recorded.rows.missing,
        float(gaps.max(initial=0)) * recorded.grid.tick_s,
        int((ends - starts)[stuck].sum()),
        len(np.unique(starts[stuck] // len(values))),
        int(((values < low) | (values > high)).sum()),
    )


def inconsistent(recorded: Recorded) -> dict[str, int]:
    """Return how many readings of derived channels are not what they derive from, by channel."""
    of, found = recorded.readings, {}
    if {"delta_t", "inlet_c", "outlet_c"} <= of.keys():
        found["delta_t"] = int((np.abs(of["delta_t"] - (of["outlet_c"] - of["inlet_c"])) > _DELTA_T_K).sum())
    if {"gpu_energy_j", "gpu_power_kw"} <= of.keys():
        expected = of["gpu_power_kw"] * 1000 * recorded.grid.tick_s
        allowed = np.maximum(_ENERGY_SHARE * expected, 0.0051 * 1000 * recorded.grid.tick_s)
        found["gpu_energy_j"] = int((np.abs(of["gpu_energy_j"] - expected) > allowed).sum())
    return found


def anomaly_shares(truth: Truth) -> Iterator[tuple[str, Flags]]:
    """Yield what labels call anomalous, in words, with its cells: all, persistent, and each kind."""
    for name, words in (("is_anomaly", "anomalous"), ("is_persistent", "persistent")):
        if name in truth.flags:
            yield words, truth.flags[name]
    if "anomaly_kind" in truth.names:
        kinds = truth.names["anomaly_kind"]
        for kind in sorted(set(kinds.names) - {"normal"}):
            yield f"kind {kind}", kinds.is_one_of([kind])


def part_bounds(ticks: int) -> list[int]:
    """Return the ticks at which the parts of a split in time begin, and the end."""
    ends = np.cumsum([share for _, share in PARTS])
    return [0, *(round(float(end) * ticks) for end in ends)]


def straddling(cells: npt.NDArray[np.generic], bounds: Sequence[int], none: int) -> int:
    """Return how many stretches of equal cells that are not `none` go over a bound between two parts."""
    inner = [b for b in bounds[1:-1] if 0 < b < len(cells)]
    return int(sum(((cells[b] == cells[b - 1]) & (cells[b] != none)).sum() for b in inner))


def together(recorded: Recorded, channel: str) -> tuple[float, float] | None:
    """Return how a channel of two racks goes together on average, of one row and of different rows.

    None where a rack lacks readings, or the hall has no two racks of either sort.
    """
    x, rows = recorded.readings[channel], np.array(recorded.grid.rows)
    if len(rows) > MOST_PAIRED or not np.isfinite(x).all() or not np.ptp(x, axis=0).all() or len(x) < 2:  # noqa: PLR2004
        return None
    r, same = np.asarray(np.corrcoef(x.T)), rows[:, None] == rows[None, :]
    pairs = np.triu(np.ones_like(same), 1)
    within, across = pairs & same, pairs & ~same
    return (float(r[within].mean()), float(r[across].mean())) if within.any() and across.any() else None


def alone(recorded: Recorded, anomalous: Flags) -> tuple[str, float] | None:
    """Return the channel whose distance from its middle tells anomalous cells best, and its area under the ROC curve.

    None without cells of both sorts.
    """
    best = None
    for channel, values in recorded.readings.items():
        known = np.isfinite(values)
        wanted = anomalous[known]
        if not wanted.any() or wanted.all():
            continue
        area = _area(np.abs(values[known] - np.median(values[known])), wanted)
        best = (channel, area) if best is None or area > best[1] else best
    return best


def _area(score: Array, wanted: Flags) -> float:
    """Return the chance that a wanted score is above another one; equal ones count half."""
    ordered, own = np.sort(score), score[wanted]
    rank = (np.searchsorted(ordered, own, "left") + np.searchsorted(ordered, own, "right") + 1) / 2
    hits, misses = int(wanted.sum()), int((~wanted).sum())
    return float((rank.sum() - hits * (hits + 1) / 2) / (hits * misses))


def first_anomalous_tick(truth: Truth) -> int | None:
    """Return the first tick with an anomaly, None without any."""
    if "is_anomaly" not in truth.flags or not truth.flags["is_anomaly"].any():
        return None
    return int(truth.flags["is_anomaly"].any(axis=1).argmax())

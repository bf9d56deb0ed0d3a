"""The occupancy law: which share of time an agent spends in each profile, by hour of its site's week."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field

from sim.common.schema_base import Name, Section, Share
from sim.common.time_units import DurationS
from sim.model.facility import Facility
from sim.model.profiles import ProfileName


def _over(defaults: Mapping[str, object]) -> BeforeValidator:
    """Lay what the file says over the defaults, key by key, so that naming one share keeps the others."""

    def lay(value: object) -> object:
        """Return the defaults with `value` over them; what is no mapping is left for the types to refuse."""
        if not isinstance(value, dict):
            return value
        both = {
            key: {**below, **value[key]}
            for key, below in defaults.items()
            if isinstance(below, dict) and isinstance(value.get(key), dict)
        }
        return {**defaults, **value, **both}

    return BeforeValidator(lay)


ANYTIME: dict[str, float] = {"thermal_event": 0.05, "overcooled": 0.03}
BUSINESS: dict[str, float] = {"high_load": 0.30}
OFF_HOURS: dict[str, float] = {"under_utilized": 0.20}
ROWS: dict[str, dict[str, float]] = {"C": {"thermal_event": 0.08}, "E": {"overcooled": 0.15}}
DWELL_S: dict[str, float] = {
    "thermal_event": 1500.0,
    "high_load": 2700.0,
    "overcooled": 3600.0,
    "under_utilized": 4500.0,
}
CUSTOM_DWELL_S = 2700.0

Shares = dict[ProfileName, Share]


class Occupancy(Section):
    """The share of time in each profile, by hour and row: the occupancy law.

    `anytime` shares are of all time; `business` and `off_hours` shares are of what the former leave.
    """

    anytime: Annotated[Shares, _over(ANYTIME)] = Field(default=ANYTIME, description="shares of all time, by profile")
    business: Annotated[Shares, _over(BUSINESS)] = Field(
        default=BUSINESS, description="shares of what anytime leaves, from 9 to 17"
    )
    off_hours: Annotated[Shares, _over(OFF_HOURS)] = Field(
        default=OFF_HOURS, description="shares of what anytime leaves, from 18 to 8"
    )
    rows: Annotated[dict[Name, Shares], _over(ROWS)] = Field(
        default=ROWS, description="shares of all time that hold in one row instead of the hall's"
    )
    weekends: Literal["as_weekdays", "as_off_hours"] = Field(
        default="as_weekdays", description="which law holds on Saturdays and Sundays"
    )
    row_share: Share = Field(default=0.25, description="part of each profile's share that whole rows bring")
    loop_share: Share = Field(default=0.10, description="part that whole cooling loops bring")
    participation: float = Field(default=0.8, gt=0, le=1, description="chance that a rack joins its row or loop")


class Dwell(Section):
    """How long an agent dwell in a profile before leaving."""

    mean: Annotated[dict[ProfileName, DurationS], _over(DWELL_S)] = Field(
        default=DWELL_S, description="mean stay by profile; 45m where a custom one gives none"
    )
    law: Literal["exponential", "lognormal", "weibull"] = Field(default="exponential", description="law of the dwell")
    shape: float = Field(default=1.0, gt=0.1, le=10, description="sigma of the log-normal, or Weibull's k")


Array = npt.NDArray[np.float64]

MINUTE_S = 60
DAY_MINUTES = 1440
WEEK_MINUTES = 7 * DAY_MINUTES
WEEK_S = WEEK_MINUTES * MINUTE_S
BUSINESS_CLOCK = (9, 17)
OFF_CLOCK = (18, 8)
MAX_LAG_S = 360.0
"""A rack follows its row or loop by a lag of its own, uniform between 0 and this; assumed."""


def business_weight(weekends: str = "as_weekdays") -> Array:
    """Return how far each minute of the week (Monday 00:00 first) counts as business hours, (WEEK_MINUTES + 1,).

    1 in [9, 17), 0 in [18, 8); the hours between, which the training document leaves open, ramp linearly.
    """
    opening, closing = (OFF_CLOCK[1], BUSINESS_CLOCK[0]), (BUSINESS_CLOCK[1], OFF_CLOCK[0])
    minute = np.arange(WEEK_MINUTES + 1)
    weight = np.interp(minute % DAY_MINUTES / 60, [*opening, *closing], [0.0, 1.0, 1.0, 0.0])
    weekend = minute % WEEK_MINUTES >= 5 * DAY_MINUTES
    return np.where(weekend & (weekends == "as_off_hours"), 0.0, weight)


@dataclass(frozen=True, slots=True)
class OccupancyShares:
    """The shares that the agents around one row follow, each (profiles, minutes of the week + 1).

    total: what the row's racks spend in each profile, whoever brings it. own: what a rack's own chain does under its
    parents. row, loop: what the row's agent and its loop's agent do.
    """

    total: Array
    own: Array
    row: Array
    loop: Array


CHAT_PEAK_OVER_TROUGH, CHAT_WEEKEND, CHAT_PEAK_HOUR = 2.0, 0.57, 15.0
"""Of a weekday, 1.8 to 2.2, and of weekends over weekdays: Azure LLM trace 2024, chat. The hour is assumed."""

BUSY, IDLE = "high_load", "under_utilized"
MOST_OF_THE_REST = 0.95
"""Of what anytime leaves: nominal keeps a little at every hour."""


def chat_demand() -> Array:
    """Return the load of a chat service by minute of the week, weekdays' geometric mean 1, (WEEK_MINUTES + 1,)."""
    minute = np.arange(WEEK_MINUTES + 1)
    daily = np.cos((minute % DAY_MINUTES / 60 - CHAT_PEAK_HOUR) * np.pi / 12)
    weekend = minute % WEEK_MINUTES >= 5 * DAY_MINUTES
    return np.asarray(CHAT_PEAK_OVER_TROUGH ** (daily / 2) * np.where(weekend, CHAT_WEEKEND, 1.0))


def weekly_shares(demand: Array, tokens_ps: Mapping[str, float]) -> dict[str, Array]:
    """Return the shares, of what anytime leaves, of busy and idle racks that make up a demand by minute of the week.

    demand: against a hall of nominal racks. tokens_ps: what racks serve by profile; a demand beyond what all racks
    together serve in these profiles is cut there.
    """
    nominal = tokens_ps["nominal"]
    return {
        profile: np.clip((demand - 1) / (tokens_ps[profile] / nominal - 1), 0.0, MOST_OF_THE_REST)
        for profile in (BUSY, IDLE)
    }


def occupancy_shares(
    law: Occupancy, profiles: Sequence[str], facility: Facility, weekly: Mapping[str, Array] | None = None
) -> list[OccupancyShares]:
    """Return the shares of every row's agents, such that racks under their rows and loops stay on the law in total.

    A rack takes part in its loop's profile first, else in its row's, else it follows its own; `participation` is its
    chance to take part. With l and q the shares that loop and row bring,
    own = ((pi - l) / (1 - sum l) - q) / (1 - sum q).
    Rows under the same law share one object, so a hall of thousands of rows needs few tables. weekly: shares of what
    anytime leaves, by profile and minute of the week, in place of the law's business and off-hours.
    """
    weight = business_weight(law.weekends)
    of_rest = weekly or {
        profile: law.business.get(profile, 0.0) * weight + law.off_hours.get(profile, 0.0) * (1 - weight)
        for profile in profiles
    }
    special = [tuple(sorted(law.rows.get(row, {}).items())) for row in facility.rows]
    on_loop: dict[int, set[tuple[tuple[str, float], ...]]] = {}
    for own, loop in zip(special, facility.loop_of_row.tolist(), strict=True):
        on_loop.setdefault(loop, set()).add(own)
    beside = [frozenset(on_loop[loop]) for loop in facility.loop_of_row.tolist()]
    totals = {own: _row_shares(law, profiles, dict(own), of_rest) for own in set(special)}
    kinds = {
        kind: _shares_of(law, totals[kind[0]], np.min([totals[own] for own in kind[1]], axis=0))
        for kind in set(zip(special, beside, strict=True))
    }
    return [kinds[kind] for kind in zip(special, beside, strict=True)]


def _shares_of(law: Occupancy, total: Array, least_of_loop: Array) -> OccupancyShares:
    row, loop = _with_nominal(law.row_share * total), _with_nominal(law.loop_share * least_of_loop)
    of_row, of_loop = law.participation * _lagged(row), law.participation * _lagged(loop)
    of_row[0] = of_loop[0] = 0.0
    own = ((total - of_loop) / (1 - of_loop.sum(axis=0)) - of_row) / (1 - of_row.sum(axis=0))
    return OccupancyShares(total, _with_nominal(np.maximum(0.0, own)), row, loop)


def _row_shares(
    law: Occupancy, profiles: Sequence[str], own: Mapping[str, float], of_rest: Mapping[str, Array]
) -> Array:
    anytime = {**law.anytime, **own}
    shares = np.zeros((len(profiles), WEEK_MINUTES + 1))
    rest = 1 - sum(anytime.values())
    for i, profile in enumerate(profiles):
        shares[i] = anytime.get(profile, 0.0) + rest * of_rest.get(profile, 0.0)
    return _with_nominal(shares)


def _with_nominal(shares: Array) -> Array:
    """Give nominal, the first profile, what the others leave."""
    shares[0] = 1 - shares[1:].sum(axis=0)
    return shares


def _lagged(shares: Array) -> Array:
    """Return the shares as racks show them, each later by its own uniform lag."""
    span = int(MAX_LAG_S // MINUTE_S)
    mean = np.zeros_like(shares)
    for minutes in range(span + 1):
        weight = (0.5 if minutes in (0, span) else 1.0) / span  # trapezoidal mean over the lag
        mean[..., :-1] += weight * np.roll(shares[..., :-1], minutes, axis=-1)
    mean[..., -1] = mean[..., 0]
    return mean


@dataclass(frozen=True, slots=True)
class Hazards:
    """Cumulative hazards of one agent's chain over a week, whose increments are exponential between moves.

    entry: of leaving nominal, (minutes + 1,). into: each profile's part in that hazard, minute by minute,
    (profiles, minutes). exit: of each profile's end, (profiles, minutes + 1); row 0 is unused.
    """

    shares: Array
    entry: Array
    into: Array
    exit: Array


CERTAIN = 50.0
"""A hazard within one minute that nobody survives: e^-50."""


def hazards(shares: Array, dwell_s: Sequence[float], *, memoryless: bool = True) -> Hazards:
    """Return the hazards of the chain nominal <-> k whose occupancy is `shares`, (profiles, minutes + 1), exactly.

    Entry k: (pi_k / d_k + max(0, dpi_k/dt)) / pi_0; exit k: 1 / d_k + max(0, -dpi_k/dt) / pi_k, and certain where
    pi_k falls to 0. Stays that are not memoryless bring their own 1 / d_k, so it is left out of `exit` then.
    dwell_s: mean stay in each profile [s], nominal's unused.
    """
    dwell = np.asarray(dwell_s)[:, None]
    middle = (shares[:, 1:] + shares[:, :-1]) / 2
    change = np.diff(shares, axis=1)
    rise, fall = np.maximum(change, 0.0), np.maximum(-change, 0.0)
    entering = (middle * (MINUTE_S / dwell) + rise) / middle[0]
    entering[0] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        leaving = np.where(fall > 0, -np.log1p(-fall / shares[:, :-1]), 0.0)
    leaving = np.minimum(leaving, CERTAIN)
    leaving[middle <= 0] = CERTAIN
    if memoryless:
        leaving += MINUTE_S / dwell
    total = entering.sum(axis=0)
    into = np.cumsum(entering, axis=0) / np.maximum(total, 1e-300)
    return Hazards(shares, _cumulated(total), into, _cumulated(leaving))


def _cumulated(increments: Array) -> Array:
    zero = np.zeros((*increments.shape[:-1], 1))
    return np.concatenate([zero, np.cumsum(increments, axis=-1)], axis=-1)


def expected_occupancy(chain: Hazards, steps_per_minute: int = 20) -> Array:
    """Return the occupancy that the master equation gives from these hazards, (profiles, minutes + 1).

    Integrated by the implicit Euler rule from the law at the week's first minute; for memoryless stays.
    """
    entry = np.diff(chain.entry) * np.diff(np.concatenate([np.zeros((1, chain.into.shape[1])), chain.into]), axis=0)
    leave = np.diff(chain.exit, axis=1)
    occupancy = np.empty_like(chain.shares)
    p = chain.shares[:, 0].copy()
    occupancy[:, 0] = p
    for minute in range(entry.shape[1]):
        a, b = entry[1:, minute] / steps_per_minute, 1 + leave[1:, minute] / steps_per_minute
        for _ in range(steps_per_minute):
            p[0] = (1 - (p[1:] / b).sum()) / (1 + (a / b).sum())
            p[1:] = (p[1:] + a * p[0]) / b
        occupancy[:, minute + 1] = p
    return occupancy


def hour_classes(weekends: str = "as_weekdays") -> Mapping[str, npt.NDArray[np.bool_]]:
    """Return which minutes of the week are business, off-hours and shoulder hours, (WEEK_MINUTES,) each."""
    weight = business_weight(weekends)
    both = np.minimum(weight[1:], weight[:-1]), np.maximum(weight[1:], weight[:-1])
    business, off = both[0] >= 1, both[1] <= 0
    return {"business": business, "off_hours": off, "shoulder": ~(business | off)}

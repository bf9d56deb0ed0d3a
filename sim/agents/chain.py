"""A Markov chain over profiles whose hazards depend on the hour, sampled without rejection."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import gamma
from typing import Literal

import numpy as np

from sim.agents.occupancy import MINUTE_S, WEEK_MINUTES, Hazards

NOMINAL_INDEX = 0


@dataclass(frozen=True, slots=True)
class DwellLaw:
    """How long a stay lasts: exponential (memoryless), log-normal with sigma `shape`, or Weibull with k `shape`."""

    law: Literal["exponential", "lognormal", "weibull"]
    shape: float
    mean_s: tuple[float, ...]

    @property
    def memoryless(self) -> bool:
        """Whether the hazards alone decide when a stay ends."""
        return self.law == "exponential"

    def draw_s(self, profile: int, rng: np.random.Generator) -> float:
        """Draw a whole stay [s]."""
        mean = self.mean_s[profile]
        if self.law == "lognormal":
            return mean * float(np.exp(self.shape * rng.standard_normal() - self.shape**2 / 2))
        return mean * float(rng.weibull(self.shape)) / gamma(1 + 1 / self.shape)

    def draw_rest_s(self, profile: int, rng: np.random.Generator) -> float:
        """Draw what is left of a stay that is under way at a random instant [s]: uniform in a length-biased stay."""
        mean = self.mean_s[profile]
        if self.law == "lognormal":
            whole = mean * float(np.exp(self.shape * rng.standard_normal() + self.shape**2 / 2))
        else:
            whole = mean * float(rng.gamma(1 + 1 / self.shape)) ** (1 / self.shape) / gamma(1 + 1 / self.shape)
        return whole * float(rng.random())


class ChainTables:
    """Hazards as tuples, which scalar look-ups read fast and the collector passes over; agents of a law share them."""

    def __init__(self, hazards: Hazards) -> None:
        self._shares = hazards.shares
        self._upto: dict[int, tuple[float, ...]] = {}
        self.entry: tuple[float, ...] = tuple(hazards.entry.tolist())
        self.into = hazards.into
        self.exit: tuple[tuple[float, ...], ...] = tuple(map(tuple, hazards.exit.tolist()))

    def shares_upto(self, minute: int) -> tuple[float, ...]:
        """Return the cumulative shares of the profiles at a minute of the week; all agents begin at the same one."""
        if minute not in self._upto:
            self._upto[minute] = tuple(np.cumsum(self._shares[:, minute]).tolist())
        return self._upto[minute]


class Chain:
    """One agent's chain: from nominal into a profile and back.

    The cumulative hazard between two moves is exponential with mean 1, so the next move is where the tabulated
    hazard has grown by one draw. A move costs two draws whatever it leads to, and a stay that is not
    exponential those of its length.
    """

    def __init__(self, tables: ChainTables, dwell: DwellLaw, rng: np.random.Generator, start_minute: float) -> None:
        self._tables = tables
        self._dwell = dwell
        self._rng = rng
        self._start_minute = start_minute

    def first(self) -> int:
        """Draw the profile at the start of the run from the law at that hour."""
        minute = int(self._start_minute) % WEEK_MINUTES
        cumulative = self._tables.shares_upto(minute)
        return min(bisect_right(cumulative, self._rng.random()), len(cumulative) - 1)

    def next_move(self, profile: int, now_s: float, *, under_way: bool = False) -> tuple[float, int]:
        """Return when the agent next moves [s] and into which profile; `under_way` for a stay begun before the run."""
        hazard, choice = float(self._rng.standard_exponential()), float(self._rng.random())
        now = self._start_minute + now_s / MINUTE_S
        if profile != NOMINAL_INDEX:
            leaves_s = now_s + MINUTE_S * _minutes_until(self._tables.exit[profile], now, hazard)
            if not self._dwell.memoryless:
                draw_s = self._dwell.draw_rest_s if under_way else self._dwell.draw_s
                leaves_s = min(leaves_s, now_s + draw_s(profile, self._rng))
            return leaves_s, NOMINAL_INDEX
        wait = _minutes_until(self._tables.entry, now, hazard)
        if wait == float("inf"):
            return wait, profile
        parts = self._tables.into[:, int(now + wait) % WEEK_MINUTES]
        return now_s + MINUTE_S * wait, min(int(parts.searchsorted(choice, side="right")), len(parts) - 1)


def _minutes_until(cumulative: Sequence[float], minute: float, hazard: float) -> float:
    """Return after how many minutes a weekly cumulative hazard has grown by `hazard`; infinity if it never does."""
    per_week = cumulative[-1]
    if per_week <= 0:
        return float("inf")
    minute %= WEEK_MINUTES
    i = int(minute)
    goal = cumulative[i] + (cumulative[i + 1] - cumulative[i]) * (minute - i) + hazard
    weeks, goal = divmod(goal, per_week)
    j = min(bisect_right(cumulative, goal), WEEK_MINUTES) - 1
    reached = j + (goal - cumulative[j]) / (cumulative[j + 1] - cumulative[j])
    return max(0.0, weeks * WEEK_MINUTES + reached - minute)

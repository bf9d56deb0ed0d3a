"""Racks go bad together: those of a row most, those of a loop less, those of different loops not at all."""

from itertools import combinations

import numpy as np
import pytest

from sim.agents.occupancy import MAX_LAG_S
from tests.statistical.theory import what_a_parent_changes

ROWS = ("A", "B", "C", "D", "E", "F")


def row_correlations(hall, agent_weeks, profile):
    """Return the mean correlation of two racks, one of each row, week by week, (weeks, rows, rows)."""
    number, rows = list(hall.profiles).index(profile), hall.facility.row_of_rack
    seen = []
    for week in agent_weeks:
        pairs = np.corrcoef((week.profile == number).astype(np.float32), rowvar=False)
        np.fill_diagonal(pairs, np.nan)
        seen.append([[np.nanmean(pairs[np.ix_(rows == i, rows == j)]) for j in range(6)] for i in range(6)])
    return np.array(seen)


def related(hall, kind):
    """Return the pairs of rows that are one row, share a loop, or share nothing."""
    loop = hall.facility.loop_of_row
    pairs = [*combinations(range(6), 2), *((i, i) for i in range(6))]
    kinds = {(i, j): "row" if i == j else "loop" if loop[i] == loop[j] else "hall" for i, j in pairs}
    return [pair for pair, relation in kinds.items() if relation == kind]


@pytest.fixture(scope="module")
def thermal(hall, agent_weeks):
    return row_correlations(hall, agent_weeks, "thermal_event")


def mean_and_error(correlations, pairs):
    """Return the mean over pairs of rows, and its standard error from how the weeks differ."""
    weekly = np.array([[week[pair] for pair in pairs] for week in correlations]).mean(axis=1)
    return weekly.mean(), weekly.std(ddof=1) / np.sqrt(len(weekly))


def shared_variance(shares, dwell_s, law, number, c):
    """Return what a parent adds to the covariance of two of its racks at one instant.

    c^2 times the variance of f (theory.what_a_parent_changes). Two racks that follow by lags u and v, uniform to L,
    agree on the parent's state by e^(-|u - v| / d), on average 2 (x - 1 + e^-x) / x^2 with x = L / d.
    """
    f, pi = what_a_parent_changes(law)[number, 0], shares[:, 0]
    x = MAX_LAG_S / dwell_s
    return c**2 * 2 * (x - 1 + np.exp(-x)) / x**2 * (pi @ f**2 - (pi @ f) ** 2)


def test_racks_of_a_row_are_more_alike_than_those_of_a_loop_and_those_than_strangers(hall, thermal):
    (row, row_error), (loop, loop_error), (strangers, error) = (
        mean_and_error(thermal, related(hall, kind)) for kind in ("row", "loop", "hall")
    )
    assert row - loop > 3.5 * np.hypot(row_error, loop_error)
    assert loop - strangers > 3.5 * np.hypot(loop_error, error)


def test_thermal_events_on_different_loops_have_nothing_to_do_with_each_other(hall, thermal):
    mean, error = mean_and_error(thermal, related(hall, "hall"))
    assert abs(mean) <= 3.5 * error


@pytest.mark.parametrize(("kind", "parents"), [("row", ("row", "loop")), ("loop", ("loop",))])
def test_racks_are_as_alike_as_what_their_parents_bring_them(hall, thermal, kind, parents):
    """Rows of the standard law; the loop hides part of what a row brings, (1 - c share of the loop)^2."""
    number, c = list(hall.profiles).index("thermal_event"), hall.scenario.occupancy.participation
    dwell_s = hall.scenario.mean_dwell_s("thermal_event")
    law = hall.occupancy_shares[0]
    expected = sum(shared_variance(getattr(law, parent), dwell_s, law.total, number, c) for parent in parents)
    pairs = [pair for pair in related(hall, kind) if set(pair) <= {0, 1, 5}]
    mean, error = mean_and_error(thermal, pairs)
    pi = law.total[number, 0]
    assert abs(mean - expected / (pi * (1 - pi))) <= 3.5 * error

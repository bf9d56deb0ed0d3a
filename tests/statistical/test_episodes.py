"""How long episodes last and how often they come, against the chains' theory; how persistent anomalies are."""

import numpy as np
import pytest

from sim.agents.occupancy import MINUTE_S, WEEK_S
from sim.model.episodes import PERSISTENT_S

CONSTANT = ("thermal_event", "overcooled")
"""Profiles whose share is the same at every hour, so that their stays are never cut short by the law."""


def group_stays_s(hall, agent_weeks, profile):
    """Return how long stays of rows and loops lasted.

    Those under way at the start are left out, and those that begin in the week's last ten mean dwells: a choice by
    the beginning alone favours neither long stays nor short ones, and one in e^10 of the rest outlives the week.
    """
    number, mean_s = list(hall.profiles).index(profile), hall.scenario.mean_dwell_s(profile)
    racks = set(hall.facility.racks)
    return np.array(
        [
            e.lasts_s(WEEK_S)
            for week in agent_weeks
            for e in week.episodes
            if e.profile == number and e.asset not in racks and 0 < e.start_s < WEEK_S - 10 * mean_s
        ]
    )


@pytest.mark.parametrize("profile", CONSTANT)
def test_rows_and_loops_stay_as_long_as_the_law_of_dwells_says(hall, agent_weeks, profile):
    """Exponential stays: the mean's standard error is d / sqrt(n)."""
    stays_s = group_stays_s(hall, agent_weeks, profile)
    mean_s = hall.scenario.mean_dwell_s(profile)
    assert abs(stays_s.mean() - mean_s) <= 3.5 * mean_s / np.sqrt(len(stays_s))


@pytest.mark.parametrize("profile", CONSTANT)
def test_stays_are_exponential(hall, agent_weeks, profile):
    """Kolmogorov: sqrt(n) times the largest gap between the laws exceeds 2 in 7 of 10,000 samples."""
    stays_s = np.sort(group_stays_s(hall, agent_weeks, profile))
    law = -np.expm1(-stays_s / hall.scenario.mean_dwell_s(profile))
    rank = np.arange(len(stays_s) + 1) / len(stays_s)
    gap = max(np.abs(law - rank[:-1]).max(), np.abs(law - rank[1:]).max())
    assert gap * np.sqrt(len(stays_s)) <= 2.0


@pytest.mark.parametrize("profile", CONSTANT)
def test_rows_and_loops_enter_as_often_as_share_and_dwell_say(hall, agent_weeks, profile):
    """Entries: T pi / d each. Waiting and staying take turns, so counts scatter less than a Poisson law's."""
    number, mean_s = list(hall.profiles).index(profile), hall.scenario.mean_dwell_s(profile)
    counted_s = WEEK_S - 10 * mean_s
    loops = [hall.occupancy_shares[int(np.flatnonzero(hall.facility.loop_of_row == i)[0])].loop for i in range(3)]
    shares = [law[number].mean() for law in loops] + [t.row[number].mean() for t in hall.occupancy_shares]
    expected = len(agent_weeks) * counted_s * sum(shares) / mean_s
    entries = len(group_stays_s(hall, agent_weeks, profile))
    assert abs(entries - expected) <= 3.5 * np.sqrt(expected)


def test_racks_episodes_last_as_long_as_their_samples_say(weeks):
    """An episode of length s is seen in floor or ceil of s / 60 ticks, s / 60 on average."""
    for week in weeks:
        racks = set(week.hall.facility.racks)
        episodes = [e for e in week.episodes if e.asset in racks]
        lasts = np.array([e.lasts_s(WEEK_S) for e in episodes]) / MINUTE_S
        rounding = np.array([e.ticks for e in episodes]) - lasts
        assert np.abs(rounding).max() < 1
        assert abs(rounding.mean()) <= 3.5 * 0.5 / np.sqrt(len(rounding))


def test_the_median_thermal_event_lasts_ten_minutes_or_more(weeks):
    for week in weeks:
        thermal = list(week.hall.profiles).index("thermal_event")
        racks = set(week.hall.facility.racks)
        ticks = [e.ticks for e in week.episodes if e.asset in racks and e.profile == thermal]
        assert len(ticks) > 1000
        assert np.median(ticks) >= 10


def test_most_anomalous_samples_belong_to_persistent_episodes(weeks):
    for week in weeks:
        ticks = np.zeros(max(e.number for e in week.episodes) + 1)
        for e in week.episodes:
            ticks[e.number] = e.ticks
        anomalous = week.episode >= 0
        assert (ticks[week.episode[anomalous]] >= PERSISTENT_S / MINUTE_S).mean() >= 0.80
        assert week.persistent[anomalous].mean() >= 0.80

"""The share of time in each profile: on the law, row by row and hour class by hour class, however long stays last."""

from functools import cache

import numpy as np
import pytest

from sim.agents.chain import Chain, ChainTables, DwellLaw
from sim.agents.occupancy import DAY_MINUTES, MINUTE_S, hazards, hour_classes
from sim.engine.build import resolve
from sim.scenario.checks import parse_scenario
from tests.statistical.conftest import agent_week, by_day_and_by_night
from tests.statistical.theory import occupancy_standard_errors, renewal_occupancy

POINT = 0.01
CLASSES = hour_classes()
LONE_MINUTES, AGENTS = 3 * DAY_MINUTES, 4000


def shares(weeks, racks, minutes, profiles):
    """Return the share of each profile over some racks and minutes, week by week, (weeks, profiles)."""
    seen = [week.profile[minutes][:, racks] for week in weeks]
    return np.array([[(x == k).mean() for k in range(profiles)] for x in seen])


@pytest.fixture(scope="module")
def errors_of_rows(hall):
    """The standard errors of one week's shares, by row, (classes, profiles) each."""
    return [occupancy_standard_errors(hall, row, seeds=1) for row in range(len(hall.facility.rows))]


@pytest.mark.parametrize("row", ["A", "B", "C", "D", "E", "F"])
def test_each_row_keeps_the_law_in_each_hour_class(hall, agent_weeks, errors_of_rows, row):
    """Within a point, or 3.5 standard errors from theory where those are wider."""
    number = hall.facility.rows.index(row)
    errors = errors_of_rows[number] / np.sqrt(len(agent_weeks))
    for (name, minutes), standard_error in zip(CLASSES.items(), errors, strict=True):
        law = hall.occupancy_shares[number].total[:, :-1][:, minutes].mean(axis=1)
        seen = shares(agent_weeks, hall.facility.racks_of_row(number), minutes, len(law)).mean(axis=0)
        assert np.all(np.abs(seen - law) <= np.maximum(POINT, 3.5 * standard_error)), (name, seen, law)


def test_weeks_scatter_as_far_as_theory_says(hall, agent_weeks, errors_of_rows):
    """Variance over weeks is that of theory, on average over rows, classes and profiles.

    One ratio of a variance from n weeks to the true one has a standard error of sqrt(2 / (n - 1)). Of about 60 ratios
    half are independent, since what one profile gains others lose.
    """
    ratios = []
    for row, errors in enumerate(errors_of_rows):
        for minutes, standard_error in zip(CLASSES.values(), errors, strict=True):
            seen = shares(agent_weeks, hall.facility.racks_of_row(row), minutes, len(standard_error))
            occurs = standard_error > 1e-6
            ratios += list((seen.std(axis=0, ddof=1)[occurs] / standard_error[occurs]) ** 2)
    assert len(ratios) > 60
    assert np.mean(ratios) == pytest.approx(1.0, abs=3.5 * np.sqrt(2 / (len(agent_weeks) - 1) / 30))


def test_high_load_belongs_to_business_hours_and_under_utilized_to_off_hours(hall, agent_weeks):
    """Up to the six minutes by which a rack may lag behind its row."""
    names = list(hall.profiles)
    late, early = np.arange(24 * 60) < 8 * 60, np.arange(24 * 60) >= 18 * 60 + 6
    never = {"high_load": late | early}
    never["under_utilized"] = (np.arange(24 * 60) >= 9 * 60 + 6) & (np.arange(24 * 60) < 17 * 60)
    for name, minutes in never.items():
        for week in agent_weeks:
            assert not (week.profile[np.tile(minutes, 7)] == names.index(name)).any()


def test_row_c_runs_hot_and_row_e_cold_in_every_measured_week(weeks):
    for week in weeks:
        rows = week.hall.facility.row_of_rack
        hot, cold = week.is_in("thermal_event"), week.is_in("overcooled")
        assert cold[:, rows == 4].mean() > 2 * cold[:, rows != 4].mean()
        assert hot[:, rows == 2].mean() > 1.1 * hot[:, rows != 2].mean()


@pytest.mark.parametrize("seeds", by_day_and_by_night(4, 8))
@pytest.mark.parametrize(("law", "shape"), [("lognormal", 0.7), ("weibull", 0.8)])
def test_stays_of_another_law_keep_the_shares(law, shape, seeds):
    """Of a hall over whole weeks: within a point of the law, or 4 standard errors over the seeds where wider."""
    hall = resolve(parse_scenario({"name": "stays", "dwell": {"law": law, "shape": shape}}, "stays"))
    weeks = [agent_week(hall, seed) for seed in range(seeds)]
    every = np.ones(len(weeks[0].profile), dtype=bool)
    seen = shares(weeks, slice(None), every, len(hall.profiles))
    expected = np.mean(
        [hall.occupancy_shares[row].total[:, :-1].mean(axis=1) for row in hall.facility.row_of_rack], axis=0
    )
    allowed = np.maximum(POINT, 4 * seen.std(axis=0, ddof=1) / np.sqrt(len(weeks)))
    assert np.all(np.abs(seen.mean(axis=0) - expected) <= allowed), (seen.mean(axis=0), expected)


def stay_law(hall, law, shape):
    return DwellLaw(law, shape, tuple(hall.scenario.mean_dwell_s(name) for name in hall.profiles))


@pytest.fixture(scope="module")
def lone_chains(hall):
    """Profiles of agents on their own, each law's drawn once."""
    return cache(lambda law, shape: drawn_alone(hall.occupancy_shares[0].total, stay_law(hall, law, shape), AGENTS))


def drawn_alone(shares, dwell, agents):
    """Return the profiles of agents that follow the same shares on their own, by minute, (agents, LONE_MINUTES)."""
    tables = ChainTables(hazards(shares, dwell.mean_s, memoryless=dwell.memoryless))
    end_s, seen = LONE_MINUTES * MINUTE_S, np.zeros((agents, LONE_MINUTES), dtype=np.int8)
    for seed, row in enumerate(seen):
        chain, now_s = Chain(tables, dwell, np.random.default_rng(seed), 0.0), 0.0
        profile = chain.first()
        while now_s < end_s:
            until_s, after = chain.next_move(profile, now_s, under_way=now_s == 0)
            first, end = (int(-(-min(s, end_s) // MINUTE_S)) for s in (now_s, until_s))
            row[first:end] = profile
            profile, now_s = after, until_s
    return seen


@pytest.mark.parametrize(("law", "shape"), [("lognormal", 0.7), ("weibull", 0.8)])
def test_stays_of_another_law_follow_their_renewal_equation_in_every_hour_class(hall, lone_chains, law, shape):
    """Agents are independent: a share's standard error follows from how they differ.

    A twentieth of a point is the equation's own, from its step of a minute.
    """
    shares, dwell = hall.occupancy_shares[0].total, stay_law(hall, law, shape)
    seen = lone_chains(law, shape)
    expected = renewal_occupancy(shares, dwell, LONE_MINUTES)[:, :-1]
    for name, minutes in CLASSES.items():
        inside = minutes[:LONE_MINUTES]
        for k in range(len(shares)):
            each = (seen[:, inside] == k).mean(axis=1)
            allowed = 3.5 * each.std(ddof=1) / np.sqrt(len(seen)) + 5e-4
            assert abs(each.mean() - expected[k, inside].mean()) <= allowed, (name, k)


@pytest.mark.parametrize(("law", "shape", "sign"), [("lognormal", 0.7, 1), ("weibull", 0.8, -1)])
def test_agents_leave_the_law_in_the_morning_ramp_as_the_renewal_equation_says(hall, lone_chains, law, shape, sign):
    """Over the hour around 9, in which it says that high_load is off the law by more than 4 standard errors."""
    shares, dwell = hall.occupancy_shares[0].total, stay_law(hall, law, shape)
    k, half_hour = list(hall.profiles).index("high_load"), np.arange(LONE_MINUTES) // 30 % 48
    around_nine = (half_hour == 17) | (half_hour == 18)
    each = (lone_chains(law, shape)[:, around_nine] == k).mean(axis=1)
    error = each.std(ddof=1) / np.sqrt(len(each))
    off = (renewal_occupancy(shares, dwell, LONE_MINUTES) - shares[:, : LONE_MINUTES + 1])[k, :-1][around_nine].mean()
    seen = each.mean() - shares[k, :LONE_MINUTES][around_nine].mean()
    assert sign * off > 4 * error
    assert abs(seen - off) <= 3.5 * error + 5e-4


def test_the_renewal_equation_gives_memoryless_stays_the_law(hall):
    """To a tenth of a point, its step's own error in the ramps."""
    shares = hall.occupancy_shares[0].total
    expected = renewal_occupancy(shares, stay_law(hall, "exponential", 1.0), LONE_MINUTES)
    assert np.abs(expected - shares[:, : LONE_MINUTES + 1]).max() <= 0.001


@pytest.mark.parametrize(("law", "shape"), [("lognormal", 0.7), ("weibull", 0.8)])
def test_other_laws_of_stays_leave_the_shares_law_in_the_ramps_only(hall, law, shape):
    """What docs/model.md says of them: figures of the renewal equation, no chance in them."""
    shares, names = hall.occupancy_shares[0].total, list(hall.profiles)
    off = renewal_occupancy(shares, stay_law(hall, law, shape), LONE_MINUTES) - shares[:, : LONE_MINUTES + 1]
    for profile in ("thermal_event", "overcooled"):
        assert np.abs(off[names.index(profile)]).max() <= 0.2 * POINT
    for hours in ("business", "off_hours"):
        assert np.abs(off[:, :-1][:, CLASSES[hours][:LONE_MINUTES]].mean(axis=1)).max() <= 0.5 * POINT
    assert np.abs(off.mean(axis=1)).max() <= 0.5 * POINT
    ramps = np.abs(off[:, :-1][:, CLASSES["shoulder"][:LONE_MINUTES]])
    assert POINT < ramps.max() <= 3 * POINT


def test_a_site_in_another_zone_keeps_its_own_hours():
    """Nine hours ahead of UTC, high load is seen from 23:00 to 09:00 UTC."""
    hall = resolve(parse_scenario({"name": "zone", "utc_offset": 9}, "zone"))
    busy = (agent_week(hall, 1).profile == list(hall.profiles).index("high_load")).any(axis=1)
    hour = np.arange(len(busy)) // 60 % 24
    assert set(hour[busy]) <= {23, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
    assert busy[(hour >= 0) & (hour < 8)].mean() > 0.9

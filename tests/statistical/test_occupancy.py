"""The share of time in each profile: on the law, row by row and hour class by hour class, however long stays last."""

import numpy as np
import pytest

from sim.domain.occupancy import hour_classes
from sim.domain.validation import parse_scenario
from sim.engine.build import resolve
from tests.statistical.conftest import SEEDS, agent_week
from tests.statistical.theory import occupancy_standard_errors

POINT = 0.01
CLASSES = hour_classes()


def shares(weeks, racks, minutes, profiles):
    """Return the share of each profile over some racks and minutes, week by week, (weeks, profiles)."""
    seen = [week.profile[minutes][:, racks] for week in weeks]
    return np.array([[(x == k).mean() for k in range(profiles)] for x in seen])


@pytest.mark.parametrize("row", ["A", "B", "C", "D", "E", "F"])
def test_each_row_keeps_the_law_in_each_hour_class(hall, agent_weeks, row):
    """Within a point, or 3.5 standard errors from theory where those are wider."""
    number = hall.facility.rows.index(row)
    errors = occupancy_standard_errors(hall, number, SEEDS)
    for (name, minutes), standard_error in zip(CLASSES.items(), errors, strict=True):
        law = hall.targets[number].total[:, :-1][:, minutes].mean(axis=1)
        seen = shares(agent_weeks, hall.facility.racks_of_row(number), minutes, len(law)).mean(axis=0)
        assert np.all(np.abs(seen - law) <= np.maximum(POINT, 3.5 * standard_error)), (name, seen, law)


def test_weeks_scatter_as_far_as_theory_says(hall, agent_weeks):
    """Variance over weeks is that of theory, on average over rows, classes and profiles.

    One ratio of a variance from n weeks to the true one has a standard error of sqrt(2 / (n - 1)). Of about 60 ratios
    half are independent, since what one profile gains others lose.
    """
    ratios = []
    for row in range(len(hall.facility.rows)):
        errors = occupancy_standard_errors(hall, row, seeds=1)
        for minutes, standard_error in zip(CLASSES.values(), errors, strict=True):
            seen = shares(agent_weeks, hall.facility.racks_of_row(row), minutes, len(standard_error))
            occurs = standard_error > 1e-6
            ratios += list((seen.std(axis=0, ddof=1)[occurs] / standard_error[occurs]) ** 2)
    assert len(ratios) > 60
    assert np.mean(ratios) == pytest.approx(1.0, abs=3.5 * np.sqrt(2 / (SEEDS - 1) / 30))


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


@pytest.mark.parametrize(("law", "shape"), [("lognormal", 0.7), ("weibull", 0.8)])
def test_stays_of_another_law_keep_the_shares(law, shape):
    """Of a hall over whole weeks: within a point of the law, or 4 standard errors over the seeds where wider."""
    hall = resolve(parse_scenario({"name": "stays", "dwell": {"law": law, "shape": shape}}, "stays"))
    weeks = [agent_week(hall, seed) for seed in range(8)]
    every = np.ones(len(weeks[0].profile), dtype=bool)
    seen = shares(weeks, slice(None), every, len(hall.profiles))
    expected = np.mean([hall.targets[row].total[:, :-1].mean(axis=1) for row in hall.facility.row_of_rack], axis=0)
    allowed = np.maximum(POINT, 4 * seen.std(axis=0, ddof=1) / np.sqrt(len(weeks)))
    assert np.all(np.abs(seen.mean(axis=0) - expected) <= allowed), (seen.mean(axis=0), expected)


def test_a_site_in_another_zone_keeps_its_own_hours():
    """Nine hours ahead of UTC, high load is seen from 23:00 to 09:00 UTC."""
    hall = resolve(parse_scenario({"name": "zone", "utc_offset": 9}, "zone"))
    busy = (agent_week(hall, 1).profile == list(hall.profiles).index("high_load")).any(axis=1)
    hour = np.arange(len(busy)) // 60 % 24
    assert set(hour[busy]) <= {23, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
    assert busy[(hour >= 0) & (hour < 8)].mean() > 0.9

"""The occupancy law by hand, and the chains' hazards against it."""

import numpy as np
import pytest

from sim.agents.occupancy import (
    DAY_MINUTES,
    MAX_LAG_S,
    MINUTE_S,
    WEEK_MINUTES,
    business_weight,
    chat_demand,
    expected_occupancy,
    hazards,
    hour_classes,
    occupancy_shares,
    weekly_shares,
)
from sim.model.facility import build_facility
from sim.scenario.checks import parse_scenario

PROFILES = ("nominal", "high_load", "thermal_event", "under_utilized", "overcooled")
DWELL_S = (1.0, 2700.0, 1500.0, 4500.0, 3600.0)
"""Mean stays by profile; nominal's is not used."""


def shares_of(row, **data):
    """Return the targets around a row of the default hall."""
    scenario = parse_scenario({"name": "hall", **data}, "hall.yaml")
    facility = build_facility(scenario.facility)
    return occupancy_shares(scenario.occupancy, list(scenario.resolved_profiles()), facility)[facility.rows.index(row)]


def at(shares, hour, day=0):
    """Return the shares at an hour of a day of the week, Monday 0, by profile."""
    return dict(zip(PROFILES, shares[:, day * DAY_MINUTES + round(hour * 60)], strict=True))


def composed(row, participation):
    """Return what racks show in all: their loop's profile, else their row's, else their own, by definition."""
    lag = np.arange(int(MAX_LAG_S // MINUTE_S) + 1)

    def brought(shares):
        late = np.array([np.roll(shares[1:, :-1], minutes, axis=1) for minutes in lag])
        mean = (late[1:] + late[:-1]).mean(axis=0) / 2
        return participation * np.concatenate([mean, mean[:, :1]], axis=1)

    of_loop, of_row = brought(row.loop), brought(row.row)
    free_of_loop, free_of_row = 1 - of_loop.sum(axis=0), 1 - of_row.sum(axis=0)
    return of_loop + free_of_loop * (of_row + free_of_row * row.own[1:])


@pytest.mark.parametrize(
    ("row", "hour", "shares"),
    [
        # of the 92 % that thermal and overcooled leave, 30 % high load in business hours
        ("A", 12, (0.644, 0.276, 0.05, 0, 0.03)),
        ("A", 9, (0.644, 0.276, 0.05, 0, 0.03)),
        ("A", 17, (0.644, 0.276, 0.05, 0, 0.03)),
        # and 20 % under-utilized in off-hours, as the document says
        ("A", 3, (0.736, 0, 0.05, 0.184, 0.03)),
        ("A", 8, (0.736, 0, 0.05, 0.184, 0.03)),
        ("A", 18, (0.736, 0, 0.05, 0.184, 0.03)),
        # half-way between in the shoulders
        ("A", 8.5, (0.690, 0.138, 0.05, 0.092, 0.03)),
        ("A", 17.5, (0.690, 0.138, 0.05, 0.092, 0.03)),
        ("A", 8.25, (0.713, 0.069, 0.05, 0.138, 0.03)),
        # row C is hot, row E cold
        ("C", 12, (0.623, 0.267, 0.08, 0, 0.03)),
        ("C", 3, (0.712, 0, 0.08, 0.178, 0.03)),
        ("E", 12, (0.560, 0.240, 0.05, 0, 0.15)),
        ("E", 3, (0.640, 0, 0.05, 0.160, 0.15)),
    ],
)
def test_the_law_has_the_shares_worked_out_by_hand(row, hour, shares):
    for day in (0, 5):
        assert at(shares_of(row).total, hour, day) == pytest.approx(dict(zip(PROFILES, shares, strict=True)), abs=1e-12)


def test_a_standard_row_is_nominal_about_70_percent_of_the_week():
    assert shares_of("A").total[0, :-1].mean() == pytest.approx(0.70, abs=0.01)


def test_weekends_are_weekdays_unless_the_scenario_says_otherwise():
    total = shares_of("A", occupancy={"weekends": "as_off_hours"}).total
    assert at(total, 12, day=4)["high_load"] == pytest.approx(0.276)
    for day in (5, 6):
        assert at(total, 12, day)["high_load"] == 0
        assert at(total, 12, day)["under_utilized"] == pytest.approx(0.184)


def test_every_weight_of_business_hours_lies_between_none_and_full_and_the_week_closes():
    weight = business_weight()
    assert (weight.min(), weight.max()) == (0, 1)
    assert weight[0] == weight[-1]
    assert weight[:-1].mean() * 24 == pytest.approx(9, abs=1e-3)  # 8 hours and two halves


@pytest.mark.parametrize("weekends", ["as_weekdays", "as_off_hours"])
def test_every_minute_is_of_one_hour_class(weekends):
    classes = hour_classes(weekends)
    assert (sum(classes.values()) == 1).all()
    hours = {name: minutes.sum() / 60 for name, minutes in classes.items()}
    days = 7 if weekends == "as_weekdays" else 5
    assert hours == {"business": 8 * days, "shoulder": 2 * days, "off_hours": 168 - 10 * days}


@pytest.mark.parametrize("row", ["A", "C", "E"])
def test_shares_are_shares(row):
    t = shares_of(row)
    for shares in (t.total, t.own, t.row, t.loop):
        assert shares.shape == (len(PROFILES), WEEK_MINUTES + 1)
        np.testing.assert_allclose(shares.sum(axis=0), 1, atol=1e-12)
        assert shares.min() >= -1e-15
        np.testing.assert_array_equal(shares[:, 0], shares[:, -1])


@pytest.mark.parametrize("row", ["A", "B", "C", "D", "E", "F"])
def test_what_racks_show_under_rows_and_loops_composes_back_to_the_law(row):
    t = shares_of(row)
    law, shown = t.total[1:], composed(t, participation=0.8)
    # where a share falls to 0 some racks still follow for the longest lag, and no own share can make up for it
    minute = np.arange(WEEK_MINUTES + 1) % DAY_MINUTES
    lag = MAX_LAG_S / MINUTE_S
    ending = np.zeros(len(minute), dtype=bool)
    for hour in (9, 18):
        ending |= (minute > hour * 60 - lag) & (minute < hour * 60 + lag)
    np.testing.assert_allclose(shown[:, ~ending], law[:, ~ending], atol=1e-12)
    assert np.abs(shown - law).max() < 0.005


def test_racks_without_rows_and_loops_to_follow_keep_the_whole_law_themselves():
    t = shares_of("C", occupancy={"row_share": 0, "loop_share": 0})
    np.testing.assert_allclose(t.own, t.total, atol=1e-15)
    assert t.row[0].min() == t.loop[0].min() == 1


def test_a_loop_brings_no_more_than_its_least_affected_row_can_bear():
    loop = shares_of("E").loop
    assert at(loop, 12)["overcooled"] == pytest.approx(0.1 * 0.03)  # row F beside it has 3 %, not 15 %
    np.testing.assert_array_equal(loop, shares_of("F").loop)


def test_a_loop_that_feeds_one_hot_row_alone_brings_that_rows_share():
    loops = [{"name": "CL-1", "feeds": ["A", "B", "D", "E", "F"]}, {"name": "CL-2", "feeds": ["C"]}]
    alone, others = (shares_of(row, facility={"loops": loops}).loop for row in "CA")
    assert at(alone, 12)["thermal_event"] == pytest.approx(0.1 * 0.08)
    assert at(others, 12)["thermal_event"] == pytest.approx(0.1 * 0.05)


def test_rows_under_the_same_law_share_one_table():
    scenario = parse_scenario({"name": "hall", "facility": {"rows": 200, "racks_per_row": 1}}, "hall.yaml")
    facility = build_facility(scenario.facility)
    of_rows = occupancy_shares(scenario.occupancy, PROFILES, facility)
    # C is hot and E cold, each beside a standard row, and all others are alike
    assert len({id(t) for t in of_rows}) == 5


@pytest.mark.parametrize("row", ["A", "C", "E"])
def test_the_chains_occupancy_is_the_law_by_the_master_equation(row):
    """The implicit Euler rule errs by h/2 |p''| over the slowest rate: 1e-3 in the shoulders at 12 s is ample."""
    own = shares_of(row).own
    assert np.abs(expected_occupancy(hazards(own, DWELL_S), steps_per_minute=5) - own).max() < 1e-3


def test_a_finer_step_of_the_master_equation_comes_nearer_to_the_law():
    own = shares_of("C").own
    chain = hazards(own, DWELL_S)
    errors = [np.abs(expected_occupancy(chain, steps) - own).max() for steps in (1, 4)]
    assert errors[1] < errors[0] / 3  # a rule of first order: a quarter


def test_without_change_a_stay_ends_at_the_rate_of_its_mean():
    shares = np.repeat([[0.9], [0.1]], WEEK_MINUTES + 1, axis=1)
    chain = hazards(shares, [1.0, 1500.0])
    np.testing.assert_allclose(np.diff(chain.exit[1]), 60 / 1500)
    np.testing.assert_allclose(np.diff(chain.entry), 60 / 1500 * 0.1 / 0.9)


def test_a_stay_that_is_not_memoryless_brings_its_own_end():
    shares = np.repeat([[0.9], [0.1]], WEEK_MINUTES + 1, axis=1)
    chain = hazards(shares, [1.0, 1500.0], memoryless=False)
    np.testing.assert_array_equal(chain.exit[1], 0)


def test_nobody_stays_in_a_profile_past_the_hour_its_share_ends():
    chain = hazards(shares_of("A").own, DWELL_S)
    high_load = PROFILES.index("high_load")
    last_minute, end = 18 * 60 - 1, 18 * 60
    survives = np.exp(chain.exit[high_load, last_minute] - chain.exit[high_load, end])
    assert survives < 1e-20


def test_a_profile_without_a_share_is_never_entered():
    chain = hazards(shares_of("A").own, DWELL_S)
    into_high_load = np.diff(chain.into, axis=0)[PROFILES.index("high_load") - 1]
    night = slice(0, 8 * 60)
    np.testing.assert_array_equal(into_high_load[night], 0)
    np.testing.assert_array_equal(chain.into[0], 0)


def test_a_chat_services_week_is_made_of_busy_and_idle_racks():
    """Weekdays 1.8 to 2.2 from trough to peak, weekends 0.57 of them; what racks cannot do in any profile is cut."""
    tokens_ps = {"nominal": 8270.0, "high_load": 12_000.0, "under_utilized": 3500.0}
    weekly = weekly_shares(chat_demand(), tokens_ps)
    nominal = 1 - weekly["high_load"] - weekly["under_utilized"]
    load = sum(share * tokens_ps[name] for name, share in {**weekly, "nominal": nominal}.items())
    weekday, weekend = load[: 5 * 1440], load[5 * 1440 : 7 * 1440]
    assert 1.8 <= weekday.max() / weekday.min() <= 2.2
    assert weekend.mean() / weekday.mean() == pytest.approx(0.57, abs=0.05)
    assert (nominal > 0).all()

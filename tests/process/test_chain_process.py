"""The chain: where its moves fall, and how long its stays last."""

from math import gamma, inf

import numpy as np
import pytest

from sim.agents.chain import Chain, ChainTables, DwellLaw
from sim.agents.occupancy import DAY_MINUTES, WEEK_MINUTES, WEEK_S, Occupancy, hazards
from sim.engine.build import resolve
from sim.scenario.checks import parse_scenario
from tests.process.conftest import DWELL_S, NAMES, flat_shares

NOMINAL, HIGH_LOAD, THERMAL, UNDER_UTILIZED, _ = range(5)
STAYS = 20_000
EXPONENTIAL = DwellLaw("exponential", 1.0, DWELL_S)
LAWS = {
    "exponential": EXPONENTIAL,
    "log-normal": DwellLaw("lognormal", 0.7, DWELL_S),
    "Weibull of falling hazard": DwellLaw("weibull", 0.8, DWELL_S),
    "Weibull of rising hazard": DwellLaw("weibull", 2.0, DWELL_S),
}


class OneDraw:
    """A generator that draws what it is told."""

    def __init__(self, hazard, choice=0.0):
        self._hazard, self._choice = hazard, choice

    def standard_exponential(self):
        return self._hazard

    def random(self):
        return self._choice


def chain(shares, rng, dwell=EXPONENTIAL, start_minute=0.0):
    return Chain(ChainTables(hazards(shares, DWELL_S, memoryless=dwell.memoryless)), dwell, rng, start_minute)


@pytest.fixture(scope="module")
def law():
    """The shares of a standard row's racks, all that moves with the hour included."""
    return resolve(parse_scenario({"name": "law"}, "law")).occupancy_shares[0].total


@pytest.fixture
def rng():
    return np.random.default_rng(2)


def within_standard_errors(sample, mean, errors=3.5):
    sample = np.asarray(sample)
    return abs(sample.mean() - mean) <= errors * sample.std(ddof=1) / np.sqrt(sample.size)


def test_under_a_constant_hazard_the_draw_is_the_wait_in_mean_dwells():
    flat = flat_shares()
    for hazard in (0.01, 1.0, 2.5, 400.0):
        at_s, profile = chain(flat, OneDraw(hazard)).next_move(THERMAL, 123.4)
        assert profile == NOMINAL
        assert at_s == pytest.approx(123.4 + 1500.0 * hazard, rel=1e-9)


def test_the_hazard_grows_by_the_draw_between_two_moves_whatever_the_hour(law, rng):
    """The cumulative hazard, read by interpolation of the table, is inverted to the last digits, over weeks too."""
    table = hazards(law, DWELL_S)
    weekly = table.entry[-1]

    def cumulative(minute):
        week, rest = divmod(minute, WEEK_MINUTES)
        return week * weekly + np.interp(rest, np.arange(WEEK_MINUTES + 1), table.entry)

    for now_s in rng.uniform(0, 3 * WEEK_S, 300):
        hazard = rng.exponential() * rng.choice([0.01, 1.0, 500.0])
        at_s, _ = chain(law, OneDraw(hazard, choice=0.5)).next_move(NOMINAL, now_s)
        assert cumulative(at_s / 60) - cumulative(now_s / 60) == pytest.approx(hazard, abs=1e-7)


def test_a_chain_of_one_profile_never_moves():
    alone = np.zeros((5, WEEK_MINUTES + 1))
    alone[NOMINAL] = 1.0
    assert chain(alone, OneDraw(1.0)).next_move(NOMINAL, 0.0) == (inf, NOMINAL)


def test_nominal_is_left_for_each_profile_as_often_as_its_flow_says(rng):
    """Of n entries under constant shares a part (pi_k / d_k) / sum of them goes to k: binomial."""
    moves = chain(flat_shares(0.08, 0.12), rng)
    into = np.array([moves.next_move(NOMINAL, 0.0)[1] for _ in range(STAYS)])
    thermal, overcooled = 0.08 / 1500, 0.12 / 3600
    p = thermal / (thermal + overcooled)
    assert set(into) == {THERMAL, NAMES.index("overcooled")}
    assert abs((into == THERMAL).mean() - p) <= 3.5 * np.sqrt(p * (1 - p) / STAYS)


@pytest.mark.parametrize("dwell", LAWS.values(), ids=LAWS)
def test_high_load_is_left_by_the_end_of_the_shoulder_hour(dwell, law, rng):
    """Its share falls to 0 at 18:00, so the last minute's hazard is 50: nobody survives it in e^50 stays."""
    day_s, closing_s = DAY_MINUTES * 60.0, 18 * 3600.0
    moves = chain(law, rng, dwell)
    for now_s in rng.uniform(8.1 * 3600, closing_s - 60, 500):
        assert moves.next_move(HIGH_LOAD, now_s)[0] <= closing_s
        assert moves.next_move(HIGH_LOAD, 4 * day_s + now_s)[0] <= 4 * day_s + closing_s


def test_high_load_begun_in_the_last_minute_is_over_within_a_minute(law, rng):
    moves, closing_s = chain(law, rng), 18 * 3600.0
    for now_s in rng.uniform(closing_s - 60, closing_s, 500):
        assert moves.next_move(HIGH_LOAD, now_s)[0] <= now_s + 60


def test_high_load_is_entered_in_business_and_shoulder_hours_only(law, rng):
    moves = chain(law, rng)
    now_s, hours = 0.0, []
    for _ in range(STAYS):
        at_s, profile = moves.next_move(NOMINAL, now_s)
        if profile == HIGH_LOAD:
            hours.append(at_s / 3600 % 24)
        now_s = at_s
    assert len(hours) > 1000
    assert 8 <= min(hours) <= max(hours) <= 18


def test_a_stay_begun_at_a_site_ahead_of_utc_ends_by_the_sites_clock(law):
    """Started at 17:00 of the site's clock, a stay in high_load is over within the hour."""
    assert chain(law, OneDraw(30.0), start_minute=17 * 60.0).next_move(HIGH_LOAD, 0.0)[0] <= 3600.0


@pytest.mark.parametrize("profile", [NOMINAL, HIGH_LOAD, THERMAL])
@pytest.mark.parametrize("hour", [7.5, 11.0, 17.75])
def test_a_run_that_starts_at_an_hour_moves_as_one_that_has_come_to_that_hour(law, profile, hour):
    at_once = chain(law, OneDraw(0.3, 0.5), start_minute=hour * 60).next_move(profile, 0.0)
    at_s, into = chain(law, OneDraw(0.3, 0.5)).next_move(profile, hour * 3600)
    assert at_once == (pytest.approx(at_s - hour * 3600), into)


def test_high_load_met_at_eleven_has_its_mean_stay_before_it(law):
    """In business hours only its stay ends it, so that a draw of 1 is the mean stay of 45 minutes."""
    assert chain(law, OneDraw(1.0), start_minute=11 * 60.0).next_move(HIGH_LOAD, 0.0)[0] == pytest.approx(2700.0)


@pytest.mark.parametrize("dwell", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("profile", [THERMAL, UNDER_UTILIZED])
def test_stays_have_the_stated_mean(dwell, profile, rng):
    flat = flat_shares()
    flat[UNDER_UTILIZED], flat[NOMINAL] = 0.1, flat[NOMINAL] - 0.1
    moves = chain(flat, rng, dwell)
    assert within_standard_errors([moves.next_move(profile, 50.0)[0] - 50.0 for _ in range(STAYS)], DWELL_S[profile])


@pytest.mark.parametrize(
    ("dwell", "variation"),
    [
        (LAWS["exponential"], 1.0),
        (LAWS["log-normal"], np.sqrt(np.exp(0.7**2) - 1)),
        (LAWS["Weibull of rising hazard"], np.sqrt(gamma(2) / gamma(1.5) ** 2 - 1)),
    ],
    ids=["exponential", "log-normal", "Weibull of rising hazard"],
)
def test_what_is_left_of_a_stay_at_the_start_is_that_of_a_random_instant(dwell, variation, rng):
    """Renewal theory: the mean rest of a stay met at a random instant is (1 + cv^2) d / 2, cv the stays' variation."""
    moves = chain(flat_shares(), rng, dwell)
    rests = [moves.next_move(THERMAL, 0.0, under_way=True)[0] for _ in range(STAYS)]
    assert within_standard_errors(rests, (1 + variation**2) * 1500.0 / 2)


def test_the_first_profile_is_drawn_from_the_law_at_the_hour_of_the_start(law, rng):
    for start_minute in (3 * 60.0, 8.5 * 60, 12 * 60.0, WEEK_MINUTES + 13 * 60.0):
        moves = chain(law, rng, start_minute=start_minute)
        drawn = np.bincount([moves.first() for _ in range(STAYS)], minlength=len(NAMES)) / STAYS
        p = law[:, int(start_minute) % WEEK_MINUTES]
        assert np.all(np.abs(drawn - p) <= 3.5 * np.sqrt(p * (1 - p) / STAYS))


def test_a_chain_costs_two_draws_a_move_whatever_it_leads_to(law):
    rng, other = np.random.default_rng(8), np.random.default_rng(8)
    moves = chain(law, rng)
    for profile in (NOMINAL, THERMAL, HIGH_LOAD, NOMINAL):
        moves.next_move(profile, 40_000.0)
        other.standard_exponential(), other.random()
    assert rng.bit_generator.state == other.bit_generator.state


def test_the_tables_of_a_law_without_anomalies_leave_the_hall_nominal():
    quiet = Occupancy.model_validate(
        {
            "anytime": {"thermal_event": 0, "overcooled": 0},
            "business": {"high_load": 0},
            "off_hours": {"under_utilized": 0},
            "rows": {"C": {"thermal_event": 0}, "E": {"overcooled": 0}},
        }
    )
    hall = resolve(parse_scenario({"name": "quiet", "occupancy": quiet.model_dump()}, "quiet"))
    moves = chain(hall.occupancy_shares[2].own, np.random.default_rng(0))
    assert moves.first() == NOMINAL
    assert moves.next_move(NOMINAL, 0.0) == (inf, NOMINAL)

"""Incidents drawn from rates: how often they come, how long they last, how hard they are."""

from math import erf, gamma, log

import numpy as np
import pytest

from sim.common.streams import Streams
from sim.incidents.catalogue import CATALOGUE
from sim.incidents.planning import YEAR_S, draw_incidents
from sim.model.facility import build_facility
from sim.scenario.checks import parse_scenario

DAYS = 3000
RACKS = 8
ONE_A_DAY = {"per_year": 365.25 / RACKS, "duration": {"law": "fixed", "median": "1m"}}
"""A spike of one of eight racks a day on average, too short to meet another of its rack."""


def drawn(kinds, **rates):
    scenario = parse_scenario(
        {
            "name": "drawn",
            "duration": f"{DAYS}d",
            "tick": "1h",
            "facility": {"rows": 2, "racks_per_row": RACKS // 2},
            "incident_rates": {"acceleration": 1, "kinds": kinds, **rates},
        },
        "drawn",
    )
    return list(draw_incidents(scenario, build_facility(scenario.facility), Streams(scenario.seed)).values())


def spikes(**more):
    return drawn({"sensor_spike": {**ONE_A_DAY, **more}})


@pytest.mark.parametrize("law", [{}, *({"gaps": "weibull", "gap_shape": k} for k in (0.5, 0.7, 2.0, 5.0))], ids=str)
def test_gaps_have_the_mean_that_the_rate_says_whatever_their_law(law):
    """The mean's standard error is cv / sqrt(n), cv the gaps' variation: 1, or Weibull's at its shape."""
    gaps_d = np.diff([0.0, *(i.at_s for i in spikes(**law))]) / 86_400
    k = law.get("gap_shape", 1.0)
    variation = np.sqrt(gamma(1 + 2 / k) / gamma(1 + 1 / k) ** 2 - 1)
    assert abs(gaps_d.mean() - 1) <= 3.5 * variation / np.sqrt(len(gaps_d))


def test_gaps_are_memoryless_unless_the_rate_says_otherwise():
    """Kolmogorov: sqrt(n) times the largest gap between the laws exceeds 2 in 7 of 10,000 samples."""
    gaps_d = np.sort(np.diff([0.0, *(i.at_s for i in spikes())])) / 86_400
    rank = np.arange(len(gaps_d)) / len(gaps_d)
    assert np.abs(-np.expm1(-gaps_d) - rank).max() * np.sqrt(len(gaps_d)) <= 2.0


@pytest.mark.parametrize("acceleration", [0.5, 2.0])
def test_each_asset_is_affected_as_often_as_its_rate_says_by_the_acceleration(acceleration):
    """Poisson: 3.5 standard deviations, of the whole and of each rack."""
    found = drawn({"sensor_spike": ONE_A_DAY}, acceleration=acceleration)
    expected = DAYS * acceleration
    assert abs(len(found) - expected) <= 3.5 * expected**0.5
    affected = [i.assets[0] for i in found]
    for rack in {*affected}:
        assert abs(affected.count(rack) - expected / RACKS) <= 3.5 * (expected / RACKS) ** 0.5
    assert len({*affected}) == RACKS


def test_a_kind_without_a_rate_of_its_own_comes_as_often_as_the_catalogue_says():
    found = drawn({"sensor_spike": {"duration": {"law": "fixed", "median": "1m"}}}, acceleration=200)
    expected = CATALOGUE["sensor_spike"].per_year * 200 * RACKS * DAYS * 86_400 / YEAR_S
    assert abs(len(found) - expected) <= 3.5 * expected**0.5


def test_none_begins_before_the_time_from_which_they_may_and_then_as_many_as_ever():
    found = drawn({"sensor_spike": ONE_A_DAY}, after=f"{DAYS // 2}d")
    assert min(i.at_s for i in found) >= DAYS // 2 * 86_400
    assert abs(len(found) - DAYS / 2) <= 3.5 * (DAYS / 2) ** 0.5


LAWS = {
    "lognormal": (0.8, lambda times: 0.5 * (1 + erf(log(times) / 0.8 / 2**0.5))),
    "weibull of falling hazard": (0.7, lambda times: 1 - 0.5 ** (times**0.7)),
    "weibull of rising hazard": (2.0, lambda times: 1 - 0.5 ** (times**2)),
}
"""Shape, and the chance to last no longer than so many times the median."""


@pytest.mark.parametrize("law", LAWS)
def test_durations_follow_their_law(law):
    """Kolmogorov, as above; they are rounded to the second, so that each stands for half a second either way."""
    shape, chance = LAWS[law]
    given = {"law": law.split()[0], "shape": shape, "median": "10m", "shortest": "2s", "longest": "10h"}
    durations_s = np.sort([i.duration_s for i in spikes(duration=given)])
    rank = np.arange(len(durations_s) + 1) / len(durations_s)
    inside = (durations_s > 2) & (durations_s < 36_000)  # what is cut stands at the limits
    above = (np.vectorize(chance)((durations_s - 0.5) / 600) - rank[1:])[inside]
    below = (rank[:-1] - np.vectorize(chance)((durations_s + 0.5) / 600))[inside]
    assert max(above.max(), below.max()) * np.sqrt(len(durations_s)) <= 2.0


def test_durations_are_the_kinds_own_unless_given_and_end_at_their_limits():
    own = CATALOGUE["sensor_spike"].durations
    durations_s = np.array([i.duration_s for i in drawn({"sensor_spike": {"per_year": 365.25 / RACKS}})])
    assert abs((durations_s > own.median_s).mean() - 0.5) <= 3.5 * (0.25 / len(durations_s)) ** 0.5
    assert own.shortest_s <= durations_s.min() < durations_s.max() <= own.longest_s
    cut = {"median": "10m", "shape": 2.0, "shortest": "5m", "longest": "20m"}
    cut_s = [i.duration_s for i in spikes(duration=cut)]
    assert (min(cut_s), max(cut_s)) == (300, 1200)


def test_severities_lie_evenly_between_their_limits():
    """Of n uniform draws the mean's standard error is the width / sqrt(12 n)."""
    found = np.array([i.severity for i in spikes(severity=[0.2, 0.6])])
    assert 0.2 <= found.min() < 0.21
    assert 0.59 < found.max() <= 0.6
    assert abs(found.mean() - 0.4) <= 3.5 * 0.4 / (12 * len(found)) ** 0.5


CROWDED = {"per_year": 120, "duration": {"law": "fixed", "median": "5h"}}


def apart_s(found, meet):
    """Return the least time from the end of one, its recovery included, to the beginning of a later one it meets."""
    gaps = [
        later.at_s - (one.at_s + one.duration_s + one.recovery_s)
        for k, one in enumerate(found)
        for later in found[k + 1 : k + 12]
        if meet(one, later)
    ]
    return min(gaps)


def shares_an_asset(one, other):
    return one.kind is other.kind and bool({*one.assets} & {*other.assets})


def share_a_rack(one, other):
    return bool({*one.reaches} & {*other.reaches})


def test_a_kind_does_not_affect_what_it_still_holds_or_recovers_from_and_no_longer_waits():
    found = drawn({"blocked_intake": CROWDED, "fan_failure": CROWDED})
    assert [i.at_s for i in found] == sorted(i.at_s for i in found)
    assert 0 <= apart_s(found, shares_an_asset) < 600
    assert apart_s(found, share_a_rack) < -3600, "others may meet it"


def test_with_spacing_nothing_begins_near_what_reaches_the_same_racks():
    found = drawn({"blocked_intake": CROWDED, "sensor_spike": CROWDED}, spacing="2h")
    assert 7200 <= apart_s(found, share_a_rack) < 9000
    assert len({i.kind.name for i in found}) == 2


def test_what_one_kind_draws_does_not_depend_on_another():
    """A rack's fault, and a fault of a sensor, never collide without spacing."""
    alone = [(i.at_s, i.assets, i.duration_s, i.severity) for i in spikes()]
    both = drawn({"fan_failure": {}, "sensor_spike": ONE_A_DAY})
    assert [(i.at_s, i.assets, i.duration_s, i.severity) for i in both if i.kind.name == "sensor_spike"] == alone


def test_only_what_a_rate_names_is_affected():
    found = drawn({"sensor_spike": {**ONE_A_DAY, "within": ["rack:R-A-01", "rack:R-B-*"]}})
    assert {i.assets[0] for i in found} == {"R-A-01", *(f"R-B-0{k}" for k in range(1, 5))}

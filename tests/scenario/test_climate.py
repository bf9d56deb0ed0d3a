"""A site is one key: its climate."""

import pytest

import sim
from sim.common.errors import InputError

CHANNELS = "inlet_c", "outlet_c"


@pytest.mark.parametrize(
    ("climate", "outdoor_c", "warmer_k"), [("temperate", 12, 0), ("cold", 3, -1.5), ("hot", 30, 1.5)]
)
def test_a_climate_moves_water_and_air_and_no_other_range(climate, outdoor_c, warmer_k):
    plain, there = sim.scenario("week"), sim.scenario("week", facility={"climate": climate})
    assert (there.facility.outdoor_c, there.facility.supply_water_c) == (outdoor_c, 15 + warmer_k)
    for name, profile in there.resolved_profiles().items():
        for channel, of in profile.ranges.items():
            before, shift = plain.resolved_profiles()[name].ranges[channel], warmer_k if channel in CHANNELS else 0
            assert (of.low - before.low, of.high - before.high) == (shift, shift)
            assert of.typical - before.typical == pytest.approx(shift, abs=1e-9)


def test_what_is_given_goes_over_the_climate():
    facility = {"climate": "hot", "outdoor_c": 35, "supply_water_c": 15}
    there = sim.scenario("week", facility=facility, profiles={"nominal": {"inlet_c": [21, 24]}})
    assert (there.facility.outdoor_c, there.facility.supply_water_c) == (35, 15)
    assert there.resolved_profiles()["nominal"].ranges["inlet_c"].low == 21
    assert there.resolved_profiles()["nominal"].ranges["outlet_c"].low == 34.5


def test_a_climate_that_there_is_not_is_refused():
    with pytest.raises(InputError, match=r"facility.climate: 'mild'"):
        sim.scenario("week", facility={"climate": "mild"})
    with pytest.raises(InputError, match=r"facility.climate: "):
        sim.scenario("week", facility={"climate": ["hot"]})

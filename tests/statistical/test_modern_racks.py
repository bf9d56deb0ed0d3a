"""Liquid-cooled racks against the figures of real ones."""

import pytest

from sim.runs.checks import modern_racks


def failed(checks):
    return [str(check) for check in checks if not check.passed]


@pytest.fixture(scope="module")
def liquid():
    return modern_racks.liquid_hall()


def test_a_liquid_cooled_rack_at_rest_is_within_what_guides_tell(liquid):
    assert failed(modern_racks.at_rest(liquid)) == []


def test_plates_without_flow_warm_as_fast_as_told_and_gpus_throttle_within_a_minute(liquid):
    assert failed(modern_racks.without_flow(liquid)) == []

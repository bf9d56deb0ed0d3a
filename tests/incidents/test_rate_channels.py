"""A rate that lists channels spreads its draws over them."""

import pytest

from sim.common.errors import InputError
from sim.common.streams import Streams
from sim.incidents.planning import draw_incidents
from sim.model.facility import build_facility
from sim.scenario.checks import parse_scenario

CHANNELS = ["inlet_c", "outlet_c", "pdu_kw", "pump_rpm_pct"]


def drawn(channel):
    parameters = {} if channel is None else {"channel": channel}
    rates = {"acceleration": 1000, "kinds": {"sensor_offset": {"parameters": parameters}}}
    scenario = parse_scenario({"name": "rates", "duration": "7d", "incident_rates": rates}, "rates")
    return list(draw_incidents(scenario, build_facility(scenario.facility), Streams(scenario.seed)).values())


def test_each_listed_channel_gets_its_even_share():
    found = [incident.channel for incident in drawn(CHANNELS)]
    assert set(found) == set(CHANNELS)
    # binomial: 3.5 standard errors
    for channel in CHANNELS:
        assert found.count(channel) / len(found) == pytest.approx(0.25, abs=3.5 * (0.25 * 0.75 / len(found)) ** 0.5)


def test_a_list_of_channels_moves_no_draw():
    assert [(i.at_s, i.assets, i.duration_s, i.severity) for i in drawn(CHANNELS)] == [
        (i.at_s, i.assets, i.duration_s, i.severity) for i in drawn(None)
    ]


@pytest.mark.parametrize("channel", [["inlet_c", "humidity"], [], "humidity"])
def test_a_channel_that_no_sensor_has_is_told(channel):
    with pytest.raises(InputError, match=r"incident_rates.kinds.sensor_offset.parameters.channel"):
        drawn(channel)

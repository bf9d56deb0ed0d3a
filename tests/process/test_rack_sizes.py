"""A rack's size scales what it draws, serves and breathes, and nothing else."""

import numpy as np
import pytest

from tests.process.stage import busy_hall, run

SCALED = ("pdu_kw", "gpu_power_kw", "tokens_ps", "queue_depth", "airflow_m3s")
THE_SAME = ("inlet_c", "outlet_c", "latency_p95_ms", "fan_rpm_pct", "pump_rpm_pct")
SIZE = 2.5


def of_size(size):
    rows = [{"name": name, "racks": 4, "rack_type": "own"} for name in "AB"]
    return run(busy_hall(facility={"rows": rows, "rack_types": {"own": {"size": size}}}, duration="2h"))


@pytest.fixture(scope="module")
def standard():
    return of_size(1.0)


@pytest.fixture(scope="module")
def large():
    return of_size(SIZE)


def test_every_channel_is_either_an_amount_or_a_state(standard):
    assert set(standard.truth) == {*SCALED, *THE_SAME}


@pytest.mark.parametrize("channel", SCALED)
def test_a_hall_of_larger_racks_draws_serves_and_breathes_in_proportion(standard, large, channel):
    np.testing.assert_allclose(large.truth[channel], SIZE * standard.truth[channel], rtol=1e-9)


@pytest.mark.parametrize("channel", THE_SAME)
def test_a_hall_of_larger_racks_is_as_warm_as_fast_and_as_busy(standard, large, channel):
    np.testing.assert_allclose(large.truth[channel], standard.truth[channel], rtol=1e-9)


def test_gpus_draw_about_70_percent_of_the_power_of_racks_of_any_size(standard, large):
    for seen in (standard, large):
        assert seen.truth["gpu_power_kw"].sum() / seen.truth["pdu_kw"].sum() == pytest.approx(0.7, abs=0.05)

"""The same time sampled every 10, 30 and 60 s: the tick is how often one looks, not what happens."""

import numpy as np
import pytest

from sim.model.channels import TELEMETRY_CHANNELS
from sim.plant import constants as k
from sim.runs.checks.realism import autocorrelation

TICKS = (10, 30)
STATES = sorted(set(TELEMETRY_CHANNELS) - {"gpu_energy_j"})


@pytest.mark.parametrize("tick_s", TICKS)
@pytest.mark.parametrize("channel", STATES)
def test_means_do_not_depend_on_the_tick(sampled, channel, tick_s):
    assert sampled[tick_s].readings[channel].mean() == pytest.approx(sampled[60].readings[channel].mean(), rel=0.01)


@pytest.mark.parametrize("tick_s", TICKS)
def test_energy_adds_up_to_the_same_total(sampled, tick_s):
    total = sampled[tick_s].readings["gpu_energy_j"].sum()
    assert total == pytest.approx(sampled[60].readings["gpu_energy_j"].sum(), rel=0.01)


@pytest.mark.parametrize("tick_s", TICKS)
@pytest.mark.parametrize("channel", STATES)
def test_spreads_do_not_depend_on_the_tick(sampled, channel, tick_s):
    """All but the highest thousandth: latencies of racks at their capacity, a few dozen in 100,000 readings.

    They carry a tenth of latency's spread, so that it would tell how many there happened to be.
    """
    one, other = (np.asarray(sampled[tick].readings[channel]) for tick in (tick_s, 60))
    most = np.percentile(other, 99.9)
    assert np.minimum(one, most).std() == pytest.approx(np.minimum(other, most).std(), rel=0.03)


@pytest.mark.parametrize("tick_s", [*TICKS, 60])
def test_backlogs_stay_rare_at_any_tick_without_incidents(sampled, tick_s):
    """Latency beyond what the queue's own law gives at its limit is that of requests that waited for a backlog."""
    longest_ms = k.LATENCY_BASE_MS + k.LATENCY_QUEUE_MS * k.UTILISATION_MAX / (1 - k.UTILISATION_MAX)
    assert (sampled[tick_s].readings["latency_p95_ms"] > longest_ms).mean() < 1e-4


@pytest.mark.parametrize("tick_s", TICKS)
def test_the_memory_of_signals_does_not_depend_on_the_tick(sampled, tick_s):
    for channel in ("inlet_c", "outlet_c", "pdu_kw", "tokens_ps", "latency_p95_ms", "fan_rpm_pct", "pump_rpm_pct"):
        one, other = (float(np.median(autocorrelation(sampled[tick], channel, 60))) for tick in (tick_s, 60))
        assert one == pytest.approx(other, abs=0.05), channel


@pytest.mark.parametrize("tick_s", TICKS)
def test_occupancy_does_not_depend_on_the_tick(sampled, tick_s):
    for profile in sampled[60].hall.profiles:
        one, other = (sampled[tick].is_in(profile).mean() for tick in (tick_s, 60))
        assert one == pytest.approx(other, abs=0.01), profile


@pytest.mark.parametrize("tick_s", TICKS)
def test_episodes_are_the_very_same(sampled, tick_s):
    def story(tick):
        return [(e.name, e.profile, e.start_s, e.end_s, frozenset(e.racks)) for e in sampled[tick].episodes]

    assert story(tick_s) == story(60)

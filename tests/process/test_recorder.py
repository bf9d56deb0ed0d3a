"""What is recorded of the plant's state: latency with its wait, and what incidents change."""

import numpy as np
import pytest

from sim.engine.build import build
from sim.engine.recorder import Recorder, read_plant
from sim.model.channels import CHANNELS, TELEMETRY_CHANNELS
from sim.plant import constants as k
from sim.runs.memory import MemorySink
from tests.process.stage import quiet_hall

WORST_MS = k.LATENCY_BASE_MS + k.LATENCY_QUEUE_MS * k.UTILISATION_MAX / (1 - k.UTILISATION_MAX)


@pytest.fixture
def recorded():
    """Record a plant whose racks are brought into a state."""

    def of(**state):
        sampler = build(quiet_hall(), [])._sampler
        plant = sampler.plant
        given = {name: np.full_like(getattr(plant.state, name), value) for name, value in state.items()}
        plant.state = plant.state._replace(**given)
        recorder = Recorder(1, sampler._truth_log, np.ones(8), 0, 1, TELEMETRY_CHANNELS)
        means = {"mean_rack_kw": plant.state.rack_kw, "mean_gpu_kw": plant.state.gpu_kw}
        recorder.record(0, read_plant(plant, recorder.drivers, means))
        return recorder.truth(0)

    return of


@pytest.mark.parametrize("wait_s", [0.0, 5.0, 30.0])
def test_whoever_waits_behind_a_backlog_sees_the_wait_in_latency_and_queue(recorded, wait_s):
    """Little's law: requests there are those that come in each second times how long each stays."""
    truth = recorded(
        tokens_ps=9000.0,
        utilisation=1.0,
        capacity_ps=9000.0,
        backlog_tokens=9000.0 * wait_s,
        service=1.0,
        request_tokens=40.0,
    )
    np.testing.assert_allclose(truth["latency_p95_ms"], WORST_MS + 1000 * wait_s)
    np.testing.assert_allclose(truth["queue_depth"], 9000 / 40 * (WORST_MS / 1000 + wait_s))


def test_latency_is_that_of_the_part_of_capacity_in_use(recorded):
    truth = recorded(tokens_ps=6000.0, utilisation=0.75, capacity_ps=8000.0, backlog_tokens=0.0, service=1.0)
    np.testing.assert_allclose(truth["latency_p95_ms"], k.LATENCY_BASE_MS + 3 * k.LATENCY_QUEUE_MS)


def test_a_slower_clock_and_larger_requests_stretch_all_of_latency_but_the_wait(recorded):
    truth = recorded(tokens_ps=6000.0, utilisation=0.75, capacity_ps=8000.0, backlog_tokens=8000.0, service=1.3)
    np.testing.assert_allclose(truth["latency_p95_ms"], 1.3 * (k.LATENCY_BASE_MS + 3 * k.LATENCY_QUEUE_MS) + 1000)


def test_a_rack_without_capacity_answers_nobody_and_has_no_queue(recorded):
    truth = recorded(tokens_ps=0.0, capacity_ps=0.0, backlog_tokens=0.0)
    assert not truth["latency_p95_ms"].any()
    assert not truth["queue_depth"].any()


def test_effects_are_what_an_incident_adds_to_the_truth_of_the_hall_without_it():
    """A rack whose fan fails is warmer by a positive effect, and its fan slower by a negative one."""
    incident = {"kind": "fan_failure", "target": "rack:R-A-02", "at": "1h", "duration": "2h"}
    hall = quiet_hall(incidents=[incident], duration="3h")
    kept = MemorySink(hall)
    build(hall, [kept], effects=True).run()
    effect = {c: np.concatenate([b.effect[c] for b in kept.label_blocks])[-1] for c in ("inlet_c", "fan_rpm_pct")}
    assert effect["inlet_c"][1] > 1
    assert effect["fan_rpm_pct"][1] < -10
    for channel, added in effect.items():
        seen = kept.telemetry_blocks[-1]
        exact = (seen.truth[channel] - seen.twin.truth[channel])[-1]
        # effects are told to a tenth of the channel's last digit
        np.testing.assert_allclose(added, exact, rtol=1e-6, atol=0.501 * 10.0 ** -(CHANNELS[channel].decimals + 1))

"""GPUs at their limit of heat: they settle there without a see-saw at any step, and let no difference grow."""

import numpy as np
import pytest

from sim.plant import constants as k
from sim.plant import relations
from sim.plant.drivers import DRIVER_NAMES


def overheated(plants, step_s=60.0, token_energy=1.2, inlet_k=8.0):
    """Return a plant that is offered more than it can serve, by tokens that heat its GPUs, in warm air."""
    plant = plants(step_s)
    for driver, change in (
        ("offered_tokens_ps", lambda now: 3 * now),
        ("token_energy", lambda now: token_energy * now),
        ("recirculation", lambda now: now + 0.02 * inlet_k),
    ):
        i = DRIVER_NAMES.index(driver)
        plant.drivers.now[i] = plant.drivers.target[i] = change(plant.drivers.target[i])
    return plant


@pytest.mark.parametrize("step_s", [10.0, 60.0])
def test_gpus_settle_at_their_limit_without_a_see_saw_whatever_the_step(plants, run, step_s):
    plant = overheated(plants, step_s)
    run(plant, 600)
    tokens = run(plant, 3600, watch="tokens_ps")[:, 0]
    # by then only the inlet moves, one way, as the rack warms
    turns = np.diff(np.sign(np.diff(tokens)[np.abs(np.diff(tokens)) > 1e-6]))
    assert np.count_nonzero(turns) <= 1
    at_limit = relations.gpu_limit_kw(plant.state.inlet_c, relations.server_fans_kw(plant.state.airflow_m3s))
    np.testing.assert_allclose(plant.state.gpu_kw, at_limit, rtol=1e-3)
    assert (plant.state.gpu_c <= k.GPU_LIMIT_C + 0.1).all()


def test_power_falls_where_gpus_would_be_too_hot_and_latency_tells_it_first(plants):
    """At 35 degC GPUs may draw (87 - 35) / R; what they serve falls less, since a slower clock takes less energy."""
    plant = plants(10.0)
    freely_kw, freely_ps, freely_ms = (
        float(x[0, 0]) for x in (plant.state.gpu_kw, plant.state.tokens_ps, plant.state.service)
    )
    for driver, times in (("offered_tokens_ps", 1.25), ("token_energy", 1.5)):
        i = DRIVER_NAMES.index(driver)
        plant.drivers.now[i] = plant.drivers.target[i] = times * plant.drivers.target[i]
    plant.state = plant.state._replace(inlet_c=np.full_like(plant.state.inlet_c, 35.0))
    plant.step()
    wanted_kw = 1.25 * 1.5 * (freely_kw - k.GPU_IDLE_KW) + k.GPU_IDLE_KW
    assert plant.state.gpu_kw[0, 0] < 0.97 * wanted_kw
    assert plant.state.service[0, 0] > 1.05 * freely_ms
    assert plant.state.tokens_ps[0, 0] > 1.1 * freely_ps


@pytest.mark.parametrize("token_energy", [1.0, 1.1, 1.2])
def test_last_bits_do_not_grow_at_the_limit(plants, run, token_energy):
    one, other = (overheated(plants, token_energy=token_energy) for _ in range(2))
    run(one, 600)
    run(other, 600)
    other.state = other.state._replace(gpu_c=other.state.gpu_c + 1e-9)
    apart = np.abs(run(one, 3600, watch="gpu_c") - run(other, 3600, watch="gpu_c"))
    assert apart.max() < 1e-9
    assert apart[-1].max() < 1e-11

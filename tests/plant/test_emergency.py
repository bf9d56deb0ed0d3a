"""The emergency slowdown of GPUs that are too hot: it settles, and lets no difference grow."""

import numpy as np
import pytest

from sim.plant import constants as k
from sim.plant import relations
from sim.plant.drivers import DRIVER_NAMES


def overheated(plants, step_s=60.0, token_energy=1.2):
    """Return a plant that is offered more than it can serve, by tokens that heat its GPUs into the emergency."""
    plant = plants(step_s)
    for driver, times in (("offered_tokens_ps", 3), ("token_energy", token_energy)):
        i = DRIVER_NAMES.index(driver)
        plant.drivers.now[i] = plant.drivers.target[i] = times * plant.drivers.target[i]
    return plant


@pytest.mark.parametrize("step_s", [10.0, 60.0])
def test_gpus_settle_in_the_emergency_without_a_see_saw_whatever_the_step(plants, run, step_s):
    plant = overheated(plants, step_s)
    run(plant, 600)
    gpu_c, tokens = plant.state.gpu_c.copy(), run(plant, 3600, watch="tokens_ps")[:, 0]
    assert (gpu_c > k.SLOWDOWN_C[0]).all()
    # by then only the inlet moves, one way, as the rack warms
    turns = np.diff(np.sign(np.diff(tokens)[np.abs(np.diff(tokens)) > 1e-6]))
    assert np.count_nonzero(turns) <= 1
    at_last = relations.throttle(plant.state.gpu_c) * k.CAPACITY_TOKENS_PS * plant.driver("capacity")
    np.testing.assert_allclose(plant.state.tokens_ps, at_last, rtol=1e-6)


@pytest.mark.parametrize("token_energy", [1.0, 1.1, 1.2])
def test_last_bits_do_not_grow_in_the_emergency(plants, run, token_energy):
    one, other = (overheated(plants, token_energy=token_energy) for _ in range(2))
    run(one, 600)
    run(other, 600)
    other.state = other.state._replace(gpu_c=other.state.gpu_c + 1e-9)
    apart = np.abs(run(one, 3600, watch="gpu_c") - run(other, 3600, watch="gpu_c"))
    assert apart.max() < 1e-9
    assert apart[-1].max() < 1e-11

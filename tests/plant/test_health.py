"""Health: what is active acts as a set, recomputed from the healthy baseline."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.incidents.kinds import FAULT_INPUTS, FaultEffect, LoadTransfer
from sim.plant.health import Health

RACKS, LOOPS = 6, 3
WIDTH = {"rack": RACKS, "loop": LOOPS, "plant": 1}


@st.composite
def effects(draw):
    name = draw(st.sampled_from(sorted(FAULT_INPUTS)))
    width = WIDTH[FAULT_INPUTS[name].of]
    where = sorted(draw(st.sets(st.integers(0, width - 1), min_size=1)))
    values = draw(st.lists(st.just(0.0) | st.floats(-50, 150), min_size=len(where), max_size=len(where)))
    return FaultEffect(name, np.array(where), np.array(values))


def fault_inputs(health):
    return {name: values.copy() for name, values in health.of.items()}


def health_of(*affected):
    health = Health(2, RACKS, LOOPS)
    health.set(affected)
    return health


def expected(fault_input, values):
    """Return what several incidents make of one fault input."""
    compose = {"scale": np.prod, "shift": np.sum, "ceiling": np.min, "floor": np.max}[fault_input.rule]
    composed = float(compose([fault_input.healthy, *values]))
    return max(composed, fault_input.least) if fault_input.rule == "scale" and fault_input.least else composed


@given(st.lists(effects(), max_size=6))
def test_each_fault_input_is_what_all_that_act_on_it_make_of_its_healthy_value(affected):
    health = health_of(*affected)
    for name, fault_input in FAULT_INPUTS.items():
        for i in range(WIDTH[fault_input.of]):
            pulling = [p.value[list(p.where).index(i)] for p in affected if p.fault_input == name and i in p.where]
            assert health.of[name][0, i] == pytest.approx(expected(fault_input, pulling), rel=1e-12, abs=1e-9)


@given(st.lists(effects(), min_size=2, max_size=4))
def test_order_does_not_matter(affected):
    first, *others = [fault_inputs(health_of(*order)) for order in permutations(affected)]
    for other in others:
        for name in FAULT_INPUTS:
            assert other[name] == pytest.approx(first[name], rel=1e-12, abs=1e-9)


@given(st.lists(effects(), max_size=5), st.lists(effects(), max_size=5))
def test_what_ends_leaves_no_trace_and_repairs_nothing_else(stay, leave):
    health = health_of(*stay, *leave)
    health.set(stay)
    for name, values in health_of(*stay).of.items():
        assert np.array_equal(health.of[name], values), name


@given(st.lists(effects(), max_size=6))
def test_all_fault_inputs_go_back_to_their_healthy_bits_and_flags(affected):
    health = health_of(*affected)
    health.set(())
    for name, values in Health(2, RACKS, LOOPS).of.items():
        assert np.array_equal(health.of[name], values), name
        assert np.all(values == FAULT_INPUTS[name].healthy)
    assert (health.drivers_differ, health.power_differs, health.limits_differ) == (False, False, False)


@given(st.lists(effects(), max_size=6))
def test_the_twin_is_never_affected(affected):
    assert all(np.all(values[1] == FAULT_INPUTS[name].healthy) for name, values in health_of(*affected).of.items())


def test_a_factor_of_zero_is_undone_exactly():
    dark = FaultEffect("powered", np.array([1]), np.array([0.0]))
    half = FaultEffect("powered", np.array([1, 2]), np.array([0.5, 0.3]))
    health = health_of(dark, half)
    assert health.of["powered"][0].tolist() == [1, 0, 0.3, 1, 1, 1]
    health.set([half])
    assert health.of["powered"][0].tolist() == [1, 0.5, 0.3, 1, 1, 1]


def test_the_strictest_sets_ceilings_and_floors():
    ceilings = [FaultEffect("fan_ceiling_pct", np.array([0]), np.array([v])) for v in (40.0, 25.0, 60.0)]
    floors = [FaultEffect("pump_floor_pct", np.array([0]), np.array([v])) for v in (30.0, 55.0, 10.0)]
    health = health_of(*ceilings, *floors)
    assert (health.of["fan_ceiling_pct"][0, 0], health.of["pump_floor_pct"][0, 0]) == (25, 55)


def test_moved_load_is_what_is_active():
    transfer = LoadTransfer(np.array([0]), np.array([1, 2]), np.array([0.5]))
    health = health_of()
    health.set((), [transfer])
    assert health.transfers == (transfer,)
    health.set(())
    assert health.transfers == ()

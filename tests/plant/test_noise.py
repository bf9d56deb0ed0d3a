"""Mean-reverting noise has its own law whatever the step."""

import numpy as np
import pytest

from sim.plant.noise import Component, Noise

SLOW = Component("slow", 0.8, 1200.0)
FAST = Component("fast", 0.5, 60.0)
WIDTH = 20_000


def noise(step_s, seed=1, width=WIDTH):
    return Noise((SLOW, FAST), [np.random.default_rng([seed, i]) for i in range(2)], width, step_s)


@pytest.mark.parametrize("step_s", [1.0, 10.0, 30.0, 60.0, 3600.0])
def test_the_variance_is_stationary_from_the_first_value_on_at_any_step(step_s):
    process = noise(step_s)
    for _ in range(3):
        for values, component in zip(process.value, (SLOW, FAST), strict=True):
            # the variance of n normal values has a relative standard error of sqrt(2 / n)
            assert values.var() == pytest.approx(component.sd**2, rel=3.5 * (2 / WIDTH) ** 0.5)
            assert abs(values.mean()) < 3.5 * component.sd / WIDTH**0.5
        process.advance()


@pytest.mark.parametrize(("step_s", "steps"), [(1.0, 60), (10.0, 6), (30.0, 2), (60.0, 1)])
def test_the_autocorrelation_over_a_minute_is_the_same_at_any_step(step_s, steps):
    process = noise(step_s)
    before = process.value.copy()
    for _ in range(steps):
        process.advance()
    for first, last, component in zip(before, process.value, (SLOW, FAST), strict=True):
        expected = np.exp(-60 / component.tau_s)
        standard_error = (1 - expected**2) / WIDTH**0.5
        assert abs(np.corrcoef(first, last)[0, 1] - expected) < 3.5 * standard_error


def test_two_half_steps_are_one_whole_step_in_law():
    """Given the value before, decay and variance of what is added are those of one step, to rounding."""
    half, whole = noise(30.0, width=1), noise(60.0, width=1)
    np.testing.assert_allclose(half._decay**2, whole._decay, rtol=1e-14)
    np.testing.assert_allclose(half._kick**2 * (1 + half._decay**2), whole._kick**2, rtol=1e-13)


def test_a_step_decays_the_value_and_adds_fresh_noise_of_the_rest():
    process = noise(60.0)
    before = process.value.copy()
    process.advance()
    added = process.value - np.exp(-60 / np.array([[1200.0], [60.0]])) * before
    for values, old, component in zip(added, before, (SLOW, FAST), strict=True):
        rest = component.sd**2 * (1 - np.exp(-120 / component.tau_s))
        assert values.var() == pytest.approx(rest, rel=3.5 * (2 / WIDTH) ** 0.5)
        assert abs(np.corrcoef(values, old)[0, 1]) < 3.5 / WIDTH**0.5


def test_components_and_assets_are_independent():
    process = noise(60.0)
    slow, fast = process.value
    assert abs(np.corrcoef(slow, fast)[0, 1]) < 3.5 / WIDTH**0.5
    assert abs(np.corrcoef(slow[1:], slow[:-1])[0, 1]) < 3.5 / WIDTH**0.5


def test_drawing_in_blocks_leaves_no_seam():
    """Over 600 steps, more than two blocks, one asset's noise keeps its step-to-step correlation everywhere."""
    process = noise(60.0, width=500)
    before, residuals = process.value[0].copy(), []
    for _ in range(600):
        process.advance()
        residuals.append(process.value[0] - np.exp(-60 / 1200) * before)
        before = process.value[0].copy()
    of_step = np.array(residuals).var(axis=1) / (0.8**2 * (1 - np.exp(-120 / 1200)))
    # 600 variances of 500 values each: the largest of 600 stays within 5 standard errors
    assert np.abs(of_step - 1).max() < 5 * (2 / 500) ** 0.5


def test_the_same_generators_give_the_same_noise():
    one, other = noise(60.0, seed=3, width=5), noise(60.0, seed=3, width=5)
    for _ in range(300):
        one.advance()
        other.advance()
    np.testing.assert_array_equal(one.value, other.value)


def test_a_components_noise_does_not_depend_on_which_others_there_are():
    both = noise(60.0, width=5)
    alone = Noise((FAST,), [np.random.default_rng([1, 1])], 5, 60.0)
    for _ in range(300):
        np.testing.assert_array_equal(both.value[1], alone.value[0])
        both.advance()
        alone.advance()


def test_no_draw_depends_on_how_many_are_drawn_at_once():
    def of(block):
        common = Noise((SLOW,), [np.random.default_rng(9)], 1, 60.0, block=block)
        generators = [np.random.default_rng([1, i]) for i in range(2)]
        return Noise((SLOW, FAST), generators, 5, 60.0, (2,), common, block)

    one, other = of(1), of(7)
    for _ in range(20):
        one.advance()
        other.advance()
        np.testing.assert_array_equal(one.signals, other.signals)

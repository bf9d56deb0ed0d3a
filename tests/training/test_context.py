"""Features in context: the rack's own level, the mean of minutes, whitened coordinates."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from training import Monitor, fit, score_batch
from training.context import (
    CLIP_SIGMAS,
    COMPRESSED_FROM,
    FORGET_H,
    LEARNING_H,
    MEAN_KEPT,
    Context,
    Levels,
    compressed,
    directions,
    expanded,
    in_order,
)
from training.context_fitting import LEAST_VARIANCE, fit_context
from training.features import FEATURES, GROUPS
from training.model import explain_batch, top_causes

D = len(FEATURES)
ONE = np.zeros(1, dtype=int)


def flat_context(between=1.0, hourly=0.5, spread=1.0) -> Context:
    """Return the context of whitened features that are independent."""
    return Context(np.eye(D), *(np.full(D, v) for v in (between, hourly, spread)))


def run_of(context, z, tick_s=60.0):
    """Return the states of one rack with these vectors, tick by tick."""
    racks = Levels(context)
    racks.know(1)
    return racks.take(np.zeros(len(z), dtype=int), np.arange(len(z)) * tick_s, z)


@given(st.integers(0, 99), st.sampled_from([0.0, 0.05, 0.3]))
@examples(30)
def test_one_sample_at_a_time_gives_the_bits_of_many(seed, missing):
    rng = np.random.default_rng(seed)
    context = Context(rng.normal(size=(D, D)), *(rng.random(D) + 0.1 for _ in range(3)))
    rack = np.concatenate([np.flatnonzero(rng.random(5) < 0.8) for _ in range(12)])
    ts_s = np.repeat(np.cumsum(rng.choice([30.0, 60.0, 900.0], 12)), 5)[: rack.size]
    order = np.flatnonzero(np.diff(rack, prepend=-1) <= 0)
    ts_s = (np.searchsorted(order, np.arange(rack.size), side="right")) * 60.0
    z = rng.normal(size=(rack.size, D))
    z[rng.random(z.shape) < missing] = np.nan
    together, alone = Levels(context), Levels(context)
    together.know(5), alone.know(5)
    many = together.take(rack, ts_s, z)
    each = [alone.take(rack[k : k + 1], ts_s[k : k + 1], z[k : k + 1])[0] for k in range(rack.size)]
    assert np.array_equal(many, np.array(each), equal_nan=True)
    assert np.array_equal(together.remembered(np.arange(5)), alone.remembered(np.arange(5)), equal_nan=True)


@pytest.mark.parametrize("columns", [1, 32, 33, 1000])
def test_a_product_has_the_same_bits_however_many_columns(columns):
    rng = np.random.default_rng(0)
    matrix, z = rng.normal(size=(D, D)), rng.normal(size=(D, 1000))
    assert np.array_equal(in_order(matrix, z[:, :columns]), in_order(matrix, z)[:, :columns])
    assert in_order(matrix, z) == pytest.approx(matrix @ z)


def test_the_mean_forgets_a_third_a_minute_whatever_the_tick():
    z = np.ones((7, D))
    z[0] = 0.0
    by_minute, by_half = (
        run_of(flat_context(), z)[:, 0],
        run_of(flat_context(), np.repeat(z, 2, axis=0)[1:], 30.0)[:, 0],
    )
    assert by_minute == pytest.approx(1.0 - MEAN_KEPT ** np.arange(7))
    assert by_half[::2] == pytest.approx(by_minute)


def test_a_level_is_learnt_from_what_lasts_and_its_doubt_goes_with_the_hours():
    states = run_of(flat_context(between=4.0), np.full((72 * 60, D), 1.5))
    assert states[-1, D] == pytest.approx(1.5, abs=0.05)  # r / (r + b h) of it is missing: 0.5 / 288
    _, doubt = flat_context(between=4.0).placed(states)
    assert (np.diff(doubt[:, 0]) >= 0).all()
    assert doubt[0, 0] == pytest.approx((1 + 4.0 * 0.5 / (0.5 + 4.0 / 60)) ** -0.5)
    hours = states[:, -1]
    assert hours[:2] == pytest.approx([1 / 60, 2 / 60])
    assert hours[-1] == pytest.approx(FORGET_H)
    assert (hours[:59] < LEARNING_H).all()


def test_a_fault_that_is_there_from_the_start_is_not_learnt_away():
    context = flat_context(between=1.0)
    states = run_of(context, np.full((7 * 24 * 60, D), 10.0))
    assert states[:, D].max() <= CLIP_SIGMAS
    assert (context.placed(states[600:])[0] > 6.0).all()


def test_a_fault_moves_the_level_by_no_more_than_clipped_steps():
    """An innovation counts as three of its standard deviations at most, however far the readings are."""
    z = np.zeros((73 * 60 + 60, D))
    far, near = z.copy(), z.copy()
    far[-60:], near[-60:] = 1e6, CLIP_SIGMAS * (1.0 + 0.5 / (0.5 + 72)) ** 0.5
    levels = [run_of(flat_context(), one)[-1, D] for one in (far, near)]
    assert levels[0] == pytest.approx(levels[1], rel=0.02)
    assert levels[0] < 0.1


def test_a_level_that_changed_is_learnt_anew_within_days():
    z = np.zeros((10 * 24 * 60, D))
    z[3 * 24 * 60 :] = 1.0
    level = run_of(flat_context(), z)[:, D]
    # the gain is that of 72 h for ever, so after 72 h more about 1 - 1/e of the change is learnt
    assert level[6 * 24 * 60] == pytest.approx(1 - np.exp(-1), abs=0.02)


def test_a_missing_feature_is_what_the_others_make_likely():
    """Two features that move together: one of them lost says nothing about the rack."""
    whiten = np.eye(D)
    whiten[0, 1] = -1.0  # coordinate 0 is their difference
    context = dataclasses.replace(flat_context(), whiten=whiten)
    z = np.zeros((1, D))
    z[0, :2] = np.nan, 2.0
    whole = z.copy()
    whole[0, 0] = 2.0
    assert context.alone(z)[0, :D] == pytest.approx(context.alone(whole)[0, :D])


def test_a_sample_with_too_few_features_leaves_its_rack_as_it_is():
    racks = Levels(flat_context())
    racks.know(1)
    racks.take(ONE, np.zeros(1), np.ones((1, D)))
    before = racks.remembered(ONE)
    few = np.ones((1, D))
    few[0, :4] = np.nan
    assert np.isnan(racks.take(ONE, np.array([60.0]), few)).all()
    assert np.array_equal(racks.remembered(ONE), before)


def test_whitened_rows_have_variance_one_and_no_correlation_but_where_features_are_differences():
    rng = np.random.default_rng(1)
    ticks, racks = 2000, 6
    z = rng.normal(size=(ticks * racks, D)) @ rng.normal(size=(D, D))
    z[:, 2] = z[:, 1] - z[:, 0]
    rack = np.tile(np.arange(racks), ticks)
    context, vectors = fit_context(rack, np.repeat(np.arange(ticks) * 60.0, racks), z)
    covariance = np.cov(vectors.T)
    lost = np.diag(covariance) < 0.5
    assert lost.sum() == 1
    # the hundredth that is farthest out is left out; of a normal distribution it holds 2.5 % of the variance
    assert covariance[~lost][:, ~lost] == pytest.approx(np.eye(D - 1), abs=0.05)
    assert np.linalg.svd(context.whiten, compute_uv=False).max() <= LEAST_VARIANCE**-0.5 * (1 + 1e-9)


def test_the_variance_between_racks_is_that_of_their_levels():
    rng = np.random.default_rng(2)
    ticks, racks = 3000, 40
    offset = np.zeros((racks, D))
    offset[:, 3] = rng.normal(size=racks) * 5.0
    z = rng.normal(size=(ticks, racks, D)) + offset
    context, _ = fit_context(
        np.tile(np.arange(racks), ticks), np.repeat(np.arange(ticks) * 60.0, racks), z.reshape(-1, D)
    )
    # whitened by the short mean, whose variance of white noise is (1 - k) / (1 + k); 40 racks: 3 s.e. are 0.67 of it
    expected = offset[:, 3].var() * (1 + MEAN_KEPT) / (1 - MEAN_KEPT)
    assert context.between.max() == pytest.approx(expected, rel=0.1)
    assert np.sort(context.between)[-2] < 0.01 * expected


def test_a_temperature_takes_the_rise_along():
    scale = np.arange(1.0, D + 1)
    along = directions(flat_context(), scale)
    assert along[FEATURES.index("delta_t"), FEATURES.index("outlet_c")] == pytest.approx(2.0 / 3.0)
    assert along[FEATURES.index("delta_t"), FEATURES.index("inlet_c")] == pytest.approx(-1.0 / 3.0)
    assert np.array_equal(along[:, FEATURES.index("pdu_kw")], np.eye(D)[FEATURES.index("pdu_kw")])


@pytest.mark.parametrize("feature", [name for name in FEATURES if name != "delta_t"])
def test_a_sensor_that_is_off_is_blamed_with_direction_and_size(model, hall, feature):
    """By six nominal standard deviations beside the others, for half an hour at the end of a nominal stretch."""
    t, labels = hall.telemetry(), hall.labels()
    j = FEATURES.index(feature)
    sure = 1.0 / np.linalg.norm(directions(model.context, model.scale)[:, j])
    off = 6.0 * sure * model.scale[j]
    from_s = t.ts_s[-1] - 1800
    x = compressed(t.x)
    struck = t.ts_s > from_s
    x[struck, j] += off
    for name, sign in (("inlet_c", -1), ("outlet_c", 1)):
        if feature == name:
            x[struck, FEATURES.index("delta_t")] += sign * off
    x = expanded(x)
    states = Monitor(model).update_batch(t.racks, t.rack, t.ts_s, x).states
    rows = np.flatnonzero((t.ts_s > from_s + 900) & ~labels.anomaly)
    top = top_causes(model, x[rows], 1, states[rows])
    blamed = top.feature[:, 0] == j
    # two meters of one power show by their difference that one is off, and only by the rest which
    assert blamed.mean() > (0.65 if feature in GROUPS["power"] else 0.8)
    assert (top.sign[blamed, 0] == 1).mean() > 0.95
    told = [c[0] for c, mine in zip(explain_batch(model, x[rows], 1, states[rows]), blamed, strict=True) if mine]
    # what is off is told to a third: the other channels' noise is one part in six of it, 2 of which are one third
    value, usual = (
        compressed(np.full((len(told), len(FEATURES)), [[v] for v in of]))[:, j]
        for of in zip(*((c.value, c.usual) for c in told), strict=True)
    )
    assert np.median(value - usual) == pytest.approx(off, rel=1 / 3)
    assert f"{feature} is " in told[0].text
    assert " above what is usual at this load (" in told[0].text


def test_context_finds_what_features_as_read_do_not(hall):
    """An outlet that reads 1 K more at one rack: less than racks differ by load, more than this rack ever differs."""
    t = hall.telemetry()
    quiet = ~hall.labels().anomaly
    struck = (t.rack == 3) & (t.ts_s > t.ts_s[-1] - 7200)
    x = t.x.copy()
    x[struck, 1:3] += 1.0
    share = {}
    for features in ("context", "plain"):
        learnt = fit(t, labels=hall.labels(), filter="labels", features=features)
        found, _ = Monitor(learnt).score(t.racks, t.rack, t.ts_s, x)
        share[features] = (found[struck & quiet] >= learnt.tau_persist).mean()
    assert share["context"] > share["plain"] + 0.3


def test_a_vector_alone_is_scored_as_the_first_of_a_new_rack(model, hall):
    t = hall.telemetry()
    alone = score_batch(model, t.x[:5]).deviation
    first = [Monitor(model).score(("R",), ONE, t.ts_s[:1], t.x[k : k + 1])[0][0] for k in range(5)]
    assert np.array_equal(alone, first)


def test_a_state_after_an_earlier_one_is_that_of_the_run(model, hall):
    t = hall.telemetry()
    states = Monitor(model).update_batch(t.racks, t.rack, t.ts_s, t.x).states
    mine = np.flatnonzero(t.rack == 2)[10:12]
    z = model.scaled(t.x[mine[1:]])[0]
    after = model.context.after(states[mine[0]], t.ts_s[mine[0]], t.ts_s[mine[1]], z)
    assert np.array_equal(after, states[mine[1]])


def test_context_goes_without_compat_and_weights():
    from sim.common.errors import InputError  # noqa: PLC0415
    from training.fitting import FitOptions  # noqa: PLC0415

    assert FitOptions(compat="reference").completed().features == "plain"
    assert FitOptions(weights={"inlet_c": 2.0}).completed().features == "plain"
    with pytest.raises(InputError, match="context goes without compat and weights"):
        FitOptions(compat="reference", features="context").completed()


def test_compressed_readings_come_back_and_the_others_stay(hall):
    x = hall.telemetry().x
    grown = [FEATURES.index(name) for name in COMPRESSED_FROM]
    y = compressed(x)
    # exp and log1p are within an ulp or two, of numbers up to 1 + 280 / 20
    np.testing.assert_allclose(expanded(y), x, rtol=1e-13)
    assert np.array_equal(np.delete(y, grown, axis=1), np.delete(x, grown, axis=1))
    assert (y[:, grown] < x[:, grown]).all()


def test_twice_the_latency_is_one_step_wherever_it_is():
    """C log(1 + x / c) grows by c log 2 from x to 2 x, once c is small beside x."""
    start, j = COMPRESSED_FROM["latency_p95_ms"], FEATURES.index("latency_p95_ms")
    x = np.zeros((3, D))
    x[:, j] = 1e4 * np.array([1.0, 2.0, 4.0])
    # c / x of 0.002 is what is left of the 1
    assert np.diff(compressed(x)[:, j]) == pytest.approx([start * np.log(2.0)] * 2, rel=0.002)

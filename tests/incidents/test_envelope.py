"""Severity envelopes of incidents: how strong at each instant, and exactly how much over any span."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.incidents.envelope import SeverityEnvelope, Shape

SHAPES = Shape.__args__
GAUSS = list(zip(*np.polynomial.legendre.leggauss(5), strict=True))


@st.composite
def envelopes(draw):
    lengths = st.floats(1, 5000)
    return SeverityEnvelope(
        start_s=draw(st.floats(0, 5000)),
        duration_s=draw(lengths),
        shape=draw(st.sampled_from(SHAPES)),
        rise_s=draw(lengths),
        period_s=draw(lengths),
        recovery_s=draw(st.just(0.0) | lengths),
        cut_s=draw(st.just(np.inf) | st.floats(0, 12_000)),
    )


def summed(envelope, from_s, until_s):
    """Return the strength summed over a span [s], from `at` alone: exact where it is linear between its corners.

    A wave is not; five Gauss points on each of 4 parts of a half period are off by less than 1e-12 of it.
    """
    corners = {from_s, until_s, envelope.start_s, envelope.start_s + envelope.rise_s, envelope.end_s, envelope.over_s}
    halves = np.arange(0, 2 * envelope.duration_s / envelope.period_s + 2) * envelope.period_s / 2
    corners |= set(envelope.start_s + halves[halves < envelope.duration_s])
    edges = sorted(c for c in corners if from_s <= c <= until_s)
    if envelope.shape != "wave":
        return sum((b - a) * envelope.at((a + b) / 2) for a, b in pairwise(edges))
    parts = [c for a, b in pairwise(edges) for c in np.linspace(a, b, 5)]
    return sum(
        (b - a) / 2 * w * envelope.at((a + b) / 2 + x * (b - a) / 2) for a, b in pairwise(parts) for x, w in GAUSS
    )


@given(envelopes(), st.floats(-100, 20_000), st.floats(0.1, 20_000))
def test_the_mean_over_any_span_is_the_integral_of_the_strength(envelope, from_s, span_s):
    expected = summed(envelope, from_s, from_s + span_s) / span_s
    assert envelope.mean(from_s, from_s + span_s) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(envelopes(), st.floats(-100, 20_000), st.floats(0.1, 20_000))
def test_strength_lies_between_none_and_full_and_a_wave_s_between_full_either_way(envelope, from_s, span_s):
    least = -1 if envelope.shape == "wave" else 0
    assert least - 1e-9 <= envelope.at(from_s) <= 1 + 1e-9
    assert least - 1e-9 <= envelope.mean(from_s, from_s + span_s) <= 1 + 1e-9


@given(envelopes(), st.floats(0.1, 100))
def test_nothing_is_felt_before_the_start_or_after_the_recovery(envelope, span_s):
    assert envelope.mean(envelope.start_s - span_s, envelope.start_s) == 0
    assert envelope.mean(envelope.over_s, envelope.over_s + span_s) == 0
    assert envelope.at(envelope.over_s) == 0


@pytest.mark.parametrize("tick_s", [10, 30, 60])
@pytest.mark.parametrize("shape", SHAPES)
@given(offset_s=st.floats(0, 60), duration_s=st.floats(1, 2000), recovery_s=st.sampled_from([0.0, 1.0, 333.0]))
def test_strength_times_time_is_as_planned_whatever_the_tick_and_the_offset_in_it(
    shape, tick_s, offset_s, duration_s, recovery_s
):
    """A step's is its duration, a ramp's lacks half its rise, others have half; recovery adds half of the last.

    Whole periods of a wave add up to nothing.
    """
    quarter_s = duration_s / 4
    envelope = SeverityEnvelope(600 + offset_s, duration_s, shape, quarter_s, quarter_s, recovery_s)
    held_s = {"step": duration_s, "ramp": duration_s - quarter_s / 2, "wave": 0.0}.get(shape, duration_s / 2)
    last = {"pulse": 0.0, "wave": 0.0}.get(shape, 1.0)
    ticks = np.arange(0, 6000, tick_s)
    felt_s = sum(envelope.mean(t, t + tick_s) * tick_s for t in ticks)
    assert felt_s == pytest.approx(held_s + last * recovery_s / 2, rel=1e-6, abs=1e-8)


@given(envelopes(), st.floats(0, 1), st.floats(0, 1))
def test_what_holds_is_exactly_one(envelope, one, other):
    """So that the plant is set once for it, not at every step."""
    if envelope.shape not in ("step", "ramp"):
        return
    full_from_s = envelope.start_s + (envelope.rise_s if envelope.shape == "ramp" else 0.0)
    a, b = sorted((full_from_s + part * (envelope.end_s - full_from_s)) for part in (one, other))
    if full_from_s < a < b < envelope.end_s:
        assert envelope.mean(a, b) == 1.0


def test_recovery_begins_at_what_there_was_at_the_end():
    assert SeverityEnvelope(0, 100, "ramp", 400, 50, 100).at(150) == pytest.approx(
        0.125
    )  # a quarter risen, half recovered
    assert SeverityEnvelope(0, 100, "pulse", 1, 50, 100).at(101) == 0  # it was off
    assert SeverityEnvelope(0, 80, "pulse", 1, 60, 100).at(80) == 1  # it was on
    assert SeverityEnvelope(0, 100, "sawtooth", 1, 50, 100).at(100) == pytest.approx(1)


def test_a_wave_swings_to_both_sides_and_comes_back_every_period():
    wave = SeverityEnvelope(1000, 3600, "wave", 1, 400, 0)
    assert [wave.at(1000 + t) for t in (0, 100, 200, 300, 500)] == pytest.approx([0, 1, 0, -1, 1])
    assert wave.mean(1000, 1200) == pytest.approx(2 / np.pi)
    assert wave.mean(1200, 1400) == pytest.approx(-2 / np.pi)


@given(envelopes(), st.floats(-100, 20_000), st.floats(0.1, 20_000))
def test_a_cause_that_is_ended_before_its_time_was_to_the_bit_what_it_had_been(envelope, from_s, span_s):
    whole = replace(envelope, cut_s=np.inf)
    before_s, until_s = min(from_s, envelope.cut_s - 1e-3), min(from_s + span_s, envelope.cut_s)
    assert envelope.at(before_s) == whole.at(before_s)
    if before_s < until_s:
        assert envelope.mean(before_s, until_s) == whole.mean(before_s, until_s)
    assert envelope.end_s == max(envelope.start_s, min(whole.end_s, envelope.cut_s))


def test_a_cause_that_is_ended_before_it_begins_is_never_felt():
    never = SeverityEnvelope(100.0, 50.0, "step", 1.0, 1.0, 30.0, cut_s=100.0)
    assert [never.at(100.0), never.at(110.0), never.mean(0.0, 200.0)] == [0.0, 0.0, 0.0]

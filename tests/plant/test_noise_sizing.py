"""Noise is sized so that a profile's ranges are filled and kept, all of its causes taken together."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from sim.model.channels import CHANNELS
from sim.model.profiles import PROFILE_CHANNELS, shipped_profiles
from sim.plant import constants as k
from sim.plant.drivers import DRIVER_NAMES, Drivers
from sim.plant.fitting import solve_drivers
from sim.plant.noise_sizing import _STEPS, _Margin, _Moments, _sensitivities, _Sensitivity
from sim.plant.steady_state import BoundaryConditions, steady_state

PLACE = BoundaryConditions(water_c=15.3792, outlet_c=34.9)
SHIPPED = shipped_profiles()
HALLS = 20_000


def settled_under_noise(drivers, profile):
    """Return where a profile settles under many draws of all that is random, by channel, (HALLS,)."""
    rng = np.random.default_rng(1)
    load, air, flow, water = rng.standard_normal((4, HALLS))
    coil, end = np.clip(rng.standard_normal(HALLS), -2, 2), (rng.uniform(size=HALLS) - 0.5) * 12**0.5
    i = list(SHIPPED).index(profile)
    d = {name: np.full(HALLS, getattr(drivers, name)[i]) for name in DRIVER_NAMES}
    d["offered_tokens_ps"] = d["offered_tokens_ps"] * np.maximum(0, 1 + d["offered_tokens_sd"] * load)
    d["recirculation"] = d["recirculation"] + d["recirculation_sd"] * air + k.PLACE_RECIRCULATION_SD * end
    d["recirculation"] = np.clip(d["recirculation"], 0, 0.8)
    d["airflow"] = d["airflow"] * (1 + d["airflow_sd"] * flow)
    place = replace(PLACE, water_c=PLACE.water_c + k.WATER_SD_K * water)
    return steady_state(Drivers(**d), place, 1 + k.COIL_SD * coil)


@pytest.mark.parametrize("profile", SHIPPED)
def test_mean_and_two_deviations_under_all_noise_together_stay_in_every_range(profile):
    """Also where the channel is convex, so that noise lifts its mean: inlet and latency.

    Mean + 2 sd of n halls has a standard error of sqrt(1 + 2) sd / sqrt(n).
    """
    settled = settled_under_noise(solve_drivers(list(SHIPPED.values()), PLACE), profile)
    for channel, r in SHIPPED[profile].ranges.items():
        mean, sd = settled[channel].mean(), settled[channel].std()
        error = 3.5 * np.sqrt(3 / HALLS) * sd
        assert mean - 2 * sd >= r.low - error, channel
        assert mean + 2 * sd <= r.high + error or r.high == 100, channel


def test_channels_that_a_profile_leaves_out_limit_no_noise():
    bare = replace(SHIPPED["high_load"], ranges={c: SHIPPED["high_load"].ranges[c] for c in PROFILE_CHANNELS[:2]})
    full, free = (solve_drivers([SHIPPED["nominal"], p], PLACE) for p in (SHIPPED["high_load"], bare))
    assert free.offered_tokens_sd[1] > full.offered_tokens_sd[1]


@pytest.mark.parametrize(
    ("shift", "fits"), [(-1.1, False), (-0.9, True), (-0.5, True), (-0.1, True), (0.1, False), (0.5, False)]
)
def test_room_holds_mean_and_two_deviations_where_the_mean_lies_not_where_it_was_aimed(shift, fits):
    """With a deviation of 1, 3 of room below the aim and 2 above: from shift - 2 to shift + 2 within -3 to 2."""
    room = _Margin(below=np.array([[3.0]]), above=np.array([[2.0]]))
    assert room.holds(_Moments(np.array([[shift]]), np.array([[1.0]]))).all() == fits


def test_noise_lifts_the_mean_of_a_convex_channel_and_adds_its_own_variance():
    """Of y = a x + b x^2 under x of deviation s: the mean is b s^2, the variance a^2 s^2 as far as it is linear."""
    before = _Moments(np.array([[0.5]]), np.array([[0.25]]))
    after = before.plus(_Sensitivity(slope=np.array([[3.0]]), bend=np.array([[2.0]])), np.array([0.1]))
    assert (after.shift.item(), after.variance.item()) == pytest.approx((0.5 + 2 * 0.01, 0.25 + 9 * 0.01))


def test_latency_answers_to_load_as_its_queue_says():
    """Worked out from q u / (1 - u), u in proportion to load, over a step of h to both sides.

    It is convex: its secant is the steeper one upwards, and half its second difference is positive.
    """
    drivers = solve_drivers(list(SHIPPED.values()), PLACE)
    answer, h = _sensitivities(drivers, PLACE)["offered_tokens_ps"], _STEPS["offered_tokens_ps"]
    u = drivers.offered_tokens_ps[0] / (k.CAPACITY_TOKENS_PS * drivers.capacity[0])
    latency = PROFILE_CHANNELS.index("latency_p95_ms")
    assert answer.slope[latency, 0] == pytest.approx(k.LATENCY_QUEUE_MS * u / ((1 - u) * (1 - u * (1 + h))), rel=1e-6)
    bend = k.LATENCY_QUEUE_MS * u**2 / (1 - u) ** 3 / (1 - (h * u / (1 - u)) ** 2)
    assert answer.bend[latency, 0] == pytest.approx(bend, rel=1e-4)
    tokens = PROFILE_CHANNELS.index("tokens_ps")
    assert answer.slope[tokens, 0] == pytest.approx(drivers.offered_tokens_ps[0])
    assert answer.bend[tokens, 0] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("profile", SHIPPED)
def test_cutting_recirculation_off_at_none_lifts_no_inlet_by_what_its_sensor_could_show(profile):
    """Of r + s z cut off at 0 the mean lies s (phi(a) - a (1 - Phi(a))) above r, a = r / s.

    A third of the sensor's noise adds 5 % to it.
    """
    drivers, i = solve_drivers(list(SHIPPED.values()), PLACE), list(SHIPPED).index(profile)
    r, s = drivers.recirculation[i], drivers.recirculation_sd[i]
    normal = NormalDist()
    lifted = s * (normal.pdf(r / s) - r / s * normal.cdf(-r / s))
    settled = steady_state(drivers, PLACE)
    assert lifted * (settled["outlet_c"] - settled["inlet_c"])[i] <= CHANNELS["inlet_c"].noise / 3

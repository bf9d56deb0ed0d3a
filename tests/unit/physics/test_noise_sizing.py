"""Noise is sized so that a profile's ranges are filled and kept, all of its causes taken together."""

from dataclasses import replace

import numpy as np
import pytest

from sim.model.profiles import PROFILE_CHANNELS, shipped_profiles
from sim.plant import constants as k
from sim.plant.drivers import DRIVER_NAMES, Drivers
from sim.plant.fitting import solve_drivers
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

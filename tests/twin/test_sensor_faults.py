"""What each fault of a sensor makes of the readings that the same sensor gives in the twin, where it is healthy.

Both worlds have the same truth and the same noise of their sensors, so that all of a difference is the fault's.
"""

from functools import cache

import numpy as np
import pytest

from sim.incidents.catalogue import SWAPPED
from sim.model.channels import CHANNELS, MISSING
from tests.twin.worlds import live

TICK_S = 60
BUSY = slice(100, 300)
"""Ticks in whose readings the faults are."""
N = BUSY.stop - BUSY.start
RACKS = "R-C-01", "R-C-02", "R-C-03"


def fault(name, target="rack:R-C-*", *, at=BUSY.start * TICK_S, duration=N * TICK_S, **more):
    return {"kind": f"sensor_{name}", "target": target, "at": at, "duration": duration, **more}


def readings(run, channel, racks=RACKS):
    """Return what some racks' sensors show, and what they do in the twin, (ticks, racks) in the channel's unit."""
    columns = [run.hall.facility.racks.index(rack) for rack in racks]
    step = 10.0 ** -CHANNELS[channel].decimals
    both = (r[channel][:, columns] for r in (run.readings, run.twin_readings))
    return [np.where(r == MISSING, np.nan, r * step) for r in both]


@cache
def row(name, channel="inlet_c", severity=1.0, **parameters):
    """Return what a row's sensors show with a fault in all of them, and what they do in the twin."""
    return readings(live(fault(name, severity=severity, parameters={"channel": channel, **parameters})), channel)


def sigma(channel, healthy):
    """Return the standard deviation of a healthy reading: the table's noise, and the rounding of the last digit."""
    noise = CHANNELS[channel].noise * (healthy if CHANNELS[channel].noise_kind == "relative" else 1.0)
    return np.hypot(noise, 10.0 ** -CHANNELS[channel].decimals / 12**0.5)


def within_rounding(channel, one, other):
    return np.all(np.abs(one - other) <= 10.0 ** -CHANNELS[channel].decimals * (1 + 1e-6))


LATE_S = (60.0, 61.0, 90.0, 119.0, 120.0, 7000.0)


def test_a_late_sensor_shows_the_newest_truth_that_is_at_least_as_old_as_its_delay_with_the_noise_of_now():
    """None arrives before its delay is over, so that 90 s at a tick of 60 s are two ticks; the noise is the twin's."""
    racks = [f"R-{row}-0{i}" for row in "CD" for i in (1, 2, 3)]
    run = live(
        *(fault("late", f"rack:{rack}", parameters={"delay_s": d}) for rack, d in zip(racks, LATE_S, strict=True))
    )
    shown, healthy = readings(run, "inlet_c", racks)
    truth = run.truth["inlet_c"][:, [run.hall.facility.racks.index(rack) for rack in racks]]
    for column, delay_s in enumerate(LATE_S):
        for tick in range(BUSY.start, BUSY.stop):
            newest = max(tick - -(-delay_s // TICK_S), 0)  # the run knows nothing from before its start
            older = truth[int(newest), column] - truth[tick, column]
            assert within_rounding("inlet_c", shown[tick, column], healthy[tick, column] + older)


def test_a_late_sensor_does_not_repeat_what_was_read_before():
    """Two readings of equal truth are equal in a digit's share of what noise and rounding spread them over."""
    shown, healthy = row("late", delay_s=300)
    repeated = np.mean(shown[BUSY] == healthy[BUSY.start - 5 : BUSY.stop - 5])
    digits = 10.0 ** -CHANNELS["inlet_c"].decimals / (2 * np.pi**0.5 * CHANNELS["inlet_c"].noise)
    assert repeated <= digits + 3.5 * (digits / shown[BUSY].size) ** 0.5


@pytest.mark.parametrize("at_s", [6000, 6001, 6059])
def test_a_stuck_sensor_repeats_the_last_reading_before_the_fault(at_s):
    shown, healthy = readings(live(fault("stuck", at=at_s)), "inlet_c")
    first = -(-at_s // TICK_S)
    over = -(-(at_s + N * TICK_S) // TICK_S)
    assert np.all(shown[first:over] == healthy[first - 1])
    assert np.array_equal(shown[:first], healthy[:first])
    assert np.array_equal(shown[over:], healthy[over:])


@pytest.mark.parametrize("channel", ["inlet_c", "pdu_kw"])
@pytest.mark.parametrize(("severity", "sigmas"), [(1.0, 20.0), (0.5, 20.0), (1.0, -15.0)])
def test_an_offset_is_so_many_standard_deviations_of_the_healthy_sensor_by_its_strength(channel, severity, sigmas):
    shown, healthy = row("offset", channel, severity, sigmas=sigmas)
    off = severity * sigmas * sigma(channel, healthy)
    # a relative sensor's is taken at the truth, from which a reading is a few percent away: 4 sigmas of 0.8 %
    slack = 0.0 if channel == "inlet_c" else 4 * CHANNELS[channel].noise * np.abs(off).max()
    assert np.abs(shown - healthy - off)[BUSY].max() <= slack + 1.001 * 10.0 ** -CHANNELS[channel].decimals


def test_a_drift_grows_in_proportion_to_the_time_since_its_beginning():
    shown, healthy = row("drift", sigmas=30.0)
    part = np.arange(N)[:, None] / N
    off = part * 30.0 * sigma("inlet_c", 0.0)
    assert within_rounding("inlet_c", shown[BUSY], healthy[BUSY] + off)


@pytest.mark.parametrize("severity", [1.0, 0.5])
def test_spikes_come_in_the_share_of_samples_asked_for_up_as_often_as_down(severity):
    """Binomial: 3.5 standard errors, of the share and of the half of the spikes that go up."""
    shown, healthy = row("spike", severity=severity, share=0.3, sigmas=30.0)
    off = (shown - healthy)[BUSY]
    hit = np.abs(off) > 0.011
    assert abs(hit.mean() - 0.3) <= 3.5 * (0.3 * 0.7 / off.size) ** 0.5
    assert abs((off[hit] > 0).mean() - 0.5) <= 3.5 * (0.25 / hit.sum()) ** 0.5
    assert within_rounding("inlet_c", np.abs(off[hit]), severity * 30.0 * sigma("inlet_c", 0.0))


@pytest.mark.parametrize("severity", [1.0, 0.5])
def test_a_noisy_sensor_adds_normal_noise_of_so_many_sigmas_by_its_strength(severity):
    """Of n normal draws the mean's standard error is sd / sqrt(n), that of the deviation sd / sqrt(2 n)."""
    shown, healthy = row("noise", severity=severity, sigmas=12.0)
    off, sd = (shown - healthy)[BUSY], severity * 12.0 * float(sigma("inlet_c", 0.0))
    assert abs(off.mean()) <= 3.5 * sd / off.size**0.5
    assert abs(off.std() - sd) <= 3.5 * sd / (2 * off.size) ** 0.5
    assert len(np.unique(off)) > 0.3 * off.size, "each sample has a draw of its own"


@pytest.mark.parametrize(("share", "severity"), [(1.0, 1.0), (0.6, 1.0), (1.0, 0.3)])
def test_samples_drop_out_in_the_share_asked_for_by_its_strength_and_the_rest_stays(share, severity):
    shown, healthy = row("dropout", severity=severity, share=share)
    lost, p = np.isnan(shown)[BUSY], share * severity
    assert abs(lost.mean() - p) <= 3.5 * (p * (1 - p) / lost.size) ** 0.5
    assert np.array_equal(shown[BUSY][~lost], healthy[BUSY][~lost])


@pytest.mark.parametrize("channel", SWAPPED)
def test_swapped_sensors_each_show_what_the_other_measures(channel):
    run = live(fault("swap", parameters={"channel": channel}))
    other = SWAPPED[channel]
    (shown, healthy), (shown_there, healthy_there) = readings(run, channel), readings(run, other)
    assert np.array_equal(shown[BUSY], healthy_there[BUSY])
    assert np.array_equal(shown_there[BUSY], healthy[BUSY])


def test_a_reading_stays_where_a_sensor_can_show_it():
    """A speed ends at 100 %, and nothing but a temperature can be negative."""
    fan, _ = row("offset", "fan_rpm_pct", sigmas=1000.0)
    power, _ = row("offset", "pdu_kw", sigmas=-1000.0)
    assert np.all(fan[BUSY] == 100.0)
    assert np.all(power[BUSY] == 0.0)


@pytest.mark.parametrize("at_s", [6000, 6001, 6059])
@pytest.mark.parametrize("duration_s", [3600, 3617])
def test_a_sensors_fault_is_labelled_in_the_ticks_that_it_is_in_and_no_others(at_s, duration_s):
    """A reading is of its own instant, so that none is wrong from the end on."""
    run = live(fault("offset", at=at_s, duration=duration_s))
    inside = (run.ticks_s >= at_s) & (run.ticks_s < at_s + duration_s)
    columns = [run.hall.facility.racks.index(rack) for rack in RACKS]
    assert np.array_equal(run.marked[:, columns] == "sensor_offset-1", np.repeat(inside[:, None], len(RACKS), axis=1))
    assert np.array_equal(run.touched[:, columns].any(axis=1), inside)

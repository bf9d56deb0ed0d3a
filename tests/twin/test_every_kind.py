"""Every kind of incident against its twin: the same seed without it."""

from functools import cache

import numpy as np
import pytest

from sim.incidents.catalogue import CATALOGUE, SWAPPED
from sim.incidents.observed import OBSERVABLE_SIGMAS
from sim.model.channels import MEASURED, TELEMETRY_CHANNELS
from sim.plant import constants as k
from tests.twin.worlds import AT_S, affected, live

KINDS = sorted(CATALOGUE)
SENSOR = [name for name in KINDS if CATALOGUE[name].sensor]
UNSEEN = [name for name in KINDS if CATALOGUE[name].unseen]
PHYSICAL = [name for name in KINDS if not CATALOGUE[name].sensor and name not in UNSEEN]
OF_ONE_LOOP = [name for name in PHYSICAL if CATALOGUE[name].target_levels[0] in ("rack", "row", "loop")]

SLOWEST_S = k.RACK_HEAT_KJ_K / (k.AIR_KJ_M3K * k.AIRFLOW_BASE_M3S)
"""No air or coil of a rack follows its surroundings more slowly than its servers' mass at the least airflow, 317 s."""
WALLS_S = k.STRUCTURE_HEAT_KJ_K / k.STRUCTURE_KW_K
"""The walls of its aisles follow by this, and hand on a tenth of what the air carries for each kelvin."""
BACK_S = k.BOOT_S + k.LOAD_RETURN_S
"""Racks that stood dark serve all of their load again after this."""
SLEW_S = 80 / k.ACTUATOR_RATE_PCT_S
"""Fans and pumps take this long from one end of their range to the other."""


def stores_heat(kind):
    """Return whether the chilled water warms beneath all loops."""
    return any(effect.fault_input.startswith("chill") for effect in CATALOGUE[kind].effects)


LIQUID = [{"name": name, "racks": 3, **({"rack_type": "dlc"} if name == "C" else {})} for name in "ABCDEF"]


JOB = {"racks": "row:C", "checkpoint_every": "20m", "gpu_hours_per_failure": None}


def hall(kind):
    """Return what a hall needs for a kind to have something to affect."""
    if CATALOGUE[kind].whole_job:
        return {"training_job": JOB}
    # hot plates give off their heat at once when flow returns: more than the usual margin of so small a plant
    return {"facility": {"rows": LIQUID, "chiller_capacity_kw": 2500}} if CATALOGUE[kind].rack_type else {}


@cache
def of(kind):
    shorter = {"duration": "30m", "recovery": "30m"} if stores_heat(kind) else {}
    return live(affected(CATALOGUE[kind], causes=[], **shorter), **hall(kind))


@cache
def run_without(like):
    return live(**({} if like is None else hall(like)))


def plain(kind):
    """Return the run of a kind's hall without any incident, one for all kinds of a hall."""
    return run_without(next((other for other in ("loss_of_flow", "job_crash") if hall(other) == hall(kind)), None))


def over_tick(run, kind):
    incident = run.planned[f"{kind}-1"]
    return int(np.ceil((AT_S + incident.duration_s + incident.recovery_s) / run.tick_s))


@pytest.mark.parametrize("kind", KINDS)
def test_the_twin_is_bit_by_bit_the_run_without_the_incident(kind):
    run = of(kind)
    for name in TELEMETRY_CHANNELS:
        assert np.array_equal(run.twin_readings[name], plain(kind).readings[name]), name
    for name, values in plain(kind).truth.items():
        assert np.array_equal(run.twin_truth[name], values), name


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_changes_before_the_onset(kind):
    run = of(kind)
    assert not run.touched[run.ticks_s < AT_S].any()
    assert not run.sigmas[run.ticks_s < AT_S].any()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_ever_changes_out_of_reach_while_the_plant_holds(kind):
    run = of(kind)
    incident, event = run.planned[f"{kind}-1"], run.events[f"{kind}-1"]
    assert len(incident.reaches) == len(run.hall.facility.racks) or not event.saturated
    assert not np.delete(run.touched, incident.reaches, axis=1).any()
    assert set(np.delete(run.marked, incident.reaches, axis=1).flat) <= {""}


@pytest.mark.parametrize("kind", OF_ONE_LOOP)
def test_a_rack_a_row_and_a_loop_reach_their_own_loop(kind):
    run = of(kind)
    own = run.hall.facility.loop_of_rack == 1
    assert np.array_equal(run.planned[f"{kind}-1"].reaches, np.flatnonzero(own))
    assert run.touched[:, own].any()


@pytest.mark.parametrize("kind", UNSEEN)
def test_a_kind_that_says_that_nobody_can_see_it_changes_nothing(kind):
    assert not of(kind).touched.any()
    assert of(kind).events[f"{kind}-1"].onset_s is None


@pytest.mark.parametrize("kind", [name for name in KINDS if name not in UNSEEN])
def test_every_other_kind_can_be_observed_at_full_severity(kind):
    event = of(kind).events[f"{kind}-1"]
    assert event.onset_s is not None
    assert AT_S <= event.onset_s < event.end_s
    assert event.ticks > 0
    assert event.affected


@pytest.mark.parametrize("kind", PHYSICAL)
def test_the_effect_decays_after_the_recovery(kind):
    """Heat stored in chilled water goes by the plant's margin, actuators come back, then all follows exponentially."""
    run, stored_s = of(kind), 0.0
    sigmas, over = run.sigmas, over_tick(run, kind)
    if run.events[f"{kind}-1"].saturated:
        capacity_kw = k.CHILLER_MARGIN * k.DESIGN_RACK_KW * len(run.hall.facility.racks)
        load_kw = run.twin_truth["pdu_kw"].sum(axis=1).max()
        stored_s = run.planned[f"{kind}-1"].duration_s * 2 * load_kw / (capacity_kw - load_kw)  # recovery is as long
    lags_s = SLEW_S + k.LOOP_DEAD_TIME_S + k.LOOP_TAU_S
    bound_s = stored_s + lags_s + SLOWEST_S * np.log(max(sigmas[over:].max() / OBSERVABLE_SIGMAS, 1))
    begins = over + int(np.ceil((bound_s + BACK_S) / run.tick_s))
    later = sigmas[begins:]
    assert len(later) > 60
    # what walls took up meanwhile comes out of them: a tenth at most of what the air had
    walls = 0.1 * sigmas.max() * np.exp(-(np.arange(len(later)) + begins - over)[:, None] * run.tick_s / WALLS_S)
    assert (later < OBSERVABLE_SIGMAS + walls).all()
    assert later[-60:].max() < max(0.1 * sigmas.max(), OBSERVABLE_SIGMAS)


@pytest.mark.parametrize("kind", PHYSICAL)
def test_labels_tell_every_effect_that_can_be_seen_and_the_event_spans_it(kind):
    run = of(kind)
    event, seen = run.events[f"{kind}-1"], run.sigmas > OBSERVABLE_SIGMAS
    assert np.all(run.marked[seen] == f"{kind}-1")
    lit = np.flatnonzero(seen.any(axis=1))
    assert (event.onset_s, event.observable_end_s) == (lit[0] * run.tick_s, (lit[-1] + 1) * run.tick_s)
    assert run.sigmas[int(event.peak_s / run.tick_s)].max() == pytest.approx(run.sigmas.max())
    racks = np.array(run.hall.facility.racks)
    assert list(event.affected) == racks[seen.any(axis=0)].tolist()
    assert event.ticks == (run.marked == f"{kind}-1").any(axis=1).sum()
    told = run.incident_labels("physical")
    assert not told.any() if CATALOGUE[kind].is_normal else np.all(told[seen])


@pytest.mark.parametrize("kind", PHYSICAL)
def test_the_racks_affected_are_labelled_from_the_planned_start_to_the_planned_end(kind):
    run = of(kind)
    incident = run.planned[f"{kind}-1"]
    first, last = int(np.ceil(AT_S / run.tick_s)), over_tick(run, kind)
    own = run.marked[:, incident.racks] == f"{kind}-1"
    assert own[first : last + 1].all()
    assert not own[:first].any()


def channels_of(kind):
    return [c for c in MEASURED if c in SWAPPED] if CATALOGUE[kind].sensor == "swap" else MEASURED


RACKS = [f"R-{row}-0{i}" for row in "ABC" for i in (1, 2, 3)]
DERIVED = {"inlet_c": "delta_t", "outlet_c": "delta_t", "gpu_power_kw": "gpu_energy_j"}


def may_change(kind, channel):
    """Return the channels that a fault of a channel's sensor may show in."""
    may = {channel, DERIVED.get(channel)}
    return may | {SWAPPED[channel], DERIVED.get(SWAPPED[channel])} if CATALOGUE[kind].sensor == "swap" else may


@cache
def faulty(kind):
    """Return a run with one fault for each channel whose sensor can have it, each on a rack of its own."""
    on = zip(RACKS, channels_of(kind), strict=False)
    return live(*(affected(CATALOGUE[kind], target=f"rack:{r}", parameters={"channel": c}) for r, c in on))


@pytest.mark.parametrize("kind", SENSOR)
def test_a_sensor_fault_changes_its_own_channel_and_what_is_derived_from_it(kind):
    run = faulty(kind)
    for name, truth in run.truth.items():
        assert np.array_equal(truth, run.twin_truth[name]), name
    for column, channel in enumerate(channels_of(kind)):
        changed = {
            n for n in TELEMETRY_CHANNELS if (run.readings[n][:, column] != run.twin_readings[n][:, column]).any()
        }
        assert channel in changed
        assert changed <= may_change(kind, channel)


@pytest.mark.parametrize("kind", SENSOR)
def test_a_sensor_fault_shows_on_its_rack_while_it_lasts_and_is_named_there(kind):
    run = faulty(kind)
    blocks = [b.incident_labels for b in run.kept.label_blocks]
    named = np.concatenate([np.array(b.sensor_names, dtype=object)[b.sensors] for b in blocks])
    assert np.array_equal(named != "", run.marked != "")
    assert not run.incident_labels("physical").any()
    assert not run.touched[:, len(channels_of(kind)) :].any()
    for column, channel in enumerate(channels_of(kind)):
        incident, at_s = run.planned[f"{kind}-{column + 1}"], run.ticks_s[run.touched[:, column]]
        assert incident.racks.tolist() == [column]
        assert AT_S <= at_s.min() <= at_s.max() < AT_S + incident.duration_s
        assert set(named[run.touched[:, column], column]) == {channel}

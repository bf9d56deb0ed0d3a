"""Incidents as processes: they wait, begin and set each other off, told as literal lists of (time, what)."""

import numpy as np
import pytest

from sim.common.streams import Streams
from sim.incidents.active import ActiveIncidents, IncidentAgent
from sim.incidents.planning import Trigger, plan_incidents
from tests.process.stage import quiet_hall, run


class IncidentRegister(ActiveIncidents):
    """Active incidents that writes down what begins, and what set it off."""

    def __init__(self, log):
        super().__init__(60)
        self.log = log

    def begins(self, incident, time_s, cause):
        name = super().begins(incident, time_s, cause)
        self.log.append((time_s, name if cause is None else f"{name} by {cause}"))
        return name


class Draws:
    """A generator whose draws are written down; the last one stays."""

    def __init__(self, *draws):
        self.draws = list(draws)
        self.asked = 0

    def random(self):
        self.asked += 1
        return self.draws.pop(0) if len(self.draws) > 1 else self.draws[0]


@pytest.fixture
def play(env, log):
    """Play incidents to a time and return the log; `draws` decide what is set off."""

    def of(*incidents, until_s=3600, draws=(0.5,)):
        hall = quiet_hall(incidents=list(incidents))
        planned = plan_incidents(hall.scenario, hall.facility, Streams(1))
        active, agents = IncidentRegister(log), {}
        for name, incident in planned.items():
            agents[name] = IncidentAgent(env, incident, active, Draws(*draws), agents)
        for agent in agents.values():
            agent.start()
        env.run(until=until_s)
        return log

    return of


def trip(at, **more):
    return {"kind": "breaker_trip", "target": "rack:R-A-01", "at": at, "duration": "10m", **more}


def lost(**more):
    return {"kind": "nodes_lost", "target": "rack:R-A-02", **more}


def test_an_incident_begins_at_its_time(play):
    assert play(trip("10m"), lost(at=90.5)) == [(90.5, "nodes_lost-1"), (600, "breaker_trip-1")]


def test_it_sets_off_what_it_causes_after_the_delay(play):
    follow = {"kind": "gpu_throttle", "target": "row:A", "after": "5m"}
    assert play(trip("1m", causes=[follow, lost(after="30s")])) == [
        (60, "breaker_trip-1"),
        (90, "breaker_trip-1.nodes_lost by breaker_trip-1"),
        (360, "breaker_trip-1.gpu_throttle by breaker_trip-1"),
    ]


def test_kinds_set_off_what_is_theirs_unless_the_scenario_says_otherwise(play):
    sag = {"kind": "utility_sag", "at": "1m"}
    assert play(sag) == [
        (60, "utility_sag-1"),
        (60.1, "utility_sag-1.ups_transfer by utility_sag-1"),
        (61, "utility_sag-1.chiller_trip by utility_sag-1"),
    ]


def test_a_scenario_may_set_off_nothing(play):
    assert play({"kind": "utility_sag", "at": "1m", "causes": []}) == [(60, "utility_sag-1")]


@pytest.mark.parametrize(
    ("probability", "draw", "happens"),
    [(0, 0.0, False), (1, 0.999999, True), (0.3, 0.29, True), (0.3, 0.3, False), (0.3, 0.31, False)],
)
def test_a_draw_decides_what_follows(play, probability, draw, happens):
    log = play(trip("1m", causes=[lost(after="1m", probability=probability)]), draws=(draw,))
    assert log[1:] == [(120, "breaker_trip-1.nodes_lost by breaker_trip-1")] * happens


def test_each_cause_costs_one_draw_whether_or_not_it_happens(env, log):
    hall = quiet_hall(incidents=[trip("1m", causes=[lost(probability=0), lost(probability=1), lost(probability=0.5)])])
    planned = plan_incidents(hall.scenario, hall.facility, Streams(1))
    draws, agents = Draws(0.9), {}
    for name, incident in planned.items():
        agents[name] = IncidentAgent(env, incident, IncidentRegister(log), draws, agents)
    agents["breaker_trip-1"].start()
    env.run(until=600)
    assert draws.asked == 3


def test_a_cause_may_be_named_by_its_id(play):
    later = {"kind": "fan_failure", "target": "rack:R-B-01", "id": "fan"}
    log = play(trip("1m", causes=[{"incident": "fan", "after": "2m"}]), later)
    assert log == [(60, "breaker_trip-1"), (180, "fan by breaker_trip-1")]


def test_what_others_set_off_may_have_a_time_of_its_own_too(play):
    later = {"kind": "fan_failure", "target": "rack:R-B-01", "id": "fan", "at": "30m", "duration": "1m"}
    log = play(trip("1m", causes=[{"incident": "fan", "after": "2m"}]), later)
    assert log == [(60, "breaker_trip-1"), (180, "fan by breaker_trip-1"), (1800, "fan.2")]


def test_what_is_under_way_does_not_begin_again(play):
    """Neither itself by another's doing, nor an exclusive kind where it holds the same asset."""
    fan = {"kind": "fan_failure", "target": "rack:R-B-01", "id": "fan", "at": "1m", "duration": "10m"}
    first, other = (trip(at, id=name, causes=[{"incident": "fan"}]) for at, name in (("2m", "one"), ("13m", "two")))
    again = trip("24m", id="set", causes=[{"kind": "breaker_trip", "target": "rack:R-A-*", "after": "1m"}])
    assert play(fan, first, other, again, until_s=2400) == [
        (60, "fan"),
        (120, "one"),
        (780, "two"),
        (780, "fan.2 by two"),
        (1440, "set"),
    ]


def test_one_that_is_not_exclusive_begins_beside_its_like(play):
    assert play(lost(at="1m", duration="1h"), lost(at="2m", duration="1h")) == [
        (60, "nodes_lost-1"),
        (120, "nodes_lost-2"),
    ]


def test_an_exclusive_one_begins_again_once_its_like_is_over(play):
    assert play(trip("1m"), trip("11m")) == [(60, "breaker_trip-1"), (660, "breaker_trip-2")]


def test_a_circle_with_a_delay_goes_on_until_the_run_ends(play):
    ping = trip("1m", id="ping", causes=[{"incident": "pong", "after": "15m"}])
    pong = {"kind": "fan_failure", "target": "rack:R-B-01", "id": "pong", "duration": "1m",
            "causes": [{"incident": "ping", "after": "5m"}]}  # fmt: skip
    assert play(ping, pong, until_s=4000) == [
        (60, "ping"),
        (960, "pong by ping"),
        (1260, "ping.2 by pong"),
        (2160, "pong.2 by ping.2"),
        (2460, "ping.3 by pong.2"),
        (3360, "pong.3 by ping.3"),
        (3660, "ping.4 by pong.3"),
    ]


def test_a_chain_without_delay_happens_at_once(play):
    chain = trip("1m", causes=[lost(causes=[{"kind": "gpu_throttle", "target": "row:B"}])])
    assert play(chain) == [
        (60, "breaker_trip-1"),
        (60, "breaker_trip-1.nodes_lost by breaker_trip-1"),
        (60, "breaker_trip-1.nodes_lost.gpu_throttle by breaker_trip-1.nodes_lost"),
    ]


def test_a_chain_without_delay_is_seen_in_the_sample_of_its_instant():
    """A dead sensor at the end of a chain that begins at a tick shows in that very tick."""
    dark = {"kind": "sensor_dropout", "target": "rack:R-B-02", "duration": "5m"}
    hall = quiet_hall(incidents=[trip("10m", causes=[lost(causes=[dark])])])
    inlet = run(hall).readings["inlet_c"][:, hall.facility.racks.index("R-B-02")]
    assert np.flatnonzero(np.isnan(inlet)).tolist() == [10, 11, 12, 13, 14]


def test_incidents_of_one_instant_begin_in_the_order_of_the_file(play):
    assert play(lost(at="5m"), trip("5m"), lost(at="5m")) == [
        (300, "nodes_lost-1"),
        (300, "breaker_trip-1"),
        (300, "nodes_lost-2"),
    ]


def test_a_random_target_is_chosen_once_and_by_the_seed():
    hall = quiet_hall(incidents=[lost(at="1m") | {"target": "random(rack, 3)"}])
    drawn = [plan_incidents(hall.scenario, hall.facility, Streams(s))["nodes_lost-1"].assets for s in (1, 1, 2, 3)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 1
    assert all(len(set(assets)) == 3 for assets in drawn)


def test_causes_are_planned_once_for_each_that_sets_them_off():
    hall = quiet_hall(incidents=[trip("1m", causes=[lost(after=1), lost(after=2)])])
    planned = plan_incidents(hall.scenario, hall.facility, Streams(1))
    assert list(planned["breaker_trip-1"].triggers) == [
        Trigger("breaker_trip-1.nodes_lost", 1, 1),
        Trigger("breaker_trip-1.nodes_lost-2", 2, 1),
    ]
    assert [i.origin for i in planned.values()] == ["caused", "caused", "scripted"]

"""Incidents as a report tells and draws them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sim.reports.recorded import read_recorded
from sim.reports.struck import POINTS, draw, incidents_of, most_telling
from sim.reports.tables import incident_row


@pytest.fixture(scope="module")
def recorded(telemetry):
    return read_recorded(telemetry)


@pytest.fixture(scope="module")
def incidents(recorded):
    return {each.kind: each for each in incidents_of(recorded)}


def test_incidents_are_those_of_the_events_file_in_order_of_their_begin(recorded, telemetry):
    events = pd.read_csv(telemetry.with_name("small.events.csv"), parse_dates=["planned_start", "observable_onset"])
    told = events[events["type"] != "episode"].sort_values("planned_start")
    found = incidents_of(recorded)
    assert [each.event_id for each in found] == list(told["event_id"])
    assert [each.start_s for each in found] == [t.timestamp() for t in told["planned_start"]]
    reached = [set(racks.split("|")) for racks in told["affected_assets"]]
    assert [{recorded.grid.racks[rack] for rack in each.racks} for each in found] == reached


def test_what_was_planned_and_what_was_seen_are_told_in_minutes(recorded, incidents):
    row = incident_row(incidents["fan_failure"], recorded)
    assert (row["root"], row["planned"], row["lasts"]) == ("R-A-02", "2025-01-06 09:00:00", "40.0")
    assert float(row["after"]) == (incidents["fan_failure"].onset_s - incidents["fan_failure"].start_s) / 60


def test_a_picture_is_of_the_rack_and_channel_that_show_the_incident(recorded, incidents):
    failed, stuck = (draw(recorded, incidents[kind]) for kind in ("fan_failure", "sensor_stuck"))
    assert failed.rack == "R-A-02"
    assert stuck.rack == "R-B-01"
    held = recorded.readings[stuck.channel][:, recorded.grid.racks.index("R-B-01")][310:350]
    assert (
        np.ptp(held) == 0
    )  # ten minutes into the fault, which begins at 11:00, the channel that it is on stands still


def test_a_picture_holds_what_was_read_and_what_the_twin_read(recorded, incidents, telemetry):
    drawn = draw(recorded, incidents["fan_failure"])
    for name, values in (("small.csv", drawn.ours), ("small.twin.csv", drawn.twin)):
        frame = pd.read_csv(telemetry.with_name(name), parse_dates=["ts"])
        own = frame[frame["rack_id"] == drawn.rack].set_index("ts")[drawn.channel]
        at = pd.to_datetime(drawn.at_s, unit="s", utc=True)
        assert values == pytest.approx(own.loc[at].to_list(), abs=1e-4)
    assert len(drawn.at_s) <= POINTS


def test_without_a_twin_a_picture_is_set_against_what_came_before(recorded, incidents):
    alone = type(recorded)(recorded.path, recorded.grid, recorded.readings, recorded.rows, events=recorded.events)
    drawn = draw(alone, incidents["fan_failure"])
    assert drawn.twin is None
    assert drawn.rack == "R-A-02"


def test_the_picture_shown_first_is_of_what_reached_most_and_of_none_where_none_was_drawn(recorded, incidents):
    told = list(incidents.values())
    assert most_telling(told) is most_telling([]) is None
    drawn = [replace(each, drawn=draw(recorded, each)) for each in told]
    wider = replace(drawn[0], racks=tuple(range(6)))
    assert most_telling([*drawn, wider]) == len(drawn)

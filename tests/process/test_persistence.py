"""What an incident's effect lasts decides whether it is persistent, not what was planned."""

import numpy as np
import pytest

from sim.engine.build import build
from sim.runs.memory import MemorySink
from tests.process.stage import quiet_hall


def marks_and_event(kind, target, duration):
    """Return what labels say of an incident that acts at once and ends at once, and its event."""
    incident = {"kind": kind, "target": target, "at": "1h", "duration": duration, "shape": "step", "recovery": 0}
    hall = quiet_hall(incidents=[incident], duration="4h")
    seen = MemorySink(hall)
    build(hall, [seen]).run()
    incident_labels = [block.incident_labels for block in seen.label_blocks]
    felt = np.concatenate([m.physical | m.sensor for m in incident_labels])
    return felt, np.concatenate([m.persistent for m in incident_labels]), seen.incidents[0]


@pytest.mark.parametrize(("kind", "target"), [("pump_trip", "loop:CL-1"), ("fan_failure", "rack:R-A-02")])
def test_a_thermal_incident_of_an_hour_is_persistent_wherever_it_is_felt(kind, target):
    felt, persistent, event = marks_and_event(kind, target, "1h")
    assert event.persistent
    assert felt.any(axis=1).sum() >= 60
    affected = felt.sum(axis=0) >= 60
    assert affected.any()
    assert persistent[:, affected][felt[:, affected]].all()


@pytest.mark.parametrize(
    ("kind", "target", "duration"),
    [
        ("containment_breach", "row:A", "2m"),
        ("missing_blanking_panels", "rack:R-A-02", "3m"),
        ("nodes_lost", "rack:R-A-02", "1m"),
        ("sensor_offset", "rack:R-A-02", "3m"),
    ],
)
def test_a_blip_that_the_hall_forgets_within_six_minutes_is_transient(kind, target, duration):
    felt, persistent, event = marks_and_event(kind, target, duration)
    assert felt.any()
    assert not persistent.any()
    assert not event.persistent


def test_three_minutes_that_the_hall_needs_ten_to_forget_are_persistent():
    felt, persistent, event = marks_and_event("pump_trip", "loop:CL-1", "3m")
    assert event.persistent
    assert felt.any(axis=1).sum() >= 6
    assert persistent.any()

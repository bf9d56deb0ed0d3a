"""What a scenario means once it is sound."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from sim.model.profiles import shipped_profiles
from sim.scenario.checks import parse_scenario


def scenario(**data):
    return parse_scenario({"name": "hall", **data}, "hall.yaml")


def test_the_defaults_are_a_week_at_a_minute_from_a_monday_with_seed_42():
    s = scenario()
    assert (s.start, s.duration, s.tick, s.seed) == (datetime(2025, 1, 6, tzinfo=UTC), 604_800.0, 60.0, 42)
    assert s.start.weekday() == 0


def test_seed_0_is_a_seed():
    assert scenario(seed=0).seed == 0


def test_ticks_cover_the_run_without_its_end():
    assert scenario(duration="168h", tick="60s").tick_count == 10_080
    assert scenario(duration="1h", tick="30s").tick_count == 120


def test_nothing_in_a_scenario_changes_once_it_is_read():
    with pytest.raises(ValidationError, match="frozen"):
        scenario().seed = 1


def test_an_edited_range_takes_its_middle_and_keeps_the_profiles_other_channels():
    nominal = scenario(profiles={"nominal": {"inlet_c": [20, 26]}}).resolved_profiles()["nominal"]
    assert (nominal.ranges["inlet_c"].low, nominal.ranges["inlet_c"].high, nominal.ranges["inlet_c"].typical) == (
        *(20, 26),
        23,
    )
    assert nominal.ranges["outlet_c"] == shipped_profiles()["nominal"].ranges["outlet_c"]


def test_a_new_profile_comes_after_the_shipped_ones_and_has_only_what_it_states():
    profiles = scenario(profiles={"siesta": {"pdu_kw": [4, 6]}}).resolved_profiles()
    assert list(profiles) == [*shipped_profiles(), "siesta"]
    assert list(profiles["siesta"].ranges) == ["pdu_kw"]
    assert profiles["siesta"].anomaly_kind == "custom"


def test_naming_one_share_keeps_the_documents_others():
    law = scenario(occupancy={"anytime": {"thermal_event": 0.10}}).occupancy
    assert law.anytime == {"thermal_event": 0.10, "overcooled": 0.03}
    assert law.business == {"high_load": 0.30}
    assert law.off_hours == {"under_utilized": 0.20}


def test_naming_one_rows_share_keeps_its_others_and_the_other_rows():
    law = scenario(occupancy={"rows": {"C": {"overcooled": 0.02}, "A": {"thermal_event": 0.0}}}).occupancy
    assert law.rows == {
        "C": {"thermal_event": 0.08, "overcooled": 0.02},
        "E": {"overcooled": 0.15},
        "A": {"thermal_event": 0.0},
    }


def test_shipped_stays_last_what_the_design_starts_from_and_custom_ones_45_minutes():
    s = scenario(profiles={"siesta": {"pdu_kw": [4, 6]}}, dwell={"mean": {"overcooled": "2h"}})
    minutes = {name: s.mean_dwell_s(name) / 60 for name in s.resolved_profiles() if name != "nominal"}
    assert minutes == {"thermal_event": 25, "high_load": 45, "overcooled": 120, "under_utilized": 75, "siesta": 45}


def test_two_scenarios_do_not_share_their_defaults():
    one, other = scenario(), scenario(occupancy={"rows": {"C": {"thermal_event": 0.2}}})
    assert one.occupancy.rows["C"] == {"thermal_event": 0.08}
    assert other.occupancy.rows["C"] == {"thermal_event": 0.2}


def test_a_scenario_written_out_reads_back_as_itself():
    s = scenario(
        duration="2d14h", tick="2m", profiles={"nominal": {"inlet_c": [20, 26]}}, facility={"rows": ["A", "B"]}
    )
    assert parse_scenario(s.model_dump(mode="json"), "again") == s


def test_what_an_incident_sets_off_by_its_id_reads_back_as_itself():
    """Written out it has all keys, at their defaults: they say nothing of the incident that is set off."""
    later = {"kind": "fan_failure", "target": "rack:R-A-01", "id": "b"}
    first = {"kind": "pump_trip", "target": "loop:CL-1", "at": "1h", "causes": [{"incident": "b", "after": "5m"}]}
    s = scenario(incidents=[first, later])
    assert parse_scenario(s.model_dump(mode="json"), "again") == s

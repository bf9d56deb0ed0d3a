"""When an incident begins: offsets, instants, and the site's clock."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.incidents.schema import seconds_into_run

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK_S = 7 * 86_400

starts = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001 - the zone comes with it
    lambda when: when.replace(microsecond=0, tzinfo=UTC)
)
offsets = st.integers(-48, 56).map(lambda quarters: quarters / 4)


@given(starts, offsets, st.integers(0, 6), st.integers(0, 23), st.integers(0, 59))
def test_a_clock_time_is_the_first_on_the_sites_own_clock_from_the_start_on(start, utc_offset_h, day, hour, minute):
    seconds = seconds_into_run(f"{WEEKDAYS[day]} {hour}:{minute:02d}", start, utc_offset_h)
    local = start + timedelta(hours=utc_offset_h, seconds=seconds)
    assert (local.weekday(), local.hour, local.minute, local.second) == (day, hour, minute, 0)
    assert 0 <= seconds < WEEK_S


@pytest.mark.parametrize(
    ("start", "utc_offset_h", "hours"),
    [
        ("2025-01-05T23:30:00Z", 1, 13.5),  # Sunday in UTC, Monday 00:30 at the site
        ("2025-01-05T23:30:00Z", 0, 14.5),
        ("2025-01-06T00:30:00Z", -1, 14.5),  # Monday in UTC, Sunday 23:30 at the site
        ("2025-01-06T14:00:00Z", 0, 0),
        ("2025-01-06T14:00:01Z", 0, 7 * 24 - 1 / 3600),
    ],
)
def test_monday_at_two_is_that_of_the_site_on_either_side_of_midnight(start, utc_offset_h, hours):
    assert seconds_into_run("mon 14:00", datetime.fromisoformat(start), utc_offset_h) == pytest.approx(hours * 3600)


@given(starts, offsets, st.integers(0, 10**6))
def test_an_instant_and_an_offset_mean_the_same_wherever_the_site_is(start, utc_offset_h, seconds):
    instant = (start + timedelta(seconds=seconds)).isoformat()
    assert seconds_into_run(instant, start, utc_offset_h) == seconds
    assert seconds_into_run(f"{seconds}s", start, utc_offset_h) == seconds

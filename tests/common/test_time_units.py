"""Durations and instants as people write them."""

from datetime import UTC, date, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.common.time_units import (
    InstantError,
    format_duration,
    format_instant,
    instant_us,
    instants_us,
    parse_duration_s,
    parse_hours_s,
    parse_instant,
    parse_whole_instant,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90m", 5400.0),
        ("2d14h", 223_200.0),
        ("7d", 604_800.0),
        ("1w", 604_800.0),
        ("1.5h", 5400.0),
        ("1h30m15s", 5415.0),
        (" 60 ", 60.0),
        ("60", 60.0),
        (60, 60.0),
        (0.5, 0.5),
        ("1e3", 1000.0),
        ("1.1h", 3960.0),
        ("0.1h0.7m", 402.0),
    ],
)
def test_a_duration_is_text_with_units_or_a_bare_number_of_seconds(text, seconds):
    assert parse_duration_s(text) == seconds


@given(st.integers(0, 10**7), st.sampled_from("wdhms"))
def test_a_duration_with_a_fraction_is_exact(thousandths, unit):
    seconds = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}[unit]
    text = f"{thousandths // 1000}.{thousandths % 1000:03d}{unit}"
    assert parse_duration_s(text) == thousandths * seconds / 1000


@given(st.integers(0, 10**7))
def test_hours_with_a_fraction_are_exact(thousandths):
    assert parse_hours_s(f"{thousandths // 1000}.{thousandths % 1000:03d}") == thousandths * 3600 / 1000


def test_hours_may_say_their_unit():
    assert parse_hours_s("0.55") == 1980.0
    assert parse_hours_s("48h") == parse_hours_s("2d") == parse_hours_s("48") == 172_800.0


@pytest.mark.parametrize("value", ["", "h", "1h30", "90 m", "1y", "2 fortnights", "1h-30m", True, None, [60], {"h": 1}])
def test_what_is_no_duration_is_refused_with_an_example_of_one(value):
    with pytest.raises(ValueError, match="90m or 2d14h"):
        parse_duration_s(value)


def test_an_integer_too_large_for_any_clock_is_refused():
    with pytest.raises(ValueError, match="beyond any calendar"):
        parse_duration_s(10**400)


@given(st.integers(0, 10**12))
def test_whole_seconds_survive_being_written_and_read(seconds):
    assert parse_duration_s(format_duration(seconds)) == seconds


@given(st.floats(0, 1e9, allow_nan=False))
def test_any_fraction_of_a_second_survives_being_written_and_read(seconds):
    assert parse_duration_s(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (60, "1m"), (223_200, "2d14h"), (604_800, "7d"), (0.25, "0.25s"), (1_234_567.5, "1234567.5s")],
)
def test_a_duration_is_written_as_short_as_it_can_be(seconds, text):
    assert format_duration(seconds) == text


def test_a_negative_duration_is_shown_with_its_sign():
    assert format_duration(-5) == "-5s"
    assert format_duration(-5400.0) == "-1h30m"


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 12, 31)).map(lambda t: t.replace(microsecond=0, tzinfo=UTC)))  # noqa: DTZ001 - hypothesis wants naive limits
def test_an_instant_survives_being_written_and_read(instant):
    assert parse_instant(format_instant(instant)) == instant


def test_an_instant_without_an_offset_is_taken_as_utc():
    assert parse_instant("2025-01-06T08:30:00") == datetime(2025, 1, 6, 8, 30, tzinfo=UTC)


def test_an_instant_with_an_offset_is_turned_to_utc():
    assert format_instant(parse_instant("2025-01-06T08:30:00+02:00")) == "2025-01-06T06:30:00Z"
    local = datetime(2025, 1, 6, 8, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert format_instant(parse_instant(local)) == "2025-01-06T13:30:00Z"


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 12, 31)).map(lambda t: t.replace(tzinfo=UTC)))  # noqa: DTZ001 - as above
def test_an_instant_keeps_its_microseconds(instant):
    assert parse_instant(format_instant(instant)) == instant
    assert parse_instant(f"{instant.isoformat(timespec='microseconds')}") == instant


def test_a_scenario_s_instants_are_whole_seconds():
    with pytest.raises(ValueError, match="whole second"):
        parse_whole_instant("2025-01-06T00:00:00.5Z")


INSTANTS = st.datetimes(datetime(1971, 1, 1), datetime(2199, 12, 31)).map(lambda t: t.replace(tzinfo=UTC))  # noqa: DTZ001 - as above
SPELLINGS = (
    lambda t: t.replace(tzinfo=None).isoformat(sep=" "),
    lambda t: f"{t.replace(tzinfo=None).isoformat()}Z",
    lambda t: t.isoformat(),
    lambda t: t.astimezone(timezone(timedelta(hours=-3, minutes=-30))).isoformat(),
    lambda t: f"{t.replace(tzinfo=None).isoformat(timespec='microseconds')}00",
)


@given(st.lists(INSTANTS, min_size=1, max_size=20), st.data())
def test_a_column_of_instants_is_the_same_in_any_spelling_and_type(instants, data):
    us = [instant_us(instant) for instant in instants]
    texts = [data.draw(st.sampled_from(SPELLINGS))(instant) for instant in instants]
    assert instants_us(pa.array(texts)).tolist() == us
    assert instants_us(pa.array(texts).dictionary_encode()).tolist() == us
    for unit in ("us", "ns"):
        for zone in (None, "UTC", "America/New_York"):
            assert (
                instants_us(
                    pa.array(us, pa.timestamp("us")).cast(pa.timestamp(unit)).cast(pa.timestamp(unit, zone))
                ).tolist()
                == us
            )
    whole = [u // 1_000_000 for u in us]
    assert instants_us(pa.array(whole, pa.timestamp("s", "UTC"))).tolist() == [1_000_000 * s for s in whole]


@pytest.mark.parametrize(
    ("column", "row", "said"),
    [
        (pa.array(["2025-01-06", None]), 1, "is empty"),
        (pa.array([1736121600]), 0, "does not say a unit"),
        (pa.array([1736121600.0]), 0, "does not say a unit"),
        (pa.array(["2025-01-06", "soon"]), 1, "'soon': an instant is ISO 8601"),
        (pa.array(["2025-01-06", "2300-01-01"]), 1, "1970 and 2200"),
        (pa.array([0, 2**62], pa.timestamp("us")), 1, "1970 and 2200"),
        (pa.array([[1]]), 0, "does not say a unit"),
    ],
)
def test_a_column_that_holds_something_else_names_the_row(column, row, said):
    with pytest.raises(InstantError, match=said) as caught:
        instants_us(column)
    assert caught.value.row == row


def test_a_category_that_does_not_occur_is_not_read():
    coded = pa.DictionaryArray.from_arrays(pa.array([0, 0]), pa.array(["2025-01-06", "soon"]))
    assert len(instants_us(coded)) == 2


def test_a_day_without_a_time_starts_at_midnight_as_text_and_as_yaml_reads_it():
    midnight = datetime(2025, 1, 6, tzinfo=UTC)
    assert parse_instant("2025-01-06") == midnight
    assert parse_instant(date(2025, 1, 6)) == midnight


@pytest.mark.parametrize("value", ["now", "6 January", "", 1736121600, None, ["2025-01-06"]])
def test_what_is_no_instant_is_refused_with_an_example_of_one(value):
    with pytest.raises(ValueError, match="2025-01-06T00:00:00Z"):
        parse_instant(value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1969-12-31T23:59:59Z", "1970 and 2200"),
        ("2201-01-01T00:00:00Z", "1970 and 2200"),
        ("0001-01-01T00:00:00+14:00", "1970 and 2200"),
        ("9999-12-31T23:59:59-12:00", "1970 and 2200"),
    ],
)
def test_an_instant_no_file_can_hold_is_refused(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_instant(text)

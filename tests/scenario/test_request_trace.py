"""Request traces: every spelling of an instant is read alike, tokens are conserved, what is no demand is refused."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.common.errors import InputError
from sim.scenario.request_trace import COLUMNS, MAX_TOKENS, read_request_trace

START = datetime(2024, 5, 10, tzinfo=UTC)
HEADER = ",".join(COLUMNS)


@pytest.fixture(scope="module")
def trace_of(tmp_path_factory):
    """Write lines as a trace and read it."""
    path = tmp_path_factory.mktemp("traces") / "trace.csv"

    def read(lines, bin_s=30.0, tokens="total", **options):
        path.write_text("\n".join([HEADER, *lines]) + "\n")
        return read_request_trace(path, bin_s, tokens, **options)

    return read


def refused(read, *args, **options):
    with pytest.raises(InputError) as caught:
        read(*args, **options)
    return str(caught.value)


def lines_of(seconds, context, spell=lambda instant: instant.isoformat()):
    return [f"{spell(START + timedelta(seconds=s))},{c},0" for s, c in zip(seconds, context, strict=True)]


def naive(instant):
    return instant.replace(tzinfo=None).isoformat(sep=" ")


def with_z(instant):
    return f"{instant.replace(tzinfo=None).isoformat()}Z"


def seven_digits(instant):
    return f"{instant.replace(tzinfo=None).isoformat(sep=' ', timespec='microseconds')}0"


def at_offset(hours):
    return lambda instant: instant.astimezone(timezone(timedelta(hours=hours))).isoformat(sep=" ")


SPELLINGS = [naive, with_z, seven_digits, at_offset(5.5), at_offset(-5), at_offset(14)]
REQUESTS = st.lists(
    st.tuples(st.integers(0, 4_000_000_000).map(lambda us: us / 1e6), st.integers(0, 10_000)), min_size=3, max_size=40
).filter(lambda r: max(s for s, _ in r) - min(s for s, _ in r) > 100 and sum(c for _, c in r) > 0)


@given(REQUESTS, st.data())
def test_the_same_instants_in_any_spelling_are_the_same_trace(trace_of, requests, data):
    seconds, context = zip(*requests, strict=True)
    plain = trace_of(lines_of(seconds, context, naive))
    mixed = [lines_of([s], [c], data.draw(st.sampled_from(SPELLINGS)))[0] for s, c in requests]
    again = trace_of(mixed)
    assert (plain.bin_s, plain.requests) == (again.bin_s, again.requests)
    assert np.array_equal(plain.rates_ps, again.rates_ps)


@given(REQUESTS, st.floats(1, 100))
def test_tokens_are_conserved_whatever_the_bins_and_the_order_of_the_lines(trace_of, requests, bin_s):
    requests = sorted(requests)
    seconds, context = zip(*requests, strict=True)
    if (seconds[-1] - seconds[0]) < 2 * bin_s:
        return
    trace = trace_of(lines_of(seconds, context), bin_s)
    assert trace.rates_ps.sum() * trace.bin_s == pytest.approx(sum(context), rel=1e-9)
    assert (trace.rates_ps >= -1e-9).all()
    backwards = trace_of(lines_of(seconds, context)[::-1], bin_s)
    if len(set(seconds)) == len(seconds):
        assert np.allclose(backwards.rates_ps, trace.rates_ps)


@given(st.floats(0.5, 200), st.integers(1, 100_000), st.floats(5, 300), st.integers(50, 200))
def test_a_constant_rate_is_constant_in_bins_of_any_width(trace_of, gap_s, tokens, bin_s, count):
    gap_s = round(gap_s, 3)
    if gap_s * count < 2 * bin_s:
        return
    trace = trace_of(lines_of([k * gap_s for k in range(count)], [tokens] * count), bin_s)
    assert trace.rates_ps == pytest.approx(tokens / gap_s, rel=1e-6)  # instants are written to the microsecond


def test_a_trace_is_read_alike_in_blocks_and_whole(trace_of, monkeypatch):
    rng = np.random.default_rng(3)
    lines = lines_of(np.cumsum(rng.exponential(2, 5000)).round(6), rng.integers(1, 5000, 5000))
    whole = trace_of(lines)
    monkeypatch.setattr("sim.scenario.request_trace._BLOCK_BYTES", 4096)
    counts = []
    assert np.allclose(trace_of(lines, on_progress=counts.append).rates_ps, whole.rates_ps, rtol=1e-12)
    assert counts == sorted(counts)
    assert counts[-1] == whole.requests == 5000
    assert len(counts) > 10


def test_generated_tokens_can_be_counted_alone(trace_of):
    lines = [f"{naive(START + timedelta(seconds=10 * k))},1000,{k}" for k in range(20)]
    trace = trace_of(lines, tokens="generated")
    assert trace.rates_ps.sum() * trace.bin_s == pytest.approx(sum(range(20)))


def test_a_line_that_is_no_request_is_named_with_what_is_wrong(trace_of):
    good = lines_of(range(0, 200, 10), [5] * 20)
    bad = [*good, "yesterday,1,1", "2024-05-10T01:00:00Z,-1,1", "2024-05-10T01:00:00Z,1.5,1", "2024-05-10T01:00:00Z,1"]
    bad.append("2024-05-10T01:00:00Z,5,0x10")
    said = refused(trace_of, [*bad, f"2024-05-10T01:00:00Z,1{'0' * 400},1"])
    assert "line 22: 'yesterday', '1', '1': an instant is ISO 8601" in said
    assert f"tokens are from 0 to {MAX_TOKENS:,}" in said
    assert "'5', '0x10': tokens are whole numbers" in said
    assert "has 2 cells, not 3" in said


def test_a_number_in_hexadecimal_alone_in_a_trace_is_refused(trace_of):
    """Arrow reads it as a whole number."""
    assert "tokens are whole numbers" in refused(trace_of, lines_of(range(0, 200, 10), ["0X1F"] + [5] * 19))


def test_a_trace_that_is_not_all_utf_8_is_refused(tmp_path):
    """Also where a line of it is too short, of which Arrow can then tell nothing."""
    path = tmp_path / "trace.csv"
    path.write_bytes("\n".join([HEADER, *lines_of(range(0, 200, 10), [5] * 20)]).encode() + b"\n\xa2\n")
    assert "not CSV text in UTF-8" in refused(read_request_trace, path, 30.0, "total")


def test_a_trace_without_tokens_is_refused(trace_of):
    assert "holds no tokens" in refused(trace_of, lines_of(range(0, 200, 10), [0] * 20))
    assert "holds no generated tokens" in refused(trace_of, lines_of(range(0, 200, 10), [7] * 20), tokens="generated")
    assert "holds no request" in refused(trace_of, [])


@pytest.mark.parametrize("stray", ["2024-04-10T00:00:00Z", "1970-01-01T00:00:01Z", "2030-01-01T00:00:00Z"])
def test_a_stray_line_far_from_all_others_is_refused(trace_of, stray):
    said = refused(trace_of, [*lines_of(range(0, 7200, 10), [5] * 720), f"{stray},1,1"])
    assert "a stray line, or two traces in one file" in said


def test_a_trace_may_rest_at_night_and_over_a_weekend(trace_of):
    days = [d * 86_400 + h * 3600 for d in (0, 1, 2, 3, 4, 7, 8) for h in range(8, 18)]
    assert trace_of(lines_of(days, [5] * len(days)), 3600).requests == len(days)


def test_a_trace_of_more_bins_than_memory_should_hold_is_refused(trace_of):
    months = [30 * 86_400.0 * k for k in range(24)]
    assert "at most 10,000,000 are read" in refused(trace_of, lines_of(months, [5] * 24), 1.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("TIMESTAMP,ContextTokens\n", "lacks the columns GeneratedTokens"),
        (f"{HEADER},TIMESTAMP\n", "TIMESTAMP more than once"),
        ("", "lacks the columns"),
    ],
)
def test_a_header_that_is_not_a_trace_s_is_refused(tmp_path, text, said):
    path = tmp_path / "trace.csv"
    path.write_text(text)
    assert said in refused(read_request_trace, path, 30.0, "total")


def test_what_is_no_file_is_refused(tmp_path):
    assert "not a regular file" in refused(read_request_trace, tmp_path, 30.0, "total")
    assert "No such file" in refused(read_request_trace, tmp_path / "none.csv", 30.0, "total")

"""Request traces in the public Azure LLM inference format: TIMESTAMP, ContextTokens, GeneratedTokens.

A trace is a rate of tokens over time: what a request brings is spread evenly over the time until the next one, so that
tokens are conserved and a steady stream of requests is a constant rate in bins of any width.
"""

import codecs
import csv
import hashlib
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sim.common.errors import InputError
from sim.common.text import reason, short_repr
from sim.common.time_units import (
    InstantError,
    format_duration,
    format_instant_us,
    instant_us,
    instants_us,
    parse_instant,
)

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
MIN_BINS, MAX_BINS = 2, 10_000_000
MAX_TOKENS = 10**9
"""Of one request; assumed, far beyond any context."""

LONGEST_SILENCE_S = 86_400.0
"""A day without a request that is longer than all the rest is no demand but a stray line, or two traces in one file."""

_SHOWN = 5
_BLOCK_BYTES = 1 << 22
_HOUR_US = 3_600_000_000

Array = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class RequestTrace:
    """A trace as token rates over `bin_s` seconds each, which tile its span exactly.

    rates_ps: (bins,) [tokens/s]. requests, source, sha256: of the file, for summary and manifest.
    """

    rates_ps: Array
    bin_s: float
    requests: int
    source: str
    sha256: str


@dataclass(slots=True)
class _Extent:
    """What a first pass over a trace tells of it; instants in microseconds since 1970."""

    requests: int = 0
    tokens: float = 0.0
    first_us: int = 2**62
    last_us: int = -(2**62)
    latest_us: int = -(2**62)
    ordered: bool = True
    hours: set[int] = field(default_factory=set)

    def take(self, us: Times, tokens: Array) -> None:
        """Take up requests in the order of the file."""
        self.ordered &= bool((np.diff(us, prepend=self.latest_us) >= 0).all())
        self.latest_us = int(us[-1])
        self.requests += len(us)
        self.tokens += float(tokens.sum())
        self.first_us, self.last_us = min(self.first_us, int(us.min())), max(self.last_us, int(us.max()))
        self.hours.update(np.unique(us // _HOUR_US).tolist())

    @property
    def span_s(self) -> float:
        """From the first request to one mean gap after the last [s]."""
        return (self.last_us - self.first_us) / 1e6 * self.requests / max(self.requests - 1, 1)


def read_request_trace(
    path: Path, bin_s: float, tokens: Literal["total", "generated"], on_progress: Progress | None = None
) -> RequestTrace:
    """Return the token rate of a trace in bins of about `bin_s` seconds.

    tokens: whether to count context and generated tokens or the generated ones only. on_progress: called with the
    number of requests read. The file is read thrice, block by block, so memory is bounded by the bins; one that is out
    of order is sorted in memory. Raises InputError that lists unreadable lines, and on a trace that is no demand.
    """
    _check_header(path)
    digest = _digest(path)
    extent = _Extent()
    for us, count in _blocks(path, tokens):
        extent.take(us, count)
        if on_progress:
            on_progress(extent.requests)
    _check(path, extent, bin_s, tokens)
    bins = round(extent.span_s / bin_s)
    cumulative = _Cumulative(np.linspace(0.0, extent.span_s, bins + 1))
    for us, count in _blocks(path, tokens) if extent.ordered else [_sorted(path, tokens)]:
        cumulative.take((us - extent.first_us) / 1e6, count)
    width_s = extent.span_s / bins
    return RequestTrace(cumulative.finish() / width_s, width_s, extent.requests, str(path), digest)


class _Cumulative:
    """Tokens up to each edge of the bins, gathered as requests go by in order of time."""

    def __init__(self, edges_s: Array) -> None:
        self._edges_s = edges_s
        self._tokens = np.zeros(len(edges_s))
        self._next = 1  # the first edge is where the first request is, and nothing came before it
        self._at_s, self._sum, self._open = 0.0, 0.0, 0.0  # the last request: its time, tokens before it and its own

    def take(self, at_s: Array, tokens: Array) -> None:
        """Take requests; those of the last one wait for the next, over the time to which they are spread."""
        knots_s = np.concatenate([[self._at_s], at_s])
        sums = self._sum + np.concatenate([[0.0], np.cumsum(np.concatenate([[self._open], tokens[:-1]]))])
        self._pass(knots_s, sums)
        self._at_s, self._sum, self._open = float(at_s[-1]), float(sums[-1]), float(tokens[-1])

    def _pass(self, knots_s: Array, sums: Array) -> None:
        stop = int(np.searchsorted(self._edges_s, knots_s[-1], side="left"))
        passed = slice(self._next, max(stop, self._next))
        self._tokens[passed] = np.interp(self._edges_s[passed], knots_s, sums)
        self._next = passed.stop

    def finish(self) -> Array:
        """Return the tokens of each bin, (bins,)."""
        end_s = self._edges_s[-1]
        self._tokens[self._next :] = np.interp(
            self._edges_s[self._next :], [self._at_s, max(end_s, self._at_s)], [self._sum, self._sum + self._open]
        )
        self._tokens[-1] = self._sum + self._open
        return np.diff(self._tokens)


def _check(path: Path, extent: _Extent, bin_s: float, tokens: str) -> None:
    if not extent.requests:
        raise InputError(f"{path}: the request trace holds no request")
    if extent.tokens <= 0:
        which = "generated tokens (demand.tokens: generated)" if tokens == "generated" else "tokens"
        raise InputError(f"{path}: the request trace holds no {which}: {extent.requests:,} requests of 0")
    hours = np.array(sorted(extent.hours))
    gaps = np.diff(hours, append=hours[-1:])
    longest = int(gaps.argmax())
    silent_s = float(gaps[longest] - 1) * 3600
    if silent_s > LONGEST_SILENCE_S and 2 * silent_s > extent.span_s:
        raise InputError(
            f"{path}: no request for {format_duration(silent_s)} after {format_instant_us(hours[longest] * _HOUR_US)}, "
            "longer than all the rest of the trace: a stray line, or two traces in one file; keep one side"
        )
    bins = extent.span_s / bin_s
    if round(bins) < MIN_BINS:
        raise InputError(
            f"{path}: the trace spans {extent.span_s:.0f} s; at least {MIN_BINS} bins of {bin_s:g} s are needed"
        )
    if bins > MAX_BINS:
        raise InputError(
            f"{path}: the trace spans {format_duration(round(extent.span_s))}, {bins:,.0f} bins of {bin_s:g} s; "
            f"at most {MAX_BINS:,} are read: give a larger demand.bin, or a shorter trace"
        )


def _sorted(path: Path, tokens: str) -> tuple[Times, Array]:
    parts = list(_blocks(path, tokens))
    us, count = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    order = np.argsort(us, kind="stable")
    return us[order], count[order]


def _blocks(path: Path, tokens: str) -> Iterator[tuple[Times, Array]]:
    """Yield instants [us since 1970] and tokens, block by block. Raises InputError that lists unreadable lines."""
    import pyarrow as pa  # noqa: PLC0415 - only a run with a trace needs it here
    import pyarrow.csv as pc  # noqa: PLC0415 - as above

    bad: list[str] = []
    parse = pc.ParseOptions(invalid_row_handler=_keep_in(bad))
    read = pc.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False)
    convert = pc.ConvertOptions(
        column_types=dict.fromkeys(COLUMNS, pa.string()), include_columns=list(COLUMNS), strings_can_be_null=False
    )
    line = 2
    try:
        for batch in pc.open_csv(path, read_options=read, parse_options=parse, convert_options=convert):
            if batch.num_rows:
                us, count = _requests(batch, tokens, line, bad)
                line += batch.num_rows
                if not bad:
                    yield us, count
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: the request trace cannot be read: {reason(error)}") from None
    if bad:
        more = f"\n  and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else ""
        raise InputError(f"{path}: lines that are not requests\n  " + "\n  ".join(bad[:_SHOWN]) + more)


def _keep_in(bad: list[str]) -> Callable[[Any], str]:
    """Return what Arrow calls with a line that has too many or too few cells."""

    def keep(row: Any) -> str:
        bad.append(
            f"line {row.number}: {short_repr(row.text)}: has {row.actual_columns} cells, not {row.expected_columns}"
        )
        return "skip"

    return keep


def _check_header(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{short_repr(str(path))}: the request trace cannot be read: {why}") from None
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: the request trace cannot be read: it is not a regular file")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file), [])
    except OSError as error:
        raise InputError(f"{path}: the request trace cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{path}: the request trace is not CSV text in UTF-8") from None
    missing = [c for c in COLUMNS if c not in names]
    if missing:
        raise InputError(f"{path}: the request trace lacks the columns {', '.join(missing)}")
    twice = [c for c in COLUMNS if names.count(c) > 1]
    if twice:
        raise InputError(f"{path}: the request trace has the columns {', '.join(twice)} more than once")


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file. Raises InputError unless all of it is UTF-8: Arrow tells of no other lines."""
    sha256, decoder = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                sha256.update(block)
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except OSError as error:
        raise InputError(f"{path}: the request trace cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: the request trace is not CSV text in UTF-8") from None
    return sha256.hexdigest()


def _requests(batch: Any, tokens: str, line: int, bad: list[str]) -> tuple[Times, Array]:
    """Return a block's instants and tokens; lines that are no requests go to `bad`."""
    import pyarrow as pa  # noqa: PLC0415 - as above
    import pyarrow.compute as pc  # noqa: PLC0415 - as above

    columns = [batch.column(name) for name in COLUMNS]
    try:
        if any(pc.any(pc.match_substring(c, "x", ignore_case=True)).as_py() for c in columns[1:]):
            raise pa.ArrowInvalid  # 0x10 is 16 for Arrow, and no whole number of a trace
        us = instants_us(columns[0])
        context, generated = (c.cast(pa.int64()).to_numpy(zero_copy_only=False) for c in columns[1:])
        if min(context.min(), generated.min()) >= 0 and max(context.max(), generated.max()) <= MAX_TOKENS:
            return us, (generated + context if tokens == "total" else generated).astype(np.float64)
    except (InstantError, pa.ArrowException):
        pass
    return _one_by_one(zip(*(c.to_pylist() for c in columns), strict=True), tokens, line, bad)


def _one_by_one(rows: Iterator[tuple[str, str, str]], tokens: str, line: int, bad: list[str]) -> tuple[Times, Array]:
    """Read a block that holds something odd, line by line."""
    us: list[int] = []
    counts: list[int] = []
    for number, (at, *texts) in enumerate(rows, start=line):
        try:
            instant = instant_us(parse_instant(at))
            context, generated = map(_tokens, texts)
        except ValueError as error:
            bad.append(f"line {number}: {', '.join(map(short_repr, (at, *texts)))}: {error}")
            continue
        us.append(instant)
        counts.append(generated + (context if tokens == "total" else 0))
    return np.array(us, dtype=np.int64), np.array(counts, dtype=np.float64)


def _tokens(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        raise ValueError("tokens are whole numbers") from None
    if not 0 <= count <= MAX_TOKENS:
        raise ValueError(f"tokens are from 0 to {MAX_TOKENS:,}")
    return count

"""Durations and instants as scenario files write them."""

import re
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction  # of decimal, one use would slow each of NumPy's calls: it leaves a context
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field, PlainSerializer

if TYPE_CHECKING:
    import pyarrow as pa

_UNIT_S = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[wdhms])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([wdhms])")


def parse_duration_s(value: object) -> float:
    """Return seconds from `90m`, `2d14h` or a bare number of seconds. Raises ValueError on anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("a duration is a number of seconds or text like 90m or 2d14h")  # noqa: TRY004 - pydantic's
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            raise ValueError("this many seconds are beyond any calendar") from None
    text = value.strip()
    try:
        return float(text)
    except ValueError:
        pass
    if not _DURATION.fullmatch(text):
        raise ValueError("a duration is a number of seconds or text like 90m or 2d14h")
    return float(sum(Fraction(number) * _UNIT_S[unit] for number, unit in _PART.findall(text)))


def format_duration(seconds: float) -> str:
    """Return the shortest text that `parse_duration_s` reads back, 223200 -> 2d14h; negative ones are for messages."""
    if seconds < 0:
        return f"-{format_duration(-seconds)}"
    if seconds > 1e12 or 0 < seconds < 1e-6:  # noqa: PLR2004 - no time anybody means; for messages
        return repr(float(seconds))
    if seconds != int(seconds):
        return f"{np.format_float_positional(seconds, trim='-')}s"
    rest, parts = int(seconds), []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, _UNIT_S[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_hours_s(value: object) -> float:
    """Return seconds from a bare number of hours, exactly, or from text with units as `parse_duration_s` reads it."""
    hours = str(value)
    with suppress(ValueError, ArithmeticError):
        if "/" not in hours:  # 1/3 is a fraction, and no duration
            return float(Fraction(hours) * 3600)
    return parse_duration_s(value)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = "an instant is ISO 8601 text like 2025-01-06T00:00:00Z"
_YEARS = (1970, 2200)
"""What a 64-bit nanosecond clock holds, with room to spare."""

_OUT_OF_RANGE = "an instant lies between the years 1970 and 2200"
_FIRST_US = 0
_END_US = (datetime(2201, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


class InstantError(ValueError):
    """A value of a column that is no instant; `row` counts from 0."""

    def __init__(self, message: str, row: int = 0) -> None:
        super().__init__(message)
        self.row = row


def parse_instant(value: object) -> datetime:
    """Return a UTC datetime from ISO 8601 text, to the microsecond; without an offset it is taken as UTC.

    Raises ValueError on anything else, and outside the years 1970 to 2200.
    """
    if isinstance(value, datetime):
        instant = value
    elif isinstance(value, date):  # as YAML reads a day without a time
        instant = datetime.combine(value, time())
    elif isinstance(value, str):
        try:
            instant = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(_INSTANT) from None
    else:
        raise ValueError(_INSTANT)  # noqa: TRY004 - pydantic's
    try:
        instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (OverflowError, ValueError):
        raise ValueError(_OUT_OF_RANGE) from None
    if not _YEARS[0] <= instant.year <= _YEARS[1]:
        raise ValueError(_OUT_OF_RANGE)
    return instant


def parse_whole_instant(value: object) -> datetime:
    """Return an instant of a scenario, whose clock ticks in whole seconds."""
    instant = parse_instant(value)
    if instant.microsecond:
        raise ValueError("an instant is given to the whole second")
    return instant


def instant_us(instant: datetime) -> int:
    """Return microseconds since 1970, exactly."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def instants_us(column: "pa.ChunkedArray | pa.Array") -> npt.NDArray[np.int64]:
    """Return microseconds since 1970 of an Arrow column of timestamps of any unit, of days, or of ISO 8601 texts.

    Every spelling of an instant gives the same number; without an offset or a zone it is taken as UTC. Raises
    InstantError that names the first row without an instant, or with a number that does not say its unit.
    """
    import pyarrow as pa  # noqa: PLC0415 - only who reads tables needs it

    if column.null_count:
        raise InstantError("is empty", int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0]))
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()  # a category that does not occur does not count
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        us = _texts_us(column)
    elif pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        us = (
            column.cast(pa.timestamp("us", getattr(column.type, "tz", None)), safe=False)
            .cast(pa.int64())
            .to_numpy(zero_copy_only=False)
        )
    else:
        raise InstantError(
            f"is of type {column.type}, which does not say a unit of time; write timestamps or ISO 8601 text"
        )
    outside = np.flatnonzero((us < _FIRST_US) | (us >= _END_US))
    if outside.size:
        raise InstantError(_OUT_OF_RANGE, int(outside[0]))
    return np.asarray(us)


def _texts_us(column: "pa.ChunkedArray | pa.Array") -> npt.NDArray[np.int64]:
    """Read texts: at once where all are as Arrow reads them, else each different one for itself."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    with suppress(pa.ArrowException):
        return np.asarray(column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy(zero_copy_only=False))
    coded = column.dictionary_encode()
    known = np.empty(len(coded.dictionary), dtype=np.int64)
    index = coded.indices.to_numpy(zero_copy_only=False)
    for i, text in enumerate(_decoded(coded.dictionary)):
        try:
            known[i] = instant_us(parse_instant(text))
        except ValueError as error:
            raise InstantError(f"{text!r:.80}: {error}", int(np.flatnonzero(index == i)[0])) from None
    return np.asarray(known[index])


def _decoded(texts: "pa.Array") -> list[str]:
    try:
        decoded: list[str] = texts.to_pylist()
    except UnicodeDecodeError:  # Parquet takes any bytes for text
        raise InstantError("holds texts that are not UTF-8") from None
    return decoded


def format_instant(instant: datetime) -> str:
    """Return ISO 8601 with Z, with as many digits of a second as it has."""
    text = instant.astimezone(UTC).replace(tzinfo=None).isoformat()
    return f"{text.rstrip('0') if '.' in text else text}Z"


def format_instant_us(us: int) -> str:
    """Return ISO 8601 with Z of microseconds since 1970."""
    return format_instant(EPOCH + timedelta(microseconds=int(us)))


DURATION_PATTERN = r"(\d+(\.\d+)?[wdhms])+|[+]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
"""What the text of a duration looks like, for editors: 2d14h, or a number of seconds."""

DurationS = Annotated[
    float,
    BeforeValidator(
        parse_duration_s,
        json_schema_input_type=float | Annotated[str, Field(pattern=rf"^\s*({DURATION_PATTERN})\s*$")],
    ),
    PlainSerializer(format_duration),
]
"""A duration in seconds, written like 90m or 2d14h."""

Instant = Annotated[
    datetime, BeforeValidator(parse_whole_instant, json_schema_input_type=str), PlainSerializer(format_instant)
]
"""An instant in UTC."""

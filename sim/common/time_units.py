"""Durations and instants as scenario files write them."""

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

_UNIT_S = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[wdhms])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([wdhms])")


def parse_duration_s(value: Any) -> float:
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
    return sum(float(number) * _UNIT_S[unit] for number, unit in _PART.findall(text))


def format_duration(seconds: float) -> str:
    """Return the shortest text that `parse_duration_s` reads back, 223200 -> 2d14h; negative ones are for messages."""
    if seconds < 0:
        return f"-{format_duration(-seconds)}"
    if seconds > 1e12 or 0 < seconds < 1e-6:  # noqa: PLR2004 - no time anybody means; for messages
        return repr(float(seconds))
    if seconds != int(seconds):
        return f"{Decimal(repr(seconds)):f}s"
    rest, parts = int(seconds), []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, _UNIT_S[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_instant(value: Any) -> datetime:
    """Return a UTC datetime from ISO 8601 text; without an offset it is taken as UTC."""
    if isinstance(value, datetime):
        instant = value
    elif isinstance(value, date):  # as YAML reads a day without a time
        instant = datetime.combine(value, time())
    elif isinstance(value, str):
        try:
            instant = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("an instant is ISO 8601 text like 2025-01-06T00:00:00Z") from None
    else:
        raise ValueError("an instant is ISO 8601 text like 2025-01-06T00:00:00Z")  # noqa: TRY004 - pydantic's
    try:
        instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("an instant lies between the years 1970 and 2200") from None
    if instant.microsecond:
        raise ValueError("an instant is given to the whole second")
    if not 1970 <= instant.year <= 2200:  # noqa: PLR2004 - what a 64-bit nanosecond clock holds with room to spare
        raise ValueError("an instant lies between the years 1970 and 2200")
    return instant


def format_instant(instant: datetime) -> str:
    """Return ISO 8601 with Z, as telemetry files write it."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


DurationS = Annotated[
    float,
    BeforeValidator(parse_duration_s, json_schema_input_type=float | str),
    PlainSerializer(format_duration),
]
"""A duration in seconds, written like 90m or 2d14h."""

Instant = Annotated[
    datetime, BeforeValidator(parse_instant, json_schema_input_type=str), PlainSerializer(format_instant)
]
"""An instant in UTC."""

"""Samples as clients send them, checked one by one: what is right of a batch goes on, what is not is told."""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np
import pydantic_core
from numpy.typing import NDArray

from api.problems import Problem
from sim.common.schema_base import NULL_WORDS
from sim.common.text import printable
from sim.common.time_units import instant_us, parse_instant
from sim.model.channels import CHANNELS, TELEMETRY_CHANNELS
from training.features import LIMITS

MOST_SAMPLES = 10_000
MOST_BYTES = 16 * 2**20
_RACK_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_LARGEST_SHOWN = 10**300
_KNOWN = frozenset((*TELEMETRY_CHANNELS, "ts", "rack_id"))

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a sample was not taken: its place in the batch, the field, and what would be right."""

    index: int
    field: str
    why: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample that can be used. values: by channel, None where the sensor said nothing."""

    index: int
    rack_id: str
    ts_us: int
    values: tuple[float | None, ...]


@dataclass(slots=True)
class Batch:
    """What came in together. ignored: number of fields that no channel is called."""

    samples: list[Sample] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    ignored: int = 0


def parse_json(raw: bytes) -> Any:
    """Return a document; NaN passes, so that the sample that it is in can be named. Raises Problem 400 for no JSON."""
    try:
        return pydantic_core.from_json(raw, allow_inf_nan=True)
    except ValueError as error:
        raise Problem(400, f"the body is not JSON: {printable(str(error))[:200]}") from None
    except RecursionError:
        raise Problem(400, "the body is nested too deeply") from None


def unzip(raw: bytes) -> bytes:
    """Return what was compressed by gzip, no more than MOST_BYTES. Raises Problem."""
    unpack = zlib.decompressobj(wbits=31)
    try:
        plain = unpack.decompress(raw, MOST_BYTES + 1)
    except zlib.error as error:
        raise Problem(400, f"the body is not gzip as Content-Encoding says: {error}") from None
    if len(plain) > MOST_BYTES:
        raise Problem(413, f"the body is over {MOST_BYTES:,} bytes unpacked; send smaller batches")
    if not unpack.eof:
        raise Problem(400, "the gzip body ends too early; send it whole")
    return plain


def samples_of(document: Any) -> list[Any]:
    """Return the samples of a batch document. Raises Problem where it is none."""
    if not isinstance(document, dict) or not isinstance(document.get("samples"), list):
        raise Problem(422, 'a batch is an object {"samples": [..]}')
    samples: list[Any] = document["samples"]
    if len(samples) > MOST_SAMPLES:
        raise Problem(413, f"the batch has {len(samples):,} samples; send at most {MOST_SAMPLES:,} at a time")
    if not samples:
        raise Problem(422, "samples: is empty; send at least one")
    return samples


class _UnusableError(ValueError):
    """A sample that cannot be used: the field that is wrong, and why."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name


def check(samples: Sequence[Any]) -> Batch:
    """Check every sample by itself."""
    batch = Batch()
    instants: dict[str, int] = {}
    for index, raw in enumerate(samples):
        try:
            batch.samples.append(_usable(index, raw, instants))
        except _UnusableError as error:
            batch.rejected.append(Rejected(index, error.name, str(error)))
        else:
            batch.ignored += sum(key not in _KNOWN for key in raw)
    return batch


def _usable(index: int, raw: Any, instants: dict[str, int]) -> Sample:
    """Return a sample. Raises _UnusableError."""
    if not isinstance(raw, Mapping):
        raise _UnusableError("", "a sample is an object with ts, rack_id and channels")
    ts_us, rack_id = _ts_us(raw.get("ts"), instants), _rack_id(raw.get("rack_id"))
    values = tuple(_value(name, raw.get(name)) for name in TELEMETRY_CHANNELS)
    if all(value is None for value in values):
        raise _UnusableError("", f"the sample has no channel; there are {', '.join(TELEMETRY_CHANNELS)}")
    return Sample(index, rack_id, ts_us, values)


def _rack_id(value: Any) -> str:
    if not isinstance(value, str) or not _RACK_ID.fullmatch(value):
        raise _UnusableError("rack_id", f"{_short(value)}: a rack is named by 1 to 64 of A-Z a-z 0-9 - _ . :")
    if value.lower() in NULL_WORDS:
        raise _UnusableError("rack_id", f"{value!r}: readers of tables take this word for an empty cell")
    return value


def _ts_us(ts: Any, instants: dict[str, int]) -> int:
    """Return microseconds since 1970; the racks of a tick share one text."""
    if not isinstance(ts, str):
        raise _UnusableError("ts", f"{_short(ts)}: an instant is ISO 8601 text like 2025-01-06T00:00:00Z")
    if ts not in instants:
        try:
            instants[ts] = instant_us(parse_instant(ts))
        except ValueError as error:
            raise _UnusableError("ts", f"{_short(ts)}: {error}") from None
    return instants[ts]


def _value(name: str, value: Any) -> float | None:
    """Return a channel's value, None where the sensor said nothing. Raises _UnusableError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        unit = CHANNELS[name].unit
        raise _UnusableError(name, f"{_short(value)} is no number; send a number in {unit}, null, or leave it out")
    low, high = LIMITS[name]
    if low <= value <= high:
        return float(value)
    if value != value or value in (inf, -inf):  # noqa: PLR0124 - only NaN differs from itself
        raise _UnusableError(name, f"{value} is not finite; send null where there is no reading")
    shown = f"{value:g}" if abs(value) < _LARGEST_SHOWN else "far too large"
    raise _UnusableError(name, f"{shown} is outside {low:g} to {high:g} {CHANNELS[name].unit}; is it in another unit?")


def _short(value: Any) -> str:
    return printable(f"{value!r:.60}")


def columns_of(samples: Sequence[Sample]) -> dict[str, Floats]:
    """Return samples by channel (samples,), NaN where there is none."""
    table = np.array([sample.values for sample in samples], dtype=np.float64).reshape(-1, len(TELEMETRY_CHANNELS))
    return dict(zip(TELEMETRY_CHANNELS, table.T, strict=True))

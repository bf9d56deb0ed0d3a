"""Request traces in the public Azure LLM inference format: TIMESTAMP, ContextTokens, GeneratedTokens."""

import csv
import hashlib
import io
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from sim.common.errors import InputError
from sim.scenario.files import open_regular

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
MIN_BINS = 2
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class RequestTrace:
    """Token rates of a trace, one for each bin of `bin_s` seconds, and what a summary says of it."""

    rates_ps: npt.NDArray[np.float64]
    bin_s: float
    requests: int
    source: str
    sha256: str


def read_request_trace(path: Path, bin_s: float, tokens: Literal["total", "generated"]) -> RequestTrace:
    """Return the token rate of a trace, bin by bin.

    tokens: whether to count context and generated tokens or the generated ones only. Raises InputError that lists
    unreadable lines.
    """
    times, counts, problems = _requests(path, tokens)
    if problems:
        more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise InputError(f"{path}: lines that are not requests\n  " + "\n  ".join(problems[:_SHOWN]) + more)
    if not times:
        raise InputError(f"{path}: the request trace holds no request")
    seconds = np.array(times) - min(times)
    bins = int(seconds.max() // bin_s)  # the last, partly filled bin would read as a lull
    if bins < MIN_BINS:
        raise InputError(
            f"{path}: the trace spans {seconds.max():.0f} s; at least {MIN_BINS} bins of {bin_s:g} s are needed"
        )
    inside = seconds < bins * bin_s
    rates = np.bincount((seconds[inside] // bin_s).astype(np.intp), np.array(counts)[inside], bins) / bin_s
    if not rates.any():
        raise InputError(f"{path}: no request of the trace has a token; a load to replay has some")
    return RequestTrace(rates, bin_s, len(times), str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def _requests(path: Path, tokens: str) -> tuple[list[float], list[float], list[str]]:
    times: list[float] = []
    counts: list[float] = []
    problems: list[str] = []
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{path}: the request trace lacks the columns {', '.join(missing)}")
            for row in reader:
                try:
                    time_s, count = _request(row, tokens)
                except (ValueError, TypeError):
                    problems.append(f"line {reader.line_num}: {', '.join(str(v) for v in row.values())}")
                    continue
                times.append(time_s)
                counts.append(count)
    except OSError as error:
        raise InputError(f"{path}: the request trace cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{path}: the request trace is not CSV text in UTF-8") from None
    return times, counts, problems


def _request(row: dict[str, str], tokens: str) -> tuple[float, float]:
    # seven digits of a second, as the trace has, are one more than Python reads
    whole, _, fraction = row["TIMESTAMP"].partition(".")
    time_s = (datetime.fromisoformat(whole.rstrip("Z")) - datetime(1970, 1, 1)).total_seconds()  # noqa: DTZ001
    digits = fraction.split("+")[0].rstrip("Z")
    context, generated = int(row["ContextTokens"]), int(row["GeneratedTokens"])
    if context < 0 or generated < 0:
        raise ValueError("tokens cannot be negative")
    return time_s + (float(f"0.{digits}") if digits else 0.0), float(generated + (context if tokens == "total" else 0))

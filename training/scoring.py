"""A whole file scored in blocks, so that memory does not grow with it."""

import gzip
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from sim.common.atomic_files import AtomicFile
from training.features import FEATURES, Floats
from training.import_optional import import_optional
from training.mms import ALPHA, PERSIST_TICKS, STATES, Smoothing
from training.model import LEVELS, Model, TopCauses, top_causes
from training.monitor import Monitor, Readings
from training.sensors import code_of, text_of
from training.telemetry import BLOCK_ROWS, Block, TelemetryFile, is_parquet
from training.text_files import is_gzip

_SIGNS = np.array(["inside", "high", "low"])
_DECIMALS = 6


@dataclass(slots=True)
class ScoreSummary:
    """What a scored file held: rows by level and state, events, degraded rows."""

    rows: int = 0
    degraded: int = 0
    levels: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    events_before: int = 0
    _events: set[tuple[int, int]] = field(default_factory=set)

    @property
    def events(self) -> int:
        """Number of events, those of files before among them."""
        return self.events_before + len(self._events)

    def __add__(self, other: "ScoreSummary") -> "ScoreSummary":
        """Return what two files held."""
        rows = self.rows + other.rows, self.degraded + other.degraded
        return ScoreSummary(*rows, self.levels + other.levels, self.states + other.states, self.events + other.events)

    def add(self, block: Block, readings: Readings) -> None:
        self.rows += block.ts_s.size
        self.degraded += int(readings.scores.degraded.sum())
        _count(self.levels, LEVELS, readings.scores.level)
        _count(self.states, STATES, readings.state)
        open_ = readings.event > 0
        self._events |= set(zip(block.rack[open_].tolist(), readings.event[open_].tolist(), strict=True))


def _count(counter: Counter[str], names: tuple[str, ...], codes: NDArray[np.int8]) -> None:
    counts = np.bincount(codes, minlength=len(names)).tolist()
    counter.update(dict(zip(names, counts, strict=True)))


def score_file(
    model: Model,
    data: Path,
    output: Path,
    *,
    smoothing: Smoothing = "ema",
    causes: int = 3,
    alpha: float = ALPHA,
    persist_ticks: int = PERSIST_TICKS,
    block_rows: int = BLOCK_ROWS,
    progress: Callable[[str], None] | None = None,
) -> ScoreSummary:
    """Score a telemetry file into a CSV or Parquet file of the same rows, which appears when it is complete."""
    telemetry = TelemetryFile(data, block_rows)
    monitor = Monitor(model, smoothing, alpha=alpha, persist_ticks=persist_ticks)
    summary = ScoreSummary()
    with AtomicFile(output) as file, _plain(file) as plain, _writer(plain, output) as write:
        for block in telemetry.blocks():
            readings = monitor.update_batch(telemetry.racks, block.rack, block.ts_s, block.x)
            write(
                _columns(
                    block, telemetry.racks, readings, top_causes(model, block.x, causes, readings.states), smoothing
                )
            )
            summary.add(block, readings)
            if progress:
                progress(f"scoring {data.name}: {summary.rows:,} rows")
    return summary


@contextmanager
def _plain(file: AtomicFile) -> Iterator[Any]:
    """Give what takes the bytes of a table, compressed where the file's name says so, the same bytes each time."""
    if not is_gzip(file.path):
        yield file
        return
    with gzip.GzipFile("", "wb", compresslevel=6, fileobj=cast("BinaryIO", file), mtime=0) as compressed:
        yield compressed


@contextmanager
def _writer(file: Any, path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    pa = import_optional("pyarrow")
    pc = import_optional("pyarrow.csv")
    pq = import_optional("pyarrow.parquet")

    open_: list[Any] = []

    def write(columns: dict[str, Any]) -> None:
        table = pa.table(columns)
        if not open_:
            make = pq.ParquetWriter if is_parquet(path) else pc.CSVWriter
            open_.append(make(file, table.schema))
        open_[0].write_table(table)

    try:
        yield write
    finally:
        for writer in open_:
            writer.close()


def _columns(
    block: Block, racks: list[str], readings: Readings, top: TopCauses, smoothing: Smoothing
) -> dict[str, Any]:
    scores = readings.scores
    columns: dict[str, Any] = {
        "ts": _instants(block.ts_s),
        "rack_id": _words(racks, block.rack),
        "deviation": _numbers(scores.deviation),
        "level": _words(LEVELS, scores.level),
        "ema": _numbers(readings.ema),
        "mms_state": _words(STATES, readings.state),
        "event": readings.event,
        "degraded": scores.degraded,
        "learning": readings.learning,
        "sensors": _sensors(code_of(readings.sensors)),
    }
    if smoothing == "likelihood":
        columns["posterior"] = _numbers(readings.posterior)
    for k in range(top.feature.shape[1]):
        nothing = top.feature[:, k] < 0
        columns[f"cause_{k + 1}"] = _words(FEATURES, np.where(nothing, 0, top.feature[:, k]), nothing)
        columns[f"cause_{k + 1}_share"] = _numbers(top.share[:, k], nothing)
        columns[f"cause_{k + 1}_sign"] = _words(_SIGNS, top.sign[:, k], nothing)
        columns[f"cause_{k + 1}_low"] = _numbers(top.low[:, k], nothing)
        columns[f"cause_{k + 1}_high"] = _numbers(top.high[:, k], nothing)
        columns[f"cause_{k + 1}_usual"] = _numbers(top.usual[:, k], nothing)
    return columns


def _instants(ts_s: Floats) -> NDArray[np.str_]:
    """Return ISO 8601 with Z, to the second, millisecond or microsecond that all of them need."""
    us = np.rint(ts_s * 1e6).astype(np.int64)
    unit, each = next((u, n) for u, n in (("s", 1_000_000), ("ms", 1000), ("us", 1)) if not (us % n).any())
    return np.datetime_as_string((us // each).astype(f"datetime64[{unit}]"), timezone="UTC")


def _words(words: Any, codes: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> Any:
    pa = import_optional("pyarrow")

    index = pa.array(codes % len(words), type=pa.int32(), mask=mask)
    return pa.DictionaryArray.from_arrays(index, pa.array(list(words), type=pa.string())).dictionary_decode()


def _sensors(codes: NDArray[np.int64]) -> Any:
    """Return what sensors are in words, nothing where all work."""
    kinds, index = np.unique(codes, return_inverse=True)
    return _words([text_of(int(code)) for code in kinds], index, codes == 0)


def _numbers(values: Floats, mask: NDArray[np.bool_] | None = None) -> Any:
    pa = import_optional("pyarrow")

    empty = np.isnan(values) if mask is None else np.isnan(values) | mask
    return pa.array(np.round(values, _DECIMALS), mask=empty)

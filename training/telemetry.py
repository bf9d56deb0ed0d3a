"""Telemetry files read in bounded blocks, checked as they are read."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.common.errors import InputError
from sim.model.channels import CHANNELS
from training.features import LIMITS, Floats, feature_matrix, missing_channels, outside_limits
from training.import_optional import module
from training.timeline import Timeline, instant_text

BLOCK_ROWS = 65_536
_TICK_ROWS = 65_536
"""Rows looked at to find the racks' intervals, whatever the block size."""

_BYTES_PER_ROW = 96


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a file, in its order.

    start: number of rows before. ts_s: seconds since 1970 (rows,). rack: index into the file's `racks` (rows,).
    x: feature vectors (rows, 10).
    """

    start: int
    ts_s: Floats
    rack: NDArray[np.intp]
    x: Floats


@dataclass(slots=True)
class TelemetryFile:
    """A CSV or Parquet file of telemetry; `racks` fills as blocks are read."""

    path: Path
    block_rows: int = BLOCK_ROWS
    racks: list[str] = field(default_factory=list)
    _index: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = _column_names(self.path)
        missing = [name for name in ("ts", "rack_id") if name not in names] + missing_channels(names)
        if missing:
            raise InputError(
                f"{self.path}: columns missing: {', '.join(missing)}; a telemetry file has ts, rack_id, "
                f"{', '.join(CHANNELS)}"
            )

    def blocks(self) -> Iterator[Block]:
        """Read the file from its start. Raises InputError at the first row that cannot be used."""
        timeline = Timeline(str(self.path), *self._intervals())
        start = 0
        for batch in _batches(self.path, self.block_rows):
            if batch.num_rows:
                yield self._block(batch, start, timeline)
                start += batch.num_rows
        if not start:
            raise InputError(f"{self.path}: has a header and no rows; give a file with samples in it")

    def interval_s(self) -> float:
        """Return the spacing of a rack's own samples [s]: the smallest one seen, 60 when no rack is sampled twice."""
        _, usual_s = self._intervals()
        return 60.0 if np.isnan(usual_s) else usual_s

    def _block(self, batch: Any, start: int, timeline: Timeline) -> Block:
        ts_s, rack = self._keys(batch, start)
        interval_s = timeline.check(ts_s, rack, self.racks, start)
        columns = _numeric(batch)
        wrong = outside_limits(columns)
        if wrong:
            self._refuse_unit(
                *wrong, columns[wrong[0]], start, f"{self.racks[rack[wrong[1]]]} at {instant_text(ts_s[wrong[1]])}"
            )
        return Block(start, ts_s, rack, feature_matrix(columns, batch.num_rows, interval_s))

    def _refuse_unit(self, name: str, row: int, values: Floats, start: int, sample: str) -> None:
        low, high = LIMITS[name]
        raise InputError(
            f"{self.path}: row {start + row + 1} ({sample}): {name} is {values[row]:g}, outside {low:g} to {high:g} "
            f"{CHANNELS[name].unit}; is it in another unit?"
        )

    def _keys(self, batch: Any, start: int) -> tuple[Floats, NDArray[np.intp]]:
        for name in ("ts", "rack_id"):
            if batch.column(name).null_count:
                row = int(np.flatnonzero(batch.column(name).is_null().to_numpy(zero_copy_only=False))[0])
                raise InputError(f"{self.path}: row {start + row + 1}: {name} is empty; every sample needs one")
        coded = batch.column("rack_id").dictionary_encode()
        known = np.array([self._rack_number(str(name)) for name in coded.dictionary.to_pylist()], dtype=np.intp)
        return _seconds(batch.column("ts"), self.path, start), known[coded.indices.to_numpy(zero_copy_only=False)]

    def _rack_number(self, name: str) -> int:
        if name not in self._index:
            self._index[name] = len(self.racks)
            self.racks.append(name)
        return self._index[name]

    def _intervals(self) -> tuple[dict[str, float], float]:
        """Return the spacing of each rack's samples near the start of the file, and the smallest of them [s]."""
        seen: dict[str, float] = {}
        spacing: dict[str, float] = {}
        for name, at in _first_keys(self.path):
            if name in seen and at > seen[name]:
                spacing[name] = min(spacing.get(name, np.inf), at - seen[name])
            seen[name] = at
        return spacing, min(spacing.values(), default=np.nan)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """A whole run in memory, in the file's order: what training and evaluation work on."""

    ts_s: Floats
    rack: NDArray[np.intp]
    racks: tuple[str, ...]
    x: Floats
    interval_s: float
    source: str = "data"

    @property
    def rows(self) -> int:
        return int(self.ts_s.size)


def read_telemetry(path: Path, progress: Any = None) -> Telemetry:
    """Read a whole file. progress: called with the number of rows read so far."""
    file = TelemetryFile(path)
    blocks = []
    for block in file.blocks():
        blocks.append(block)
        if progress:
            progress(block.start + block.ts_s.size)
    return Telemetry(
        np.concatenate([b.ts_s for b in blocks]),
        np.concatenate([b.rack for b in blocks]),
        tuple(file.racks),
        np.concatenate([b.x for b in blocks]),
        file.interval_s(),
        str(path),
    )


def is_parquet(path: Path) -> bool:
    """Tell by the name whether a file is Parquet; any other name is CSV."""
    return path.suffix.lower() in {".parquet", ".pq"}


def _column_names(path: Path) -> list[str]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; generate one with python generate_training_data.py --all")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; give a telemetry file with a header and samples")
    if is_parquet(path):
        return [str(name) for name in _parquet(path).schema_arrow.names]
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [name.strip() for name in next(csv.reader(file), [])]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is not a CSV text file in UTF-8 ({error}); Parquet is read by its name") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _parquet(path: Path) -> Any:
    pa = module("pyarrow")
    pq = module("pyarrow.parquet")

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: is not a readable Parquet file: {_first_line(error)}") from error


def _wanted(path: Path) -> list[str]:
    return [name for name in _column_names(path) if name in CHANNELS or name in {"ts", "rack_id"}]


def _batches(path: Path, rows: int, wanted: list[str] | None = None) -> Iterator[Any]:
    """Read record batches; the errors of the reader name the file."""
    pa = module("pyarrow")

    columns = wanted or _wanted(path)
    try:
        if is_parquet(path):
            yield from _parquet(path).iter_batches(batch_size=rows, columns=columns)
        else:
            yield from _csv_reader(path, rows, columns)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path}: {_first_line(error)}; numbers, and ts like 2025-01-06T00:00:00Z, are read"
        ) from error


def _csv_reader(path: Path, rows: int, columns: list[str]) -> Any:
    pa = module("pyarrow")
    pc = module("pyarrow.csv")

    # a CSV block is measured in bytes and has to hold a whole row
    read = pc.ReadOptions(block_size=max(2048, rows * _BYTES_PER_ROW), use_threads=False)
    types = {name: pa.float64() for name in columns if name in CHANNELS}
    types |= {"ts": pa.timestamp("us", tz="UTC"), "rack_id": pa.string()}
    convert = pc.ConvertOptions(column_types=types, include_columns=columns, null_values=["", "NaN", "nan", "null"])
    convert.strings_can_be_null = True
    return pc.open_csv(path, read_options=read, convert_options=convert)


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0]


def _first_keys(path: Path) -> Iterator[tuple[str, float]]:
    """Give (rack, seconds) of the first rows of a file."""
    rows = 0
    for batch in _batches(path, _TICK_ROWS, ["ts", "rack_id"]):
        if not (batch.column("ts").null_count or batch.column("rack_id").null_count):
            seconds = _seconds(batch.column("ts"), path, rows)
            yield from zip(map(str, batch.column("rack_id").to_pylist()), seconds.tolist(), strict=True)
        rows += batch.num_rows
        if rows >= _TICK_ROWS:
            return


def _seconds(column: Any, path: Path, start: int) -> Floats:
    pa = module("pyarrow")

    try:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        us = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy(zero_copy_only=False)
    except pa.ArrowException as error:
        raise InputError(f"{path}: after row {start}: ts: {_first_line(error)}; write 2025-01-06T00:00:00Z") from error
    seconds: Floats = us.astype(np.float64) / 1e6
    return seconds


def _numeric(batch: Any) -> dict[str, Floats]:
    pa = module("pyarrow")

    return {
        name: batch.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
        for name in batch.schema.names
        if name in CHANNELS
    }

"""Telemetry files read in bounded blocks, checked as they are read."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.common.columns import numbers
from sim.common.errors import InputError
from sim.common.text import printable, reason
from sim.common.time_units import InstantError, instants_us
from sim.model.channels import CHANNELS
from training.features import Floats, feature_matrix, missing_channels, outside_limits
from training.import_optional import import_optional
from training.text_files import UNREADABLE, is_gzip, open_text
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
        known = [name for name in names if name in CHANNELS or name in ("ts", "rack_id")]
        twice = sorted({name for name in known if known.count(name) > 1})
        if twice:
            raise InputError(f"{self.path}: columns that stand more than once: {', '.join(twice)}; keep one of each")
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
        """Return the typical spacing of a rack's own samples [s], 60 when no rack is sampled twice."""
        _, usual_s = self._intervals()
        return 60.0 if np.isnan(usual_s) else usual_s

    def _block(self, batch: Any, start: int, timeline: Timeline) -> Block:
        ts_s, rack = self._keys(batch, start)
        interval_s = timeline.check(ts_s, rack, self.racks, start)
        columns = _numeric(batch, self.path)
        x = feature_matrix(columns, batch.num_rows, interval_s)
        wrong = outside_limits(columns, x)
        if wrong:
            sample = f"{printable(self.racks[rack[wrong.row]])} at {instant_text(ts_s[wrong.row])}"
            raise InputError(f"{self.path}: row {start + wrong.row + 1} ({sample}): {wrong.text}")
        return Block(start, ts_s, rack, x)

    def _keys(self, batch: Any, start: int) -> tuple[Floats, NDArray[np.intp]]:
        names = texts(batch.column("rack_id"), "rack_id", self.path)
        if names.null_count:
            row = int(np.flatnonzero(names.is_null().to_numpy(zero_copy_only=False))[0])
            raise InputError(f"{self.path}: row {start + row + 1}: rack_id is empty; every sample needs one")
        coded = names.dictionary_encode()
        known = np.array([self._rack_number(name) for name in coded.dictionary.to_pylist()], dtype=np.intp)
        return _seconds(batch.column("ts"), self.path, start), known[coded.indices.to_numpy(zero_copy_only=False)]

    def _rack_number(self, name: str) -> int:
        if name not in self._index:
            self._index[name] = len(self.racks)
            self.racks.append(name)
        return self._index[name]

    def _intervals(self) -> tuple[dict[str, float], float]:
        """Return the typical spacing of each rack's samples near the start of the file, and of all racks [s]."""
        times: dict[str, list[float]] = {}
        for name, at in _first_keys(self.path):
            times.setdefault(name, []).append(at)
        spacings = {name: np.diff(at) for name, at in times.items() if len(at) > 1}
        typical = {name: float(np.median(s[s > 0])) for name, s in spacings.items() if (s > 0).any()}
        return typical, float(np.median(list(typical.values()))) if typical else float("nan")


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
    """Tell by the name whether a file is Parquet; any other name is CSV, .csv.gz compressed."""
    return path.suffix.lower() in {".parquet", ".pq"}


def _column_names(path: Path) -> list[str]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; generate one with skadi-generate --all")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; give a telemetry file with a header and samples")
    if is_parquet(path):
        return _parquet_names(path)
    try:
        with open_text(path, "utf-8-sig") as file:
            return [name.strip() for name in next(csv.reader(file), [])]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is not a CSV text file in UTF-8 ({error}); Parquet is read by its name") from error
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _parquet_names(path: Path) -> list[str]:
    try:
        return [str(name) for name in _parquet(path).schema_arrow.names]
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not a readable Parquet file: names of columns: {reason(error)}") from None


def _parquet(path: Path) -> Any:
    pa = import_optional("pyarrow")
    pq = import_optional("pyarrow.parquet")

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: is not a readable Parquet file: {reason(error)}") from error


def _wanted(path: Path) -> list[str]:
    return [name for name in _column_names(path) if name in CHANNELS or name in {"ts", "rack_id"}]


def _batches(path: Path, rows: int, wanted: list[str] | None = None) -> Iterator[Any]:
    """Read record batches; the errors of the reader name the file."""
    pa = import_optional("pyarrow")

    columns = wanted or _wanted(path)
    try:
        if is_parquet(path):
            yield from _parquet(path).iter_batches(batch_size=rows, columns=columns)
        else:
            yield from _csv_reader(path, rows, columns)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: {reason(error)}; numbers, and ts like 2025-01-06T00:00:00Z, are read") from error


def _csv_reader(path: Path, rows: int, columns: list[str]) -> Any:
    pa = import_optional("pyarrow")
    pc = import_optional("pyarrow.csv")

    # a CSV block is measured in bytes and has to hold a whole row
    read = pc.ReadOptions(block_size=max(2048, rows * _BYTES_PER_ROW), use_threads=False)
    types = {name: pa.float64() for name in columns if name in CHANNELS}
    types |= {"ts": pa.string(), "rack_id": pa.string()}
    convert = pc.ConvertOptions(column_types=types, include_columns=columns, null_values=["", "NaN", "nan", "null"])
    convert.strings_can_be_null = True
    # by its name and not left to Arrow, which knows no other spelling of it
    source = pa.input_stream(str(path), compression="gzip" if is_gzip(path) else None)
    return pc.open_csv(source, read_options=read, convert_options=convert)


def _first_keys(path: Path) -> Iterator[tuple[str, float]]:
    """Give (rack, seconds) of the first rows of a file."""
    rows = 0
    for batch in _batches(path, _TICK_ROWS, ["ts", "rack_id"]):
        names = texts(batch.column("rack_id"), "rack_id", path)
        if not (batch.column("ts").null_count or names.null_count):
            yield from zip(names.to_pylist(), _seconds(batch.column("ts"), path, rows).tolist(), strict=True)
        rows += batch.num_rows
        if rows >= _TICK_ROWS:
            return


def _seconds(column: Any, path: Path, start: int) -> Floats:
    try:
        seconds: Floats = instants_us(column) / 1e6
    except InstantError as error:
        raise InputError(f"{path}: row {start + error.row + 1}: ts: {error}; write 2025-01-06T00:00:00Z") from None
    return seconds


def texts(column: Any, name: str, path: Path) -> Any:
    """Return an Arrow array of names as text; categories that do not occur do not count."""
    pa = import_optional("pyarrow")

    plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_null)
    if not any(is_kind(plain.type) for is_kind in kinds):
        raise InputError(f"{path}: {name} is of type {column.type}; names are text")
    names = plain.cast(pa.string())
    try:
        names.validate(full=True)  # Parquet takes any bytes for text
    except pa.ArrowException as error:
        raise InputError(f"{path}: {name}: {reason(error)}; names are text in UTF-8") from None
    return names


def _numeric(batch: Any, path: Path) -> dict[str, Floats]:
    return {name: numbers(batch.column(name), name, path) for name in batch.schema.names if name in CHANNELS}

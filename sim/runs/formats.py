"""File formats of tables: how each is written block by block and read back; `FORMATS` lists them."""

import gzip
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from sim.common.errors import InputError
from sim.common.text import reason

Types = Mapping[str, pa.DataType]

_PLAIN = {"gpu_energy_j", "tokens_ps"}
"""Columns of more different values than a dictionary pays for: with one they are larger, and take half the writing."""

_CSV = {"include_header": False, "quoting_style": "none", "batch_size": 8192}  # names hold no comma or quote


class Output(Protocol):
    """What a table is written to."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Append bytes."""


class TableWriter(Protocol):
    """A table that is being written."""

    @property
    def rows(self) -> int:
        """Rows written."""

    def write(self, table: pa.Table) -> None:
        """Append a table."""

    def close(self) -> None:
        """Write what was held back."""


class CsvTable:
    """Rows of tables as CSV."""

    def __init__(self, file: Output, columns: Sequence[str]) -> None:
        file.write((",".join(columns) + "\n").encode())
        self._file = file
        self.rows = 0

    def write(self, table: pa.Table) -> None:
        """Append a table."""
        buffer = pa.BufferOutputStream()
        pyarrow.csv.write_csv(table, buffer, pyarrow.csv.WriteOptions(**_CSV))
        self._file.write(memoryview(buffer.getvalue()))
        self.rows += table.num_rows

    def close(self) -> None:
        """Nothing is held back."""


class ParquetTable:
    """Rows of tables as Parquet, a row group for each."""

    def __init__(self, file: Output, _columns: Sequence[str]) -> None:
        self._file = file
        self._writer: pyarrow.parquet.ParquetWriter | None = None
        self.rows = 0

    def write(self, table: pa.Table) -> None:
        """Append a table."""
        if self._writer is None:
            self._writer = self._opened(table.schema)
        self._writer.write_table(table)
        self.rows += table.num_rows

    def _opened(self, schema: pa.Schema) -> pyarrow.parquet.ParquetWriter:
        # each group has all racks, so that extremes of texts let no reader pass over one, and they cost a third
        numbers = [field.name for field in schema if not pa.types.is_dictionary(field.type)]
        often = [name for name in schema.names if name not in _PLAIN]
        return pyarrow.parquet.ParquetWriter(
            self._file, schema, compression="zstd", use_dictionary=often, write_statistics=numbers
        )

    def close(self) -> None:
        """Write the footer."""
        if self._writer is not None:
            self._writer.close()


class GzipCsvTable:
    """Rows of tables as CSV, compressed; the same rows give the same bytes."""

    def __init__(self, file: Output, columns: Sequence[str]) -> None:
        # neither name nor time of making in the header
        self._file = gzip.GzipFile("", "wb", compresslevel=6, fileobj=cast("BinaryIO", file), mtime=0)
        self._table = CsvTable(self._file, columns)

    @property
    def rows(self) -> int:
        """Rows written."""
        return self._table.rows

    def write(self, table: pa.Table) -> None:
        """Append a table."""
        self._table.write(table)

    def close(self) -> None:
        """Write what the compressor held back."""
        self._file.close()


def read_csv(source: Path | bytes, types: Types) -> pa.Table:
    """Return a CSV file, given its path or its content, of the types given; an empty cell is null."""
    options = pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=[""])
    return pyarrow.csv.read_csv(io.BytesIO(source) if isinstance(source, bytes) else source, convert_options=options)


def _read_csv_columns(path: Path, types: Types, wanted: set[str] | None) -> pa.Table:
    table = read_csv(path, types)
    return table.select(_chosen(table.column_names, wanted))


def _read_parquet_columns(path: Path, _types: Types, wanted: set[str] | None) -> pa.Table:
    return pyarrow.parquet.read_table(path, columns=_chosen(pyarrow.parquet.read_schema(path).names, wanted))


def _chosen(names: Sequence[str], wanted: set[str] | None) -> list[str]:
    """Return those of a file's columns that are wanted. Raises ArrowInvalid where one stands more than once."""
    chosen = [name for name in names if wanted is None or name in wanted]
    twice = sorted({name for name in chosen if chosen.count(name) > 1})
    if twice:
        raise pa.ArrowInvalid(f"columns that stand more than once: {', '.join(twice)}; keep one of each")
    return chosen


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A format of telemetry and labels.

    table: opens a table, given where it goes and its columns. read: returns those columns that a file has, all unless
    some are wanted; the types are of columns whose type it does not say. text: it is written what text shows, instants
    as ISO 8601 and exact decimals, else what is typed. slow: making it keeps a core busy, so that a thread of its own
    pays.
    """

    table: Callable[[Output, Sequence[str]], TableWriter]
    read: Callable[[Path, Types, set[str] | None], pa.Table]
    text: bool
    slow: bool = False


FORMATS: dict[str, FileFormat] = {
    "csv": FileFormat(CsvTable, _read_csv_columns, text=True),
    "parquet": FileFormat(ParquetTable, _read_parquet_columns, text=False, slow=True),
    "csv.gz": FileFormat(GzipCsvTable, _read_csv_columns, text=True, slow=True),
}
"""By name, which is the suffix of its files too."""

SUFFIXES: tuple[str, ...] = tuple(f".{name}" for name in FORMATS)

LABEL_FORMATS: tuple[str, ...] = ("parquet", *(name for name in FORMATS if name != "parquet"))
"""By name, the usual one of labels first."""


def suffix_of(path: Path) -> str:
    """Return the suffix of a file, of two parts where a format has such a one: .csv.gz."""
    return next((suffix for suffix in SUFFIXES if path.name.endswith(suffix)), path.suffix)


def name_of(path: Path) -> str:
    """Return what a run is called whose telemetry this is: the file's name without its suffix."""
    return path.name.removesuffix(suffix_of(path))


def format_of(path: Path) -> FileFormat:
    """Return the format of a file by its suffix; what is of no suffix of ours is CSV, and .pq short for .parquet."""
    name = suffix_of(path).lower().removeprefix(".")
    return FORMATS.get("parquet" if name == "pq" else name, FORMATS["csv"])


def read_table(path: Path, types: Types, columns: Iterable[str] | None = None) -> pa.Table:
    """Return a file, or those of the columns that it has. Raises InputError when it cannot be read."""
    try:
        table = format_of(path).read(path, types, None if columns is None else set(columns))
        table.validate(full=True)  # Parquet takes any bytes for text
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from None
    return table

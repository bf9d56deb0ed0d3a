"""Telemetry on a grid of ticks and racks, with what stands beside it, whoever wrote it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sim.common.columns import numbers
from sim.common.errors import InputError
from sim.common.text import join_names, printable, reason
from sim.common.time_units import InstantError, instants_us
from sim.model.channels import CHANNELS
from sim.model.facility import build_facility
from sim.runs.formats import SUFFIXES, read_table
from sim.runs.manifest import check_labels, checked_companion, read_manifest
from sim.runs.run import read_events
from sim.scenario.checks import parse_scenario
from sim.scenario.schema import Scenario

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]

FLAGS = ("is_anomaly", "is_persistent")
NAMES = ("profile", "row_profile", "loop_profile", "anomaly_kind", "observed_id", "sensor_fault", "episode_id")
NONE = -1
"""Code of a cell without a name."""
_SPARSE = 50
"""A grid may have this many cells for each row of the file; beyond it the racks share no ticks."""
_ROOM = 1_000_000
"""Cells that any grid may have."""
_TICK_S = 60.0
"""Taken for the tick where no rack was sampled twice."""
_ROW_OF_RACK = re.compile(r"(?:R-)?(.+)-[^-]+")


@dataclass(frozen=True, slots=True)
class Named:
    """A column of names on the grid. codes: index into names, NONE where there is none, (ticks, racks)."""

    codes: Codes
    names: tuple[str, ...]

    def is_one_of(self, wanted: Sequence[str]) -> Flags:
        """Return which cells have one of some names."""
        return np.isin(self.codes, [i for i, name in enumerate(self.names) if name in wanted])


@dataclass(frozen=True, slots=True)
class Truth:
    """What labels say of the grid's cells; columns that they have not are left out. there: cells that have a label."""

    there: Flags
    flags: Mapping[str, Flags]
    names: Mapping[str, Named]


@dataclass(frozen=True, slots=True)
class Grid:
    """The ticks and racks that rows are laid on. start_us: of tick 0, since 1970. row_of_rack: name of each's row."""

    start_us: int
    tick_s: float
    ticks: int
    racks: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Ticks, racks."""
        return self.ticks, len(self.racks)

    @property
    def seconds(self) -> Array:
        """Seconds since 1970 of each tick, (ticks,)."""
        return np.asarray(self.start_us / 1e6 + self.tick_s * np.arange(self.ticks))

    @property
    def rows(self) -> tuple[str, ...]:
        """The row of each rack: what its name has between R- and its number, nothing where it is built otherwise."""
        found = [_ROW_OF_RACK.fullmatch(rack) for rack in self.racks]
        return tuple(match.group(1) if match else "" for match in found)

    def cells(self, ts_us: npt.NDArray[np.int64], racks: pa.Array, place: str) -> npt.NDArray[np.int64]:
        """Return the cell of each row, counted tick by tick. Raises InputError for one that has none."""
        number = {rack: i for i, rack in enumerate(self.racks)}
        coded = racks.dictionary_encode()
        known = coded.dictionary.to_pylist()
        unknown = sorted(set(known) - number.keys())
        if unknown:
            raise InputError(f"{place}: racks that the telemetry has not: {join_names(unknown)}")
        rack = np.array([number[name] for name in known], dtype=np.int64)[coded.indices.to_numpy()]
        tick = np.rint((ts_us - self.start_us) / (self.tick_s * 1e6)).astype(np.int64)
        if len(tick) and (tick.min() < 0 or tick.max() >= self.ticks):
            raise InputError(f"{place}: instants outside the telemetry's")
        return np.asarray(tick * len(self.racks) + rack)


@dataclass(frozen=True, slots=True)
class Rows:
    """How the rows of the file lie on the grid. missing: cells without a row. twice: rows whose cell was taken.

    unordered: rows that stand after a later one. uneven: rows more than a hundredth of a tick beside theirs.
    """

    count: int
    missing: int
    twice: int
    unordered: int
    uneven: int


@dataclass(frozen=True)
class Recorded:
    """Telemetry with what was found beside it; what was not found is None.

    readings: by channel, in its unit, NaN where there is no reading, (ticks, racks). twin: the same of the run without
    its incidents, in single precision. events: by column. others: columns of the file that are no channels.
    """

    path: Path
    grid: Grid
    readings: Mapping[str, Array]
    rows: Rows
    truth: Truth | None = None
    twin: Mapping[str, npt.NDArray[np.float32]] | None = None
    events: Mapping[str, Sequence[Any]] | None = None
    manifest: Mapping[str, Any] | None = None
    scenario: Scenario | None = None
    others: Sequence[str] = ()

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels of the file, in its order."""
        return tuple(self.readings)


def read_recorded(path: Path, labels: Path | None = None) -> Recorded:
    """Read a run, or telemetry of any origin that has ts, rack_id and channels by our names.

    labels: instead of those beside the telemetry. Raises InputError where something cannot be read, or does not belong
    to the telemetry.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give telemetry, {' or '.join(SUFFIXES)}")
    table, others = _telemetry(path)
    ts_us, racks = _keys(table, str(path))
    manifest = read_manifest(path)
    scenario = scenario_of(manifest, path)
    grid = _grid(ts_us, racks, str(path), build_facility(scenario.facility).racks if scenario else ())
    cells = grid.cells(ts_us, racks, str(path))
    values = {name: _on_grid(_numbers(table, name, path), cells, grid) for name in table.column_names[2:]}
    if labels is not None:
        check_labels(labels, path)
    found = labels or checked_companion(path, "labels")
    twin, events = (checked_companion(path, kind) for kind in ("twin", "events"))
    return Recorded(
        path,
        grid,
        values,
        _rows(ts_us, cells, grid),
        None if found is None else _truth(found, grid),
        None if twin is None else _twin(twin, grid),
        None if events is None else read_events(events).to_pydict(),
        manifest,
        scenario,
        others,
    )


def scenario_of(manifest: Mapping[str, Any] | None, path: Path) -> Scenario | None:
    """Return the scenario of a run as its manifest states it; one of another version of ours may be none any more."""
    if manifest is None:
        return None
    try:
        return parse_scenario(manifest.get("scenario"), str(path))
    except InputError:
        return None


def _telemetry(path: Path) -> tuple[pa.Table, list[str]]:
    """Return ts, rack_id and the channels of a file, in its order, and the names of its other columns."""
    text = {"ts": pa.string(), "rack_id": pa.string()} | dict.fromkeys(CHANNELS, pa.float64())
    table = read_table(path, text)
    channels = [name for name in table.column_names if name in CHANNELS]
    missing = [name for name in ("ts", "rack_id") if name not in table.column_names]
    missing += [] if channels else [f"any of {', '.join(CHANNELS)}"]
    if missing:
        raise InputError(f"{path}: columns missing: {', '.join(missing)}")
    if not table.num_rows:
        raise InputError(f"{path}: has a header and no rows; give a file with samples in it")
    others = [name for name in table.column_names if name not in text]
    return table.select(["ts", "rack_id", *channels]), others


def _keys(table: pa.Table, place: str) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Return when and of which rack each row is. Raises InputError at the first that does not say."""
    racks, ts = (table[name].combine_chunks() for name in ("rack_id", "ts"))
    racks = racks.dictionary_decode() if pa.types.is_dictionary(racks.type) else racks
    if racks.null_count:
        row = int(np.flatnonzero(racks.is_null().to_numpy(zero_copy_only=False))[0])
        raise InputError(f"{place}: row {row + 1}: rack_id is empty; every sample needs one")
    try:
        return instants_us(ts), racks.cast(pa.string())
    except InstantError as error:
        raise InputError(f"{place}: row {error.row + 1}: ts: {error}; write 2025-01-06T00:00:00Z") from None
    except pa.ArrowException as error:
        raise InputError(f"{place}: rack_id: {reason(error)}; names are text") from None


def _grid(ts_us: npt.NDArray[np.int64], racks: pa.Array, place: str, order: Sequence[str]) -> Grid:
    """Return a grid from the first instant to the last, its tick the usual spacing of a rack's samples.

    order: the racks as the hall has them; others are in the order of their names.
    """
    found = racks.unique().to_pylist()
    names = tuple(order) if set(order) == set(found) else tuple(sorted(found, key=_natural))
    start_us = int(ts_us.min())
    tick_s = _tick_s(ts_us, racks)
    ticks = round((int(ts_us.max()) - start_us) / (tick_s * 1e6)) + 1
    if ticks * len(names) > max(_ROOM, _SPARSE * len(ts_us)):
        many = f"{ticks:,} ticks of {tick_s:g} s and {len(names):,} racks"
        raise InputError(f"{place}: {len(ts_us):,} rows over {many}: too few for one hall's telemetry; split the file")
    return Grid(start_us, tick_s, ticks, names)


def _tick_s(ts_us: npt.NDArray[np.int64], racks: pa.Array) -> float:
    """Return the median time between two samples of the same rack that are not of one instant [s]."""
    rack = racks.dictionary_encode().indices.to_numpy()
    order = np.lexsort((ts_us, rack))
    apart, same = np.diff(ts_us[order]), np.diff(rack[order]) == 0
    spacing = apart[same & (apart > 0)]
    return float(np.median(spacing)) / 1e6 if len(spacing) else _TICK_S


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Order R-A-2 before R-A-10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name)]


def _rows(ts_us: npt.NDArray[np.int64], cells: npt.NDArray[np.int64], grid: Grid) -> Rows:
    filled = int(np.count_nonzero(np.bincount(cells, minlength=grid.ticks * len(grid.racks))))
    late = np.maximum.accumulate(ts_us) > ts_us
    beside_us = np.abs(ts_us - grid.start_us - cells // len(grid.racks) * grid.tick_s * 1e6)
    return Rows(
        len(cells),
        grid.ticks * len(grid.racks) - filled,
        len(cells) - filled,
        int(late.sum()),
        int((beside_us > grid.tick_s * 1e4).sum()),
    )


def _numbers(table: pa.Table, name: str, path: Path) -> Array:
    """Return a channel at its decimals, which single precision only comes close to, NaN where it is empty."""
    values = numbers(table[name], name, path)
    return np.asarray(np.round(np.where(np.isfinite(values), values, np.nan), CHANNELS[name].decimals))


def _on_grid(values: Array, cells: npt.NDArray[np.int64], grid: Grid) -> Array:
    """Lay values on the grid; of several in a cell the first stays."""
    laid = np.full(grid.ticks * len(grid.racks), np.nan)
    laid[cells[::-1]] = values[::-1]
    return laid.reshape(grid.shape)


def _twin(path: Path, grid: Grid) -> dict[str, npt.NDArray[np.float32]]:
    table, _ = _telemetry(path)
    cells = grid.cells(*_keys(table, str(path)), str(path))
    return {
        name: _on_grid(_numbers(table, name, path), cells, grid).astype(np.float32) for name in table.column_names[2:]
    }


def _truth(path: Path, grid: Grid) -> Truth:
    """Read labels; those that say nothing of profiles nor anomalies are none."""
    names = dict.fromkeys(NAMES, pa.string())
    table = read_table(path, {"ts": pa.string(), "rack_id": pa.string()} | names | dict.fromkeys(FLAGS, pa.bool_()),
                       ("ts", "rack_id", *NAMES, *FLAGS))  # fmt: skip
    missing = [name for name in ("ts", "rack_id") if name not in table.column_names]
    if missing or not {"profile", "is_anomaly"} & set(table.column_names):
        raise InputError(f"{path}: columns missing: {', '.join(missing) or 'profile or is_anomaly'}")
    cells = grid.cells(*_keys(table, str(path)), str(path))
    there = np.zeros(grid.ticks * len(grid.racks), dtype=np.bool_)
    there[cells] = True
    flags = {name: _flags_on_grid(table[name], cells, grid, path) for name in FLAGS if name in table.column_names}
    named = {name: _named(table[name], cells, grid) for name in NAMES if name in table.column_names}
    return Truth(there.reshape(grid.shape), flags, named)


def _flags_on_grid(column: pa.ChunkedArray, cells: npt.NDArray[np.int64], grid: Grid, path: Path) -> Flags:
    if not pa.types.is_boolean(column.type):
        raise InputError(f"{path}: {printable(str(column.type))} where true or false is meant")
    laid = np.zeros(grid.ticks * len(grid.racks), dtype=np.bool_)
    laid[cells] = column.fill_null(fill_value=False).to_numpy()
    return laid.reshape(grid.shape)


def _named(column: pa.ChunkedArray, cells: npt.NDArray[np.int64], grid: Grid) -> Named:
    coded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    laid = np.full(grid.ticks * len(grid.racks), NONE, dtype=np.int32)
    laid[cells] = coded.indices.fill_null(NONE).to_numpy()
    return Named(laid.reshape(grid.shape), tuple(coded.dictionary.to_pylist()))

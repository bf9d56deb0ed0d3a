"""Reads a finished run back: its telemetry and the truth of each row, made sure of by the manifest."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from sim.common.errors import InputError
from sim.model.channels import CHANNELS, TELEMETRY_COLUMNS
from sim.runs.exports.series import Series, fill_gaps
from sim.runs.manifest import checked_companion, manifest_path, read_manifest

_MANIFEST_KEYS = {"files", "racks", "seed", "scenario_sha256"}
_TS = pa.timestamp("s", "UTC")


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run in memory, 8 bytes for each reading.

    times: of the ticks, UTC, (ticks,). readings: by channel, NaN where a sensor said nothing, (ticks, racks).
    kinds: what `kind` counts in. kind: the anomaly kind of each row, (ticks, racks). source: what the manifest says
    of where it came from.
    """

    name: str
    times: npt.NDArray[np.datetime64]
    racks: Sequence[str]
    readings: dict[str, npt.NDArray[np.float64]]
    kinds: Sequence[str]
    kind: npt.NDArray[np.integer]
    source: dict[str, Any]

    def anomalous(self, kinds: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Return which rows are of one of these kinds, (ticks, racks)."""
        return np.isin(self.kind, [i for i, name in enumerate(self.kinds) if name in kinds])

    def series(self, rack: str, channels: Sequence[str], anomalous: npt.NDArray[np.bool_]) -> Series:
        """Return one rack's rows, gaps filled; anomalous: of the whole run, (ticks, racks)."""
        i = self.racks.index(rack)
        values, filled = fill_gaps(np.stack([self.readings[c][:, i] for c in channels], axis=1))
        return Series(rack, self.times, channels, values, anomalous[:, i], filled)


def read_run(telemetry: Path) -> FinishedRun:
    """Return the run whose telemetry file this is. Raises InputError that lists what is missing or unfit."""
    manifest, labels = _checked_files(telemetry)
    racks: int = manifest["racks"]
    table = _table(telemetry, TELEMETRY_COLUMNS)
    truth = _table(labels, ("anomaly_kind",))["anomaly_kind"].cast(pa.string()).combine_chunks().dictionary_encode()
    if len(table) != len(truth) or len(table) % racks:
        raise InputError(f"{telemetry}: {len(table):,} rows, labels of {len(truth):,}, {racks:,} racks: not one run")
    return FinishedRun(
        telemetry.stem,
        table["ts"].cast(pa.timestamp("s")).to_numpy()[::racks],
        table["rack_id"].slice(0, racks).to_pylist(),
        {name: _readings(table[name], CHANNELS[name].decimals, racks) for name in CHANNELS},
        truth.dictionary.to_pylist(),
        truth.indices.to_numpy().reshape(-1, racks),
        {
            "telemetry": telemetry.name,
            "sha256": manifest["files"][telemetry.name]["sha256"],
            "seed": manifest["seed"],
            "scenario_sha256": manifest["scenario_sha256"],
        },
    )


def _readings(column: pa.ChunkedArray, decimals: int, racks: int) -> npt.NDArray[np.float64]:
    """Return a channel as (ticks, racks), at the decimals that telemetry has, which float32 only comes close to."""
    values: npt.NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    return np.round(values, decimals).reshape(-1, racks)


def _checked_files(telemetry: Path) -> tuple[dict[str, Any], Path]:
    """Return a run's manifest and the path of its labels, both files being as the run wrote them."""
    if telemetry.suffix not in (".csv", ".parquet"):
        raise InputError(f"--input: {str(telemetry)!r} is not telemetry; that ends in .csv or .parquet")
    manifest = _manifest(telemetry)
    labels = checked_companion(telemetry, "labels")
    if labels is None:
        beside = telemetry.with_name(f"{telemetry.stem}.labels.parquet")
        raise InputError(f"{beside}: the run was written without labels; run it again with --labels parquet or csv")
    return manifest, labels


def _manifest(telemetry: Path) -> dict[str, Any]:
    manifest, path = read_manifest(telemetry), manifest_path(telemetry)
    missing = [str(p) for p in (telemetry, path) if not p.is_file()]
    if missing:
        raise InputError(f"--input: a run has its manifest beside it; not there: {', '.join(missing)}")
    if manifest is None or not manifest.keys() >= _MANIFEST_KEYS or not isinstance(manifest["files"], dict):
        raise InputError(f"{path}: not the manifest of a complete run")
    return manifest


def _table(path: Path, columns: Sequence[str]) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            return pyarrow.parquet.read_table(path, columns=list(columns))
        types = {"ts": _TS, "rack_id": pa.string(), "anomaly_kind": pa.string()}
        options = pyarrow.csv.ConvertOptions(
            column_types={name: types.get(name, pa.float64()) for name in columns}, include_columns=list(columns)
        )
        return pyarrow.csv.read_csv(path, convert_options=options)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None

"""Ground truth read from the file beside a run, row by row in the same order."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.common.errors import InputError
from sim.common.text import printable
from sim.common.time_units import InstantError, instants_us
from sim.model.profiles import INCIDENT, NOMINAL, SENSOR
from training.features import Floats
from training.import_optional import import_optional
from training.telemetry import Telemetry, texts
from training.timeline import instant_text

REQUIRED = ("ts", "rack_id", "profile", "is_anomaly", "anomaly_kind", "episode_id", "is_persistent")
OPTIONAL = ("observed_id",)


@dataclass(frozen=True, slots=True)
class Labels:
    """Truth of each telemetry row.

    profile: the rack's, or `incident` or `sensor` where one can be observed. kind: of the anomaly. episode: its id, the
    incident's where there is one, empty while nominal; all text (rows,). anomaly, persistent: bool (rows,).
    """

    profile: NDArray[np.str_]
    kind: NDArray[np.str_]
    episode: NDArray[np.str_]
    anomaly: NDArray[np.bool_]
    persistent: NDArray[np.bool_]


def find_labels(data: Path, given: Path | None = None) -> Path | None:
    """Return the labels file of a run: the one that is given, else the one that stands beside it, if there is one.

    Raises InputError when a manifest says that it is not of this telemetry.
    """
    from sim.runs.manifest import check_labels, checked_companion  # noqa: PLC0415 - Arrow, which scoring does without

    try:
        if given is None:
            return checked_companion(data, "labels")
        check_labels(given, data)
    except InputError as error:
        hint = "generate the run again, or move its manifest away if you know that they fit"
        raise InputError(f"{error}\n  {hint}") from None
    return given


def read_labels(path: Path, telemetry: Telemetry) -> Labels:
    """Read the labels of `telemetry`. Raises InputError when they are of another run."""
    table = _read_table(path)
    missing = [name for name in REQUIRED if name not in table.column_names]
    if missing:
        raise InputError(f"{path}: columns missing: {', '.join(missing)}; a labels file has {', '.join(REQUIRED)}")
    if table.num_rows != telemetry.rows:
        raise InputError(
            f"{path}: has {table.num_rows} rows, {telemetry.source} has {telemetry.rows}; give the labels of this run"
        )
    _check_keys(path, table, telemetry)
    return labels_of(table, path)


def labels_of(table: Any, path: Path) -> Labels:
    """Return the labels of a table's rows. path: what messages call it. Raises InputError."""
    profile, kind, episode = (_text(table, name, path) for name in ("profile", "anomaly_kind", "episode_id"))
    if "observed_id" in table.column_names:
        affected = np.isin(kind, (INCIDENT, SENSOR))
        episode = np.where(affected, _first(_text(table, "observed_id", path)), episode)
        profile = np.where(affected, kind, profile)
    return Labels(profile, kind, episode, _flag(table, "is_anomaly", path), _flag(table, "is_persistent", path))


def _first(ids: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return the incident of each row; where several meet (A|B), the one that began first."""
    joined, index = np.unique(ids, return_inverse=True)
    found: NDArray[np.str_] = np.array([text.split("|")[0] for text in joined.tolist()], dtype=np.str_)[index]
    return found


def _read_table(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path}: no such labels file; a run NAME.csv has NAME.labels.parquet beside it")
    return import_optional("sim.runs.run").read_labels(path, (*REQUIRED, *OPTIONAL))


def _check_keys(path: Path, table: Any, telemetry: Telemetry) -> None:
    try:
        us = instants_us(table["ts"].combine_chunks())
    except InstantError as error:
        raise InputError(f"{path}: row {error.row + 1}: ts: {error}; write 2025-01-06T00:00:00Z") from None
    codes = {name: k for k, name in enumerate(telemetry.racks)}
    names = texts(table["rack_id"].combine_chunks(), "rack_id", path)
    encoded = names.dictionary_encode(null_encoding="encode")
    known = np.array([codes.get(str(name), -1) for name in encoded.dictionary.to_pylist()], dtype=np.intp)
    rack = known[encoded.indices.to_numpy(zero_copy_only=False)]
    other = np.flatnonzero((us / 1e6 != telemetry.ts_s) | (rack != telemetry.rack))
    if other.size:
        row = int(other[0])
        raise InputError(
            f"{path}: row {row + 1} is of {printable(str(names[row]))} at {instant_text(us[row] / 1e6)}, the "
            f"telemetry's is of {printable(telemetry.racks[telemetry.rack[row]])} at "
            f"{instant_text(telemetry.ts_s[row])}; give this run's labels"
        )


def _text(table: Any, name: str, path: Path) -> NDArray[np.str_]:
    coded = texts(table[name].combine_chunks(), name, path).dictionary_encode(null_encoding="encode")
    words = np.array([word or "" for word in coded.dictionary.to_pylist()] or [""], dtype=np.str_)
    text: NDArray[np.str_] = words[coded.indices.to_numpy(zero_copy_only=False)]
    return text


def _flag(table: Any, name: str, path: Path) -> NDArray[np.bool_]:
    pa = import_optional("pyarrow")

    column = table[name].combine_chunks()
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise InputError(f"{path}: row {row + 1}: {name} is empty; every row is true or false")
    if not pa.types.is_boolean(column.type):
        raise InputError(f"{path}: {name} is of type {column.type}; every row is true or false")
    flags: NDArray[np.bool_] = column.to_numpy(zero_copy_only=False)
    return flags


def runs_by_rack(rack: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the row order rack by rack in time, and where in it a new rack begins."""
    order = np.argsort(rack, kind="stable")
    first = np.ones(order.size, dtype=bool)
    first[1:] = rack[order][1:] != rack[order][:-1]
    return order, first


def seconds_in_regime(labels: Labels, telemetry: Telemetry) -> Floats:
    """Return how long each row's rack has been in its episode, or back in nominal [s]; endless at a run's start."""
    order, first = runs_by_rack(telemetry.rack)
    regime = np.char.add(np.char.add(labels.profile, "\0"), labels.episode)[order]
    entry = first.copy()
    entry[1:] |= regime[1:] != regime[:-1]
    at_entry = np.maximum.accumulate(np.where(entry, np.arange(order.size), 0))
    ts_s = telemetry.ts_s[order]
    since = ts_s - ts_s[at_entry]
    # the rack's regime at the first tick began before the run: it has settled only if it was nominal
    since[first[at_entry] & (labels.profile[order] == NOMINAL)] = np.inf
    out: Floats = np.empty_like(since)
    out[order] = since
    return out

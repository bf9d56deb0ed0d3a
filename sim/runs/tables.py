"""Blocks as Arrow tables: telemetry with exact decimals or float32, and labels.

Arrays are made from their buffers, since `pyarrow.array` imports pandas, which costs a run a tenth of its time.
"""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sim.agents.training_job import JobState
from sim.engine.blocks import Labels, Telemetry
from sim.engine.counters import COUNTERS
from sim.incidents.labels import PHASES, IncidentLabels
from sim.model.channels import CHANNELS, MISSING, TELEMETRY_CHANNELS
from sim.model.profiles import INCIDENT, SENSOR, Profile

LABEL_COLUMNS = (
    "ts",
    "rack_id",
    "profile",
    "row_profile",
    "loop_profile",
    "is_anomaly",
    "anomaly_kind",
    "episode_id",
    "is_persistent",
    "incident_id",
    "observed_id",
    "phase",
    "severity",
    "sensor_fault",
)
JOB_COLUMN = "job_state"
"""What labels have besides in a run with a training job."""

_DECIMAL_DIGITS = 18
_USES = 4
"""How often each text of a block must be used on average for a dictionary of all of them to pay."""


class Tables:
    """Makes the rows of blocks: one per tick and rack, by tick, then rack."""

    def __init__(
        self,
        start: datetime,
        tick_s: int,
        racks: Sequence[str],
        row_of_rack: npt.NDArray[np.intp],
        loop_of_rack: npt.NDArray[np.intp],
        profiles: Sequence[Profile],
        channels: Sequence[str] = TELEMETRY_CHANNELS,
        *,
        job: bool = False,
    ) -> None:
        self._start = start
        self._tick_s = tick_s
        self.channels = channels
        self.columns = ("ts", "rack_id", *channels)
        self.label_columns = (*LABEL_COLUMNS, *((JOB_COLUMN,) if job else ()))
        self._racks = _texts(racks)
        self._row_of_rack = row_of_rack
        self._loop_of_rack = loop_of_rack
        self._profiles = _texts([p.name for p in profiles])
        kinds = [*sorted({p.anomaly_kind for p in profiles}), INCIDENT, SENSOR]
        self._incident, self._sensor = len(kinds) - 2, len(kinds) - 1
        self._kinds = _texts(kinds)
        self._kind_of_profile = np.array([kinds.index(p.anomaly_kind) for p in profiles], dtype=np.int8)

    def decimals(self, block: Telemetry) -> pa.Table:
        """Return telemetry as text shows it: ts as ISO 8601, readings as exact decimals or their texts."""
        columns = [self._ts_text(block.first_tick, block.ticks), self._rack_id(block.ticks)]
        columns += [_text(block.readings[name].reshape(-1), CHANNELS[name].decimals) for name in self.channels]
        return pa.table(columns, names=list(self.columns))

    def floats(self, block: Telemetry) -> pa.Table:
        """Return telemetry typed: timestamps, float32, and the queue as an integer."""
        columns = [self._ts(block.first_tick, block.ticks), self._rack_id(block.ticks)]
        columns += [_typed(block.readings[name].reshape(-1), CHANNELS[name].decimals) for name in self.channels]
        return pa.table(columns, names=list(self.columns))

    def exact(self, block: Telemetry) -> pa.Table:
        """Return telemetry typed, with float64 for what is written as text."""
        columns = [self._ts(block.first_tick, block.ticks), self._rack_id(block.ticks)]
        columns += [_exact(block.readings[name].reshape(-1), CHANNELS[name].decimals) for name in self.channels]
        return pa.table(columns, names=list(self.columns))

    def counters(self, block: Telemetry) -> pa.Table:
        """Return the counters of GPUs, typed; null where none tells them."""
        columns = [self._ts(block.first_tick, block.ticks), self._rack_id(block.ticks)]
        values = block.counters or {}
        columns += [_counter(values[name].reshape(-1), whole=name != "POWER_USAGE") for name in COUNTERS]
        return pa.table(columns, names=["ts", "rack_id", *COUNTERS])

    def labels(self, block: Labels, *, text: bool) -> pa.Table:
        """Return the labels of a block; `text` writes ts as ISO 8601."""
        ticks, racks = block.racks.profile.shape
        rows = ticks * racks
        profile = block.racks.profile.reshape(-1)
        columns = [
            self._ts_text(block.first_tick, ticks) if text else self._ts(block.first_tick, ticks),
            self._rack_id(ticks),
            _dictionary(profile, self._profiles),
            _dictionary(block.rows.profile[:, self._row_of_rack].reshape(-1), self._profiles),
            _dictionary(block.loops.profile[:, self._loop_of_rack].reshape(-1), self._profiles),
            *self._anomaly(block),
            self._episode_id(block),
            _flags(_persistent(block).reshape(-1)),
            *_incidents(block.incident_labels, rows),
        ]
        if block.job is not None:
            columns.append(_words(block.job.reshape(-1) + 1, ("", *(state.name.lower() for state in JobState))))
        effect = block.effect or {}
        columns += [_numbers(values.reshape(-1)) for values in effect.values()]
        return pa.table(columns, names=[*self.label_columns, *(f"effect_{name}" for name in effect)])

    def _anomaly(self, block: Labels) -> tuple[pa.Array, pa.Array]:
        """Return is_anomaly and anomaly_kind: what can be observed of a fault goes over the profile."""
        profile, incident_labels = block.racks.profile.reshape(-1), block.incident_labels
        anomalous, kind = profile != 0, self._kind_of_profile[profile]
        if incident_labels is not None:
            physical, sensor = incident_labels.physical.reshape(-1), incident_labels.sensor.reshape(-1)
            anomalous = anomalous | physical | sensor
            kind = np.where(physical, self._incident, np.where(sensor, self._sensor, kind)).astype(np.int8)
        return _flags(anomalous), _dictionary(kind, self._kinds)

    def _episode_id(self, block: Labels) -> pa.Array:
        numbers = np.array(sorted(block.episodes), dtype=np.int32)
        names = _texts([block.episodes[n].name for n in numbers.tolist()])
        episode = block.racks.episode.reshape(-1)
        index = np.searchsorted(numbers, episode).astype(np.int32) if len(numbers) else np.zeros_like(episode)
        return pa.DictionaryArray.from_arrays(_numbers(index, known=episode >= 0), names)

    def _ts(self, first_tick: int, ticks: int) -> pa.Array:
        start_ms = round(self._start.timestamp() * 1000)
        ms = start_ms + 1000 * self._tick_s * np.arange(first_tick, first_tick + ticks, dtype=np.int64)
        return _numbers(np.repeat(ms, len(self._racks))).cast(pa.timestamp("ms", "UTC"))

    def _ts_text(self, first_tick: int, ticks: int) -> pa.Array:
        start_s = round(self._start.timestamp())
        instants = (start_s + self._tick_s * np.arange(first_tick, first_tick + ticks)).astype("datetime64[s]")
        texts = _texts(np.datetime_as_string(instants, timezone="UTC").tolist())
        return _dictionary(np.repeat(np.arange(ticks, dtype=np.int32), len(self._racks)), texts)

    def _rack_id(self, ticks: int) -> pa.Array:
        return _dictionary(np.tile(np.arange(len(self._racks), dtype=np.int32), ticks), self._racks)


def readings_as_text(table: pa.Table) -> pa.Table:
    """Return telemetry that is typed, with ts in whole seconds, as text shows it."""
    columns = [_instants_as_text(table["ts"]), table["rack_id"]]
    columns += [_text(_scaled(table[name], name), CHANNELS[name].decimals) for name in table.column_names[2:]]
    return pa.table(columns, names=table.column_names)


def labels_as_text(table: pa.Table) -> pa.Table:
    """Return labels that are typed as text shows them."""
    return table.set_column(0, "ts", _instants_as_text(table["ts"]))


def joined(readings: pa.Table, truth: pa.Table) -> pa.Table:
    """Return the columns of the readings and after them those of the truth that they lack, row by row."""
    lacking = [name for name in truth.column_names if name not in readings.column_names]
    columns = [*readings.columns, *(truth[name] for name in lacking)]
    return pa.table(columns, names=[*readings.column_names, *lacking])


def _instants_as_text(ts: pa.ChunkedArray) -> pa.Array:
    seconds = ts.cast(pa.timestamp("s", "UTC")).cast(pa.int64()).to_numpy()
    known, index = np.unique(seconds, return_inverse=True)
    texts = _texts(np.datetime_as_string(known.astype("datetime64[s]"), timezone="UTC").tolist())
    return _dictionary(index.astype(np.int32), texts)


def _scaled(column: pa.ChunkedArray, name: str) -> npt.NDArray[np.int64]:
    """Return readings as integers in units of their last digit."""
    values = column.cast(pa.float64()).to_numpy()
    known = np.isfinite(values)
    return np.where(known, np.rint(np.where(known, values, 0.0) * 10.0 ** CHANNELS[name].decimals), MISSING).astype(
        np.int64
    )


def _persistent(block: Labels) -> npt.NDArray[np.bool_]:
    return block.persistent if block.incident_labels is None else block.persistent | block.incident_labels.persistent


def _incidents(incident_labels: IncidentLabels | None, rows: int) -> tuple[pa.Array, ...]:
    """Return incident_id, observed_id, phase, severity and sensor_fault, null where there is none."""
    if incident_labels is None:
        none = _words(np.zeros(rows, dtype=np.int32), ("",))
        return none, none, none, pa.nulls(rows, pa.float32()), none
    phase = incident_labels.phase.reshape(-1)
    return (
        _words(incident_labels.incidents.reshape(-1), incident_labels.incident_names),
        _words(incident_labels.observed.reshape(-1), incident_labels.observed_names),
        _words(phase, PHASES),
        _numbers(incident_labels.severity.reshape(-1), known=phase != 0),
        _words(incident_labels.sensors.reshape(-1), incident_labels.sensor_names),
    )


def _words(index: npt.NDArray[np.integer], words: Sequence[str]) -> pa.Array:
    """Return texts by their index; 0 is none, and no text of the dictionary."""
    used = np.maximum(index.astype(np.int32) - 1, 0)
    return pa.DictionaryArray.from_arrays(_numbers(used, known=index != 0), _texts(words[1:]))


def _numbers(values: npt.NDArray[np.number], known: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Return numbers as they stand in memory; null where they are not `known`."""
    validity = None if known is None else _bits(known)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [validity, pa.py_buffer(values)])


def _counter(values: npt.NDArray[np.float64], *, whole: bool) -> pa.Array:
    known = np.isfinite(values)
    told = np.where(known, values, 0.0)
    return _numbers(told.astype(np.int32) if whole else told.astype(np.float32), known)


def _flags(values: npt.NDArray[np.bool_]) -> pa.Array:
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, _bits(values)])


def _bits(values: npt.NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(values, bitorder="little"))


def _texts(values: Sequence[str]) -> pa.Array:
    encoded = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def _dictionary(indices: npt.NDArray[np.integer], values: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(_numbers(indices), values)


def _known(scaled: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_] | None:
    """Return which samples are there, None where all are: the usual case, which should cost one look."""
    return scaled != MISSING if scaled.min() == MISSING else None


def _typed(scaled: npt.NDArray[np.int64], decimals: int) -> pa.Array:
    """Return integers in units of the last digit as float32, or as int32 where there are no decimals."""
    values = (scaled / 10.0**decimals).astype(np.float32) if decimals else scaled.astype(np.int32)
    return _numbers(values, _known(scaled))


def _exact(scaled: npt.NDArray[np.int64], decimals: int) -> pa.Array:
    return _numbers(scaled / 10.0**decimals, _known(scaled))


def _text(scaled: npt.NDArray[np.int64], decimals: int) -> pa.Array:
    """Return integers in units of the last digit as exact decimals; as their texts, each made once, where it pays."""
    known = _known(scaled)
    if known is not None or not decimals:
        return _decimal(scaled, decimals, known) if decimals else _numbers(scaled, known)
    least, most = int(scaled.min()), int(scaled.max())
    if (most - least + 1) * _USES > len(scaled):
        return _decimal(scaled, decimals)
    texts = _decimal(np.arange(least, most + 1), decimals).cast(pa.string())
    return _dictionary((scaled - least).astype(np.int32), texts)


def _decimal(scaled: npt.NDArray[np.int64], decimals: int, known: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Return integers in units of the last digit as exact decimals: 128-bit little-endian two's complement."""
    words = np.empty((len(scaled), 2), dtype="<i8")
    words[:, 0] = scaled
    words[:, 1] = scaled >> 63
    validity = None if known is None else _bits(known)
    return pa.Array.from_buffers(pa.decimal128(_DECIMAL_DIGITS, decimals), len(scaled), [validity, pa.py_buffer(words)])

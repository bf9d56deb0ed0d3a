"""Blocks as Arrow tables: telemetry with exact decimals or float32, and labels."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sim.domain.channels import CHANNELS, MISSING, TELEMETRY_COLUMNS
from sim.domain.profiles import INCIDENT, SENSOR, Profile
from sim.domain.quantities import format_instant
from sim.engine.blocks import PHASES, Labels, Marks, Telemetry

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
    "phase",
    "severity",
    "sensor_fault",
)

_DECIMAL_DIGITS = 18


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
    ) -> None:
        self._start = start
        self._tick_s = tick_s
        self._racks = pa.array(racks)
        self._row_of_rack = row_of_rack
        self._loop_of_rack = loop_of_rack
        self._profiles = pa.array([p.name for p in profiles])
        kinds = [*sorted({p.anomaly_kind for p in profiles}), INCIDENT, SENSOR]
        self._incident, self._sensor = len(kinds) - 2, len(kinds) - 1
        self._kinds = pa.array(kinds)
        self._kind_of_profile = np.array([kinds.index(p.anomaly_kind) for p in profiles], dtype=np.int8)

    def decimals(self, block: Telemetry) -> pa.Table:
        """Return telemetry as text would show it: ts as ISO 8601 text, readings as exact decimals."""
        columns = [self._ts_text(block.first_tick, block.ticks), self._rack_id(block.ticks)]
        for name, channel in CHANNELS.items():
            columns.append(_exact(block.readings[name].reshape(-1), channel.decimals))
        return pa.table(columns, names=list(TELEMETRY_COLUMNS))

    def floats(self, block: Telemetry) -> pa.Table:
        """Return telemetry typed: timestamps, float32, and the queue as an integer."""
        columns = [self._ts(block.first_tick, block.ticks), self._rack_id(block.ticks)]
        for name, channel in CHANNELS.items():
            columns.append(_typed(block.readings[name].reshape(-1), channel.decimals))
        return pa.table(columns, names=list(TELEMETRY_COLUMNS))

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
            pa.array(_persistent(block).reshape(-1)),
            *_incidents(block.marks, rows),
        ]
        effect = block.effect or {}
        columns += [pa.array(values.reshape(-1)) for values in effect.values()]
        return pa.table(columns, names=[*LABEL_COLUMNS, *(f"effect_{name}" for name in effect)])

    def _anomaly(self, block: Labels) -> tuple[pa.Array, pa.Array]:
        """Return is_anomaly and anomaly_kind: what can be observed of a fault goes over the profile."""
        profile, marks = block.racks.profile.reshape(-1), block.marks
        anomalous, kind = profile != 0, self._kind_of_profile[profile]
        if marks is not None:
            physical, sensor = marks.physical.reshape(-1), marks.sensor.reshape(-1)
            anomalous = anomalous | physical | sensor
            kind = np.where(physical, self._incident, np.where(sensor, self._sensor, kind)).astype(np.int8)
        return pa.array(anomalous), _dictionary(kind, self._kinds)

    def _episode_id(self, block: Labels) -> pa.Array:
        numbers = np.array(sorted(block.episodes), dtype=np.int32)
        names = pa.array([block.episodes[n].name for n in numbers.tolist()], pa.string())
        episode = block.racks.episode.reshape(-1)
        index = np.searchsorted(numbers, episode).astype(np.int32) if len(numbers) else np.zeros_like(episode)
        return pa.DictionaryArray.from_arrays(pa.array(index, mask=episode < 0), names)

    def _ts(self, first_tick: int, ticks: int) -> pa.Array:
        start_ms = round(self._start.timestamp() * 1000)
        ms = start_ms + 1000 * self._tick_s * np.arange(first_tick, first_tick + ticks, dtype=np.int64)
        return pa.array(np.repeat(ms, len(self._racks)), pa.int64()).cast(pa.timestamp("ms", "UTC"))

    def _ts_text(self, first_tick: int, ticks: int) -> pa.Array:
        instants = [
            format_instant(self._start + timedelta(seconds=k * self._tick_s))
            for k in range(first_tick, first_tick + ticks)
        ]
        return _dictionary(np.repeat(np.arange(ticks, dtype=np.int32), len(self._racks)), pa.array(instants))

    def _rack_id(self, ticks: int) -> pa.Array:
        return _dictionary(np.tile(np.arange(len(self._racks), dtype=np.int32), ticks), self._racks)


def _persistent(block: Labels) -> npt.NDArray[np.bool_]:
    return block.persistent if block.marks is None else block.persistent | block.marks.persistent


def _incidents(marks: Marks | None, rows: int) -> tuple[pa.Array, ...]:
    """Return incident_id, phase, severity and sensor_fault, null where there is none."""
    if marks is None:
        return (
            pa.nulls(rows, pa.string()),
            pa.nulls(rows, pa.string()),
            pa.nulls(rows, pa.float32()),
            pa.nulls(rows, pa.string()),
        )
    phase = marks.phase.reshape(-1)
    return (
        _words(marks.incidents.reshape(-1), marks.incident_names),
        _words(phase, PHASES),
        pa.array(marks.severity.reshape(-1), mask=phase == 0),
        _words(marks.sensors.reshape(-1), marks.sensor_names),
    )


def _words(index: npt.NDArray[np.integer], words: Sequence[str]) -> pa.Array:
    """Return texts by their index; 0 is none."""
    return pa.DictionaryArray.from_arrays(
        pa.array(index.astype(np.int32), mask=index == 0), pa.array(words, pa.string())
    )


def _dictionary(indices: npt.NDArray[np.integer], values: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(indices), values)


def _lost(scaled: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_] | None:
    """Return which samples are missing, None where none is: the usual case, which should cost one look."""
    return scaled == MISSING if scaled.min(initial=0) == MISSING else None


def _typed(scaled: npt.NDArray[np.int64], decimals: int) -> pa.Array:
    """Return integers in units of the last digit as float32, or as int32 where there are no decimals."""
    lost = _lost(scaled)
    values = (scaled / 10.0**decimals).astype(np.float32) if decimals else scaled.astype(np.int32)
    return pa.array(values, mask=lost)


def _exact(scaled: npt.NDArray[np.int64], decimals: int) -> pa.Array:
    """Return integers in units of the last digit as exact decimals, null where a sample is missing."""
    lost = _lost(scaled)
    exact = _decimal(scaled, decimals) if decimals else pa.array(scaled)
    return exact if lost is None else pc.if_else(pa.array(lost), pa.scalar(None, exact.type), exact)


def _decimal(scaled: npt.NDArray[np.int64], decimals: int) -> pa.Array:
    """Return integers in units of the last digit as exact decimals: 128-bit little-endian two's complement."""
    words = np.empty((len(scaled), 2), dtype="<i8")
    words[:, 0] = scaled
    words[:, 1] = scaled >> 63
    return pa.Array.from_buffers(pa.decimal128(_DECIMAL_DIGITS, decimals), len(scaled), [None, pa.py_buffer(words)])

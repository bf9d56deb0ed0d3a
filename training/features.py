"""Features of the monitors: the one place where a telemetry sample becomes a vector.

Training, scoring and the backend import this module, so that no second copy of a derivation can drift from it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.common.errors import InputError
from sim.model.channels import CHANNELS

Floats = NDArray[np.float64]

FEATURES: tuple[str, ...] = (
    "inlet_c",
    "outlet_c",
    "delta_t",
    "pdu_kw",
    "gpu_power_kw",
    "tokens_ps",
    "latency_p95_ms",
    "queue_depth",
    "fan_rpm_pct",
    "pump_rpm_pct",
)
"""The features of a vector, in order."""

GROUPS: dict[str, tuple[str, ...]] = {
    "thermal": ("inlet_c", "outlet_c", "delta_t"),
    "power": ("pdu_kw", "gpu_power_kw"),
    "load": ("tokens_ps", "latency_p95_ms", "queue_depth"),
    "cooling": ("fan_rpm_pct", "pump_rpm_pct"),
}
"""Features that tend to depart together, for the root cause by group."""

UNITS: tuple[str, ...] = tuple(CHANNELS[name].unit for name in FEATURES)

RESOLUTION: Floats = np.array([10.0 ** -CHANNELS[name].decimals for name in FEATURES])
"""Smallest step a channel can report, in its unit: no spread is believed to be finer."""

MIN_PRESENT = 0.7
"""A vector with a smaller share of its features is refused (assumed: 7 of 10)."""

LIMITS: dict[str, tuple[float, float]] = {name: channel.plausible for name, channel in CHANNELS.items()}
"""Values no rack reports in the channel's unit (assumed): beyond them the unit is wrong. 72 degF, 295 K are caught."""

DERIVED_FROM: dict[str, tuple[str, ...]] = {"delta_t": ("inlet_c", "outlet_c"), "gpu_power_kw": ("gpu_energy_j",)}
"""The channels a feature is computed from when it is absent."""


def delta_t(inlet_c: Any, outlet_c: Any) -> Any:
    """Temperature rise over the rack [K], from floats or arrays."""
    return outlet_c - inlet_c


def gpu_power_kw(gpu_energy_j: Any, interval_s: Any) -> Any:
    """Mean GPU power [kW] from the energy of one interval of the rack's own samples."""
    return gpu_energy_j / (1000.0 * interval_s)


def missing_channels(present: Iterable[str]) -> list[str]:
    """Name what a vector cannot be made from: features neither present nor derivable."""
    have = set(present)
    return [
        f"{name} (or {' and '.join(DERIVED_FROM[name])})" if name in DERIVED_FROM else name
        for name in FEATURES
        if name not in have and not (name in DERIVED_FROM and have.issuperset(DERIVED_FROM[name]))
    ]


def feature_matrix(columns: Mapping[str, Any], rows: int, interval_s: Floats | float | None = None) -> Floats:
    """Turn telemetry columns into vectors (rows, 10); what is missing or not finite is NaN.

    interval_s: spacing of each row's own rack [s], needed where gpu_power_kw is absent; NaN or None where unknown.
    """
    out = np.full((rows, len(FEATURES)), np.nan)
    for j, name in enumerate(FEATURES):
        if name in columns:
            out[:, j] = columns[name]
    out[~np.isfinite(out)] = np.nan
    _fill(out, FEATURES.index("delta_t"), _derived_delta_t(out))
    if "gpu_energy_j" in columns and interval_s is not None:
        energy_j = np.asarray(columns["gpu_energy_j"], dtype=np.float64)
        _fill(out, FEATURES.index("gpu_power_kw"), gpu_power_kw(energy_j, np.asarray(interval_s, dtype=np.float64)))
    return out


def _derived_delta_t(out: Floats) -> Floats:
    derived: Floats = delta_t(out[:, FEATURES.index("inlet_c")], out[:, FEATURES.index("outlet_c")])
    return derived


def _fill(out: Floats, column: int, derived: Floats) -> None:
    gap = np.isnan(out[:, column]) & np.isfinite(derived)
    out[gap, column] = np.broadcast_to(derived, gap.shape)[gap]


def feature_vector(sample: Mapping[str, Any], interval_s: float | None = None) -> Floats:
    """Turn one telemetry sample into a vector (10,), as a row of a file is: what is missing, None or NaN is NaN.

    Raises InputError that names every value that is no number, or one that no rack reports in the channel's unit.
    """
    columns, wrong = {}, []
    for name, value in sample.items():
        if name in CHANNELS:
            try:
                columns[name] = np.array([number(value)])
            except ValueError:
                wrong.append(f"{name}: {value!r:.60} is no number")
    if wrong:
        raise InputError("; ".join(wrong))
    x = feature_matrix(columns, 1, interval_s)
    found = outside_limits(columns, x)
    if found:
        raise InputError(found.text)
    vector: Floats = x[0]
    return vector


def number(value: Any) -> float:
    """Return a value of a sample as a number: text is read, nothing (None or empty text) is NaN.

    Raises ValueError for what is no number; True is none either.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return float("nan")
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, str, np.number)):
        raise ValueError("is no number")  # noqa: TRY004 - text that is no number raises it too
    try:
        return float(value)
    except OverflowError:  # an integer beyond any float
        return inf if isinstance(value, int) and value > 0 else -inf


def incomplete(x: Floats) -> NDArray[np.bool_]:
    """Mark the vectors (rows, d) with a feature missing."""
    rows: NDArray[np.bool_] = np.logical_or.reduce(np.isnan(x), axis=1)
    return rows


@dataclass(frozen=True, slots=True)
class Outside:
    """A value that no rack reports in the channel's unit: the channel, the row, and what to say."""

    channel: str
    row: int
    text: str


def outside_limits(columns: Mapping[str, Floats], x: Floats) -> Outside | None:
    """Return the first value that no rack reports: of the columns, and of what is derived from them.

    columns: by channel (rows,); x: their vectors (rows, 10). Infinite values are outside all limits.
    """
    derived = {name: x[:, FEATURES.index(name)] for name in DERIVED_FROM if name not in columns}
    for name, (low, high) in LIMITS.items():
        values = columns.get(name, derived.get(name))
        wrong = np.flatnonzero((values < low) | (values > high)) if values is not None else np.empty(0, dtype=np.intp)
        if values is not None and wrong.size:
            row = int(wrong[0])
            source = f" (from {' and '.join(DERIVED_FROM[name])})" if name in derived else ""
            text = f"{name}{source} is {values[row]:g}, outside {low:g} to {high:g} {CHANNELS[name].unit}"
            return Outside(name, row, f"{text}; is it in another unit?")
    return None

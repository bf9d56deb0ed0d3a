"""What each channel says: its true value from what the recorder keeps, or its reading from those of others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from sim.engine.blocks import Array, Integers
from sim.model.channels import CHANNELS, MISSING
from sim.plant import relations

Readings = dict[str, Integers]


@dataclass(frozen=True, slots=True)
class Relation:
    """The true value of a channel with a sensor, for a standard rack.

    reads: fields of the plant's state, its drivers, or the mean power over the tick, as the recorder keeps them.
    channels: other channels whose value is needed too; they stand before this one. value: called with both in that
    order, (ticks, racks) each, returns the channel's unit. extensive: whether it grows with the rack's size.
    """

    value: Callable[..., Array]
    reads: tuple[str, ...]
    channels: tuple[str, ...] = ()
    extensive: bool = False


def _as_it_is(field: Array) -> Array:
    return field


def _latency_p95_ms(
    utilisation: Array, service: Array, capacity_ps: Array, backlog_tokens: Array, request_tokens: Array
) -> Array:
    """Return the latency of requests, 0 where no rack could answer one or there are none: a training job's."""
    wait_s = backlog_tokens / np.maximum(capacity_ps, 1.0)
    answers = (capacity_ps > 0) & (request_tokens < np.inf)
    return np.where(answers, relations.latency_p95_ms(utilisation, wait_s, service), 0.0)


def _queue_depth(tokens_ps: Array, request_tokens: Array, latency_p95_ms: Array) -> Array:
    return relations.queue_depth(tokens_ps, latency_p95_ms, request_tokens)


RELATIONS: dict[str, Relation] = {
    "inlet_c": Relation(_as_it_is, ("inlet_c",)),
    "outlet_c": Relation(_as_it_is, ("exhaust_c",)),
    "pdu_kw": Relation(_as_it_is, ("mean_rack_kw",), extensive=True),
    "tokens_ps": Relation(_as_it_is, ("tokens_ps",), extensive=True),
    "latency_p95_ms": Relation(
        _latency_p95_ms, ("utilisation", "service", "capacity_ps", "backlog_tokens", "request_tokens")
    ),
    "queue_depth": Relation(_queue_depth, ("tokens_ps", "request_tokens"), ("latency_p95_ms",), extensive=True),
    "fan_rpm_pct": Relation(_as_it_is, ("fan_pct",)),
    "pump_rpm_pct": Relation(_as_it_is, ("pump_pct",)),
    "gpu_power_kw": Relation(_as_it_is, ("mean_gpu_kw",), extensive=True),
    "airflow_m3s": Relation(_as_it_is, ("airflow_m3s",), extensive=True),
}
"""By channel; the air that servers draw is kept as truth beside them."""


def true_values(relations: Mapping[str, Relation], fields: Mapping[str, Array], size: Array) -> dict[str, Array]:
    """Return the true values of channels that stand in the order in which they need each other.

    fields: what the relations read, arrays of racks; size: of the racks, (racks,).
    """
    standard: dict[str, Array] = {}
    for name, relation in relations.items():
        channels = (standard[channel] for channel in relation.channels)
        standard[name] = relation.value(*(fields[field] for field in relation.reads), *channels)
    return {name: value * size if relations[name].extensive else value for name, value in standard.items()}


TRUTH_ONLY = ("airflow_m3s",)
"""What is kept of the truth though no sensor reads it."""


ANSWERED = {"latency_p95_ms": "tokens_ps"}
"""Channels without a reading where their own truth or another one's is 0: a rack that serves nothing answers nobody."""


def digits(name: str, value: Array) -> Integers:
    """Return a channel's values in units of its last written digit, MISSING where one is NaN."""
    scaled = value * 10.0 ** CHANNELS[name].decimals
    np.rint(scaled, out=scaled)
    lost = np.isnan(scaled)
    if not lost.any():
        return scaled.astype(np.int64)
    scaled[lost] = 0.0
    return np.where(lost, MISSING, scaled.astype(np.int64))


def _gpu_energy_j(values: Mapping[str, Array], _readings: Readings, tick_s: float) -> Integers:
    """Return the energy over the tick from the power reading before it is rounded."""
    return digits("gpu_energy_j", values["gpu_power_kw"] * (1000 * tick_s))


def _delta_t(_values: Mapping[str, Array], readings: Readings, _tick_s: float) -> Integers:
    """Return the difference of the temperatures as they are written."""
    inlet, outlet = readings["inlet_c"], readings["outlet_c"]
    return np.where((outlet == MISSING) | (inlet == MISSING), MISSING, outlet - inlet)


DERIVED: dict[str, Callable[[Mapping[str, Array], Readings, float], Integers]] = {
    "gpu_energy_j": _gpu_energy_j,
    "delta_t": _delta_t,
}
"""Channels without a sensor: from the sensors' values, their rounded readings and the tick [s]."""

"""Sums by the minute of event time, kept up with every batch, so that no figure needs a scan of the samples.

A sample stands for the time since its rack's sample before it: for the rack's usual spacing where that was a gap, and
where the sample is late. A rack's first sample stands for no time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from api.samples import Sample, columns_of
from api.store import LATENCIES, MINUTES, Store
from training.features import Floats

MINUTE_US = 60_000_000
DAY_US = 1440 * MINUTE_US
LATENCY_STEP = 1.01
"""Latencies are counted in steps of 1 %: a percentile of the counts is within half of that of the readings' own."""

_GAP = 1.5
_LONGEST_US = 15 * MINUTE_US
_REMEMBERED = 5
_SMALLEST_MS = 0.01
_FIRST_STEP, _STEPS = -1000, 10_000  # all steps from _SMALLEST_MS up to what a sample may say

Memory = tuple[int, tuple[int, ...]]
"""Of a rack: the instant of its newest sample and its latest spacings [us]."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reading is held against when it comes in. latency_ms: SLA_LATENCY_MS. inlet_c: INLET_MAX_C."""

    latency_ms: float
    inlet_c: float


@dataclass(frozen=True, slots=True)
class RackTotal:
    """Running sums of a rack since the server started."""

    gpu_energy_j: float = 0.0
    tokens: float = 0.0


@dataclass(frozen=True, slots=True)
class Added:
    """What a batch added: the memory of its racks, and their totals; kept when the batch is safe."""

    memory: Mapping[str, Memory]
    totals: Mapping[str, RackTotal]


class Aggregates:
    """The sums of a store. newest_us: of the racks that are in it already."""

    def __init__(self, store: Store, limits: Limits, newest_us: Mapping[str, int]) -> None:
        self._store, self._limits = store, limits
        self._memory: dict[str, Memory] = {rack: (us, ()) for rack, us in newest_us.items()}
        self._totals: dict[str, RackTotal] = {}

    def totals(self) -> dict[str, RackTotal]:
        """Return the running sums of the racks that were sampled since the start."""
        return dict(self._totals)

    def add(self, connection: sa.Connection, samples: Sequence[Sample]) -> Added:
        """Add samples that are new in the store to its sums, in the transaction that stores them."""
        if not samples:
            return Added({}, {})
        ordered = sorted(samples, key=lambda s: s.ts_us)
        span_s, opens, memory = self._spans(ordered)
        columns = columns_of(ordered)
        ts_us = np.array([s.ts_us for s in ordered], dtype=np.int64)
        self._add_minutes(connection, ts_us, _contributions(columns, span_s, opens, self._limits))
        self._add_latencies(connection, ts_us, columns["latency_p95_ms"])
        return Added(memory, self._new_totals(ordered, columns, span_s))

    def keep(self, added: Added) -> None:
        """Remember what a batch added, now that it is safe in the store."""
        self._memory.update(added.memory)
        self._totals.update(added.totals)

    def _spans(self, ordered: Sequence[Sample]) -> tuple[Floats, Floats, dict[str, Memory]]:
        """Return what time each sample stands for [s], and 1 where it is its rack's first of a minute."""
        memory: dict[str, Memory] = {}
        span_us, opens = np.zeros(len(ordered)), np.zeros(len(ordered))
        for k, s in enumerate(ordered):
            before = memory.get(s.rack_id) or self._memory.get(s.rack_id)
            opens[k] = before is None or before[0] // MINUTE_US != s.ts_us // MINUTE_US
            span_us[k], memory[s.rack_id] = (0.0, (s.ts_us, ())) if before is None else _span(before, s.ts_us)
        return span_us / 1e6, opens, memory

    def _add_minutes(self, connection: sa.Connection, ts_us: NDArray[np.int64], sums: Mapping[str, Floats]) -> None:
        minutes, group = np.unique(ts_us // MINUTE_US, return_inverse=True)
        columns = {name: _summed(name, group, values, minutes.size) for name, values in sums.items()}
        names = ("minute_us", *columns)
        rows = zip((minutes * MINUTE_US).tolist(), *columns.values(), strict=True)
        self._store.add_up(connection, MINUTES, [dict(zip(names, row, strict=True)) for row in rows])

    def _add_latencies(self, connection: sa.Connection, ts_us: NDArray[np.int64], latency_ms: Floats) -> None:
        known = np.isfinite(latency_ms)
        if not known.any():
            return
        keys = ts_us[known] // DAY_US * _STEPS + (latency_step(latency_ms[known]) - _FIRST_STEP)
        found, counts = np.unique(keys, return_counts=True)
        rows = [
            {"day_us": key // _STEPS * DAY_US, "step": key % _STEPS + _FIRST_STEP, "readings": count}
            for key, count in zip(found.tolist(), counts.tolist(), strict=True)
        ]
        self._store.add_up(connection, LATENCIES, rows)

    def _new_totals(
        self, ordered: Sequence[Sample], columns: Mapping[str, Floats], span_s: Floats
    ) -> dict[str, RackTotal]:
        number: dict[str, int] = {}
        rack = np.array([number.setdefault(s.rack_id, len(number)) for s in ordered], dtype=np.intp)
        energy_j = np.bincount(rack, np.nan_to_num(_gpu_kj(columns, span_s) * 1e3)).tolist()
        tokens = np.bincount(rack, np.nan_to_num(columns["tokens_ps"] * span_s)).tolist()
        none = RackTotal()
        before = {name: self._totals.get(name, none) for name in number}
        return {
            name: RackTotal(before[name].gpu_energy_j + energy_j[k], before[name].tokens + tokens[k])
            for name, k in number.items()
        }


def _span(before: Memory, ts_us: int) -> tuple[float, Memory]:
    """Return what time a sample stands for [us], and the rack's memory after it."""
    newest_us, spacings_us = before
    usual_us = sorted(spacings_us)[len(spacings_us) // 2] if spacings_us else 0
    spacing_us = ts_us - newest_us
    if spacing_us <= 0:
        return usual_us, before
    after = (ts_us, (*spacings_us[1 - _REMEMBERED :], spacing_us))
    if not usual_us:
        return (spacing_us if spacing_us <= _LONGEST_US else 0), after
    return (spacing_us if spacing_us <= _GAP * usual_us else usual_us), after


def latency_step(latency_ms: Floats) -> NDArray[np.int64]:
    """Return the step that latencies [ms] are counted in: the k-th ends at LATENCY_STEP**k ms."""
    steps = np.ceil(np.log(np.maximum(latency_ms, _SMALLEST_MS)) / np.log(LATENCY_STEP))
    whole: NDArray[np.int64] = steps.astype(np.int64)
    return whole


def _gpu_kj(columns: Mapping[str, Floats], span_s: Floats) -> Floats:
    """Return each sample's GPU energy [kJ]: as it was sent, or from its power; NaN where neither was."""
    sent = columns["gpu_energy_j"] / 1e3
    energy_kj: Floats = np.where(np.isnan(sent), columns["gpu_power_kw"] * span_s, sent)
    return energy_kj


def _contributions(columns: Mapping[str, Floats], span_s: Floats, opens: Floats, limits: Limits) -> dict[str, Floats]:
    """Return what each sample adds to the columns of its minute; a figure's seconds or number stand beside its sum."""
    power_kw, tokens_ps, latency_ms = columns["pdu_kw"], columns["tokens_ps"], columns["latency_p95_ms"]
    inlet_c, outlet_c = columns["inlet_c"], columns["outlet_c"]
    with np.errstate(divide="ignore", invalid="ignore"):
        prompts = np.where(latency_ms > 0, columns["queue_depth"] / (latency_ms / 1e3), np.nan) * span_s
    both = ~np.isnan(power_kw * prompts)
    gpu_kj = np.where(span_s > 0, _gpu_kj(columns, span_s), np.nan)
    aux_kj = power_kw * span_s - gpu_kj
    sums = {
        "samples": np.ones_like(span_s), "racks": opens,
        "it_kj": power_kw * span_s, "it_s": _where(power_kw, span_s),
        "aux_kj": aux_kj, "aux_s": _where(aux_kj, span_s),
        "prompt_kj": np.where(both, power_kw * span_s, 0.0), "prompts": np.where(both, prompts, 0.0),
        "tokens": tokens_ps * span_s, "tokens_s": _where(tokens_ps, span_s),
        "serving": tokens_ps > 0, "serving_n": _where(tokens_ps),
        "latency_ms": latency_ms, "latency_n": _where(latency_ms), "latency_within": latency_ms <= limits.latency_ms,
        "inlet_c": inlet_c, "inlet_n": _where(inlet_c), "inlet_within": inlet_c <= limits.inlet_c,
        "outlet_c": outlet_c, "outlet_n": _where(outlet_c),
    }  # fmt: skip
    return {name: np.nan_to_num(values.astype(np.float64)) for name, values in sums.items()}


def _summed(name: str, group: NDArray[np.intp], values: Floats, groups: int) -> list[Any]:
    """Return the sum of each group as its column holds it: counts are whole."""
    sums = np.bincount(group, values, groups)
    whole = isinstance(MINUTES.c[name].type, sa.BigInteger)
    found: list[Any] = (sums.astype(np.int64) if whole else sums).tolist()
    return found


def _where(values: Floats, weight: Floats | float = 1.0) -> Floats:
    """Return the weight of each value, 0 where there is none."""
    weights: Floats = np.where(np.isnan(values), 0.0, weight)
    return weights

"""Which rows are nominal: what a monitor may learn from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.common.errors import InputError
from sim.model.episodes import SETTLED_S
from training.features import FEATURES, Floats, incomplete
from training.labels import Labels, runs_by_rack, seconds_in_regime
from training.telemetry import Telemetry

MIN_ROWS = 100
"""Fewer nominal rows than this train nothing."""

Rows = NDArray[np.bool_]
_AT = {name: j for j, name in enumerate(FEATURES)}

MISSING = "a value missing"
_REFERENCE: dict[str, Callable[[Floats], Rows]] = {
    "inlet_c <= 28": lambda x: x[:, _AT["inlet_c"]] <= 28.0,  # noqa: PLR2004 - the rule's name says it
    "latency_p95_ms <= 250": lambda x: x[:, _AT["latency_p95_ms"]] <= 250.0,  # noqa: PLR2004
    "delta_t > 0": lambda x: x[:, _AT["delta_t"]] > 0.0,
    "2 < pdu_kw < 11.4": lambda x: (x[:, _AT["pdu_kw"]] > 2.0) & (x[:, _AT["pdu_kw"]] < 11.4),  # noqa: PLR2004
}
_EXTENDED = _REFERENCE | {
    "not (fan_rpm_pct > 75 and inlet_c < 21)": lambda x: (
        ~(
            (x[:, _AT["fan_rpm_pct"]] > 75.0) & (x[:, _AT["inlet_c"]] < 21.0)  # noqa: PLR2004
        )
    ),
    "20.0 <= inlet_c <= 26.5": lambda x: (x[:, _AT["inlet_c"]] >= 20.0) & (x[:, _AT["inlet_c"]] <= 26.5),  # noqa: PLR2004
}
EDGES = "first or last tick of a regime"
ANOMALOUS = "labelled an anomaly"
SETTLING = f"less than {SETTLED_S:g} s after an anomaly"

FILTERS = ("reference", "extended", "labels")


@dataclass(frozen=True, slots=True)
class NominalRows:
    """The rows to learn from, and how many each rule took; a row is counted by the first rule that takes it."""

    keep: Rows
    removed: dict[str, int]
    rows_in: int

    @property
    def kept(self) -> int:
        return int(self.keep.sum())


def nominal_rows(telemetry: Telemetry, name: str, labels: Labels | None = None) -> NominalRows:
    """Apply a filter: `reference`, `extended` or `labels`.

    Raises InputError when fewer than 100 rows are left, naming the rule that took most.
    """
    keep = ~incomplete(telemetry.x)
    removed = {MISSING: int((~keep).sum())}
    for rule, passed in _rules(telemetry, name, labels):
        removed[rule] = int((keep & ~passed).sum())
        keep = keep & passed
    if name == "extended":
        edges = _regime_edges(telemetry, keep)
        removed[EDGES] = int((keep & edges).sum())
        keep = keep & ~edges
    result = NominalRows(keep, removed, telemetry.rows)
    if result.kept < MIN_ROWS:
        _refuse(telemetry, name, result)
    return result


def _rules(telemetry: Telemetry, name: str, labels: Labels | None) -> list[tuple[str, Rows]]:
    if name == "labels":
        if labels is None:
            raise InputError(
                f"{telemetry.source}: --filter labels needs the run's labels: NAME.labels.parquet beside it"
            )
        settled = seconds_in_regime(labels, telemetry) >= SETTLED_S
        return [(ANOMALOUS, ~labels.anomaly), (SETTLING, settled)]
    rules = {"reference": _REFERENCE, "extended": _EXTENDED}.get(name)
    if rules is None:
        raise InputError(f"filter: {name!r} is not known (filters: {', '.join(FILTERS)})")
    with np.errstate(invalid="ignore"):
        return [(rule, test(telemetry.x)) for rule, test in rules.items()]


def _regime_edges(telemetry: Telemetry, keep: Rows) -> Rows:
    """Mark the first and last kept row of each stretch of a rack that removed rows bound."""
    order, first = runs_by_rack(telemetry.rack)
    kept = keep[order]
    bound = np.zeros(kept.size, dtype=bool)
    bound[1:] |= ~first[1:] & ~kept[:-1]
    bound[:-1] |= ~first[1:] & ~kept[1:]
    edges = np.empty_like(bound)
    edges[order] = bound & kept
    return edges


def _refuse(telemetry: Telemetry, name: str, result: NominalRows) -> None:
    worst = max(result.removed, key=lambda rule: result.removed[rule])
    raise InputError(
        f"{telemetry.source}: {result.kept} nominal rows of {result.rows_in} are left, at least {MIN_ROWS} are needed; "
        f"the rule '{worst}' took {result.removed[worst]} (filter {name}); check the units, give more data or another "
        f"--filter"
    )

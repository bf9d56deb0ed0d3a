"""What the quality checks of a benchmark come to over many seeds, and how the faults of each kind are found."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.engine.blocks import Array
from sim.runs.checks.check import Check
from sim.runs.checks.counterfactual import Counterfactual
from sim.runs.checks.visibility import Seen

LIMIT_SHARE = 1e-3
"""Of the rows that no fault reaches: so many pass the score above which a fault counts as found."""


@dataclass(frozen=True, slots=True)
class KindFound:
    """The faults of a kind in one run: how many could be observed, how many of those are found in which way.

    rows: anomalous rack-ticks that name them. residual: those of which the residual's score passes its limit.
    """

    observed: int
    rows: int
    one_threshold: int
    only_across: int
    residual: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What a benchmark comes to with a seed."""

    name: str
    seed: int
    checks: list[Check]
    kinds: dict[str, KindFound]
    took_s: float

    @property
    def passed(self) -> bool:
        """Whether every hard check keeps its bounds."""
        return all(check.passed for check in self.checks if check.level == "hard")

    @classmethod
    def of(cls, data: dict[str, Any]) -> "Judged":
        """Return one from what `dataclasses.asdict` made of it."""
        kinds = {name: KindFound(**found) for name, found in data["kinds"].items()}
        return cls(**{**data, "checks": [Check(**check) for check in data["checks"]], "kinds": kinds})


def kinds_of(facts: Counterfactual, seen: Seen, score: Array) -> dict[str, KindFound]:
    """Return how the faults of each kind are found; score: of the rows of the test part, rack by rack."""
    racks = facts.anomalous.shape[1]
    of_row = score.reshape(racks, -1).T
    normal = facts.incident_labels.incidents[facts.test_from :] == 0
    limit = float(np.quantile(of_row[normal], 1 - LIMIT_SHARE))
    counts: dict[str, npt.NDArray[np.int64]] = defaultdict(lambda: np.zeros(5, dtype=np.int64))
    for i, event in enumerate(seen.faults):
        rows = (facts.names(event) & facts.anomalous)[facts.test_from :]
        passes = bool((of_row[rows] > limit).any())
        found = (1, int(rows.sum()), seen.one_threshold[i], seen.only_across[i], passes)
        counts[facts.planned_of(event).kind.name] += np.array(found, dtype=np.int64)
    return {name: KindFound(*map(int, of_kind)) for name, of_kind in sorted(counts.items())}


def tables(results: Sequence[Judged]) -> str:
    """Return the spread of every check over the seeds and what becomes of each kind, scenario by scenario."""
    by_name: dict[str, list[Judged]] = defaultdict(list)
    for one in results:
        by_name[one.name].append(one)
    return "\n\n".join("\n".join(lines(name, of_name)) for name, of_name in by_name.items())


def lines(name: str, results: Sequence[Judged]) -> Iterator[str]:
    """Yield a scenario's two tables."""
    yield f"{name}: {len(results)} seeds, {min(r.seed for r in results)} to {max(r.seed for r in results)}"
    yield ""
    yield "| check | bar | seeds | min | median | max | mean | kept by |"
    yield "|---|---|---|---|---|---|---|---|"
    yield from _spread(results)
    yield ""
    yield "| kind | a run | rows | by one threshold | only across | by the residual |"
    yield "|---|---|---|---|---|---|"
    yield from _kinds(results)


def _spread(results: Sequence[Judged]) -> Iterator[str]:
    figures: dict[tuple[str, str], list[Check]] = defaultdict(list)
    for one in results:
        for place, check in enumerate(one.checks):
            if check.level == "hard":
                same = sum(c.id == check.id and c.level == "hard" for c in one.checks[:place])
                figures[check.id, str(same)].append(check)
    for (identity, _), checks in figures.items():
        values = np.array([check.value for check in checks])
        kept = sum(check.passed for check in checks)
        what = re.sub(r" \(.*\)| \d+", "", checks[0].what)  # without the numbers of one run
        spread = " | ".join(f"{v:.4g}" for v in (values.min(), np.median(values), values.max(), values.mean()))
        yield f"| {identity} {what} | {checks[0].accept} | {len(checks)} | {spread} | {kept} |"


def _kinds(results: Sequence[Judged]) -> Iterator[str]:
    names = sorted({name for one in results for name in one.kinds})
    whole = sum(found.rows for one in results for found in one.kinds.values())
    for name in names:
        found = [one.kinds[name] for one in results if name in one.kinds]
        events = sum(f.observed for f in found)
        parts = (sum(getattr(f, way) for f in found) / events for way in ("one_threshold", "only_across", "residual"))
        share = sum(f.rows for f in found) / whole
        ways = " | ".join(f"{100 * part:.0f} %" for part in parts)
        yield f"| {name} | {events / len(results):.1f} | {100 * share:.1f} % | {ways} |"

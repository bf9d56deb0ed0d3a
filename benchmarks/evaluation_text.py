"""The words and tables of docs/evaluation.md: what the figures show, and a part written by hand that is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from training.detectors import DESCRIPTIONS
from training.report import cell, interval

IMS_NAME = "ims"
NOT_PEERS = ("twin", "random", "ims, likelihood")
FIGURES: dict[str, tuple[str, int]] = {
    "vus_pr": ("VUS-PR", 3),
    "auc": ("AUC", 3),
    "f05": ("F0.5", 3),
    "precision": ("precision", 3),
    "recall": ("recall", 3),
    "delay_p50_s": ("median delay s", 0),
    "false_alarms_per_rack_day": ("false alarms per rack-day", 3),
}
COMPARED = ("vus_pr", "f05", "recall")
KEEP_FROM, KEEP_TO = "<!-- written by hand, kept by the command -->", "<!-- end of what is written by hand -->"

HEAD = """\
# IMS against other detectors

Written by `python -m benchmarks.evaluation_page` (`make evaluation`), but for one part. {runs} runs of each scenario,
each with its own seed of the hall and, with it, of the detectors: +- is the 95 % interval of the mean over the runs and
covers both. Detectors learn from the nominal rows of the first {days:g} days, in which nothing is wrong, and are
measured on the rest; features, scaler, thresholds (95 % and 98 % points of the last fifth of those days) and smoothing
are the same for all ([ims.md](ims.md)). An event is a stretch of a rack's rows in which an incident or a sensor's fault
can be observed; F0.5, precision and recall are of events of at least 360 s. Load is neither right nor wrong.

{detectors}
"""


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a scenario: seed of the hall's run less the scenario's own, which is also the detectors' seed."""

    scenario: str
    number: int
    clean_days: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run gave.

    rows: figures by detector. found: by detector and kind of incident, how many of its events of at least 360 s were
    called persistent, and how many there were. facts: rows measured, racks, share of them in an event, events.
    """

    job: Job
    facts: dict[str, float]
    rows: list[dict[str, Any]] = field(default_factory=list)
    found: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)


def page(runs: Sequence[Measured], without: Sequence[str], before: str) -> str:
    """Return the page. before: the page there was, whose part written by hand is kept."""
    names = [row["detector"] for row in runs[0].rows]
    known = [f"- {name}: {DESCRIPTIONS[name]}" for name in DESCRIPTIONS if name in names]
    known.append("- likelihood: the same scores, smoothed by NASA's idea of MMS; faults from a run of another seed")
    if without:
        known.append(f"- not measured, for pyod is not installed: {', '.join(without)}")
    scenarios = dict.fromkeys(run.job.scenario for run in runs)
    parts = [
        HEAD.format(
            runs=sum(r.job.scenario == runs[0].job.scenario for r in runs), days=runs[0].job.clean_days,
            detectors="\n".join(known),
        ),
        kept(before),
        *(section(name, [run for run in runs if run.job.scenario == name]) for name in scenarios),
    ]  # fmt: skip
    return "\n".join(parts)


def kept(before: str) -> str:
    """Return the part written by hand, between its marks; empty in a new page."""
    _, found, rest = before.partition(KEEP_FROM)
    text = rest.partition(KEEP_TO)[0].strip("\n") if found else ""
    return "\n".join(["## Where IMS loses, and why", "", KEEP_FROM, *([text] if text else []), KEEP_TO, ""])


def section(name: str, runs: Sequence[Measured]) -> str:
    """Return what is said of one scenario."""
    figures = {d: {key: _values(runs, d, key) for key in FIGURES} for d in [row["detector"] for row in runs[0].rows]}
    order = sorted(figures, key=lambda d: -np.nan_to_num(interval(figures[d]["vus_pr"])[0]))
    rows = [[d, *(cell(*interval(figures[d][key]), digits) for key, (_, digits) in FIGURES.items())] for d in order]
    lines = [
        f"## {name.rpartition('/')[2].removesuffix('.yaml')}", "", _facts(runs), "",
        *_table(["detector", *(title for title, _ in FIGURES.values())], rows), "",
        *(comparison(figures, key) for key in COMPARED if len(runs) > 1), "",
        "Events of at least 360 s called persistent, by kind of incident, all runs together:", "",
        *_kinds(runs, [d for d in order if d not in ("random", "twin")]), "",
    ]  # fmt: skip
    return "\n".join(lines)


def _values(runs: Sequence[Measured], detector: str, key: str) -> Any:
    return np.array([next(row[key] for row in run.rows if row["detector"] == detector) for run in runs])


def _facts(runs: Sequence[Measured]) -> str:
    mean = {key: np.mean([run.facts[key] for run in runs]) for key in runs[0].facts}
    return (
        f"{mean['rows']:,.0f} rows of {mean['racks']:.0f} racks are measured in each run; {mean['share']:.1%} of them "
        f"lie in {mean['lasting'] + mean['short']:.0f} events, {mean['lasting']:.0f} of these of at least 360 s."
    )


def comparison(figures: Mapping[str, Mapping[str, Any]], key: str) -> str:
    """Say which detectors IMS is above, below, or not told apart from, by differences run by run."""
    above: list[str] = []
    below: list[str] = []
    level: list[str] = []
    for name in figures:
        if name != IMS_NAME and name not in NOT_PEERS:
            mean, half = interval(figures[IMS_NAME][key] - figures[name][key])
            if np.isnan(mean):
                continue
            said = f"{name} ({cell(abs(mean), half)})"
            (level if abs(mean) <= half or mean == 0 else above if mean > 0 else below).append(said)
    sides = (("is above", above), ("is below", below), ("cannot be told from", level))
    told = "; ".join(f"{verb} {', '.join(names)}" for verb, names in sides if names)
    return f"- {FIGURES[key][0]}: {IMS_NAME} {told}."


def _kinds(runs: Sequence[Measured], detectors: Sequence[str]) -> list[str]:
    kinds = sorted({kind for run in runs for kind in run.found[IMS_NAME]})
    rows = []
    for kind in kinds:
        counts = {d: np.sum([run.found[d].get(kind, (0, 0)) for run in runs], axis=0) for d in detectors}
        total = int(counts[IMS_NAME][1])
        rows.append([kind, str(total), *(f"{counts[d][0] / total:.2f}" for d in detectors)])
    return _table(["kind", "events", *detectors], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]

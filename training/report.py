"""What an evaluation found: a table, CSV files and one self-contained page."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sim.common.file_set import FileSet
from training.evaluation import Evaluated, Result
from training.import_optional import import_optional
from training.plots import bars, busiest_racks, confusion, delay_histogram, precision_recall_curves, scores_over_time

CONFIDENCE = 0.95
COLUMNS: dict[str, str] = {
    "vus_pr": "VUS-PR",
    "auc": "AUC",
    "f05": "F0.5",
    "precision": "precision",
    "recall": "recall",
    "delay_p50_s": "delay p50 s",
    "delay_p90_s": "delay p90 s",
    "false_alarms_per_rack_day": "false alarms per rack-day",
    "duplicates": "duplicates",
    "persistent_of_long": "persistent of >= 1200 s",
    "persistent_of_short": "persistent of < 180 s",
    "persistent_of_short_begun": "< 180 s, alarm begun then",
    "persistent_of_short_alone": "< 180 s, alone",
}
_UNDER_WAY = "<p>The files of this evaluation are getting their names; a killed one is finished by the next.</p>\n"
_DIGITS = {"delay_p50_s": 0, "delay_p90_s": 0, "duplicates": 1}
PROFILE_COLUMNS: dict[str, str] = {
    "profile": "profile",
    "rows": "rows",
    "settled": "settled",
    "auc": "AUC",
    "recall": "recall",
    "mms": "MMS",
    "auc_settled": "AUC settled",
    "recall_settled": "recall settled",
    "mms_settled": "MMS settled",
}


def means(results: Sequence[Result]) -> dict[str, dict[str, tuple[float, float]]]:
    """Return the mean over the seeds and the half-width of its 95 % interval, by detector and figure."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for name in dict.fromkeys(r.name for r in results):
        rows = [r.row() for r in results if r.name == name]
        found[name] = {key: interval(np.array([row[key] for row in rows], dtype=np.float64)) for key in COLUMNS}
    return found


def interval(values: Any) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if known.size == 0:
        return float("nan"), 0.0
    if known.size == 1 or np.ptp(known) == 0:
        return float(known.mean()), 0.0
    t = import_optional("scipy.stats").t.ppf((1 + CONFIDENCE) / 2, known.size - 1)
    return float(known.mean()), float(t * known.std(ddof=1) / np.sqrt(known.size))


def cell(mean: float, half: float, digits: int = 3) -> str:
    """Return a figure as tables print it: - where unknown, with its interval where it has one that shows."""
    if np.isnan(mean):
        return "-"
    text = f"{mean:.{digits}f}"
    return f"{text} +- {half:.{digits}f}" if round(half, digits) else text


def detector_table(results: Sequence[Result]) -> list[list[str]]:
    """Return the rows of the table of detectors, the best VUS-PR first."""
    found = means(results)
    order = sorted(found, key=lambda name: -np.nan_to_num(found[name]["vus_pr"][0]))
    return [[name, *(cell(*found[name][key], _DIGITS.get(key, 3)) for key in COLUMNS)] for name in order]


def profile_table(result: Result) -> list[list[str]]:
    """Return the rows of the table of profiles."""
    rows = []
    for figures in result.profiles:
        values = asdict(figures)
        named = [values["profile"], f"{values['rows']:,}", f"{values['settled']:,}"]
        rows.append(named + [cell(values[key], 0.0) for key in list(PROFILE_COLUMNS)[3:]])
    return rows


def results_csv(results: Sequence[Result]) -> str:
    return _csv([r.row() for r in results])


def profile_rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return the figures by profile as rows of the CSV."""
    named = [({"run": r.run} if r.run else {}) | {"detector": r.name, "seed": r.seed} for r in results]
    return [which | asdict(p) for which, r in zip(named, results, strict=True) for p in r.profiles]


def profiles_csv(results: Sequence[Result]) -> str:
    return _csv(profile_rows(results))


def _csv(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: _text(v) for k, v in row.items()} for row in rows)
    return out.getvalue()


def _text(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return "" if np.isnan(value) else round(value, 6)


def page(
    run: Evaluated, results: Sequence[Result], trained: str, notes: Sequence[str], racks: Sequence[str] | None = None
) -> str:
    """Return the page: everything in one file, nothing from elsewhere."""
    first, found = results[0], means(results)
    runs = len({r.run for r in results})
    random = found["random"]["vus_pr"][0] if "random" in found else float(run.truth.event.mean())
    ranked = sorted(found, key=lambda name: -np.nan_to_num(found[name]["vus_pr"][0]))
    several = any(half for figures in found.values() for _, half in figures.values())
    template = import_optional("jinja2").Environment(autoescape=True).from_string(
        Path(__file__).with_name("evaluation_page.html.j2").read_text(encoding="utf-8")
    )  # fmt: skip
    text: str = template.render(
        data=Path(run.telemetry.source).name, rows=run.telemetry.rows, racks=len(run.telemetry.racks),
        interval=f"{run.telemetry.interval_s:g}", events=first.events.events, truth=", ".join(run.protocol.truth),
        ignored=", ".join(run.protocol.ignored), trained=trained, notes=notes, columns=["detector", *COLUMNS.values()],
        table=detector_table(results), buffer=f"{run.protocol.buffer_s / 60:g}", random=f"{random:.3f}",
        interval_note=_interval_note(runs) if several else "", runs=runs, first_run=first.run,
        bars=bars("VUS-PR", {n: found[n]["vus_pr"] for n in ranked}, random), first=first.name,
        profile_columns=PROFILE_COLUMNS.values(), profiles=profile_table(first),
        over_time=scores_over_time(run, first, racks or busiest_racks(run)),
        curves=precision_recall_curves([r for r in results if r.run == first.run]),
        delays=delay_histogram(first), confusion=confusion(first),
    )  # fmt: skip
    return text


def _interval_note(runs: int) -> str:
    if runs > 1:
        return f"+- is the 95 % interval of the mean over {runs} runs, each with a seed of its own."
    return "+- is the 95 % interval of the mean over the seeds; it does not cover the choice of the run."


def names(output: Path) -> tuple[Path, Path, Path]:
    """Return where the page of an evaluation goes, and its CSV files."""
    return output.with_suffix(".html"), output.with_suffix(".csv"), output.with_name(f"{output.stem}_profiles.csv")


def write(output: Path, html: str, results: Sequence[Result]) -> list[Path]:
    """Write the page and the CSV files beside it, all or none, and return their paths."""
    shown, *tables = names(output)
    files = FileSet(output.parent, output.stem)
    try:
        for path, text in zip(tables, (results_csv(results), profiles_csv(results)), strict=True):
            file = files.file(path.name)
            file.write(text.encode())
            file.seal()
        files.publish(shown.name, _UNDER_WAY, html, [path.name for path in tables])
    finally:
        files.close()
    return [shown, *tables]

"""A fleet as one page: its index, a line for each run, and how the runs' figures are spread."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jinja2 import Environment

from sim import __version__
from sim.common.errors import InputError
from sim.common.text import printable
from sim.reports.recorded import Array
from sim.runs.formats import read_table

INDEX = "runs.parquet"
"""The index of a fleet: a line for each run, its parameters before `status`, its figures after."""
REPORT = "fleet.report.html"
MOST_LISTED = 3_000
"""Runs that the page lists; their figures count all."""
_HIDDEN = ("_sha256",)
_APART = 5.0
"""A run whose figure is this many median deviations from the median is named; assumed."""
_COMMAS_FROM = 10_000
"""Numbers from here on are written with commas; seeds and years below are not."""
_DOTS = 400
"""Most runs whose dots are drawn one by one."""
_PAGE = Path(__file__).with_name("page")

Columns = Mapping[str, Sequence[Any]]


def fleet_report(folder: Path, mark: str) -> str:
    """Return the page of a fleet. Raises InputError where the folder holds no index that can be read."""
    index = folder / INDEX
    if not index.is_file():
        raise InputError(
            f"{folder}: holds no {INDEX}, the index of a fleet; give one run's telemetry, or a fleet's folder"
        )
    table = read_table(index, {})
    columns: Columns = table.to_pydict()
    if "status" not in columns or not table.num_rows:
        raise InputError(
            f"{index}: not the index of a fleet: {'no runs' if table.num_rows == 0 else 'no column status'}"
        )
    names = list(columns)
    parameters = names[: names.index("status")]
    shown = [name for name in names if not name.endswith(_HIDDEN)]
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    text: str = environment.from_string((_PAGE / "fleet.html.j2").read_text(encoding="utf-8")).render(
        mark=mark,
        name=folder.resolve().name,
        version=__version__,
        style=(_PAGE / "report.css").read_text(encoding="utf-8"),
        script=(_PAGE / "fleet.js").read_text(encoding="utf-8"),
        runs=table.num_rows,
        unlisted=max(0, table.num_rows - MOST_LISTED),
        names=shown,
        lines=[_line(folder, columns, parameters, shown, i) for i in range(min(table.num_rows, MOST_LISTED))],
        figures=[_figure(name, columns, parameters) for name in _numeric(columns, names[len(parameters) :])],
        totals=_totals(columns),
    )
    return text


def _totals(columns: Columns) -> list[tuple[str, str]]:
    """Return what the runs amount to together."""
    states = [str(status) for status in columns["status"]]
    summed = [n for n in ("rows", "bytes", "incidents", "incidents_observed", "cpu_seconds") if n in columns]
    return [
        ("runs", f"{len(states):,}"),
        *((status, f"{states.count(status):,}") for status in sorted(set(states))),
        *((name.replace("_", " "), f"{sum(v or 0 for v in columns[name]):,.0f}") for name in summed),
    ]


def _line(folder: Path, columns: Columns, parameters: Sequence[str], shown: Sequence[str], i: int) -> dict[str, Any]:
    """Return a run's cells, and where its own report is, if there is one."""
    parts = [f"{name}={columns[name][i]}" for name in parameters]
    reports = [Path(*parts) / name for name in ("telemetry.report.html", "report.html")]
    there = next((p for p in reports if (folder / p).is_file()), None)
    cells = [{"text": _text(columns[name][i]), "sort": _sort(columns[name][i])} for name in shown]
    return {"cells": cells, "report": None if there is None else quote(there.as_posix())}


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= _COMMAS_FROM else f"{value:.5g}"
    return f"{value:,}" if isinstance(value, int) and abs(value) >= _COMMAS_FROM else printable(str(value))


def _sort(value: Any) -> str:
    return str(value) if isinstance(value, (int, float)) else ""


def _numeric(columns: Columns, names: Sequence[str]) -> list[str]:
    """Return the figures that differ from run to run."""
    skipped = ("run_seed", "status")
    numbers = [
        n for n in names if n not in skipped and all(v is None or isinstance(v, (int, float)) for v in columns[n])
    ]
    return [name for name in numbers if len({v for v in columns[name] if v is not None}) > 1]


def _figure(name: str, columns: Columns, parameters: Sequence[str]) -> dict[str, Any]:
    """Return how a figure is spread over the runs, with the runs that lie far from the others."""
    values = np.array([np.nan if v is None else float(v) for v in columns[name]])
    known = values[np.isfinite(values)]
    median = float(np.median(known))
    spread = float(np.median(np.abs(known - median)))
    apart = np.flatnonzero(np.abs(values - median) > _APART * spread) if spread else np.zeros(0, dtype=np.intp)
    return {
        "name": name,
        "numbers": [_text(float(v)) for v in (known.min(), known.mean(), median, known.max())],
        "dots": _dots(known),
        "apart": ", ".join(_called(columns, parameters, i) for i in apart[:3].tolist())
        + (f" and {len(apart) - 3:,} more" if len(apart) > 3 else ""),  # noqa: PLR2004 - as many are named
    }


def _dots(known: Array) -> list[float]:
    """Return where between the least and the most each run's figure lies [%]; of many runs evenly chosen ones."""
    ordered = np.sort(known)
    chosen = ordered[np.linspace(0, len(ordered) - 1, min(_DOTS, len(ordered))).astype(int)]
    return [round(100 * float(part), 1) for part in (chosen - ordered[0]) / (ordered[-1] - ordered[0])]


def _called(columns: Columns, parameters: Sequence[str], i: int) -> str:
    return printable(" ".join(str(columns[name][i]) for name in parameters))

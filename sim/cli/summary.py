"""What a person reads: the summary after a run, and a scenario described before it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Column, Table

from sim.cli.speaking import WholeColumns
from sim.common.text import join_names
from sim.common.time_units import format_duration, format_instant
from sim.engine.build import Hall, boundary_conditions, build
from sim.incidents.labels import IncidentEvent
from sim.incidents.planning import Trigger
from sim.incidents.selectors import asset_names
from sim.model.profiles import PROFILE_CHANNELS
from sim.plant.drivers import DRIVER_NAMES
from sim.plant.steady_state import profile_steady_states
from sim.runs.exports.exporting import Exported
from sim.runs.statistics import EXPECTED, Statistics
from sim.scenario.request_trace import RequestTrace

BYTES_OF_A_ROW = {"CSV": 91, "Parquet": 20}
"""Of telemetry with all channels, as measured on a week."""

TRIED_S, TRIED_TICKS = 0.3, 10
"""How long a run is tried to tell how long it takes, and in what steps."""


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 1))
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    return table


def _let_wrap(column: Column) -> None:
    """Let a column of many names take several lines, so that the others keep their width."""
    column.justify, column.no_wrap = "left", False


def run_summary(
    hall: Hall,
    statistics: Statistics,
    trace: RequestTrace | None,
    files: list[Path],
    before: list[Path],
    seconds: float,
) -> RenderableType:
    """Return the summary of a finished run. before: files of the run that was there before."""
    rows = hall.scenario.tick_count * len(hall.facility.racks)
    lines = [
        f"{rows:,} rows ({len(hall.facility.racks):,} racks x {hall.scenario.tick_count:,} ticks of "
        f"{format_duration(hall.scenario.tick)}) in {seconds:.2f} s, {rows / seconds:,.0f} rows/s, "
        f"seed {hall.scenario.seed}",
        *(f"  {path}  {size_text(path.stat().st_size)}{', replaced' if path in before else ''}" for path in files),
        *(f"  {path}  removed with the run that was there" for path in before if path not in files),
        "",
    ]
    tables = [_expected(hall, statistics), _occupancy(hall, statistics), _rows(hall, statistics)]
    parts: list[RenderableType] = ["\n".join(lines), *_apart(tables), f"PUE {statistics.pue:.2f}"]
    if trace:
        parts.append(_demand(hall, statistics, trace))
    if statistics.incidents:
        parts += ["", *_apart([_incidents(statistics.incidents)])]
    return Group(*parts)


def _apart(tables: Sequence[Table]) -> Iterator[RenderableType]:
    """Yield tables that break between columns only, an empty line between them."""
    for i, table in enumerate(tables):
        if i:
            yield ""
        yield WholeColumns(table)


def size_text(size: float) -> str:
    """Return a number of bytes as people say it."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"  # noqa: PLR2004 - 0.1 MB


def estimated(hall: Hall, trace: RequestTrace | None) -> dict[str, Any]:
    """Return what a run amounts to: rows, bytes of telemetry, and seconds by the pace of its first moments here."""
    racks, ticks = len(hall.facility.racks), hall.scenario.tick_count
    simulation = build(hall, [], trace=trace)
    began, tried = time.perf_counter(), 0
    while tried < ticks and time.perf_counter() - began < TRIED_S:
        tried += min(TRIED_TICKS, ticks - tried)
        simulation.advance(tried * hall.scenario.tick)
    seconds = (time.perf_counter() - began) / tried * ticks
    sizes = {name: racks * ticks * size for name, size in BYTES_OF_A_ROW.items()}
    return {"rows": racks * ticks, "bytes": sizes, "seconds": seconds}


def estimate(of: Mapping[str, Any]) -> str:
    """Return what is estimated of a run, in words."""
    sizes = " or ".join(f"{size_text(size)} of {name}" for name, size in of["bytes"].items())
    return f"{of['rows']:,} rows, about {sizes}, some {max(1, round(of['seconds'])):,} s on this machine"


def export_summary(exported: Exported, output: str) -> str:
    """Return what an export wrote and what became of the rest."""
    rows = sum(series["rows"] for series in exported.series)
    anomalous = sum(series["anomalous_rows"] for series in exported.series)
    head = f"{len(exported.series):,} series, {rows:,} rows, {100 * anomalous / rows:.1f} % anomalous, in {output}"
    return "\n  ".join([head, *exported.notes])


def _demand(hall: Hall, statistics: Statistics, trace: RequestTrace) -> str:
    rate, span_s = float(trace.rates_ps.mean()), len(trace.rates_ps) * trace.bin_s
    hall_ps = statistics.figures("tokens_ps").mean * len(hall.facility.racks)
    return (
        f"Demand: {trace.requests:,} requests of {trace.source}, {rate:,.0f} tokens/s on average, scaled "
        f"{hall_ps / rate:,.1f} times onto the hall, tiled {hall.scenario.duration / span_s:,.1f} times"
    )


def _expected(hall: Hall, statistics: Statistics) -> Table:
    """Tell channels over the run, beside what the training document expects of a week in which nothing happens."""
    beside = not hall.scenario.has_incidents
    title = "Readings, and the training document's expected statistics" if beside else "Readings"
    shown = [("min", "expected"), ("min", "here"), ("0.1 %", "here"), ("max", "expected"), ("max", "here"),
             ("99.9 %", "here"), ("mean", "expected"), ("mean", "here")]  # fmt: skip
    kept = [beside or of == "here" for _, of in shown]
    heads = [f"{name}\n{of}" if beside else name for (name, of), keep in zip(shown, kept, strict=True) if keep]
    table = _table(title, "channel", *heads)
    for name, (low, high, mean) in EXPECTED.items():
        f = statistics.figures(name)
        values = (low, f.minimum, f.low, high, f.maximum, f.high, mean, f.mean)
        table.add_row(name, *(f"{v:,.5g}" for v, keep in zip(values, kept, strict=True) if keep))
    return table


def _occupancy(hall: Hall, statistics: Statistics) -> Table:
    table = _table("Profiles", "profile", "share %", "law %", "episodes", "median min", "longest min")
    seen, expected = statistics.occupancy()
    for i, name in enumerate(hall.profiles):
        lasted = np.array(statistics.durations_s.get(name, ())) / 60
        episodes = (
            (f"{len(lasted):,}", f"{np.median(lasted):.1f}", f"{lasted.max():.0f}") if len(lasted) else ("", "", "")
        )
        table.add_row(name, f"{100 * seen[i]:.1f}", f"{100 * expected[i]:.1f}", *episodes)
    return table


def _rows(hall: Hall, statistics: Statistics) -> Table:
    """Set rows with a law of their own against the rest."""
    special = [row for row in hall.scenario.occupancy.rows if row in hall.facility.rows]
    rest = [row for row in hall.facility.rows if row not in special]
    names = list(hall.profiles)[1:]
    table = _table("Rows (share %, law %)", "rows", "mean inlet\ndegC", *names)
    for label, rows in [*((row, [row]) for row in special), ("the rest" if special else "all", rest)]:
        if not rows:
            continue
        seen, expected = statistics.occupancy(rows)
        shares = [f"{100 * s:.1f} ({100 * e:.1f})" for s, e in zip(seen[1:], expected[1:], strict=True)]
        table.add_row(label, f"{statistics.mean_inlet_c(rows):.2f}", *shares)
    return table


def _incidents(happened: Sequence[IncidentEvent]) -> Table:
    """Tell of each kind how often it happened, how many racks felt it, how soon, and for how long."""
    table = _table(
        "Incidents (medians; felt: the truth departs from the twin's\nby 3 sensor deviations)",
        *("kind", "number", "felt", "persistent", "racks", "planned\nmin", "felt\nafter\nmin", "felt\nfor\nmin"),
    )
    for kind in dict.fromkeys(event.kind for event in happened):
        events = [e for e in happened if e.kind == kind]
        felt = [e for e in events if e.onset_s is not None]
        table.add_row(
            kind,
            f"{len(events):,}",
            f"{len(felt):,}",
            f"{sum(e.persistent for e in events):,}",
            _median([len(e.affected) for e in felt], 0),
            _median([(e.end_s - e.start_s) / 60 for e in events], 1),
            _median([(e.onset_s - e.start_s) / 60 for e in felt if e.onset_s is not None], 1),
            _median([(e.observable_end_s - (e.onset_s or 0)) / 60 for e in felt if e.observable_end_s is not None], 1),
        )
    return table


def _median(values: Sequence[float], decimals: int) -> str:
    return f"{np.median(values):,.{decimals}f}" if values else ""


def description(hall: Hall) -> RenderableType:
    """Return a scenario and its hall, resolved, as text."""
    s, f = hall.scenario, hall.facility
    head = [
        f"{s.name}: {s.description}" if s.description else s.name,
        f"start {format_instant(s.start)}, duration {format_duration(s.duration)}, tick {format_duration(s.tick)}, "
        f"{s.tick_count:,} ticks, seed {s.seed}, site clock UTC{s.utc_offset:+g} h",
        f"site {s.facility.site}, hall {s.facility.hall}: {len(f.racks):,} racks, {len(f.rows)} rows, "
        f"{len(f.loops)} cooling loops, 1 chiller plant, {s.facility.ups_count} UPS, {len(f.rows)} PDUs",
        f"{s.facility.climate} climate: supply water {s.facility.supply_water_c:g} degC, "
        f"outdoors {s.facility.outdoor_c:g} +- {s.facility.outdoor_swing_c:g} degC (for the PUE alone)",
        f"demand: {s.demand.source}{f' {s.demand.file}' if s.demand.file else ''}; dwell: {s.dwell.law}",
        "",
    ]
    tables = [_loops(hall), _profiles(hall), _drivers(hall), *([_planned(hall)] if s.has_incidents else [])]
    return Group("\n".join(head), *_apart(tables))


def described(hall: Hall) -> dict[str, Any]:
    """Return a scenario as resolved, its hall, and the incidents planned, for programs."""
    f = hall.facility
    return {
        "scenario": hall.scenario.model_dump(mode="json"),
        "racks": list(f.racks),
        "rows": list(f.rows),
        "loops": list(f.loops),
        "ticks": hall.scenario.tick_count,
        "incidents": timeline(hall),
    }


def timeline(hall: Hall) -> list[dict[str, Any]]:
    """Return the incidents that a run of this seed meets, in order, what each may set off right after it.

    at: of the site's clock. depth: how many causes stand above it. after, probability: of what is set off.
    """
    clock = hall.scenario.start + timedelta(hours=hall.scenario.utc_offset)
    begun = sorted((i.at_s, i.id) for i in hall.incidents.values() if i.at_s is not None)
    return [line for at_s, name in begun for line in _chain(hall, name, at_s, clock, ())]


def _chain(
    hall: Hall, name: str, at_s: float, clock: datetime, above: tuple[str, ...], trigger: Trigger | None = None
) -> Iterator[dict[str, Any]]:
    i = hall.incidents[name]
    told = {
        "at": (clock + timedelta(seconds=at_s)).replace(tzinfo=None).isoformat(sep=" ", timespec="seconds"),
        "depth": len(above),
        "id": i.id,
        "kind": i.kind.name,
        "origin": i.origin,
        "lasts_s": i.duration_s,
        "severity": i.severity,
        "shape": i.shape,
        "target": asset_names(i.assets),
    }
    yield told | ({"after_s": trigger.after_s, "probability": trigger.probability} if trigger else {})
    for of in i.triggers if name not in above else ():
        yield from _chain(hall, of.id, at_s + of.after_s, clock, (*above, name), of)


def _planned(hall: Hall) -> Table:
    """Return the timeline as a table: consequences under their cause, with delay and chance."""
    offset = hall.scenario.utc_offset
    title = f"Incidents planned, by the site's clock (UTC{offset:+g} h); indented: what one may set off"
    table = _table(title, "incident", "begins", "lasts", "severity", "target")
    _let_wrap(table.columns[4])
    for line in timeline(hall):
        begins = line["at"]
        if "after_s" in line:
            begins = f"+{format_duration(line['after_s'])} ({line['probability']:.0%})  {begins}"
        name = "  " * line["depth"] + line["id"]
        table.add_row(
            name, begins, format_duration(line["lasts_s"]), f"{line['severity']:g}", join_names(line["target"])
        )
    return table


def _loops(hall: Hall) -> Table:
    f = hall.facility
    table = _table("Cooling loops", "loop", "racks", "rows it feeds")
    _let_wrap(table.columns[2])
    for i, loop in enumerate(f.loops):
        rows = [f.rows[r] for r in np.flatnonzero(f.loop_of_row == i)]
        table.add_row(loop, str(int((f.loop_of_rack == i).sum())), ", ".join(rows))
    return table


def _profiles(hall: Hall) -> Table:
    table = _table("Profiles: range (steady state); share of a week and mean stay", "", *hall.profiles)
    s = hall.scenario
    settled = profile_steady_states(hall.profiles, hall.drivers, boundary_conditions(s, hall.profiles))
    for channel in PROFILE_CHANNELS:
        cells = []
        for name, profile in hall.profiles.items():
            r = profile.ranges.get(channel)
            cells.append(f"{f'{r.low:g}-{r.high:g}' if r else 'free'} ({_short(settled[name][channel])})")
        table.add_row(channel, *cells)
    shares = np.mean([t.total[:, :-1].mean(axis=1) for t in hall.occupancy_shares], axis=0)
    table.add_row("share", *(f"{100 * share:.1f} %" for share in shares))
    table.add_row("mean stay", "", *(format_duration(s.mean_dwell_s(name)) for name in list(hall.profiles)[1:]))
    return table


def _drivers(hall: Hall) -> Table:
    table = _table("Drivers solved for these ranges", "", *hall.profiles)
    for name in DRIVER_NAMES:
        table.add_row(name, *(_short(value) for value in getattr(hall.drivers, name)))
    return table


def _short(value: float) -> str:
    """Return a number to four digits, without an exponent; what rounding left beside 0 is 0."""
    return f"{round(float(f'{value:.4g}'), 9) + 0.0:g}"

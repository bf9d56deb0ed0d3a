"""A report as one HTML file that asks nothing of anyone: words and tables, and the data that it draws from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment

from sim import __version__
from sim.common.atomic_files import write_text
from sim.common.errors import InputError
from sim.common.resources import VENDOR
from sim.common.time_units import format_duration
from sim.model.channels import CHANNELS
from sim.model.profiles import NOMINAL, Profile
from sim.reports import fleet, thinned
from sim.reports.figures import Occupancy, coded_profiles, occupancy, profiles_of, spread
from sim.reports.recorded import NONE, Codes, Recorded, read_recorded
from sim.reports.struck import Drawn, Struck, draw, incidents_of, most_telling
from sim.reports.tables import tables
from sim.runs.formats import name_of

MOST_BYTES = 10_000_000
MOST_DRAWN = 150
"""Incidents that get a picture, the first ones."""
MOST_LISTED = 1_000
MARK = "<!doctype html><!-- a report of Skadi Sim -->"
"""How our reports begin; what begins otherwise is never replaced."""
_PAGE = Path(__file__).with_name("page")
_MOST_PROFILES = 16
"""Profiles that a cell of the page can tell apart."""


def report_path(telemetry: Path) -> Path:
    """Return where the report of a run, or of a fleet's folder, goes unless told otherwise: beside it, or into it."""
    if telemetry.is_dir():
        return telemetry / fleet.REPORT
    return telemetry.with_name(f"{name_of(telemetry)}.report.html")


def write_report(telemetry: Path, output: Path | None = None, labels: Path | None = None) -> Path:
    """Write the report of a run, of any telemetry or of a fleet's folder, and return its path; whole or not at all.

    Raises InputError where something cannot be read or `output` is no report of ours, OutputError where it cannot be
    written.
    """
    made = output or report_path(telemetry)
    _check_replaceable(made)
    if telemetry.is_dir():
        if labels is not None:
            raise InputError(f"{labels}: labels are of one run, and {telemetry} is a folder")
        page = fleet.fleet_report(telemetry, MARK)
    else:
        page = report(read_recorded(telemetry, labels))
    write_text(made, page)
    return made


def _check_replaceable(path: Path) -> None:
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path}: a report is an .html file")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name the .html file")
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(MARK)) != MARK.encode():
                raise InputError(f"{path}: is no report of ours; move it away or give another --output")


def report(recorded: Recorded) -> str:
    """Return the page, its time taken in so large bins that it stays under MOST_BYTES."""
    profiles = profiles_of(recorded)
    codes = coded_profiles(recorded.truth, list(profiles)) if recorded.truth else None
    occupied = None if codes is None else occupancy(recorded, list(profiles), codes)
    told = incidents_of(recorded)
    incidents = [replace(each, drawn=draw(recorded, each)) for each in told[:MOST_DRAWN]] + told[MOST_DRAWN:]
    said = tables(recorded, profiles, codes, occupied, incidents)
    bins = thinned.bins_for(recorded.grid, len(thinned.shown(recorded)))
    while True:
        data = _data(recorded, profiles, codes, occupied, incidents, bins)
        page = _rendered(recorded, said, data, bins)
        if len(page.encode()) <= MOST_BYTES or bins.count == 1:
            return page
        bins = replace(bins, width=2 * bins.width)


def _rendered(recorded: Recorded, said: Mapping[str, Any], data: Mapping[str, Any], bins: thinned.Bins) -> str:
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_text("report.html.j2"))
    uplot = VENDOR / "uplot"
    licence = (uplot / "LICENSE").read_text(encoding="utf-8").replace("*/", "* /")
    width = format_duration(bins.width * recorded.grid.tick_s)
    text: str = template.render(
        **said,
        mark=MARK,
        version=__version__,
        width=width if bins.width > 1 else "",
        style=(uplot / "uPlot.min.css").read_text(encoding="utf-8") + _text("report.css"),
        uplot=f"/*!\n{licence}*/\n" + (uplot / "uPlot.iife.min.js").read_text(encoding="utf-8"),
        script=_text("report.js"),
        data=_json(data),
        scenario=_json(recorded.manifest["scenario"]) if recorded.scenario and recorded.manifest else "",
    )
    return text


def _text(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")


def _json(data: Any) -> str:
    """Return JSON that may stand within a script element, whatever texts it holds."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace("&", "\\u0026")


def _data(
    recorded: Recorded,
    profiles: Mapping[str, Profile],
    codes: Codes | None,
    occupied: Occupancy | None,
    incidents: Sequence[Struck],
    bins: thinned.Bins,
) -> dict[str, Any]:
    grid = recorded.grid
    rows = list(dict.fromkeys(grid.rows))
    return {
        "start": grid.start_us / 1e6,
        "tick": grid.tick_s,
        "ticks": grid.ticks,
        "width": bins.width,
        "bins": bins.count,
        "racks": grid.racks,
        "rows": rows,
        "rowOf": [rows.index(row) for row in grid.rows],
        "channels": [_channel(recorded, name) for name in thinned.shown(recorded)],
        "hall": thinned.hall(recorded, bins),
        "twin": _twin(recorded, incidents, bins),
        "state": None if codes is None and recorded.truth is None else _state(recorded, codes, bins),
        "profiles": [
            {"name": name, "ranges": {c: [r.low, r.high] for c, r in p.ranges.items()}} for name, p in profiles.items()
        ],
        "incidents": [_incident(each, len(grid.racks)) for each in incidents[:MOST_LISTED]],
        "first": most_telling(incidents[:MOST_LISTED]),
        "occupancy": None if occupied is None else _occupancy(occupied),
    }


def _channel(recorded: Recorded, name: str) -> dict[str, Any]:
    of, told = CHANNELS[name], spread(recorded.readings[name])
    ends = [None if np.isnan(v) else v for v in (told.low, told.median, told.high)]
    return {"name": name, "unit": of.unit, "decimals": of.decimals, "title": of.description, "ends": ends}


def _twin(recorded: Recorded, incidents: Sequence[Struck], bins: thinned.Bins) -> dict[str, Any] | None:
    """Return the twin of the racks that an incident reached; others are as they are."""
    racks = np.array(sorted({rack for each in incidents for rack in each.racks}), dtype=np.intp)
    if recorded.twin is None or not len(racks):
        return None
    channels = {name: thinned.packed_twin(name, recorded, bins, racks) for name in thinned.shown(recorded)}
    return {"racks": racks.tolist(), "channels": {name: packed for name, packed in channels.items() if packed}}


def _state(recorded: Recorded, codes: Codes | None, bins: thinned.Bins) -> str:
    """Return a byte for each rack and bin: the profile that most of its ticks were in, and 16 where one is anomalous.

    32 where a fault can be observed, 64 where a sensor is faulty, 128 where a label says persistent.
    """
    truth = recorded.truth
    shape = (bins.count, len(recorded.grid.racks))
    state = np.zeros(shape, dtype=np.uint8) if codes is None else bins.most(np.clip(codes, 0, _MOST_PROFILES - 1), 16)
    if truth is not None:
        bits = [truth.flags.get("is_anomaly")]
        bits += [truth.names[n].codes != NONE if n in truth.names else None for n in ("observed_id", "sensor_fault")]
        bits.append(truth.flags.get("is_persistent"))
        for bit, cells in zip((16, 32, 64, 128), bits, strict=True):
            state |= bins.any(cells).astype(np.uint8) * np.uint8(bit) if cells is not None else np.uint8(0)
    return thinned.packed_bytes(state.T)


def _incident(each: Struck, racks: int) -> dict[str, Any]:
    return {
        "id": each.event_id,
        "kind": each.kind,
        "type": each.type,
        "start": each.start_s,
        "end": each.end_s,
        "onset": each.onset_s,
        "gone": each.observed_end_s,
        "racks": "all" if len(each.racks) == racks else each.racks,
        "drawn": None if each.drawn is None else _drawn(each.drawn),
    }


def _drawn(drawn: Drawn) -> dict[str, Any]:
    return {"rack": drawn.rack, "channel": drawn.channel, "at": drawn.at_s, "ours": drawn.ours, "twin": drawn.twin}


def _occupancy(occupied: Occupancy) -> dict[str, Any]:
    """Return shares in hundredths of a percent, by profile, row (all of them last) and hour."""

    def shares(of: np.ndarray[Any, Any]) -> list[Any]:
        every = np.concatenate([of, occupied.over(of, 0)[None]])
        return [[[None if np.isnan(v) else round(1e4 * v) for v in hours] for hours in rows] for rows in
                np.moveaxis(every, 2, 0).tolist()]  # fmt: skip

    return {
        "rows": [*occupied.rows, "all"],
        "seen": shares(occupied.seen),
        "law": None if occupied.law is None else shares(np.where(np.isnan(occupied.seen), np.nan, occupied.law)),
        "nominal": list(occupied.profiles).index(NOMINAL) if NOMINAL in occupied.profiles else 0,
    }

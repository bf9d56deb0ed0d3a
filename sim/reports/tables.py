"""What a report says in words and tables: every figure as text, as the page prints it."""

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from sim.common.errors import InputError
from sim.common.text import join_names
from sim.common.time_units import format_duration, format_instant_us
from sim.model.channels import CHANNELS
from sim.model.profiles import NOMINAL, Profile
from sim.reports import figures
from sim.reports.figures import Occupancy, Spread
from sim.reports.recorded import NONE, Array, Codes, Flags, Recorded, Truth
from sim.reports.struck import Struck
from sim.runs.formats import name_of
from sim.runs.statistics import EXPECTED
from sim.scenario.files import load_scenario, shipped_scenarios
from sim.scenario.schema import Scenario

_HISTOGRAM_MIN = (1, 2, 5, 10, 20, 40, 80, 160, 320)
"""Ends of the bars of stays [min]."""
_ALIKE = 0.98
"""Correlation beyond which two channels say the same."""
_MOST_LISTED = 1_000
_WHOLE_FROM = 10_000

Table = list[dict[str, Any]]


def tables(
    recorded: Recorded,
    profiles: Mapping[str, Profile],
    codes: Codes | None,
    occupied: Occupancy | None,
    incidents: Sequence[Struck],
) -> dict[str, Any]:
    """Return all that the page says, by the names that its template uses."""
    return {
        "name": called(recorded),
        "about": about(recorded),
        "reproduce": reproduce(recorded.scenario, recorded.path),
        "description": recorded.scenario.description if recorded.scenario else "",
        "statistics": [statistics_row(name, spread) for name, spread in spreads(recorded).items()],
        "shares": shares(occupied),
        "law_known": occupied is not None and occupied.law is not None,
        "dwells": [] if codes is None else [dwell_row(d) for d in figures.dwells(recorded, list(profiles), codes)],
        "incidents": [incident_row(each, recorded) for each in incidents[:_MOST_LISTED]],
        "incidents_more": max(0, len(incidents) - _MOST_LISTED),
        "twin": recorded.twin is not None,
        "has_events": recorded.events is not None,
        "profiles": list(profiles),
        "ranges": [] if codes is None else ranges(recorded, profiles, codes),
        "relations": relations(recorded, codes, list(profiles)),
        "autocorrelations": autocorrelations(recorded),
        "rows": rows(recorded),
        "quality": [quality_row(recorded, name) for name in recorded.channels],
        "inconsistent": figures.inconsistent(recorded),
        "parts": parts(recorded),
        "advice": advice(recorded, codes, list(profiles)),
        "labelled": recorded.truth is not None,
    }  # fmt: skip


def called(recorded: Recorded) -> str:
    """Return what the telemetry is called: its file's name, or in a fleet, where all have the same, its run's."""
    if recorded.scenario is None or name_of(recorded.path) != "telemetry":
        return name_of(recorded.path)
    return f"{recorded.scenario.name}, seed {recorded.scenario.seed}"


def spreads(recorded: Recorded) -> dict[str, Spread]:
    """Return how each channel is spread."""
    return {name: figures.spread(values) for name, values in recorded.readings.items()}


def about(recorded: Recorded) -> list[tuple[str, str]]:
    """Return what the telemetry is, as pairs of a word and what there is to say."""
    grid, manifest = recorded.grid, recorded.manifest
    first, last = (format_instant_us(grid.start_us + round(k * grid.tick_s * 1e6)) for k in (0, grid.ticks - 1))
    told = [
        ("telemetry", f"{recorded.path.name}, {recorded.rows.count:,} rows"),
        ("from, to", f"{first} to {last}"),
        ("grid", f"{len(grid.racks):,} racks x {grid.ticks:,} ticks of {_seconds(grid.tick_s)}"),
    ]
    if manifest is None:
        told.append(("origin", "no manifest of a run beside it: telemetry of any origin"))
    else:
        scenario = recorded.scenario
        told += [
            ("scenario", scenario.name if scenario else "of another version, which this one does not read"),
            ("seed", str(manifest.get("seed"))),
            ("made by", f"Skadi Sim {manifest['project'].get('version')}"),
            ("scenario SHA-256", str(manifest.get("scenario_sha256"))),
        ]
        acceleration = manifest.get("incident_acceleration")
        if isinstance(acceleration, (int, float)):
            told.append(("incidents drawn", f"{acceleration:g} times as often as the catalogue's rates"))
    beside = [("labels", recorded.truth), ("events", recorded.events), ("twin", recorded.twin)]
    told.append(("beside it", ", ".join(what for what, found in beside if found is not None) or "nothing"))
    with recorded.path.open("rb") as file:
        told.append(("file SHA-256", hashlib.file_digest(file, "sha256").hexdigest()))
    return told


def _seconds(value: float) -> str:
    return format_duration(value) if value == round(value) else f"{value:g} s"


def reproduce(scenario: Scenario | None, telemetry: Path) -> dict[str, str] | None:
    """Return the command that makes the same bytes again, and whether it needs the scenario's file. None of no run."""
    if scenario is None:
        return None
    output = f"--output {shlex.quote(telemetry.name)}"
    if scenario.name in shipped_scenarios():
        keys = {"seed": scenario.seed, "duration": scenario.duration, "tick": scenario.tick, "start": scenario.start}
        try:
            shipped = load_scenario(scenario.name)
            own = {key: value for key, value in keys.items() if value != getattr(shipped, key)}
            if load_scenario(scenario.name, (), own) == scenario:
                told = {key: str(value) for key, value in scenario.model_dump(mode="json").items() if key in own}
                flags = " ".join(f"--{key} {value}" for key, value in told.items() if key != "seed")
                command = f"python run_sim.py --scenario {scenario.name} --seed {scenario.seed} {flags}".rstrip()
                return {"command": f"{command} {output}", "needs": ""}
        except InputError:  # one of that name is here, but is not what it was
            pass
    file = f"{name_of(telemetry)}.scenario.yaml"
    command = f"python run_sim.py --scenario {shlex.quote(file)} {output}"
    return {"command": command, "needs": file}


def number(value: float | None, name: str) -> str:
    """Return a reading at its channel's decimals, without them from 10,000 on, - where there is none."""
    if value is None or np.isnan(value):
        return "-"
    return f"{value:,.{CHANNELS[name].decimals if abs(value) < _WHOLE_FROM else 0}f}"


def statistics_row(name: str, told: Spread) -> dict[str, Any]:
    """Return a channel's line of the expected statistics: ours, and the document's where it states some."""
    stated = EXPECTED.get(name)
    return {
        "channel": name,
        "unit": CHANNELS[name].unit,
        "ours": [number(v, name) for v in (told.minimum, told.low, told.mean, told.high, told.maximum)],
        "stated": [f"{v:,g}" for v in stated] if stated else ["", "", ""],
    }


def percent(share: float | None, digits: int = 1) -> str:
    return "-" if share is None or np.isnan(share) else f"{100 * share:.{digits}f}"


def shares(occupied: Occupancy | None) -> Table:
    """Return a line for each row, all of them last, of each profile's share and the law's [%]."""
    if occupied is None:
        return []
    seen = np.concatenate([occupied.over(occupied.seen, 1), occupied.over(occupied.seen, (0, 1))[None]])
    law = None
    if occupied.law is not None:
        law = np.concatenate([occupied.over(occupied.law, 1), occupied.over(occupied.law, (0, 1))[None]])
    return [
        {
            "row": row,
            "cells": [
                {"seen": percent(s), "law": "" if law is None else percent(law[i, k]), "profile": occupied.profiles[k]}
                for k, s in enumerate(seen[i].tolist())
            ],
        }
        for i, row in enumerate([*(row or "(no row)" for row in occupied.rows), "all"])
    ]


def dwell_row(dwell: figures.Dwell) -> dict[str, Any]:
    """Return a profile's line of stays: how many, how long [min], how they are spread."""
    minutes = dwell.lasted_s / 60
    ends = [0, *_HISTOGRAM_MIN, np.inf]
    counts = np.histogram(minutes, ends)[0]
    known = len(minutes) > 0
    return {
        "profile": dwell.profile,
        "episodes": f"{len(minutes):,}",
        "figures": [f"{v:.1f}" for v in (np.median(minutes), minutes.mean(), minutes.max())] if known else ["-"] * 3,
        "law": "-" if dwell.law_s is None else f"{dwell.law_s / 60:g}",
        "persistent": percent(dwell.persistent / len(minutes)) if known else "-",
        "cut": f"{dwell.cut:,}",
        "bars": [
            {"count": f"{c:,}", "height": round(100 * c / max(1, counts.max())), "ends": _ends(*pair)}
            for c, pair in zip(counts.tolist(), pairwise(ends), strict=True)
        ],
    }


def _ends(low: float, high: float) -> str:
    return f"{low:g} min or more" if np.isinf(high) else f"{low:g} to {high:g} min"


def incident_row(each: Struck, recorded: Recorded) -> dict[str, Any]:
    """Return an incident's line: what was planned, what could be observed, and whom it reached."""
    names = [recorded.grid.racks[rack] for rack in each.racks]
    known_end = each.observed_end_s is not None and each.onset_s is not None
    return {
        "id": each.event_id,
        "kind": each.kind,
        "type": each.type,
        "cause": f"set off by {each.cause}" if each.cause else each.origin,
        "root": join_names(each.root.split("|")),
        "severity": "" if each.severity is None else f"{each.severity:g}",
        "planned": _instant(each.start_s),
        "lasts": "" if each.end_s is None else _minutes(each.end_s - each.start_s),
        "after": "not seen" if each.onset_s is None else _minutes(each.onset_s - each.start_s),
        "seen": _minutes((each.observed_end_s or 0) - (each.onset_s or 0)) if known_end
        else "to the end" if each.onset_s is not None else "",
        "racks": f"{len(names):,}",
        "names": join_names(names),
    }  # fmt: skip


def _instant(seconds: float) -> str:
    return format_instant_us(round(seconds * 1e6)).replace("T", " ")[:19]


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:,.1f}"


def ranges(recorded: Recorded, profiles: Mapping[str, Profile], codes: Codes) -> Table:
    """Return a line for each channel: in each profile the readings' spread, the range stated, and what keeps to it."""
    found = figures.ranges(recorded, profiles, codes)
    return [
        {
            "channel": channel,
            "unit": CHANNELS[channel].unit,
            "cells": [
                {
                    "spread": " \u00b7 ".join(
                        number(v, channel) for v in (r.readings.low, r.readings.median, r.readings.high)
                    ),
                    "known": not np.isnan(r.readings.median),
                    "stated": "" if r.low is None else f"{r.low:,g} to {r.high:,g}",
                    "inside": "" if r.inside is None else percent(r.inside),
                }
                for r in of.values()
            ],
        }
        for channel, of in found.items()
    ]


def relations(recorded: Recorded, codes: Codes | None, profiles: Sequence[str]) -> dict[str, Any]:
    """Return how channels go together, in nominal rows where labels tell which those are."""
    nominal = None if codes is None or NOMINAL not in profiles else codes == profiles.index(NOMINAL)
    chosen = nominal if nominal is not None and nominal.any() else np.ones(recorded.grid.shape, dtype=np.bool_)
    r = figures.correlations(recorded, chosen)
    return {
        "of": "nominal rows" if chosen is nominal else "all rows",
        "lines": [
            {"channel": name, "cells": [{"text": _r(v), "value": 0 if np.isnan(v) else round(v, 2)} for v in line]}
            for name, line in zip(recorded.channels, r.tolist(), strict=True)
        ],
        "alike": _alike(recorded.channels, r),
    }


def _r(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f}"


def _alike(channels: Sequence[str], r: Array) -> list[str]:
    pairs = [(i, k) for i in range(len(r)) for k in range(i) if abs(r[i, k]) >= _ALIKE]
    return [f"{channels[k]} and {channels[i]} ({r[i, k]:.2f})" for i, k in pairs]


def autocorrelations(recorded: Recorded) -> dict[str, Any]:
    """Return how each channel goes with itself later."""
    lags, found = figures.autocorrelations(recorded)
    lines = [
        {"channel": name, "cells": [{"text": _r(v), "value": 0 if np.isnan(v) else round(v, 2)} for v in values]}
        for name, values in found.items()
    ]
    return {"lags": [_seconds(lag) for lag in lags], "lines": lines}


def rows(recorded: Recorded) -> Table:
    """Return how the file's rows lie on the grid of ticks and racks."""
    told = recorded.rows
    found = [
        ("rows", told.count, ""),
        ("missing", told.missing, "ticks of racks without a row"),
        ("duplicated", told.twice, "rows of a rack and tick that has one already; the first counts here"),
        ("out of order", told.unordered, "rows that stand after a later one"),
        ("off the tick", told.uneven, "rows more than a hundredth of a tick beside theirs"),
    ]
    return [{"what": what, "count": f"{count:,}", "means": means} for what, count, means in found]


def quality_row(recorded: Recorded, name: str) -> dict[str, Any]:
    """Return what is wrong with a channel."""
    q = figures.quality(recorded, name)
    return {
        "channel": name,
        "missing": f"{q.missing:,}",
        "gap": _seconds(q.longest_gap_s) if q.longest_gap_s else "none",
        "stuck": f"{q.stuck:,} in {q.stuck_racks:,} rack{'s' * (q.stuck_racks != 1)}" if q.stuck else "none",
        "implausible": f"{q.implausible:,}",
    }


def parts(recorded: Recorded) -> dict[str, Any] | None:
    """Return what labels call anomalous in each part of a split in time [%], None without labels."""
    truth, grid = recorded.truth, recorded.grid
    if truth is None:
        return None
    bounds = figures.part_bounds(grid.ticks)
    begins = [_instant(grid.start_us / 1e6 + b * grid.tick_s) for b in bounds[:-1]]
    lines = [
        {"what": what, "cells": [percent(v, 2) for v in (*_means(cells, bounds), float(cells.mean()))]}
        for what, cells in figures.anomaly_shares(truth)
    ]
    names = [f"{name} {100 * share:.0f} %" for name, share in figures.PARTS]
    return {"names": names, "begins": begins, "lines": lines}


def _means(cells: Flags, bounds: Sequence[int]) -> list[float]:
    return [float(cells[a:b].mean()) if b > a else float("nan") for a, b in pairwise(bounds)]


def advice(recorded: Recorded, codes: Codes | None, profiles: Sequence[str]) -> list[str]:
    """Return what to know before training on the telemetry."""
    truth = recorded.truth
    told = [] if truth is None else _on_labels(recorded, truth, codes, profiles)
    if recorded.others:
        told.append(
            f"The file has columns beside the channels: {join_names(recorded.others)}. If one of them is a label or an "
            "id, a monitor that reads it learns the answer; leave them out of the features."
        )
    pairs = figures.together(recorded, "inlet_c") if "inlet_c" in recorded.readings else None
    if pairs is not None:
        told.append(
            f"Racks move together: inlets correlate by {pairs[0]:.2f} on average within a row and by {pairs[1]:.2f} "
            "across rows. Split in time, or leave whole rows out; rows of the table drawn at random leak."
        )
    if {"delta_t", "inlet_c", "outlet_c"} <= recorded.readings.keys():
        told.append("delta_t is outlet_c - inlet_c: it says nothing new, and a covariance with all three is singular.")
    if {"gpu_energy_j", "gpu_power_kw"} <= recorded.readings.keys():
        told.append("gpu_energy_j is gpu_power_kw over the tick: it changes with the tick and says nothing new.")
    constant = [name for name, values in recorded.readings.items() if not _changes(values)]
    if constant:
        told.append(f"Channels that never change: {', '.join(constant)}; scaling divides by zero there.")
    return told


def _changes(values: Array) -> bool:
    known = values[np.isfinite(values)]
    return bool(known.size) and float(np.ptp(known)) > 0


def _on_labels(recorded: Recorded, truth: Truth, codes: Codes | None, profiles: Sequence[str]) -> list[str]:
    told = []
    bounds = figures.part_bounds(recorded.grid.ticks)
    first = figures.first_anomalous_tick(truth)
    if first is not None:
        clean = _seconds(first * recorded.grid.tick_s)
        told.append(
            f"The first anomaly comes after {clean}: that is the clean stretch to learn normal from."
            if first
            else "There are anomalies from the first tick on: what learns normal has to filter them out."
        )
    if codes is not None and NOMINAL in profiles:
        over = figures.straddling(np.where(codes == profiles.index(NOMINAL), NONE, codes), bounds, NONE)
        told.append(
            f"{over:,} episodes of racks go over a bound of the split below: cut a stretch of an hour or two there, or "
            "the same episode is in both parts."
        )
    best = figures.alone(recorded, truth.flags["is_anomaly"]) if "is_anomaly" in truth.flags else None
    if best is not None:
        told.append(
            f"The distance of {best[0]} from its median alone tells anomalous rows with an AUC of {best[1]:.3f}: what "
            "a monitor has to beat before it is worth its complexity."
        )
    unlabelled = int((~truth.there).sum()) - recorded.rows.missing
    if unlabelled > 0:
        told.append(f"{unlabelled:,} rows have no label.")
    told.append(
        "Labels stand in a file of their own and are no input: join them by ts and rack_id to score, never to fit."
    )
    return told

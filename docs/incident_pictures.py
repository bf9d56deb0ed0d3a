"""Draw what a kind of incident does in its shipped scenario, against its twin."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter
from PIL import Image

from sim.engine.blocks import Array
from sim.incidents.catalogue import CATALOGUE
from sim.incidents.labels import IncidentEvent
from sim.model.channels import CHANNELS
from sim.model.facility import Indices
from sim.runs.arrays import RunArrays
from sim.runs.simulate import simulate_in_memory
from sim.scenario.files import load_scenario

PANELS = 4
ALWAYS = {
    "cooling": ("inlet_c",),
    "room": ("inlet_c",),
    "power": ("pdu_kw", "inlet_c", "latency_p95_ms"),
    "load": ("tokens_ps", "pdu_kw", "inlet_c", "latency_p95_ms"),
    "normal": ("inlet_c",),
}
"""Channels that a reader looks for, beside those that depart most."""
COMPANIONS = ("outlet_c", "fan_rpm_pct")
"""What a faulty sensor is drawn beside: a channel that knows nothing of it."""
FOLLOWS = ("gpu_power_kw", "gpu_energy_j", "delta_t")
"""Channels that show what others show already."""

STRUCK, TAKES, THIRD = "#b02a2a", "#1f6fb0", "#3a8a3a"
CAUSE = "#e0a030"
COLOURS = 64
"""So few that a picture stays small, and so many that shading over shading keeps its own."""
HOURS_FROM = 3.0
"""A window shorter than this [h] is told in minutes."""
POINTS = 240
"""Most points of a line; more are not seen on so small a picture."""
LOG_RATIO = 15


def draw(name: str, made: Path) -> None:
    """Run the shipped scenario of a kind and draw it."""
    kind, scenario = CATALOGUE[name], load_scenario(name)
    kept = simulate_in_memory(scenario).arrays
    hall, planned = kept.hall, kept.hall.incidents
    affected, takes = (
        np.unique(np.concatenate([getattr(i, which) for i in planned.values()])) for which in ("racks", "to_racks")
    )
    hours = (np.arange(scenario.tick_count) * scenario.tick - kept.incidents[0].start_s) / 3600
    shown = _window(kept.incidents, hours, kind.recovery_s)
    channels = _telling(kept, kind.group, affected, shown)
    groups = [(affected, STRUCK), (takes, TAKES)]
    if kind.in_turn:  # a mean would hide what walks from one to the next
        groups = [(affected[[i]], c) for i, c in ((0, STRUCK), (len(affected) // 2, TAKES), (-1, THIRD))]
    height = 3.7 if len(channels) > 2 else 2.1  # noqa: PLR2004 - two to a line
    figure, axes = plt.subplots(
        -(-len(channels) // 2), 2, figsize=(6.4, height), sharex=True, layout="constrained", squeeze=False
    )
    unit, per_hour = ("hours", 1.0) if np.ptp(hours[shown]) >= HOURS_FROM else ("minutes", 60.0)
    for axis, channel in zip(axes.flat, channels, strict=True):
        _panel(axis, kept, channel, groups, per_hour * hours, shown)
        _shade(axis, kept.incidents, kind.recovery_s, per_hour)
        if kind.group == "sensor" and _is_untouched(kept, channel, affected, shown):
            axis.set_title(f"{channel} [{CHANNELS[channel].unit}]: as it is, the truth did not move", fontsize=8, pad=3)
    figure.suptitle(f"{name}: {_legend(hall.facility.racks, affected, takes, in_turn=kind.in_turn)}", fontsize=9)
    figure.supxlabel(f"{unit} since it began; shaded: while the cause lasts, fainter while it fades", fontsize=8)
    figure.savefig(made, dpi=100)
    plt.close(figure)
    with Image.open(made) as picture:
        few = picture.convert("RGB").quantize(COLOURS, Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
        few.save(made, optimize=True)


def _window(incidents: Sequence[IncidentEvent], hours: Array, recovery_s: float) -> slice:
    """Return the ticks to show: all of a long fault, and of a short one what lies near it."""
    begin_s = incidents[0].start_s
    lasts_h = (max(i.end_s for i in incidents) + recovery_s - begin_s) / 3600
    from_h, until_h = -max(0.3, 0.25 * lasts_h), lasts_h + max(0.6, 0.35 * lasts_h)
    inside = np.flatnonzero((hours >= from_h) & (hours <= until_h))
    return slice(int(inside[0]), int(inside[-1]) + 1, -(-len(inside) // POINTS))


def _telling(kept: RunArrays, group: str, affected: Indices, shown: slice) -> list[str]:
    """Return the channels to draw: those looked for, and those that depart most from the twin, in sigmas."""
    departs = {}
    for name in kept.readings:
        channel = CHANNELS[name]
        ours, twin = (of[name][shown][:, affected] for of in (kept.readings, kept.twin_readings))
        sigma = channel.noise * (np.abs(twin) if channel.noise_kind == "relative" else 1)
        apart = np.abs(ours - twin) / np.maximum(sigma, 10.0**-channel.decimals)
        departs[name] = float(np.where(np.isnan(ours), np.inf, apart).max())
    read = [n for n in departs if np.isfinite(kept.readings[n][shown][:, affected]).any()]
    ranked = sorted((n for n in read if n not in FOLLOWS), key=lambda n: -departs[n])
    if group == "sensor":
        faulty = [n for n in ranked if departs[n] > 0]
        chosen = (faulty + [n for n in COMPANIONS if n not in faulty])[:2]
    else:
        chosen = list(dict.fromkeys([*(n for n in ALWAYS[group] if n in read), *ranked]))[:PANELS]
    return [name for name in kept.readings if name in chosen]


def _panel(
    axis: Axes, kept: RunArrays, channel: str, groups: Sequence[tuple[Indices, str]], hours: Array, shown: slice
) -> None:
    extremes = []
    for racks, colour in groups:
        if not len(racks):
            continue
        ours, twin = (of[channel][shown][:, racks] for of in (kept.readings, kept.twin_readings))
        if len(racks) > 1:
            axis.fill_between(hours[shown], ours.min(axis=1), ours.max(axis=1), color=colour, alpha=0.18, lw=0)
        axis.plot(hours[shown], twin.mean(axis=1), color="black", lw=0.8, ls=(0, (3, 2)))
        axis.plot(hours[shown], ours.mean(axis=1), color=colour, lw=1.2)
        extremes += [np.nanmin(ours), np.nanmax(ours)]
    axis.set_title(f"{channel} [{CHANNELS[channel].unit}]", fontsize=8, pad=3)
    if channel == "latency_p95_ms" and max(extremes) > LOG_RATIO * min(extremes):
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())
    else:
        axis.yaxis.set_major_locator(MaxNLocator(5))
    axis.xaxis.set_major_locator(MaxNLocator(7))
    axis.tick_params(labelsize=7)
    axis.margins(x=0)


def _is_untouched(kept: RunArrays, channel: str, affected: Indices, shown: slice) -> bool:
    """Return whether a channel reads as it would without the fault."""
    ours, twin = (of[channel][shown][:, affected] for of in (kept.readings, kept.twin_readings))
    return bool(np.array_equal(ours, twin, equal_nan=True))


def _shade(axis: Axes, incidents: Sequence[IncidentEvent], recovery_s: float, per_hour: float) -> None:
    """Shade the spans of causes, and fainter that in which the first one's effect fades."""
    first = incidents[0]
    spans = [(i.start_s, i.end_s, 0.22) for i in incidents] + [(first.end_s, first.end_s + recovery_s, 0.10)]
    for begin_s, end_s, alpha in spans:
        begins, ends = (per_hour * (at_s - first.start_s) / 3600 for at_s in (begin_s, end_s))
        axis.axvspan(begins, ends, color=CAUSE, alpha=alpha, lw=0)


def _legend(racks: Sequence[str], affected: Indices, takes: Indices, *, in_turn: bool) -> str:
    if in_turn:
        return f"first (red), middle (blue) and last (green) of {len(affected)} racks; dashed: the twin"
    named = racks[affected[0]] if len(affected) == 1 else f"{len(affected)} racks"
    taking = f", {len(takes)} racks that take the load (blue)" if len(takes) else ""
    return f"{named} (red){taking}; dashed: the twin"

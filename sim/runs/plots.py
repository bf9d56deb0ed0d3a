"""Pictures of a run as matplotlib draws them; nothing of them outlives the figure."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim.model.channels import CHANNELS

PROFILE_COLOURS = {
    "high_load": "#ffd9a0",
    "thermal_event": "#ff9d94",
    "under_utilized": "#cfe8c6",
    "overcooled": "#a9d3f5",
}
_CUSTOM, _LINE, _TWIN, _INCIDENT = "#d9cff0", "#20506a", "#7a3a72", "#b02a2a"


class Picture(Figure):
    """A figure that notebooks show even where no backend of pyplot was chosen."""

    def _repr_png_(self) -> bytes:
        made = io.BytesIO()
        self.savefig(made, format="png")
        return made.getvalue()


def draw_rack(
    name: str,
    readings: pd.DataFrame,
    profile: npt.NDArray[Any] | None,
    twin: pd.DataFrame | None,
    incidents: pd.DataFrame | None,
) -> Figure:
    """Draw a rack's channels over each other.

    readings, twin: by ts, a column for each channel. profile: of each row, None where it is not known. incidents: as
    events files list them; those that affect the rack are marked from the planned start to the end of the effect.
    """
    channels = [str(channel) for channel in readings]
    figure = Picture(figsize=(10, 1 + 1.4 * len(channels)), layout="constrained")
    panels = figure.subplots(len(channels), 1, sharex=True, squeeze=False)[:, 0]
    own = _of_rack(incidents, name)
    for axis, channel in zip(panels, channels, strict=True):
        _shade(axis, readings.index, profile)
        for incident in own:
            axis.axvspan(incident[1], incident[2], color=_INCIDENT, alpha=0.13, lw=0)
        if twin is not None:
            axis.plot(twin.index, twin[channel], color=_TWIN, lw=0.8, ls=(0, (3, 2)), label="without incidents")
        axis.plot(readings.index, readings[channel], color=_LINE, lw=0.9)
        axis.set_ylabel(f"{channel}\n[{CHANNELS[channel].unit}]", fontsize=8)
        axis.margins(x=0)
    panels[0].set_title(" ".join([name, *(f"- {kind}" for kind, _, _ in own)]), fontsize=10)
    _legend(figure, panels[0])
    _dates(panels[-1])
    return figure


def draw_hall(name: str, channel: str, wide: pd.DataFrame) -> Figure:
    """Draw a channel of all racks, (ticks, racks), as colours over time."""
    figure = Picture(figsize=(10, 5), layout="constrained")
    axis = figure.subplots()
    at = dates.date2num(wide.index.to_numpy())  # type: ignore[no-untyped-call]
    extent = (float(at[0]), float(at[-1]) if len(at) > 1 else float(at[0]) + 1, len(wide.columns) - 0.5, -0.5)
    drawn = axis.imshow(wide.to_numpy().T, aspect="auto", extent=extent, cmap="RdYlBu_r", interpolation="none")
    figure.colorbar(drawn, ax=axis, label=f"{channel} [{CHANNELS[channel].unit}]")
    shown = np.unique(np.linspace(0, len(wide.columns) - 1, 24).astype(int))
    axis.set_yticks(shown.tolist(), [str(wide.columns[i]) for i in shown], fontsize=7)
    axis.set_title(f"{name}: {channel} of every rack", fontsize=10)
    _dates(axis)
    return figure


def _of_rack(incidents: pd.DataFrame | None, rack: str) -> list[tuple[str, Any, Any]]:
    """Return kind, planned start and last known end of the incidents that affect a rack."""
    if incidents is None:
        return []
    reach = incidents["affected_assets"].fillna("").str.split("|").map(lambda racks: rack in racks)
    own = incidents[reach.astype(bool)]
    ends = own[["planned_end", "observable_end"]].max(axis=1)
    return list(zip(own["kind"], own["planned_start"], ends, strict=True))


def _shade(axis: Axes, ts: pd.Index, profile: npt.NDArray[Any] | None) -> None:
    for name in [] if profile is None else pd.unique(pd.Series(profile)):
        if name != "nominal":
            colour = PROFILE_COLOURS.get(name, _CUSTOM)
            axis.fill_between(
                ts, 0, 1, where=profile == name, color=colour, lw=0, label=name, transform=axis.get_xaxis_transform()
            )


def _legend(figure: Figure, axis: Axes) -> None:
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, ncol=6, fontsize=8, loc="outside lower center")


def _dates(axis: Axes) -> None:
    locator = dates.AutoDateLocator()  # type: ignore[no-untyped-call]
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]

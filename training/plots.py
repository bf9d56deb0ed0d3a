"""The pictures of the evaluation page, as SVG text."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training.evaluation import Evaluated, Result
from training.import_optional import import_optional
from training.mms import PERSISTENT, RECOVERING

EVENT, IGNORED, ALARM, SCORE = "#d95f5f", "#bdbdbd", "#1b6ca8", "#8aa9c4"
_HOUR_S = 3600.0


def _figure(width: float, height: float, rows: int = 1) -> tuple[Any, Any]:
    figure = import_optional("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, 1, squeeze=False)[:, 0]


def _svg(figure: Any) -> str:
    out = io.StringIO()
    # a fixed salt and no date: the same figures give the same page
    with import_optional("matplotlib").rc_context({"svg.hashsalt": "skadi", "font.size": 9}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()[out.getvalue().index("<svg") :]


def busiest_racks(run: Evaluated, count: int = 3) -> list[str]:
    """Return the racks with the most time in an event, the busiest first."""
    rows = np.bincount(run.telemetry.rack[run.truth.event], minlength=len(run.telemetry.racks))
    return [run.telemetry.racks[k] for k in np.argsort(-rows, kind="stable")[:count].tolist() if rows[k]]


def scores_over_time(run: Evaluated, result: Result, racks: Sequence[str]) -> str:
    """Deviation and its average against the truth, a panel for each rack."""
    figure, axes = _figure(10, 2.2 * len(racks), len(racks))
    for axis, name in zip(axes, racks, strict=True):
        rows = np.flatnonzero(run.telemetry.rack == run.telemetry.racks.index(name))
        hours = (run.telemetry.ts_s[rows] - run.telemetry.ts_s[0]) / _HOUR_S
        top = float(np.nanmax(result.score[rows])) * 1.05
        open_ = (result.state[rows] == PERSISTENT) | (result.state[rows] == RECOVERING)
        axis.fill_between(hours, 0, top, run.truth.ignored[rows], color=IGNORED, alpha=0.4, lw=0, step="post")
        axis.fill_between(hours, 0, top, run.truth.event[rows], color=EVENT, alpha=0.35, lw=0, step="post")
        axis.fill_between(hours, 0, top * 0.04, open_, color=ALARM, lw=0, step="post")
        axis.plot(hours, result.score[rows], color=SCORE, lw=0.6)
        axis.plot(hours, result.ema[rows], color=ALARM, lw=1.0)
        axis.axhline(result.tau_persist, color="black", lw=0.6, ls="--")
        axis.set(ylabel=name, xlim=(hours[0], hours[-1]), ylim=(0, top))
    axes[-1].set_xlabel("hours from the start")
    return _svg(figure)


def precision_recall_curves(results: Sequence[Result]) -> str:
    """One curve for each detector, its first seed."""
    figure, (axis,) = _figure(6, 4)
    seen: set[str] = set()
    for result in results:
        if result.name not in seen:
            seen.add(result.name)
            axis.plot(*result.curve, lw=1.2, label=result.name)
    axis.set(xlabel="recall (rows)", ylabel="precision (rows)", xlim=(0, 1.01), ylim=(0, 1.02))
    axis.legend(fontsize=7)
    return _svg(figure)


def delay_histogram(result: Result) -> str:
    """Minutes from an event's begin to its alarm."""
    figure, (axis,) = _figure(6, 3)
    minutes = result.events.delays_s / 60.0
    axis.hist(minutes, bins=max(5, min(40, round(np.ptp(minutes)) + 1)) if minutes.size else 5, color=ALARM)
    axis.set(xlabel="minutes from the event's begin to the alarm", ylabel="events")
    return _svg(figure)


def confusion(result: Result) -> str:
    """True kind of an event against what it was called."""
    figure, (axis,) = _figure(4.6, 2.4)
    counts = result.events.confusion
    axis.imshow(
        counts / np.maximum(1, counts.sum(axis=1, keepdims=True)), cmap="Blues", vmin=0, vmax=1.6, aspect="auto"
    )
    for (i, j), count in np.ndenumerate(counts):
        axis.text(j, i, str(count), ha="center", va="center")
    axis.set(xticks=range(3), yticks=range(2), xlabel="called", ylabel="is")
    axis.set_xticklabels(["persistent", "transient", "nothing"])
    axis.set_yticklabels(["persistent", "transient"])
    return _svg(figure)


def bars(measure: str, means: Mapping[str, tuple[float, float]], floor: float) -> str:
    """A bar for each detector with its interval, the random score's value as a line."""
    figure, (axis,) = _figure(7, 0.5 + 0.32 * len(means))
    names = list(means)[::-1]
    values = np.array([means[name] for name in names])
    axis.barh(
        names, np.nan_to_num(values[:, 0]), xerr=np.nan_to_num(values[:, 1]), color=SCORE, ecolor="black", capsize=2
    )
    axis.axvline(floor, color=EVENT, lw=1)
    axis.set(xlabel=measure, xlim=(0, 1.02))
    return _svg(figure)

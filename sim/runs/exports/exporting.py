"""Exports a finished run: checks what was asked for, goes through the racks, and says what became of them."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sim.common.atomic_files import atomic_folder
from sim.common.errors import InputError
from sim.common.text import join_names
from sim.incidents.observed import OBSERVABLE_SIGMAS
from sim.model.channels import CHANNELS, TELEMETRY_CHANNELS, Sensors, reading_sigma
from sim.runs.exports import nab, openmetrics, timeeval, tsb_ad
from sim.runs.exports.series import Series, Split, clean_rows, fill_gaps
from sim.runs.run import Run

Target = Literal["timeeval", "tsb-ad", "nab", "openmetrics"]

ANOMALY_KINDS = ("load", "cooling", "custom", "incident", "sensor")
"""What `anomaly_kind` can say of a row that is not normal."""

DEFAULT_KINDS = ("cooling", "custom", "incident", "sensor")
"""Load patterns are regimes of a healthy hall, so they are normal unless asked for."""

INDEPENDENT = tuple(name for name in TELEMETRY_CHANNELS if name not in ("delta_t", "gpu_power_kw"))
"""Channels none of which follows from the others: a detector that inverts their covariance needs that."""

DEFAULT_CHANNELS: dict[Target, tuple[str, ...]] = {
    "timeeval": TELEMETRY_CHANNELS,
    "tsb-ad": INDEPENDENT,
    "nab": ("inlet_c",),  # the one channel by which the training document tells cooling anomalies
    "openmetrics": openmetrics.CHANNELS_TOLD,
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a run is exported; no racks or channels means all racks and the format's channels.

    align_end: instant that the last sample is moved to, the others with it; as they are without. visible: no window in
    the file of a channel for an incident that does not show in it.
    """

    racks: Sequence[str] = ()
    kinds: Sequence[str] = DEFAULT_KINDS
    channels: Sequence[str] = ()
    split: Split = field(default_factory=Split)
    align_end: datetime | None = None
    visible: bool = False


@dataclass(slots=True)
class Exported:
    """What became of the racks: a record of each series written, racks left out, and what else a user should know."""

    series: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, series: Series, **told: object) -> None:
        """Record a series."""
        counts = {"anomalous_rows": int(series.anomalous.sum()), "filled_cells": series.filled}
        self.series.append({"rack_id": series.rack, "rows": series.rows, **counts, **told})

    def note(self, text: str, racks: Sequence[str]) -> None:
        """Note something of some racks, if there are any."""
        if racks:
            self.notes.append(f"{text}: {join_names(racks)}")


@dataclass(frozen=True, slots=True)
class Selection:
    """The series that were asked for: of one run, rack by rack.

    file_name: of the run's telemetry. readings: by channel, NaN where a sensor said nothing, (ticks, racks of the run).
    anomalous: like them. shift: added to every instant that is told. visible: like readings, where an anomaly shows in
    that channel; None where that is not asked.
    """

    run: Run
    file_name: str
    racks: Sequence[str]
    readings: dict[str, npt.NDArray[np.float64]]
    anomalous: npt.NDArray[np.bool_]
    split: Split
    shift: np.timedelta64
    visible: dict[str, npt.NDArray[np.bool_]] | None = None

    def __iter__(self) -> Iterator[tuple[Series, int]]:
        """Yield every series and how many of its rows the split proposes for training."""
        columns, times = self.columns, self.run.times
        clean = clean_rows(self.anomalous[:, columns])
        for rack, i in zip(self.racks, columns, strict=True):
            values, filled = fill_gaps(np.stack([of_all[:, i] for of_all in self.readings.values()], axis=1))
            series = Series(rack, times, tuple(self.readings), values, self.anomalous[:, i], filled)
            yield series, self.split.rows(series.anomalous, times, clean)

    @property
    def columns(self) -> list[int]:
        """Where the racks are among those of the run."""
        return [self.run.racks.index(rack) for rack in self.racks]

    @property
    def source(self) -> dict[str, Any]:
        """What the run's manifest says of where it came from."""
        manifest = self.run.manifest
        return {
            "telemetry": self.file_name,
            "sha256": manifest["files"][self.file_name]["sha256"],
            "seed": manifest["seed"],
            "scenario_sha256": manifest["scenario_sha256"],
        }


def export_run(telemetry: Path, target: Target, output: Path, choice: Choice) -> Exported:
    """Write a run into the folder `output` in another tool's format.

    Raises InputError that lists every offender among the options and the run's files, and OutputError.
    """
    selection = _selection(telemetry, target, output, choice)
    exported = Exported()
    with atomic_folder(output) as folder:
        _WRITERS[target](selection, folder, exported)
        exported.note("skipped, no anomaly after the train rows", exported.skipped)
        gaps = [s["rack_id"] for s in exported.series if s["filled_cells"]]
        cells = sum(s["filled_cells"] for s in exported.series)
        exported.note(f"{cells:,} empty cells filled forward, those before a first reading backward", gaps)
        record = {
            "format": target,
            "run": {"name": selection.run.name, **selection.source},
            "anomalies": list(choice.kinds),
            "channels": list(selection.readings),
            "series": exported.series,
            "skipped": exported.skipped,
        }
        (folder / "export.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return exported


def _timeeval(selection: Selection, folder: Path, exported: Exported) -> None:
    lines, chosen = [], selection.split.at is not None
    for series, proposed in selection:
        train = timeeval.train_rows(proposed, series, chosen=chosen)
        timeeval.write_series(folder, series, train)
        lines.append(timeeval.index_line(selection.run.name, series, train))
        exported.add(series, file=lines[-1]["test_path"], train_rows=train)
    timeeval.write_index(folder, lines)
    untrained = [s["rack_id"] for s in exported.series if not s["train_rows"]]
    exported.note("without a train file, having no clean rows for one (test.csv is the whole series)", untrained)
    clean = [str(line["dataset_name"]) for line in lines if not line["num_anomalies"]]
    exported.note("without an anomaly in the test part (num_anomalies 0)", clean)


def _tsb_ad(selection: Selection, folder: Path, exported: Exported) -> None:
    names: list[str] = []
    mixed, chosen = [], selection.split.at is not None
    for series, proposed in selection:
        train = tsb_ad.train_rows(proposed, chosen=chosen)
        if not series.anomalous[train:].any():
            exported.skipped.append(series.rack)
            continue
        names.append(tsb_ad.file_name(selection.run.name, len(names) + 1, series, train))
        tsb_ad.write_series(folder, names[-1], series)
        exported.add(series, file=f"{tsb_ad.SERIES_FOLDER}/{names[-1]}", train_rows=train)
        if series.anomalous[:train].any():
            mixed.append(series.rack)
    if not names:
        raise InputError(
            "no series has an anomaly after its train rows, which TSB-AD asks for; choose an earlier --train, other "
            "--anomalies or a longer run"
        )
    tsb_ad.write_file_list(folder, names)
    exported.note("with anomalies among the train rows", mixed)


def _nab(selection: Selection, folder: Path, exported: Exported) -> None:
    found: dict[str, list[list[str]]] = {}
    early, unseen, category = 0, 0, tsb_ad.plain_name(selection.run.name)
    for (series, _), column in zip(selection, selection.columns, strict=True):
        paths = nab.write_series(folder, category, series)
        for path, channel in zip(paths, series.channels, strict=True):
            seen = None if selection.visible is None else selection.visible[channel][:, column]
            found[path], before, hidden = nab.windows(series, seen)
            unseen += hidden
        early += before
        exported.add(series, files=[f"data/{path}" for path in paths], windows=max(len(found[path]) for path in paths))
    nab.write_windows(folder, found)
    if early:
        rows = nab.probation_rows(len(selection.run.times))
        exported.notes.append(f"anomalies without a window, begun in the {rows:,} probationary rows: {early:,}")
    if unseen:
        exported.notes.append(f"windows left out, of incidents that do not show in their channel: {unseen:,}")
    exported.note("without a window", [s["rack_id"] for s in exported.series if not s["windows"]])


def _visible(run: Run, channel: str) -> npt.NDArray[np.bool_]:
    """Return the rows whose anomaly shows in a channel, (ticks, racks): profiles' anomalies do in all.

    Of incidents by what the labels tell of their effect, against what labels call observable; of sensors' faults by
    whose sensor it is. Raises InputError where the labels do not tell.
    """
    told = f"effect_{channel}"
    if told not in run.labels:
        measured = CHANNELS[channel].noise_kind != "derived"
        why = "run it with --effects" if measured else f"{channel} is derived from other channels; choose those"
        raise InputError(f"--visible: labels of {run.name} do not tell what incidents change of {channel}; {why}")
    shape = -1, len(run.racks)
    effect = np.abs(np.nan_to_num(run.labels[told].to_numpy(dtype=np.float64))).reshape(shape)
    sensors = Sensors(**run.manifest["scenario"]["sensors"])
    sigma = reading_sigma(sensors, channel, np.nan_to_num(run.readings(channel)))
    faulty = run.labels["sensor_fault"].astype("string").fillna("").str.split("|")
    by_sensor = np.array([channel in names for names in faulty]).reshape(shape)
    return np.asarray((effect > OBSERVABLE_SIGMAS * sigma) | by_sensor | run.has_kind(("load", "cooling", "custom")))


def _openmetrics(selection: Selection, folder: Path, exported: Exported) -> None:
    run, columns = selection.run, selection.columns
    facility = run.manifest["scenario"]["facility"]
    history = openmetrics.History(
        (run.times + selection.shift).astype("datetime64[s]").astype(np.int64),
        {channel: readings[:, columns] for channel, readings in selection.readings.items()},
        [openmetrics.labels(facility["site"], facility["hall"], rack) for rack in selection.racks],
    )
    names = openmetrics.write_blocks(folder, history)
    for rack, anomalous in zip(selection.racks, selection.anomalous[:, columns].T, strict=True):
        counts = {"anomalous_rows": int(anomalous.sum()), "filled_cells": 0}
        exported.series.append({"rack_id": rack, "rows": len(run.times), **counts})
    moved = selection.shift / np.timedelta64(1, "s")
    aligned = f"moved by {moved:,.0f} s" if moved else "as in the run"
    exported.notes.append(f"{len(names):,} files, one for each 2 h block, instants {aligned}")


_WRITERS: dict[Target, Callable[[Selection, Path, Exported], None]] = {
    "timeeval": _timeeval,
    "tsb-ad": _tsb_ad,
    "nab": _nab,
    "openmetrics": _openmetrics,
}


def _selection(telemetry: Path, target: Target, output: Path, choice: Choice) -> Selection:
    """Return what was asked for, or raise InputError with all that stands against it."""
    channels = tuple(dict.fromkeys(choice.channels)) or DEFAULT_CHANNELS[target]
    problems = [
        *_unknown("--anomalies", choice.kinds, ANOMALY_KINDS),
        *_output_problems(output),
        *_unfit_options(target, choice),
    ]
    reported = TELEMETRY_CHANNELS
    try:
        run = _opened(telemetry)
        reported = run.channels
        anomalous = run.has_kind(choice.kinds)
        problems += _unknown("--racks", choice.racks, run.racks)
        choice.split.check(run.times)
    except InputError as error:
        problems.append(str(error))
    known = [c for c in reported if c in openmetrics.CHANNELS_TOLD] if target == "openmetrics" else reported
    problems += _unknown("--channels", channels, known)
    if not problems:
        racks = tuple(dict.fromkeys(choice.racks)) or run.racks
        readings = {channel: run.readings(channel) for channel in channels}
        shift = _shift(run.times, choice.align_end)
        visible = {channel: _visible(run, channel) for channel in channels} if choice.visible else None
        selection = Selection(run, telemetry.name, racks, readings, anomalous, choice.split, shift, visible)
        problems = [] if target == "openmetrics" else _content_problems(selection, choice.kinds)
        if not problems:
            return selection
    count = sum(1 + p.count("\n") for p in problems)
    raise InputError(f"{count} problems\n  " + "\n  ".join(problems) if count > 1 else problems[0])


def _unfit_options(target: Target, choice: Choice) -> list[str]:
    problems = []
    if choice.split.at is not None and target == "nab":
        problems.append("--train: NAB's train rows are its probationary ones; leave it out")
    if choice.split.at is not None and target == "openmetrics":
        problems.append("--train: openmetrics has no train rows; leave it out")
    if choice.visible and target != "nab":
        problems.append(f"--visible: {target} has one label for all channels; it is for nab")
    if choice.align_end is not None and target != "openmetrics":
        problems.append(f"--align-end: {target} keeps the run's own instants; it is for openmetrics")
    return problems


def _shift(times: npt.NDArray[np.datetime64], end: datetime | None) -> np.timedelta64:
    """Return what moves the last instant to `end`, whole seconds, so that the spacing stays as it is."""
    if end is None:
        return np.timedelta64(0, "s")
    shift: np.timedelta64 = np.datetime64(end.astimezone(UTC).replace(tzinfo=None), "s") - times[-1]
    return shift


def _opened(telemetry: Path) -> Run:
    try:
        return Run.open(telemetry, check=True)
    except InputError as error:
        raise InputError(f"--input: {error}") from None


def _content_problems(selection: Selection, kinds: Sequence[str]) -> list[str]:
    """Return what keeps sound options from giving series to judge a detector on."""
    run, columns, problems = selection.run, selection.columns, []
    if not selection.anomalous[:, columns].any():
        problems.append(f"{run.name}: no row of these racks is of kind {', '.join(kinds)}: nothing to detect")
    mute = [
        f"{rack} {channel}"
        for channel, readings in selection.readings.items()
        for rack, i in zip(selection.racks, columns, strict=True)
        if np.isnan(readings[:, i]).all()
    ]
    if mute:
        problems.append(f"{run.name}: no reading at all: {join_names(mute)}; choose other --racks or --channels")
    return problems


def _unknown(option: str, given: Sequence[str], known: Sequence[str] | dict[str, Any]) -> list[str]:
    wrong = [name for name in given if name not in known]
    return [f"{option}: not known: {', '.join(map(repr, wrong))} (known: {join_names(list(known))})"] if wrong else []


def _output_problems(output: Path) -> list[str]:
    if output.is_dir() and any(output.iterdir()):
        return [f"--output: {str(output)!r} is not empty; name a folder that is not there yet"]
    return [f"--output: {str(output)!r} is a file; name a folder"] if output.is_file() else []

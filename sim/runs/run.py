"""A finished run, read back from its files or kept in memory: the same frames either way."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from html import escape
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sim.common.errors import InputError
from sim.common.import_optional import import_optional
from sim.common.text import join_names
from sim.model.channels import CHANNELS, TELEMETRY_COLUMNS
from sim.runs.formats import SUFFIXES, name_of, read_csv, read_table, suffix_of
from sim.runs.manifest import (
    ENDINGS,
    Companion,
    checked_companion,
    file_name,
    manifest_path,
    named_files,
    read_manifest,
    unlike_manifest,
)
from sim.runs.tables import JOB_COLUMN, LABEL_COLUMNS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from sim.runs.arrays import RunArrays


COUNTERS_ASKED = "counters of GPUs; run it again with --set telemetry.counters=dcgm"
"""What a run lacks that has none."""

_INSTANT = pa.timestamp("ms", "UTC")
_NAME = pa.dictionary(pa.int32(), pa.string())
_LABEL_TYPES = dict.fromkeys((*LABEL_COLUMNS, JOB_COLUMN), _NAME) | {
    "ts": _INSTANT,
    "is_anomaly": pa.bool_(),
    "is_persistent": pa.bool_(),
    "severity": pa.float32(),
}
_EVENT_TYPES = {
    **dict.fromkeys(("planned_start", "planned_end", "observable_onset", "peak", "observable_end"), _INSTANT),
    **dict.fromkeys(("event_id", "type", "kind", "cause_id", "root_asset", "affected_assets", "origin"), pa.string()),
    "ticks": pa.int64(),
    "is_persistent": pa.bool_(),
    "severity": pa.float64(),
}
RACK_CHANNELS = ("inlet_c", "outlet_c", "pdu_kw", "tokens_ps", "latency_p95_ms", "fan_rpm_pct", "pump_rpm_pct")
"""What a picture of a rack shows unless asked for others."""
_MANIFEST_KEYS = {"files", "racks", "seed", "scenario_sha256"}


class Source(Protocol):
    """Where a run's tables come from. place: what messages call it."""

    name: str
    place: str

    def telemetry(self) -> pa.Table:
        """Return the readings, typed, numbers in the channels' units."""

    def twin(self) -> pa.Table:
        """Return the readings of the same run without its incidents. Raises InputError where there are none."""

    def gpu(self) -> pa.Table:
        """Return the counters of GPUs. Raises InputError where there are none."""

    def labels(self) -> pa.Table:
        """Return the truth of each row. Raises InputError where there is none."""

    def events(self) -> pa.Table:
        """Return what happened."""

    def manifest(self) -> dict[str, Any]:
        """Return what the run says of itself."""

    def arrays(self) -> "RunArrays":
        """Return the run as arrays, with the truth before sensors. Raises InputError where only files are left."""

    def write(self, path: Path, *, labels: str, twin: bool) -> list[Path]:
        """Write the run's files and return their paths."""


class Run:
    """A finished run; each part is read when it is first asked for, and kept. docs/data.md describes the columns.

    Frames have the types of the Parquet files whatever the run was written as: float32, timestamps in UTC, names as
    categories, an empty cell missing. `plot` draws.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.plot = Plots(self)

    @classmethod
    def open(cls, path: str | Path, *, check: bool = False) -> "Run":
        """Return the run whose telemetry file this is.

        check: the manifest must be there and complete, and telemetry and labels as it says, to the last bit. Raises
        InputError that lists everything that is missing or unfit.
        """
        source = _Files(Path(path))
        if check:
            source.check()
        return cls(source)

    @property
    def name(self) -> str:
        """The run's name."""
        return self._source.name

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the run says of itself: seed, scenario as resolved, and of files their hashes."""
        return self._source.manifest()

    @cached_property
    def telemetry(self) -> "pd.DataFrame":
        """The readings, one row per tick and rack."""
        return _telemetry_frame(self._readings)

    @cached_property
    def twin(self) -> "pd.DataFrame":
        """The readings of the same seed without any incident, row by row like the telemetry."""
        return _telemetry_frame(self._source.twin())

    @cached_property
    def gpu(self) -> "pd.DataFrame":
        """Counters of the racks' GPUs, row by row like the telemetry, of a run with `telemetry.counters`."""
        return _frame(self._source.gpu())

    @cached_property
    def labels(self) -> "pd.DataFrame":
        """The truth of each row of the telemetry."""
        table = self._labels
        names = [n for n in table.column_names if _LABEL_TYPES.get(n) == _NAME]
        for name in names:
            column = table[name] if pa.types.is_dictionary(table[name].type) else table[name].dictionary_encode()
            table = table.set_column(table.column_names.index(name), name, column)
        return _frame(table)

    @cached_property
    def events(self) -> "pd.DataFrame":
        """A row for each episode and incident that a tick saw, in order of its end."""
        return _frame(self._source.events())

    @property
    def incidents(self) -> "pd.DataFrame":
        """The events that are no episodes: incidents, sensors' faults and planned work, in order of their end."""
        return self.events[self.events["type"] != "episode"].reset_index(drop=True)

    def joined(self) -> "pd.DataFrame":
        """Return readings and truth side by side: the columns of the telemetry, then those of the labels.

        Raises InputError where they are not of the same ticks and racks.
        """
        truth = self.labels
        for key in ("ts", "rack_id"):
            ours, theirs = self.telemetry[key].to_numpy(), truth[key].to_numpy()
            if len(ours) != len(theirs) or (ours != theirs).any():
                raise InputError(f"{self._source.place}: labels of other rows than the telemetry's: not one run")
        return self.telemetry.join(truth.drop(columns=["ts", "rack_id"]))

    def rack(self, name: str) -> "pd.DataFrame":
        """Return the readings of one rack by ts. Raises InputError where there is no such rack."""
        of_rack = self.telemetry[(self.telemetry["rack_id"] == name).to_numpy()]
        if of_rack.empty:
            known = [str(rack) for rack in self.telemetry["rack_id"].cat.categories]
            raise InputError(f"{self._source.place}: no rack {name!r}; there are {join_names(known)}")
        return of_rack.drop(columns="rack_id").set_index("ts")

    def wide(self, channel: str) -> "pd.DataFrame":
        """Return one channel with a row for each tick, by ts, and a column for each rack.

        Raises InputError where there is no such channel, or a tick has not one row of each rack.
        """
        self._check_channel(channel)
        import pandas as pd  # noqa: PLC0415 - takes longer than all else that reading needs

        values = self.telemetry[channel].to_numpy().reshape(-1, len(self.racks))
        ts = self.telemetry["ts"].iloc[:: len(self.racks)]
        return pd.DataFrame(values, index=pd.Index(ts, name="ts"), columns=pd.Index(self.racks, name="rack_id"))

    def exact(self) -> "pd.DataFrame":
        """Return the telemetry with the numbers of a CSV file to their last digit, in float64, and rack_id as text.

        queue_depth is int64 where no reading is missing.
        """
        frame = self.telemetry.astype({"rack_id": object})
        for name in self.channels:
            frame[name] = self._decimals(name)
        whole = [name for name in self.channels if not CHANNELS[name].decimals and frame[name].notna().all()]
        return frame.astype(dict.fromkeys(whole, "int64"))

    def write(self, path: str | Path, *, labels: str = "parquet", twin: bool = True) -> list[Path]:
        """Write a run's files and return their paths, the telemetry's first: of one in memory those of run_sim.py.

        path: of the telemetry, .csv or .parquet, or a folder. labels: their format, or none. twin: also the twin, where
        the run has one. Raises InputError and OutputError; docs/data.md says what may be replaced.
        """
        return self._source.write(Path(path), labels=labels, twin=twin)

    @property
    def arrays(self) -> "RunArrays":
        """A run in memory as arrays, (ticks, racks), with the truth before sensors."""
        return self._source.arrays()

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """The channels that the run reports, in the order of its columns."""
        return tuple(name for name in self._readings.column_names if name in CHANNELS)

    @cached_property
    def racks(self) -> tuple[str, ...]:
        """The racks in the order of their rows. Raises InputError where a tick has not one row of each."""
        names = self._readings["rack_id"].cast(pa.string())
        racks = tuple(names.unique().to_pylist())
        if not racks or len(names) % len(racks) or names.slice(0, len(racks)).to_pylist() != list(racks):
            raise InputError(f"{self._source.place}: {len(names):,} rows, not one of each rack at every tick")
        return racks

    @property
    def times(self) -> npt.NDArray[np.datetime64]:
        """Instants of the ticks in UTC, to the second, (ticks,)."""
        seconds = self._readings["ts"].cast(pa.timestamp("s", "UTC")).cast(pa.timestamp("s"))
        instants: npt.NDArray[np.datetime64] = seconds.to_numpy()[:: len(self.racks)]
        return instants

    def readings(self, channel: str) -> npt.NDArray[np.float64]:
        """Return a channel as (ticks, racks) in its unit, NaN where a sensor said nothing.

        At the decimals that telemetry has, which the float32 of Parquet only comes close to.
        """
        return self._decimals(channel).reshape(-1, len(self.racks))

    def _decimals(self, channel: str) -> npt.NDArray[np.float64]:
        self._check_channel(channel)
        values: npt.NDArray[np.float64] = self._readings[channel].cast(pa.float64()).to_numpy()
        return np.round(values, CHANNELS[channel].decimals)

    def _check_channel(self, channel: str) -> None:
        if channel not in self.channels:
            raise InputError(f"{self._source.place}: no channel {channel!r}; there are {', '.join(self.channels)}")

    def has_kind(self, kinds: Iterable[str]) -> npt.NDArray[np.bool_]:
        """Return which rows the labels call an anomaly of one of these kinds, (ticks, racks)."""
        rows, kind = self._readings.num_rows, self._labels["anomaly_kind"].cast(pa.string())
        if len(kind) != rows:
            raise InputError(f"{self._source.place}: {rows:,} rows, labels of {len(kind):,}: not one run")
        coded = kind.combine_chunks().dictionary_encode()
        named = set(kinds)
        wanted = [i for i, name in enumerate(coded.dictionary.to_pylist()) if name in named]
        return np.isin(coded.indices.to_numpy(), wanted).reshape(-1, len(self.racks))

    def __repr__(self) -> str:
        """Say what run it is, without reading more than its manifest."""
        return f"<Run {self.name}: {', '.join(f'{what} {text}' for what, text in self._told())}>"

    def _repr_html_(self) -> str:
        """Say the same as a table, for notebooks."""
        rows = "".join(f"<tr><th>{escape(what)}</th><td>{escape(text)}</td></tr>" for what, text in self._told())
        return (
            f"<table><caption><b>{escape(self.name)}</b>: a run of Skadi Sim</caption>{rows}"
            "<tr><th>frames</th><td>.telemetry .labels .events .incidents .twin .joined() .rack(name) .wide(channel)"
            "</td></tr></table>"
        )

    def _told(self) -> list[tuple[str, str]]:
        try:
            manifest = self.manifest
        except InputError:
            return [("file", f"{self._source.place}, without the manifest of a run")]
        scenario, racks, ticks = manifest["scenario"], manifest["racks"], manifest["ticks"]
        told = [
            ("scenario", scenario["name"]),
            ("seed", str(manifest["seed"])),
            ("size", f"{racks:,} racks x {ticks:,} ticks of {scenario['tick']} = {racks * ticks:,} rows"),
            ("from", f"{scenario['start']} for {scenario['duration']}"),
        ]
        scripted, drawn = len(scenario["incidents"]), scenario["incident_rates"] is not None
        if scripted or drawn:
            told.append(("incidents", f"{scripted:,} scripted{', others drawn' if drawn else ''}"))
        return told

    @cached_property
    def _readings(self) -> pa.Table:
        return self._source.telemetry()

    @cached_property
    def _labels(self) -> pa.Table:
        return self._source.labels()


class Plots:
    """Pictures of a run. Each returns a figure of matplotlib, which notebooks show and `savefig` writes."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def rack(self, name: str, channels: Sequence[str] = RACK_CHANNELS) -> "Figure":
        """Draw a rack over time, with its profile, the twin and the incidents where the run has them."""
        run = self._run
        wanted = [*dict.fromkeys(channels)]
        for channel in wanted:
            run.wide(channel)  # says which channels there are
        rows = (run.telemetry["rack_id"] == name).to_numpy()
        profile = _or_none(lambda: run.labels.loc[rows, "profile"].astype(str).to_numpy())
        twin = _or_none(lambda: run.twin.loc[rows].set_index("ts")[wanted])
        figure: Figure = _plots().draw_rack(
            name, run.rack(name)[wanted], profile, twin, _or_none(lambda: run.incidents)
        )
        return figure

    def hall(self, channel: str = "inlet_c") -> "Figure":
        """Draw a channel of every rack over time, a line of the picture for each rack."""
        figure: Figure = _plots().draw_hall(self._run.name, channel, self._run.wide(channel))
        return figure


def _plots() -> Any:
    import_optional("matplotlib", "plot")
    return import_module("sim.runs.plots")


def _or_none(read: Callable[[], Any]) -> Any:
    """Return a part of the run, None where it was written without."""
    try:
        return read()
    except InputError:
        return None


def _telemetry_frame(table: pa.Table) -> "pd.DataFrame":
    return _frame(_typed(table))


def _typed(table: pa.Table) -> pa.Table:
    """Return telemetry with the types of the Parquet files."""
    typed = {name: pa.float32() if CHANNELS[name].decimals else pa.int32() for name in table.column_names[2:]}
    return table.cast(pa.schema({"ts": _INSTANT, "rack_id": _NAME} | typed))


def _frame(table: pa.Table) -> "pd.DataFrame":
    frame: pd.DataFrame = table.unify_dictionaries().to_pandas()
    return frame


def read_labels(path: Path, columns: Iterable[str] | None = None) -> pa.Table:
    """Return a labels file, or those of the columns that it has, typed. Raises InputError when it cannot be read."""
    effects = {f"effect_{name}": pa.float32() for name in CHANNELS}
    return read_table(path, _LABEL_TYPES | effects, columns)


def read_events(source: Path | bytes) -> pa.Table:
    """Return an events file, given its path or its content. Raises InputError when it cannot be read."""
    return read_csv(source, _EVENT_TYPES) if isinstance(source, bytes) else read_table(source, _EVENT_TYPES)


class _Files:
    """The files of a run that stand beside its telemetry."""

    def __init__(self, path: Path) -> None:
        if suffix_of(path) not in SUFFIXES:
            raise InputError(f"{str(path)!r} is not telemetry; that ends in {' or '.join(SUFFIXES)}")
        self._manifest = read_manifest(path)  # what a killed run left is put right before anything is looked at
        if not path.is_file():
            missing = [str(p) for p in (path, manifest_path(path)) if not p.is_file()]
            raise InputError(f"a run has its manifest beside it; not there: {', '.join(missing)}")
        self.name, self.place = name_of(path), str(path)
        self._path = path

    def check(self) -> None:
        """Raise InputError with everything that keeps telemetry and labels from being as the run wrote them."""
        manifest = self.manifest()
        named = named_files(manifest, self.name)
        own = {file_name(self.name, ending) for ending in ENDINGS["labels"]}
        labels = [self._path.with_name(name) for name in named if name in own]
        found = [problem for path in (self._path, *labels) if (problem := unlike_manifest(path, manifest))]
        if found:
            raise InputError("\n  ".join(found))

    def telemetry(self) -> pa.Table:
        """Read the telemetry."""
        return _read_telemetry(self._path)

    def twin(self) -> pa.Table:
        """Read the twin's telemetry, in whatever format it is."""
        return _read_telemetry(self._companion("twin", "its twin; run it again with --twin"))

    def gpu(self) -> pa.Table:
        """Read the counters of GPUs."""
        return read_table(self._companion("gpu", COUNTERS_ASKED), {})

    def labels(self) -> pa.Table:
        """Read the labels."""
        return read_labels(self._companion("labels", "labels; run it again with --labels parquet or csv"))

    def events(self) -> pa.Table:
        """Read the events."""
        return read_events(self._companion("events", "events; run it again"))

    def _companion(self, kind: Companion, without: str) -> Path:
        path = checked_companion(self._path, kind)
        if path is None:
            beside = self._path.with_name(file_name(self.name, ENDINGS[kind][0]))
            raise InputError(f"{beside}: the run was written without {without}")
        return path

    def manifest(self) -> dict[str, Any]:
        """Return the manifest. Raises InputError unless it is of a complete run."""
        path, manifest = manifest_path(self._path), self._manifest
        if not path.is_file():
            raise InputError(f"a run has its manifest beside it; not there: {path}")
        if manifest is None or not manifest.keys() >= _MANIFEST_KEYS or not isinstance(manifest["files"], dict):
            raise InputError(f"{path}: not the manifest of a complete run")
        if manifest.get("status") != "complete":
            raise InputError(f"{path}: the run's status is {manifest.get('status')!r}; only a complete run can be read")
        return manifest

    def arrays(self) -> "RunArrays":
        """Refuse: files hold no truth before sensors."""
        raise InputError(f"{self._path}: files hold no truth before sensors; run the scenario in memory")

    def write(self, path: Path, *, labels: str, twin: bool) -> list[Path]:
        """Write the files again, in the formats asked for."""
        from sim.runs.copying import write_again  # noqa: PLC0415 - who only reads needs none of the simulator
        from sim.runs.files import refuse_replacing, written_paths  # noqa: PLC0415 - as above

        manifest = self.manifest()
        kinds: tuple[Companion, ...] = ("twin", "labels", "gpu")
        has_twin, has_labels, has_gpu = (checked_companion(self._path, kind) is not None for kind in kinds)
        paths = written_paths(
            self.name, path, labels if has_labels else "none", twin=twin and has_twin, counters=has_gpu
        )
        read = [self._path, *(self._path.with_name(name) for name in named_files(manifest, self.name))]
        refuse_replacing(paths, read)
        tables = {"telemetry": _typed(self.telemetry())}
        if paths.twin:
            tables["twin"] = _typed(self.twin())
        if paths.gpu:
            tables["gpu"] = self.gpu()
        if paths.labels:
            tables["labels"] = self.labels()
        write_again(paths, tables, self._companion("events", "events; run it again").read_bytes(), manifest)
        return paths.written


def _read_telemetry(path: Path) -> pa.Table:
    """Return a telemetry file in the order of its columns, channels in float64 where it is text."""
    table = read_table(path, {"ts": _INSTANT, "rack_id": _NAME} | dict.fromkeys(CHANNELS, pa.float64()))
    missing = [name for name in TELEMETRY_COLUMNS if name not in table.column_names]
    if missing:
        raise InputError(f"{path}: cannot be read: columns missing: {', '.join(missing)}")
    return table.select(["ts", "rack_id", *(name for name in table.column_names if name in CHANNELS)])

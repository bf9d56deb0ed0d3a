"""The files of a run: telemetry, labels, events and the manifest, complete or not there at all."""

import json
import os
import platform
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sim import __version__
from sim.common.atomic_files import HashedFile
from sim.common.errors import InputError
from sim.common.file_set import FileSet
from sim.engine.blocks import Labels, Telemetry
from sim.engine.build import Hall
from sim.incidents.labels import IncidentEvent
from sim.model.episodes import Episode
from sim.runs.formats import LABEL_FORMATS, SUFFIXES, format_of, name_of, suffix_of
from sim.runs.manifest import PROJECT, document_sha256, file_name, manifest_path, named_files, read_manifest
from sim.runs.sinks import CounterSink, EventSink, JoinedSink, LabelSink, TelemetrySink
from sim.runs.tables import Tables
from sim.scenario.request_trace import RequestTrace
from sim.scenario.schema import Scenario

JOINED = "join"
"""Labels that stand in a file of their own, and once more beside the readings."""

_IN_BRACES = re.compile(r"\{(\w*)\}")
_LIBRARIES = ("numpy", "simpy", "pyarrow", "networkx", "pydantic")


@dataclass(frozen=True, slots=True)
class RunPaths:
    """Where the files of a run go.

    twin: the same run without its incidents, gpu: counters of GPUs, joined: readings and truth side by side; each where
    it is wanted. effects: labels tell what incidents change, channel by channel. without_telemetry: only its name is
    used.
    """

    telemetry: Path
    labels: Path | None
    events: Path
    manifest: Path
    twin: Path | None
    effects: bool = False
    without_telemetry: bool = False
    gpu: Path | None = None
    joined: Path | None = None

    @property
    def slow(self) -> bool:
        """Whether making telemetry keeps a core busy."""
        return format_of(self.telemetry).slow

    @property
    def written(self) -> list[Path]:
        """All files of the run, as a summary lists them."""
        telemetry = None if self.without_telemetry else self.telemetry
        files = (telemetry, self.twin, self.gpu, self.joined, self.labels, self.events, self.manifest)
        return [p for p in files if p]


def run_paths(
    name: str,
    output: str | None,
    file_format: str | None,
    labels: str,
    *,
    twin: bool = False,
    effects: bool = False,
    counters: bool = False,
) -> RunPaths:
    """Return where a run named `name` writes: data/NAME.csv unless `output` names a file or a folder.

    Raises InputError when `output` and `file_format` disagree or the suffix is none of SUFFIXES.
    """
    if output and "\0" in output:
        raise InputError(f"--output: {output!r} holds a null character, which no name of a file can")
    given = Path(output) if output else Path("data")
    is_folder = os.path.isdir(given)  # noqa: PTH112 - Path.is_dir raises on names that are too long
    folder = output is None or output.endswith(("/", "\\")) or is_folder or not given.suffix
    path = given / f"{name}.{file_format or 'csv'}" if folder else given
    name, suffix = name_of(path), suffix_of(path)
    if suffix not in SUFFIXES:
        raise InputError(f"--output: {output!r} ends in {suffix!r}; telemetry is written as {' or '.join(SUFFIXES)}")
    if file_format and suffix != f".{file_format}":
        raise InputError(f"--output: {output!r} and --format {file_format} disagree; leave one out")
    label_format = LABEL_FORMATS[0] if labels == JOINED else labels
    return RunPaths(
        path,
        None if labels == "none" else path.with_name(file_name(name, f".labels.{label_format}")),
        path.with_name(file_name(name, ".events.csv")),
        manifest_path(path),
        path.with_name(file_name(name, f".twin{suffix}")) if twin else None,
        effects,
        gpu=path.with_name(file_name(name, ".gpu.parquet")) if counters else None,
        joined=path.with_name(file_name(name, f".joined{suffix}")) if labels == JOINED else None,
    )


def filled_in(output: str | None, scenario: Scenario) -> str | None:
    """Return `output` with `{scenario}` and `{seed}` filled in. Raises InputError for any other name in braces."""
    if output is None:
        return None
    known = {"scenario": scenario.name, "seed": str(scenario.seed)}
    unknown = [name for name in _IN_BRACES.findall(output) if name not in known]
    if unknown:
        raise InputError(f"--output: {{{unknown[0]}}} is not known; {{scenario}} and {{seed}} are filled in")
    return _IN_BRACES.sub(lambda found: known[found[1]], output)


def written_paths(name: str, path: Path, labels: str, *, twin: bool, counters: bool = False) -> RunPaths:
    """Return where a run named `name` writes from Python: to `path`, or into that folder. Raises InputError."""
    if path.suffix and suffix_of(path) not in SUFFIXES and not path.is_dir():
        raise InputError(f"{path}: ends in {path.suffix!r}; telemetry is written as {' or '.join(SUFFIXES)}")
    if labels not in (*LABEL_FORMATS, JOINED, "none"):
        raise InputError(f"labels: {labels!r} is none of {', '.join(LABEL_FORMATS)}, {JOINED}, none")
    return run_paths(name, str(path), None, labels, twin=twin, counters=counters)


def tables_of(hall: Hall) -> Tables:
    """Return what makes a hall's blocks into rows."""
    facility, scenario = hall.facility, hall.scenario
    return Tables(
        scenario.start,
        round(scenario.tick),
        facility.racks,
        facility.row_of_rack,
        facility.loop_of_rack,
        list(hall.profiles.values()),
        hall.channels,
        job=scenario.training_job is not None,
    )


def check_replaceable(paths: RunPaths) -> list[str]:
    """Return the names of the earlier run's files that a new run replaces or removes.

    Raises InputError that lists what stands in the way, being of no run: a run touches only what a manifest names.
    """
    manifest = read_manifest(paths.telemetry)
    named = named_files(manifest, name_of(paths.telemetry))
    problems = []
    for path in paths.written:
        if path.is_dir():
            problems.append(f"{path}: is a folder; give another --output")
        elif os.path.lexists(path) and path.name not in named and (path != paths.manifest or manifest is None):
            problems.append(f"{path}: is no file of a run that a manifest names; move it away or give another --output")
    if problems:
        raise InputError("\n  ".join(problems))
    return [name for name in named if paths.telemetry.with_name(name).is_file()]


def refuse_all_replacing(paths: RunPaths) -> None:
    """Raise InputError when a run would replace any file."""
    there = [f"{path}: is there already, and --no-clobber keeps it" for path in paths.written if os.path.lexists(path)]
    if there:
        raise InputError("\n  ".join(there))


def refuse_replacing(paths: RunPaths, inputs: Iterable[Path]) -> None:
    """Raise InputError when a run would replace a file that it is made from."""
    there = [path for path in paths.written if os.path.lexists(path)]
    sources = list(inputs) if there else []
    clash = [f"{path}: is what this run reads" for path in there if any(_same(path, source) for source in sources)]
    if clash:
        raise InputError("\n  ".join(f"{problem}; give another --output" for problem in clash))


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):  # not there, or no name that a file can have
        return False


class RunFiles:
    """A sink that writes all files of a run, as a context: on an error nothing of it stays, and what was there does.

    What was there stays until all files are complete; while they get their names, the manifest says `running`. noted:
    called once the run is over, for what else the manifest has to say.
    """

    def __init__(
        self,
        paths: RunPaths,
        hall: Hall,
        trace: RequestTrace | None = None,
        noted: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        self._paths = paths
        self._hall = hall
        self._trace = trace
        self._noted = noted
        self._open: list[HashedFile] = []

    def __enter__(self) -> Self:
        self._set = FileSet(self._paths.telemetry.parent, name_of(self._paths.telemetry))
        try:
            check_replaceable(self._paths)
            self._open_sinks()
        except BaseException:
            self._discard()
            raise
        return self

    def _open_sinks(self) -> None:
        paths, tables, scenario = self._paths, tables_of(self._hall), self._hall.scenario
        self.telemetry_sink = None if paths.without_telemetry else self._readings(paths.telemetry, tables)
        self.twin_sink = self._readings(paths.twin, tables) if paths.twin else None
        self.counter_sink = CounterSink(self._file(paths.gpu), tables, format_of(paths.gpu)) if paths.gpu else None
        self.label_sink = (
            LabelSink(self._file(paths.labels), tables, format_of(paths.labels), effects=paths.effects)
            if paths.labels
            else None
        )
        self.joined_sink = (
            JoinedSink(self._file(paths.joined), tables, format_of(paths.joined), effects=paths.effects)
            if paths.joined
            else None
        )
        profiles = [profile.name for profile in self._hall.profiles.values()]
        self.event_sink = EventSink(self._file(paths.events), scenario.start, profiles, scenario.duration)

    def _readings(self, path: Path, tables: Tables) -> TelemetrySink:
        return TelemetrySink(self._file(path), tables, format_of(path))

    def _file(self, path: Path) -> HashedFile:
        self._open.append(self._set.file(path.name))
        return self._open[-1]

    def telemetry(self, block: Telemetry) -> None:
        """Write readings."""
        if self.telemetry_sink:
            self.telemetry_sink.telemetry(block)
        if self.twin_sink and block.twin:
            self.twin_sink.telemetry(block.twin)
        if self.counter_sink:
            self.counter_sink.telemetry(block)
        if self.joined_sink:
            self.joined_sink.telemetry(block)

    def labels(self, block: Labels) -> None:
        """Write the truth of ticks."""
        if self.label_sink:
            self.label_sink.labels(block)
        if self.joined_sink:
            self.joined_sink.labels(block)

    def events(self, finished: Sequence[Episode | IncidentEvent]) -> None:
        """Write events."""
        self.event_sink.events(finished)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None:
                self._complete()
        finally:
            self._discard()

    def _complete(self) -> None:
        for sink in (self.telemetry_sink, self.twin_sink, self.counter_sink, self.joined_sink, self.label_sink):
            if sink:
                sink.table.close()
        for file in self._open:
            file.seal()
        complete = {
            "status": "complete",
            "rows": self._hall.scenario.tick_count * len(self._hall.facility.racks),
            "events": self.event_sink.rows,
            "episodes_between_ticks": self.event_sink.unseen_episodes,
            "incidents": dict(self.event_sink.incidents),
            "files": {f.path.name: {"bytes": f.size, "sha256": f.sha256.hexdigest()} for f in self._open},
            **self._noted(),
        }
        running, complete_text = self._manifest({"status": "running"}), self._manifest(complete)
        self._set.publish(self._paths.manifest.name, running, complete_text, check_replaceable(self._paths))

    def _discard(self) -> None:
        for file in self._open:
            file.abandon()
        self._set.close()

    def _manifest(self, state: dict[str, Any]) -> str:
        resolved = self._hall.scenario.model_dump(mode="json")
        rates = self._hall.scenario.incident_rates
        content = {
            "schema_version": 1,
            **state,
            "project": {"name": PROJECT, "version": __version__},
            "seed": self._hall.scenario.seed,
            "ticks": self._hall.scenario.tick_count,
            "racks": len(self._hall.facility.racks),
            "scenario_sha256": document_sha256(resolved),
            "scenario": resolved,
            "incident_acceleration": rates.acceleration if rates and rates.draws_at_rates else None,
            "request_trace": self._trace and {"requests": self._trace.requests, "sha256": self._trace.sha256},
            "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
        }
        return json.dumps(content, indent=2) + "\n"

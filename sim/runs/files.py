"""The files of a run: telemetry, labels, events and the manifest, complete or not there at all."""

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sim import __version__
from sim.common.atomic_files import AtomicFile, output_errors, write_text
from sim.common.errors import InputError
from sim.engine.blocks import Labels, Telemetry
from sim.engine.build import Hall
from sim.incidents.labels import IncidentEvent
from sim.model.episodes import Episode
from sim.runs.formats import FORMATS, SUFFIXES, format_of
from sim.runs.sinks import EventSink, LabelSink, TelemetrySink
from sim.runs.tables import Tables
from sim.scenario.request_trace import RequestTrace

_LIBRARIES = ("numpy", "simpy", "pyarrow", "networkx", "pydantic")


@dataclass(frozen=True, slots=True)
class RunPaths:
    """Where the files of a run go.

    twin: the same run without its incidents, where it is wanted. stale: what an earlier run of the name may have left
    that this one does not write. effects: labels tell what incidents change, channel by channel.
    """

    telemetry: Path
    labels: Path | None
    events: Path
    manifest: Path
    twin: Path | None
    stale: tuple[Path, ...]
    effects: bool = False

    @property
    def slow(self) -> bool:
        """Whether making telemetry keeps a core busy."""
        return format_of(self.telemetry).slow


def run_paths(
    name: str,
    output: str | None,
    file_format: str | None,
    labels: str,
    *,
    twin: bool = False,
    effects: bool = False,
) -> RunPaths:
    """Return where a run named `name` writes: data/NAME.csv unless `output` names a file or a folder.

    Raises InputError when `output` and `file_format` disagree or the suffix is none of SUFFIXES.
    """
    given = Path(output) if output else Path("data")
    folder = output is None or output.endswith(("/", "\\")) or given.is_dir() or not given.suffix
    path = given / f"{name}.{file_format or 'csv'}" if folder else given
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"--output: {output!r} ends in {path.suffix!r}; telemetry is written as {' or '.join(SUFFIXES)}"
        )
    if file_format and path.suffix != f".{file_format}":
        raise InputError(f"--output: {output!r} and --format {file_format} disagree; leave one out")
    beside = {kind: path.with_name(f"{path.stem}.labels.{kind}") for kind in FORMATS}
    chosen = beside.get(labels)
    twins = {suffix: path.with_name(f"{path.stem}.twin{suffix}") for suffix in SUFFIXES}
    of_twin = twins[path.suffix] if twin else None
    return RunPaths(
        path,
        chosen,
        path.with_name(f"{path.stem}.events.csv"),
        path.with_name(f"{path.stem}.manifest.json"),
        of_twin,
        tuple(p for p in (*beside.values(), *twins.values()) if p not in (chosen, of_twin)),
        effects,
    )


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
    )


class RunFiles:
    """A sink that writes all files of a run, as a context: on an error nothing of it stays, and what was there does.

    The manifest says `running` from the start and `complete` at the end.
    """

    def __init__(self, paths: RunPaths, hall: Hall, trace: RequestTrace | None = None) -> None:
        self._paths = paths
        self._hall = hall
        self._trace = trace
        self._open: list[AtomicFile] = []
        self._manifest_before = paths.manifest.with_name(f".{paths.manifest.name}.{os.getpid()}.before")
        self._manifest_written = False

    def __enter__(self) -> Self:
        scenario = self._hall.scenario
        profiles = list(self._hall.profiles.values())
        try:
            tables = tables_of(self._hall)
            self.telemetry_sink = TelemetrySink(
                self._file(self._paths.telemetry), tables, format_of(self._paths.telemetry)
            )
            self.twin_sink = (
                TelemetrySink(self._file(self._paths.twin), tables, format_of(self._paths.twin))
                if self._paths.twin
                else None
            )
            self.label_sink = (
                LabelSink(
                    self._file(self._paths.labels),
                    tables,
                    format_of(self._paths.labels),
                    effects=self._paths.effects,
                )
                if self._paths.labels
                else None
            )
            self.event_sink = EventSink(
                self._file(self._paths.events), scenario.start, [p.name for p in profiles], scenario.duration
            )
            with output_errors(self._paths.manifest):
                if self._paths.manifest.is_file():
                    self._paths.manifest.replace(self._manifest_before)
            self._write_manifest({"status": "running"})
            self._manifest_written = True
        except BaseException:
            self._discard()
            raise
        return self

    def _file(self, path: Path) -> AtomicFile:
        self._open.append(AtomicFile(path))
        return self._open[-1]

    def telemetry(self, block: Telemetry) -> None:
        """Write readings."""
        self.telemetry_sink.telemetry(block)
        if self.twin_sink and block.twin:
            self.twin_sink.telemetry(block.twin)

    def labels(self, block: Labels) -> None:
        """Write the truth of ticks."""
        if self.label_sink:
            self.label_sink.labels(block)

    def events(self, finished: Sequence[Episode | IncidentEvent]) -> None:
        """Write events."""
        self.event_sink.events(finished)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self._discard()
            return
        try:
            self._complete()
        except BaseException:
            self._discard()
            raise

    def _complete(self) -> None:
        for sink in (self.telemetry_sink, self.twin_sink, self.label_sink):
            if sink:
                sink.table.close()
        for file in self._open:  # all are safe on disk before the first replaces what was there
            file.seal()
        for file in self._open:
            file.commit()
        for path in self._paths.stale:
            path.unlink(missing_ok=True)
        self._write_manifest(
            {
                "status": "complete",
                "rows": self.telemetry_sink.table.rows,
                "events": self.event_sink.rows,
                "episodes_between_ticks": self.event_sink.unseen_episodes,
                "incidents": dict(self.event_sink.incidents),
                "files": {f.path.name: {"bytes": f.size, "sha256": f.sha256.hexdigest()} for f in self._open},
            }
        )
        self._manifest_before.unlink(missing_ok=True)

    def _discard(self) -> None:
        for file in self._open:
            file.discard()
        with suppress(OSError):
            if self._manifest_before.exists():  # a rename needs no room on a full disk
                self._manifest_before.replace(self._paths.manifest)
            elif self._manifest_written:
                self._paths.manifest.unlink(missing_ok=True)

    def _write_manifest(self, state: dict[str, Any]) -> None:
        resolved = self._hall.scenario.model_dump(mode="json")
        rates = self._hall.scenario.incident_rates
        canonical = json.dumps(resolved, sort_keys=True).encode()
        content = {
            "schema_version": 1,
            **state,
            "project": {"name": "skadi-sim", "version": __version__},
            "seed": self._hall.scenario.seed,
            "ticks": self._hall.scenario.tick_count,
            "racks": len(self._hall.facility.racks),
            "scenario_sha256": hashlib.sha256(canonical).hexdigest(),
            "scenario": resolved,
            "incident_acceleration": None if rates is None else rates.acceleration,
            "request_trace": self._trace and {"requests": self._trace.requests, "sha256": self._trace.sha256},
            "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
        }
        write_text(self._paths.manifest, json.dumps(content, indent=2) + "\n")

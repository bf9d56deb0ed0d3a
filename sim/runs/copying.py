"""A run that was read from files, written again: under another name, in another format."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from sim.common.file_set import FileSet
from sim.runs.files import RunPaths, check_replaceable
from sim.runs.formats import FileFormat, format_of, name_of
from sim.runs.tables import joined, labels_as_text, readings_as_text

Tables = Mapping[str, pa.Table]
"""By what they are: telemetry, twin, gpu, labels; typed. Events are bytes."""

_ONCE_COMPLETE = ("rows", "events", "episodes_between_ticks", "incidents", "files")
"""What the manifest of a run lacks while its files get their names."""


def write_again(paths: RunPaths, tables: Tables, events: bytes, manifest: Mapping[str, Any]) -> None:
    """Write a run's files as one set; the manifest is the run's own but for the files. Raises as RunFiles does."""
    check_replaceable(paths)
    files = FileSet(paths.telemetry.parent, name_of(paths.telemetry))
    try:
        listed = {}
        kinds = ("telemetry", "twin", "gpu", "labels")
        for kind, path in zip(kinds, (paths.telemetry, paths.twin, paths.gpu, paths.labels), strict=True):
            if path is not None:
                listed[path.name] = _written(files, path, _table_writer(_shown(kind, tables, path), format_of(path)))
        if paths.joined is not None:
            both = joined(*(_shown(kind, tables, paths.joined) for kind in ("telemetry", "labels")))
            listed[paths.joined.name] = _written(files, paths.joined, _table_writer(both, format_of(paths.joined)))
        listed[paths.events.name] = _written(files, paths.events, lambda file: file.write(events))
        content = {**manifest, "files": listed}
        running = {key: value for key, value in content.items() if key not in _ONCE_COMPLETE} | {"status": "running"}
        interim, complete = (json.dumps(each, indent=2) + "\n" for each in (running, content))
        files.publish(paths.manifest.name, interim, complete, check_replaceable(paths))
    finally:
        files.close()


def _shown(kind: str, tables: Tables, path: Path) -> pa.Table:
    """Return a table as a file shows it: typed, or as text."""
    if not format_of(path).text:
        return tables[kind]
    return labels_as_text(tables[kind]) if kind == "labels" else readings_as_text(tables[kind])


def _table_writer(table: pa.Table, file_format: FileFormat) -> Callable[[Any], None]:
    def write(file: Any) -> None:
        writer = file_format.table(file, table.column_names)
        writer.write(table)
        writer.close()

    return write


def _written(files: FileSet, path: Path, write: Callable[[Any], Any]) -> dict[str, Any]:
    file = files.file(path.name)
    try:
        write(file)
        file.seal()
    finally:
        file.abandon()
    return {"bytes": file.size, "sha256": file.sha256.hexdigest()}

"""The manifest of a run, read back: which files belong together, and whether they still are what the run wrote."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from sim.common.errors import InputError
from sim.common.file_set import recover
from sim.runs.formats import LABEL_FORMATS, SUFFIXES, name_of

PROJECT = "skadi-sim"
ENDINGS: dict[str, tuple[str, ...]] = {
    "telemetry": SUFFIXES,
    "twin": tuple(f".twin{suffix}" for suffix in SUFFIXES),
    "joined": tuple(f".joined{suffix}" for suffix in SUFFIXES),
    "labels": tuple(f".labels.{name}" for name in LABEL_FORMATS),
    "events": (".events.csv",),
    "gpu": (".gpu.parquet",),
}
"""How the names of a run's files end, after its own name; a run has one of each kind at most."""

Companion = Literal["twin", "labels", "events", "gpu"]

ALONE = "telemetry"
"""Name of a run that has a folder to itself: its other files need no name before their endings."""


def file_name(run: str, ending: str) -> str:
    """Return the name of a run's file by how it ends: week.labels.parquet, or labels.parquet of one that is ALONE."""
    return ending.removeprefix(".") if run == ALONE and ending not in SUFFIXES else run + ending


def manifest_path(telemetry: Path) -> Path:
    """Return where the manifest of a run stands, whose telemetry this is."""
    return telemetry.with_name(file_name(name_of(telemetry), ".manifest.json"))


def read_manifest(telemetry: Path) -> dict[str, Any] | None:
    """Return the manifest beside a run's telemetry, None where there is none of ours.

    What a killed run left half renamed is put right first. Raises InputError when the manifest cannot be read.
    """
    recover(telemetry.parent, name_of(telemetry))
    path = manifest_path(telemetry)
    try:
        manifest = json.loads(path.read_bytes()) if path.is_file() else None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path}: not a run's manifest; move it away") from None
    project = manifest.get("project") if isinstance(manifest, dict) else None
    return manifest if isinstance(project, dict) and project.get("name") == PROJECT else None


def named_files(manifest: dict[str, Any] | None, name: str) -> list[str]:
    """Return the names that the manifest of a run called `name` gives its files; of others it does not dispose."""
    listed = manifest.get("files") if manifest else None
    own = {file_name(name, ending) for endings in ENDINGS.values() for ending in endings}
    return [file for file in listed if file in own] if isinstance(listed, dict) else []


def document_sha256(document: dict[str, Any]) -> str:
    """Return the hash that tells a resolved scenario, or any other document, from others."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def unlike_manifest(path: Path, manifest: dict[str, Any]) -> str:
    """Return what keeps a file from being the one that a complete run wrote, or nothing."""
    sha256 = _listed_sha256(manifest)
    if path.name not in sha256:
        return f"{path}: the manifest beside it is of other files: {', '.join(sorted(sha256)) or 'none'}"
    if not path.is_file():
        return f"{path}: not there, though the manifest lists it"
    if _sha256(path) != sha256[path.name]:
        return f"{path}: changed since the run; its SHA-256 is not the manifest's"
    return ""


def _listed_sha256(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the hashes that a manifest lists, by name of the file."""
    listed = manifest.get("files")
    files = listed.items() if isinstance(listed, dict) else ()
    return {name: file.get("sha256") for name, file in files if isinstance(file, dict)}


def checked_companion(telemetry: Path, kind: Companion) -> Path | None:
    """Return the file of a kind that belongs to some telemetry, None where there is none.

    The manifest beside them decides, and both are as it says; without one, as with telemetry that is no run's, what
    has the right name counts. Raises InputError that lists what does not belong together.
    """
    beside = [telemetry.with_name(name) for name in _names(telemetry, kind)]
    manifest = read_manifest(telemetry)
    if manifest is None:
        return next((path for path in beside if path.is_file()), None)
    _check_complete(telemetry, manifest)
    named = named_files(manifest, name_of(telemetry))
    found = [p for p in beside if p.name in named] or [p for p in beside if p.is_file()]
    problems = [problem for path in (telemetry, *found[:1]) if (problem := unlike_manifest(path, manifest))]
    if problems:
        raise InputError("\n  ".join(problems))
    return found[0] if found else None


def check_labels(labels: Path, telemetry: Path) -> None:
    """Raise InputError that lists what keeps labels from being those of some telemetry, wherever that stands.

    The manifest beside the labels decides, and both are as it says; labels without one may be of any telemetry.
    """
    name = next((labels.name.removesuffix(e) for e in ENDINGS["labels"] if labels.name.endswith(e)), name_of(labels))
    name = ALONE if labels.name in _names(labels.with_name(ALONE), "labels") else name
    run = labels.with_name(f"{name}{SUFFIXES[0]}")
    manifest = read_manifest(run)
    if manifest is None:
        return
    _check_complete(run, manifest)
    sha256 = _listed_sha256(manifest)
    own = [name for name in _names(run, "telemetry") if name in sha256]
    problems = [unlike_manifest(labels, manifest)]
    if _sha256(telemetry) not in [sha256[name] for name in own]:
        right = f"; they belong to {labels.with_name(own[0])} as the run wrote it" if own else ""
        problems.append(f"{telemetry}: not the telemetry of {labels}, by the manifest beside these{right}")
    if any(problems):
        raise InputError("\n  ".join(filter(None, problems)))


def _names(telemetry: Path, kind: str) -> list[str]:
    """Return what a run's file of a kind may be called."""
    return [file_name(name_of(telemetry), ending) for ending in ENDINGS[kind]]


def _check_complete(telemetry: Path, manifest: dict[str, Any]) -> None:
    if manifest.get("status") != "complete":
        status = f"the run's status is {manifest.get('status')!r}; only a complete run can be read"
        raise InputError(f"{manifest_path(telemetry)}: {status}")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None

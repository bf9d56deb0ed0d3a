"""A data card of finished runs: a README that hubs of data sets read, and Croissant, which loaders read."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from jinja2 import Environment, StrictUndefined

from sim import __version__
from sim.common.atomic_files import write_text
from sim.common.errors import InputError
from sim.common.time_units import format_instant, parse_duration_s, parse_instant
from sim.model.channels import CHANNELS
from sim.reports.figures import PARTS, part_bounds
from sim.reports.recorded import scenario_of
from sim.reports.tables import reproduce
from sim.runs.formats import name_of, suffix_of
from sim.runs.manifest import ALONE, manifest_path
from sim.runs.run import Run, read_labels
from sim.runs.sinks import EVENT_COLUMNS

LICENCE, LICENCE_URL = "cc-by-4.0", "https://creativecommons.org/licenses/by/4.0/"
"""What is proposed for data that somebody makes; whoever publishes it decides."""

MARK = "Skadi Sim"
"""Stands in every card of ours; what lacks it is never replaced."""

_TEMPLATE = Path(__file__).with_name("page") / "card.md.j2"
_NAMES = tuple(name for name, _ in PARTS)
_MEDIA = {".csv": "text/csv", ".parquet": "application/x-parquet", ".csv.gz": "application/gzip"}
_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "n>1B")
_OF_CROISSANT = (
    "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject",
    "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5",
    "parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator",
    "source", "subField", "transform",
)  # fmt: skip
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "name": {"@container": "@language"},
    "description": {"@container": "@language"},
    "data": {"@id": "cr:data", "@type": "@json"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    **{word: f"cr:{word}" for word in _OF_CROISSANT},
}
"""The words of Croissant 1.1, as its specification gives them."""

_EVENT_TYPES = {"ticks": "sc:Integer", "is_persistent": "sc:Boolean", "severity": "sc:Float"}
_LABEL_TYPES = {"ts": "sc:DateTime", "is_anomaly": "sc:Boolean", "is_persistent": "sc:Boolean", "severity": "sc:Float"}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a run by time, for training or judging; anomalous: share of its rows, None without labels."""

    name: str
    begins: datetime
    ends: datetime
    rows: int
    anomalous: float | None


@dataclass(frozen=True, slots=True)
class Carded:
    """A run as cards tell of it. files: name, bytes and sha256 by what they are. columns: of the labels.

    kinds: share of the rows by anomaly_kind, empty without labels.
    """

    telemetry: Path
    manifest: Mapping[str, Any]
    channels: tuple[str, ...]
    columns: tuple[str, ...]
    files: Mapping[str, tuple[str, Mapping[str, Any]]]
    kinds: Mapping[str, float]
    parts: Sequence[Part]

    @property
    def name(self) -> str:
        """What the run is called."""
        return name_of(self.telemetry)

    @property
    def scenario(self) -> str:
        """Name of its scenario."""
        name: str = self.manifest["scenario"]["name"]
        return name

    @property
    def seed(self) -> int:
        """Its seed."""
        seed: int = self.manifest["seed"]
        return seed

    @property
    def told(self) -> str:
        """How much it is, in words."""
        m = self.manifest
        return f"{m['racks']:,} racks x {m['ticks']:,} ticks of {m['scenario']['tick']} from {m['scenario']['start']}"

    @property
    def incident_kinds(self) -> list[str]:
        """The kinds of incident that its scenario scripts; of those drawn the manifest tells."""
        return sorted({incident["kind"] for incident in self.manifest["scenario"]["incidents"]})

    @property
    def command(self) -> str:
        """The command that makes it again."""
        made = reproduce(scenario_of(self.manifest, self.telemetry), self.telemetry)
        return "" if made is None else made["command"]

    @property
    def rows(self) -> int:
        """Rows of the telemetry."""
        rows: int = self.manifest["racks"] * self.manifest["ticks"]
        return rows


def card_paths(telemetries: Sequence[Path]) -> tuple[Path, Path]:
    """Return where the card of runs goes: beside the one run, or as README.md of a folder that is theirs."""
    first = telemetries[0]
    if len(telemetries) == 1 and name_of(first) != ALONE:
        return first.with_name(f"{name_of(first)}.card.md"), first.with_name(f"{name_of(first)}.croissant.json")
    return first.with_name("README.md"), first.with_name("croissant.json")


def check_cards_replaceable(telemetries: Sequence[Path]) -> None:
    """Raise InputError that lists what stands in the place of a card and is none of ours."""
    there = [path for path in card_paths(telemetries) if path.exists()]
    foreign = [path for path in there if path.is_dir() or MARK.encode() not in path.read_bytes()]
    if foreign:
        raise InputError("\n  ".join(f"{path}: is no data card of ours; move it away" for path in foreign))


def write_card(telemetries: Sequence[Path], today: date | None = None) -> tuple[Path, Path]:
    """Write the card of complete runs in one folder, and return the paths of README and Croissant.

    today: told as the day of publication. Raises InputError where a run is not as its manifest says, OutputError.
    """
    check_cards_replaceable(telemetries)
    runs = [_carded(path) for path in telemetries]
    readme, croissant = card_paths(telemetries)
    write_text(readme, _readme(runs, croissant.name))
    write_text(croissant, json.dumps(_croissant(runs, today or datetime.now(UTC).date()), indent=2) + "\n")
    return readme, croissant


def _carded(telemetry: Path) -> Carded:
    run = Run.open(telemetry, check=True)
    files = {_role(name, telemetry): (name, of) for name, of in run.manifest["files"].items()}
    labels = read_labels(telemetry.with_name(files["labels"][0])) if "labels" in files else None
    kinds: dict[str, float] = {}
    if labels is not None:
        counts = pc.value_counts(labels["anomaly_kind"].cast(pa.string())).to_pylist()
        kinds = {of["values"]: of["counts"] / len(labels) for of in sorted(counts, key=lambda of: -of["counts"])}
    own = manifest_path(telemetry)
    with own.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    files["manifest"] = own.name, {"bytes": own.stat().st_size, "sha256": sha256}
    parts = _parts(run.manifest, None if labels is None else labels["is_anomaly"])
    columns = () if labels is None else tuple(labels.column_names)
    return Carded(telemetry, run.manifest, run.channels, columns, files, kinds, parts)


def _role(name: str, telemetry: Path) -> str:
    """Return what a file of a run is, by its name."""
    if name == telemetry.name:
        return "telemetry"
    return next(
        role
        for role in ("twin", "joined", "gpu", "labels", "events")
        if f"{role}." in name.removeprefix(name_of(telemetry))
    )


def _parts(manifest: Mapping[str, Any], anomalous: pa.ChunkedArray | None) -> list[Part]:
    """Return a split in time: where faults are drawn after a clean beginning, that and the rest."""
    scenario, ticks, racks = manifest["scenario"], manifest["ticks"], manifest["racks"]
    tick_s, start = parse_duration_s(scenario["tick"]), parse_instant(scenario["start"])
    clean = int(parse_duration_s((scenario["incident_rates"] or {}).get("after", 0.0)) / tick_s)
    is_clean = 0 < clean < ticks
    bounds = [0, clean, ticks] if is_clean else part_bounds(ticks)
    parts = []
    for name, first, end in zip(("train", "test") if is_clean else _NAMES, bounds, bounds[1:], strict=False):
        of = None if anomalous is None or end == first else anomalous.slice(first * racks, (end - first) * racks)
        begins, ends = (start + timedelta(seconds=at * tick_s) for at in (first, end))
        parts.append(Part(name, begins, ends, (end - first) * racks, None if of is None else pc.mean(of).as_py()))
    return parts


def _readme(runs: Sequence[Carded], croissant: str) -> str:
    environment = Environment(
        autoescape=False,  # noqa: S701 - Markdown
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"percent": lambda share: f"{100 * share:.2f} %", "instant": format_instant}
    rows = sum(run.rows for run in runs)
    text: str = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        runs=runs,
        title=_title(runs),
        licence=LICENCE,
        licence_url=LICENCE_URL,
        size=_SIZES[min(max(len(str(rows)) - 3, 0), len(_SIZES) - 1)],
        croissant=croissant,
        version=__version__,
        channels=[CHANNELS[name] for name in runs[0].channels],
    )
    return text


def _title(runs: Sequence[Carded]) -> str:
    return f"Skadi Sim: {', '.join(run.name for run in runs)}"


def _croissant(runs: Sequence[Carded], today: date) -> dict[str, Any]:
    """Return the data set in Croissant 1.1: its files, the columns of its tables, and its split."""
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": _title(runs),
        "description": "Telemetry of a simulated datacenter hall with its truth, made with Skadi Sim "
        f"{__version__}. " + " ".join(f"{run.name}: {run.told}." for run in runs),
        "license": LICENCE_URL,
        "version": "1.0.0",
        "datePublished": today.isoformat(),
        "isLiveDataset": False,
        "creator": {"@type": "sc:Organization", "name": "Skadi Sim contributors"},
        "citeAs": f"Skadi Sim {__version__}; " + "; ".join(f"scenario {r.scenario}, seed {r.seed}" for r in runs),
        "keywords": ["datacenter", "telemetry", "anomaly detection", "time series", "simulated"],
        "distribution": [_file(*of) for run in runs for of in run.files.values()],
        "recordSet": [each for run in runs for each in [*_record_sets(run), _split(run)]],
    }


def _file(name: str, of: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{of['bytes']} B",
        "encodingFormat": _MEDIA.get(suffix_of(Path(name)), "application/json"),
        "sha256": of["sha256"],
    }


def _record_sets(run: Carded) -> Iterator[dict[str, Any]]:
    """Yield the columns of each table of a run."""
    readings = {"ts": "sc:DateTime", "rack_id": "sc:Text"}
    readings |= {name: "sc:Float" if CHANNELS[name].decimals else "sc:Integer" for name in run.channels}
    columns = {
        "telemetry": readings,
        "twin": readings,
        "labels": {n: _LABEL_TYPES.get(n, "sc:Float" if n.startswith("effect_") else "sc:Text") for n in run.columns},
        "events": {name: _EVENT_TYPES.get(name, "sc:Text") for name in EVENT_COLUMNS},
    }
    for role, types in columns.items():
        if role in run.files:
            of = f"{run.name}/{role}"
            fields = [_field(of, name, kind, run.files[role][0]) for name, kind in types.items()]
            yield {"@type": "cr:RecordSet", "@id": of, "name": of, "field": fields}


def _field(of: str, name: str, kind: str, file: str) -> dict[str, Any]:
    channel = CHANNELS.get(name)
    return {
        "@type": "cr:Field",
        "@id": f"{of}/{name}",
        "name": name,
        "description": f"{channel.description}, {channel.unit}" if channel else f"see the card: {name}",
        "dataType": kind,
        "source": {"fileObject": {"@id": file}, "extract": {"column": name}},
    }


def _split(run: Carded) -> dict[str, Any]:
    """Return the split in time as data: which part begins and ends when."""
    of = f"{run.name}/split"
    names = (("name", ["sc:Text", "cr:Split"]), ("begins", "sc:DateTime"), ("ends", "sc:DateTime"))
    return {
        "@type": "cr:RecordSet",
        "@id": of,
        "name": of,
        "description": "Rows of telemetry and labels by their ts: from begins on, before ends.",
        "dataType": "cr:Split",
        "field": [
            {"@type": "cr:Field", "@id": f"{of}/{name}", "name": f"{of}/{name}", "dataType": kind}
            for name, kind in names
        ],
        "data": [
            {f"{of}/name": p.name, f"{of}/begins": format_instant(p.begins), f"{of}/ends": format_instant(p.ends)}
            for p in run.parts
        ],
    }

"""A sweep resolved: the runs that it is made of, and the folder that it fills."""

import json
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sim import __version__
from sim.common.errors import InputError
from sim.common.streams import derived_seed
from sim.common.text import join_lines, short_repr
from sim.model.facility import row_specs
from sim.runs.fleet import folder_name, value_text
from sim.runs.manifest import PROJECT, document_sha256
from sim.scenario.files import Document, read_document, read_scenario, read_setting
from sim.scenario.lines import NO_LINES
from sim.scenario.partial_document import PartialDocument
from sim.scenario.schema import Scenario
from sim.sweeps.schema import MAX_RUNS, SweepSpec

_BY_LAYOUT = {"seed": "seeds", "name": "scenarios", "facility.site": "scenarios, by site", "extends": "scenarios"}
"""Keys that no grid may have, for the layout names runs by them; and where they are said instead."""

_LIBRARIES = ("numpy", "simpy", "pyarrow", "networkx", "pydantic")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a sweep. parameters: what tells it from the others, in the order of its folder's levels."""

    scenario: Scenario
    parameters: dict[str, Any]

    @property
    def folder(self) -> str:
        """Where its files go, within the fleet."""
        return str(folder_name(self.parameters))

    @property
    def rows(self) -> int:
        """Rows of its telemetry."""
        return self.scenario.tick_count * self.racks

    @property
    def racks(self) -> int:
        """Racks of its hall."""
        facility = self.scenario.facility
        return sum(row.racks or facility.racks_per_row for row in row_specs(facility))


@dataclass(frozen=True, slots=True)
class _Base:
    """A scenario of a sweep before its grid and its seeds. site: None where it is the scenario's own."""

    told: str
    document: Document
    site: str | None

    def with_point(self, point: Mapping[str, Any]) -> Scenario:
        """Return the scenario at a point of the grid. Raises InputError."""
        document = self.document.copy()
        for key, value in point.items():
            document.put(key, value, f"grid {key!r}")
        at = ", ".join(f"{key}={short_repr(value)}" for key, value in point.items())
        return document.parsed(f"{self.told} with {at}" if at else self.told)


@dataclass(frozen=True)
class Sweep:
    """Every scenario with every point of the grid and every seed."""

    spec: SweepSpec
    bases: Sequence[Scenario]
    variants: Sequence[tuple[Scenario, str | None, dict[str, Any]]]

    @property
    def count(self) -> int:
        """Number of runs."""
        return len(self.variants) * len(self.spec.seeds or (0,))

    def runs(self) -> Iterator[Run]:
        """Yield every run. The first seeds of all come first, so that a sweep cut short has some of everything."""
        for i in range(len(self.spec.seeds or (0,))):
            for scenario, site, point in self.variants:
                yield _run(scenario, site, point, self.spec.seeds[i] if self.spec.seeds else scenario.seed)

    @cached_property
    def sha256(self) -> str:
        """Hash of everything that decides what its runs are."""
        return document_sha256(self._resolved())

    def description(self) -> str:
        """Return the text of its description file."""
        content = {
            "schema_version": 1,
            "project": {"name": PROJECT, "version": __version__},
            "sha256": self.sha256,
            "runs": self.count,
            "sweep": self._resolved(),
            "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
        }
        return json.dumps(content, indent=2) + "\n"

    def _resolved(self) -> dict[str, Any]:
        scenarios = [scenario.model_dump(mode="json") for scenario in self.bases]
        return {
            "by_site": isinstance(self.spec.scenarios, dict),
            "scenarios": scenarios,
            "seeds": self.spec.seeds and list(self.spec.seeds),
            "grid": json.loads(json.dumps(self.spec.grid, default=str)),
            "keep": sorted({*self.spec.keep, "events"}),
        }


def _run(scenario: Scenario, site: str | None, point: dict[str, Any], seed: int) -> Run:
    own_seed = seed if site is None else derived_seed(seed, site)
    parameters = {"scenario": scenario.name, "site": scenario.facility.site, **point, "seed": seed}
    return Run(scenario.model_copy(update={"seed": own_seed}), parameters)


def read_sweep(
    path: Path | None, scenarios: Sequence[str] = (), seeds: str | None = None, settings: Sequence[str] = ()
) -> Sweep:
    """Return the sweep of a file, or of scenarios named instead; seeds and settings go over what the file says.

    Raises InputError when anything about it is wrong, with every offender.
    """
    document = (
        Document({"scenarios": list(scenarios)}, NO_LINES)
        if path is None
        else read_document(path, "sweep file", "scenarios: [week]")
    )
    if seeds is not None:
        document.put("seeds", seeds, "--seeds")
    where = "the sweep" if path is None else str(path)
    spec = _spec(document, where)
    found = list(_grid_problems(spec))
    if found:
        raise _problems(where, document.lines.told(found))
    bases = [_base(told, name, site, own, settings, path) for told, name, site, own in _named(spec)]
    return _resolved(spec, bases, where)


def _spec(document: Document, where: str) -> SweepSpec:
    try:
        return SweepSpec.model_validate(document.data)
    except ValidationError as error:
        found = PartialDocument(document.data, SweepSpec).drop(error.errors(include_url=False))
        raise _problems(where, document.lines.told(found)) from None


def _problems(where: str, lines: Sequence[str]) -> InputError:
    return InputError(f"{where}: {len(lines):,} problem{'s' * (len(lines) != 1)}{join_lines(lines)}")


def _grid_problems(spec: SweepSpec) -> Iterator[str]:
    for key, values in spec.grid.items():
        if key in _BY_LAYOUT:
            yield f"grid.{key}: runs are told apart by it; give it as {_BY_LAYOUT[key]}"
        if not all(key.split(".")) or "/" in key or "=" in key:
            yield f"grid.{key}: a dotted key such as facility.outdoor_c names what to vary"
        for value in values:
            if not isinstance(value, (bool, int, float, str)) or value == "" or len(value_text(value)) > 64:  # noqa: PLR2004 - names of folders
                yield f"grid.{key}: {short_repr(value)}: values are numbers, short texts, true or false"
    if isinstance(spec.scenarios, dict):
        for site, of in spec.scenarios.items():
            for key in set(of.set) & {"seed", "name", "extends"}:
                yield f"scenarios.{site}.set.{key}: is not a site's to set"


def _named(spec: SweepSpec) -> Iterator[tuple[str, str, str | None, Mapping[str, Any]]]:
    if isinstance(spec.scenarios, dict):
        for site, of in spec.scenarios.items():
            yield f"scenarios.{site}", of.scenario, site, of.set
    else:
        for name in spec.scenarios:
            yield name, name, None, {}


def _base(
    told: str, name: str, site: str | None, own: Mapping[str, Any], settings: Sequence[str], path: Path | None
) -> _Base:
    document = read_scenario(name, Path() if path is None else path.parent)
    for setting in settings:
        document.put(*read_setting(setting), f"--set {setting!r}")
    for key, value in own.items():
        document.put(key, value, f"{told}.set.{key}")
    if site is not None:
        document.put("facility.site", site, told)
    return _Base(told, document, site)


def _resolved(spec: SweepSpec, bases: Sequence[_Base], where: str) -> Sweep:
    """Check every scenario at every point of the grid, and that no two runs go into one folder."""
    points = [dict(zip(spec.grid, values, strict=True)) for values in product(*spec.grid.values())]
    seeds = len(spec.seeds or (0,))
    if len(bases) * len(points) * seeds > MAX_RUNS:
        raise InputError(f"{where}: {len(bases) * len(points) * seeds:,} runs are more than {MAX_RUNS:,}")
    errors: list[str] = []
    plain, variants = [], []
    for base in bases:
        try:
            plain.append(base.with_point({}))
            variants += [(base.with_point(point), base.site, point) for point in points]
        except InputError as error:
            errors.append(str(error))
    if errors:
        raise InputError("\n".join(dict.fromkeys(errors)))
    _check_folders(variants, where)
    return Sweep(spec, plain, variants)


def _check_folders(variants: Sequence[tuple[Scenario, str | None, dict[str, Any]]], where: str) -> None:
    folders = Counter(_run(scenario, site, point, 0).folder.rpartition("/")[0] for scenario, site, point in variants)
    twice = [f"{folder}: {count} runs of each seed" for folder, count in folders.items() if count > 1]
    if twice:
        raise _problems(f"{where}: two runs into one folder; give them other names, or name them by site", twice)

"""Scenario files: found, read, laid over each other, and checked."""

import difflib
import errno
import io
import logging
import os
import stat
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ruamel.yaml import YAML
from ruamel.yaml.error import ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode

from sim.common.errors import InputError
from sim.common.resources import SCENARIOS
from sim.common.text import short_repr
from sim.scenario.checks import parse_scenario
from sim.scenario.lines import Lines, lines_of_yaml
from sim.scenario.schema import Scenario

_LOG = logging.getLogger(__name__)

INCIDENTS = "incidents"
"""The folder within the shipped scenarios that shows each kind of incident, under the kind's name."""

MAX_BYTES = 1_000_000
MAX_VALUES = 100_000
"""Values in a file once its aliases are written out; more is a mistake or an attack."""


def shipped_scenarios() -> dict[str, Path]:
    """Return the scenarios that come with the project, by name: runs first, then one for each kind of incident."""
    return {path.stem: path for folder in (SCENARIOS, SCENARIOS / INCIDENTS) for path in sorted(folder.glob("*.yaml"))}


def first_line(path: Path) -> str:
    """Return what a scenario's first line says a reader should see."""
    with path.open(encoding="utf-8") as file:
        return file.readline().lstrip("# ").strip()


def scenario_list() -> str:
    """Return every shipped scenario with its first line: runs, then what shows one kind of incident each."""
    shipped = shipped_scenarios()
    width = max(map(len, shipped), default=0)
    lines = []
    for incidents in (False, True):
        group = {name: path for name, path in shipped.items() if (path.parent.name == INCIDENTS) == incidents}
        lines += [f"{INCIDENTS if incidents else 'runs'}:"] if group else []
        lines += [f"  {name:{width}}  {first_line(path)}" for name, path in group.items()]
    return "\n".join(lines)


@dataclass(slots=True)
class Document:
    """The keys of a file with what it extends beneath them, not yet validated, and where they stand."""

    data: dict[str, Any]
    lines: Lines

    def put(self, key: str, value: object, told: str) -> None:
        """Lay one value of a dotted key over the keys; told: what an InputError begins with."""
        put_value(self.data, key, value, told)
        self.lines = self.lines.without(key.split("."))

    def put_all(self, keys: dict[str, Any]) -> None:
        """Lay nested keys over those that are there."""
        self.data = lay_over(self.data, keys)
        self.lines = self.lines.without_all(keys)

    def copy(self) -> "Document":
        """Return a document that changes by itself."""
        return Document(dict(self.data), self.lines)

    def parsed(self, where: str) -> Scenario:
        """Return the scenario. Raises InputError that lists every offender with its line."""
        return parse_scenario(self.data, where, self.lines)


def load_scenario(name_or_path: str, settings: Sequence[str] = (), overrides: dict[str, Any] | None = None) -> Scenario:
    """Return the scenario of a shipped name or a file.

    settings: `dotted.key=value` texts laid over the file; overrides: top-level values laid over both. Raises
    InputError when anything about them is wrong, with every offender.
    """
    document = read_scenario(name_or_path)
    for setting in settings:
        document.put(*read_setting(setting), f"--set {setting!r}")
    for key, value in (overrides or {}).items():
        document.put(key, value, key)
    return document.parsed(name_or_path)


def scenario_of(name_or_path: str | Path, keys: dict[str, Any]) -> Scenario:
    """Return a scenario with keys laid over its own, as `import sim` offers it.

    A mapping is laid over key by key, anything else replaced. Raises InputError that lists every offender.
    """
    document = read_scenario(str(name_or_path))
    document.put_all(keys)
    return document.parsed(str(name_or_path))


def read_scenario(name_or_path: str, beside: Path = Path()) -> Document:
    """Return the keys of a scenario with what it extends beneath them, not yet validated.

    beside: the folder that a relative path starts in.
    """
    return _read(_find(name_or_path, beside), ())


def scenario_files(name_or_path: str) -> Iterator[Path]:
    """Yield the file of a scenario and those that it extends, which can be read."""
    path = _find(name_or_path, Path())
    yield path
    while isinstance(base := read_document(path).data.get("extends"), str):
        path = _find(base, path.parent)
        yield path


def _find(name_or_path: str, beside: Path, place: str = "") -> Path:
    shipped = shipped_scenarios()
    if name_or_path in shipped:
        return shipped[name_or_path]
    path = beside / name_or_path
    if path.suffix in (".yaml", ".yml") or "/" in name_or_path or "\\" in name_or_path or os.path.lexists(path):
        return path
    near = _near(name_or_path, shipped)
    raise InputError(f"{place}scenario {name_or_path!r} is not shipped and is not a file{near}")


def _near(word: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f" (shipped: {', '.join(known)})"


def _read(path: Path, above: tuple[Path, ...]) -> Document:
    resolved = _resolved(path)
    if resolved in above:
        circle = " -> ".join(p.name for p in (*above, resolved))
        raise InputError(f"{path}: extends: the scenarios extend each other in a circle ({circle})")
    _LOG.info("reading the scenario %s", path)
    document = read_document(path, depth=len(above))
    data, lines = _with_paths_beside(document.data, path), document.lines
    base = data.pop("extends", None)
    data.setdefault("name", path.stem)
    if base is None:
        return Document(data, lines)
    line = lines.of("extends")
    place = f"{path}: line {line.number}: extends: " if line else f"{path}: extends: "
    if not isinstance(base, str):
        raise InputError(f"{place}{base!r} must be the name of a shipped scenario or a path")
    beneath = _read(_find(base, path.parent, place), (*above, resolved))
    return Document(lay_over(beneath.data, data), lines.over(beneath.lines))


def _with_paths_beside(data: dict[str, Any], scenario: Path) -> dict[str, Any]:
    """Return the keys of a scenario with the paths in them, which start beside the scenario, as seen from here."""
    demand = data.get("demand")
    if isinstance(demand, dict) and isinstance(demand.get("file"), str):
        data["demand"] = {**demand, "file": str(scenario.parent / demand["file"])}
    return data


def lay_over(beneath: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, key by key; lists and plain values are replaced."""
    merged = dict(beneath)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = lay_over(merged[key], value) if both else value
    return merged


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # which of them, depends on the version of Python
        raise InputError(f"{path}: the scenario cannot be read: its links lead in a circle") from None
    except ValueError as error:
        raise InputError(f"{str(path)!r}: is not the name of a file: {error}") from None


def read_document(path: Path, what: str = "scenario", example: str = "duration: 1d", depth: int = 0) -> Document:
    """Return the keys of a YAML file, without what it extends.

    what, example: how an InputError calls such a file, and a key that it has. depth: of the file among those that
    extend each other.
    """
    try:
        with open_regular(path) as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: the {what} cannot be read: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise InputError(f"{path}: a {what} has at most {MAX_BYTES:,} bytes; this file is larger")
    try:
        data, lines = _with_lines(raw.decode("utf-8"), path.name, depth)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8; save the {what} as UTF-8 text") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if data is None:
        raise InputError(f"{path}: the {what} is empty; give at least one key, such as {example}")
    if not isinstance(data, dict):
        raise InputError(f"{path}: a {what} is a mapping of keys to values, not {type(data).__name__}")
    odd = [key for key in data if not isinstance(key, str)]
    if odd:
        raise InputError(f"{path}: keys are text; these are not: {', '.join(map(repr, odd[:5]))}")
    return Document(data, lines)


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. Raises OSError also where that could wait for ever: on a pipe or a device."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:  # a name with a null character
        raise OSError(errno.EINVAL, str(error)) from None
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise OSError(errno.EINVAL, "it is not a regular file")


def parse_yaml(text: str) -> Any:
    """Return the values of YAML 1.2 text. Raises InputError on what is not YAML, and on aliases that explode."""
    return _with_lines(text, "", 0)[0]


def _with_lines(text: str, file: str, depth: int) -> tuple[Any, Lines]:
    """Return the values of YAML 1.2 text, and where they stand. Raises InputError as parse_yaml."""
    yaml = YAML(typ="safe", pure=True)  # the C parser speaks YAML 1.1, where `no` is false and 22:00 a number
    try:
        constructor, _ = yaml.get_constructor_parser(io.StringIO(text))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # an alias is of the anchor before it, says YAML
            node = constructor.composer.get_single_node()
        if node is None:
            return None, Lines()
        if _written_out(node, {}, 0) > MAX_VALUES:
            raise InputError(f"the aliases write out to more than {MAX_VALUES:,} values")
        return constructor.construct_document(node), lines_of_yaml(node, file, depth)
    except YAMLError as error:
        raise InputError(f"not valid YAML: {_yaml_problem(error)}") from None
    except RecursionError:
        raise InputError("the values are nested too deeply") from None
    except (
        ValueError,
        TypeError,
        OverflowError,
        LookupError,
        AttributeError,
        AssertionError,
        NotImplementedError,
    ) as e:
        # a tag, a directive or a shape that YAML admits and whose text Python cannot turn into a value
        raise InputError(f"not valid YAML: a value does not fit its type ({short_repr(str(e))})") from None


def _yaml_problem(error: YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{place}{problem}"


def _written_out(node: Any, known: dict[int, int], depth: int) -> int:
    """Return how many values a node has once aliases and merges are written out; one within itself has too many."""
    if depth > 100:  # noqa: PLR2004 - far deeper than any scenario
        raise InputError("the values are nested too deeply")
    if not isinstance(node, CollectionNode):
        return 1
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MAX_VALUES + 1  # stands while the node's own parts are counted
    parts = [part for pair in node.value for part in pair] if isinstance(node, MappingNode) else node.value
    known[id(node)] = 1 + sum(_written_out(part, known, depth + 1) for part in parts)
    return known[id(node)]


def read_setting(setting: str) -> tuple[str, Any]:
    """Return key and value of a text `dotted.key=value`. Raises InputError."""
    key, equals, text = setting.partition("=")
    if not equals or not all(key.strip().split(".")):
        raise InputError(f"--set {setting!r}: write it as key=value, such as facility.racks_per_row=8")
    try:
        return key.strip(), parse_yaml(text)
    except InputError as error:
        raise InputError(f"--set {setting!r}: {error}") from None


def put_value(data: dict[str, Any], key: str, value: Any, told: str) -> None:
    """Lay one value of a dotted key over the data, in place; told: what an InputError begins with."""
    path = key.split(".")
    place: Any = data
    for i, part in enumerate(path[:-1]):
        entry = _entry(place, part)
        if entry is not None:
            place[entry] = _copied(place[entry])
            place = place[entry]
            continue
        if not isinstance(place, dict):
            raise InputError(f"{told}: {'.'.join(path[:i])} is not a section that has keys")
        place[part] = _copied(place.get(part, {}))
        place = place[part]
    _put(place, path[-1], value, told)


def _copied(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else list(value) if isinstance(value, list) else value


def _entry(place: Any, part: str) -> int | None:
    """Return the index that a part of a key means in a list, None where there is no such entry."""
    known = {str(i): i for i in range(len(place))} if isinstance(place, list) else {}
    return known.get(part)


def _put(place: Any, part: str, value: Any, told: str) -> None:
    entry = _entry(place, part)
    if isinstance(place, dict):
        place[part] = value
    elif entry is not None:
        place[entry] = value
    else:
        raise InputError(f"{told}: there is no {part!r} to set")

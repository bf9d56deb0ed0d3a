"""Where the values of a scenario file stand, so that what is wrong can be told by its line."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sim.common.text import printable


class Line(NamedTuple):
    """A line of a file, counted from 1. depth: 0 for the file that was asked for, 1 for the one it extends, .."""

    depth: int
    number: int
    file: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.number}" if self.depth else f"line {self.number}"


_NO_LINE = Line(1 << 30, 0, "")
"""Of what is in no file, such as a value of --set; behind all others."""


@dataclass(frozen=True, slots=True)
class Lines:
    """The line of a value and those of its parts by how places write them: `key`, `[2]`.

    line: None for what has none of its own, as a whole file. keyed: whether it is a mapping, over which others are laid
    key by key.
    """

    line: Line | None = None
    parts: Mapping[str, "Lines"] = field(default_factory=dict)
    keyed: bool = True

    def over(self, beneath: "Lines") -> "Lines":
        """Return the lines of a value that is laid over another."""
        if not (self.keyed and beneath.keyed):
            return self
        under = {key: part.over(beneath.parts[key]) for key, part in self.parts.items() if key in beneath.parts}
        return Lines(self.line or beneath.line, {**beneath.parts, **self.parts, **under})

    def without(self, path: Sequence[str]) -> "Lines":
        """Return the lines when what is at a path, such as `rows`, `2`, `name`, comes from elsewhere."""
        if not path:
            return Lines(_NO_LINE, keyed=False)
        key = path[0] if self.keyed else f"[{path[0]}]"
        part = self.parts.get(key, Lines())  # also where the file has no such key: the line around is not its source
        return replace(self, parts={**self.parts, key: part.without(path[1:])})

    def without_all(self, keys: Mapping[str, object]) -> "Lines":
        """Return the lines when nested keys are laid over them from elsewhere."""
        return lines_of_values(keys).over(self)

    def of(self, place: str) -> Line | None:
        """Return the line of a place such as `facility.rows[2].name`, or of the smallest part around that has one."""
        inner = next((self.parts[key].of(rest) for key, rest in _splits(place) if key in self.parts), None)
        return inner or self.line

    def told(self, problems: Sequence[str]) -> list[str]:
        """Return problems, each of which begins with its place, in the order of the files and with their lines."""
        lines = [self.of(_whole_place(problem)) or _NO_LINE for problem in problems]
        order = sorted(range(len(problems)), key=lines.__getitem__)
        return [problems[i] if lines[i] == _NO_LINE else f"{lines[i]}: {problems[i]}" for i in order]


NO_LINES = Lines()
"""Of values that are in no file."""


def _whole_place(problem: str) -> str:
    """Return the place of a problem, with the key or element that it names behind it: `rows: 'A' is ..` is `rows.A`."""
    place, _, said = problem.partition(": ")
    named = re.match(r"'([^']+)'", said)
    return f"{place}.{named[1]}" if named else place


def _splits(place: str) -> Iterator[tuple[str, str]]:
    """Yield the ways to cut the first key off a place, the longest first, since keys may have dots."""
    for end in range(len(place), 0, -1):
        if end == len(place) or place[end] in ".[":
            yield place[:end], place[end:].removeprefix(".")


def lines_of_values(value: object) -> Lines:
    """Return that nested values are in no file."""
    if not isinstance(value, Mapping):
        return Lines(_NO_LINE, keyed=False)
    return Lines(parts={printable(str(key)): lines_of_values(part) for key, part in value.items()})


def lines_of_yaml(node: Node, file: str, depth: int) -> Lines:
    """Return where the values of a document stand. node: its root, composed, with merge keys written out."""
    return replace(_of_node(node, Line(depth, 1, file), {}), line=None)


def _of_node(node: Any, line: Line, known: dict[int, Lines]) -> Lines:
    parts: Mapping[str, Lines] = {}
    if isinstance(node, MappingNode | SequenceNode):
        if id(node) not in known:
            known[id(node)] = Lines(parts=_parts(node, line, known), keyed=isinstance(node, MappingNode))
        parts = known[id(node)].parts
    return Lines(line, parts, isinstance(node, MappingNode))


def _parts(node: Any, line: Line, known: dict[int, Lines]) -> dict[str, Lines]:
    """Return the lines of a mapping's keys, which are those of their values, or of a list's elements and texts."""

    def at(mark: Any) -> Line:
        return line._replace(number=mark.line + 1)

    if isinstance(node, MappingNode):
        return {_written(key): _of_node(value, at(key.start_mark), known) for key, value in node.value}
    elements = [_of_node(value, at(value.start_mark), known) for value in node.value]
    texts = [printable(value.value) if isinstance(value, ScalarNode) else "" for value in node.value]
    return dict(zip(texts, elements, strict=True)) | {f"[{i}]": element for i, element in enumerate(elements)}


def _written(key: Any) -> str:
    """Return how places write a key: numbers as if they counted elements."""
    return f"[{key.value}]" if key.tag.endswith(":int") else printable(str(key.value))

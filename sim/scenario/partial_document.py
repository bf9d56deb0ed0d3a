"""What is left of a file's data when its broken parts are dropped, so that one round of mending tells all offenders."""

import re
from collections.abc import Sequence
from itertools import count, islice
from typing import Any

from sim.common.text import short_repr
from sim.model.facility import COUNTED, LISTED

Loc = tuple[int | str, ...]

_UNKNOWN = "extra_forbidden"
_MISSING = "missing"
_TAGS = ("[key]", COUNTED, LISTED)
"""What pydantic puts into a place that the file's author did not write."""

_PHRASES = {_UNKNOWN: "unknown key", _MISSING: "is missing"}


class PartialDocument:
    """The data of a file without what was found to be wrong with it; what was given stays as it is."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self._broken: list[Loc] = []
        self._gone: set[str] = set()

    def drop(self, problems: Sequence[Any]) -> list[str]:
        """Drop the smallest part that each of pydantic's problems spoils; return a line for each that is news."""
        lines = [f"{self.as_written(_place(p['loc']))}: {_message(p)}" for p in problems if not self._follows(p)]
        dropped = {self._smallest(_own(p["loc"])): p["type"] == _UNKNOWN for p in problems}
        self._broken += [place for place, unknown in dropped.items() if not unknown]
        gone = {self.as_written(_place(place)) for place in dropped}
        for place in sorted(dropped, key=lambda p: [(isinstance(part, int), part) for part in p], reverse=True):
            self.data = _without(self.data, place)
        self._gone |= gone
        return list(dict.fromkeys(lines))

    def _follows(self, problem: Any) -> bool:
        """Return whether a problem is only that a part is missing which was dropped."""
        return problem["type"] == _MISSING and self.as_written(_place(problem["loc"])) in self._gone

    def _smallest(self, place: Loc) -> Loc:
        """Return the place, or the smallest part around it that is there: what is missing spoils what lacks it."""
        inside: Any = self.data
        for depth, part in enumerate(place):
            there = part in inside if isinstance(inside, dict) else _has(inside, part)
            if not there:
                return place[: max(depth, 1)]
            inside = inside[part]
        return place

    def as_written(self, line: str) -> str:
        """Return a line whose place counts the elements of lists as the file does, those that were dropped included."""
        place, colon, said = line.partition(": ")
        written = ""
        for piece in re.split(r"(\[\d+\])", place) if self._gone else [place]:
            if re.fullmatch(r"\[\d+\]", piece):
                kept = (f"[{i}]" for i in count() if f"{written}[{i}]" not in self._gone)
                written += next(islice(kept, int(piece[1:-1]), None))
            else:
                written += piece
        return written + colon + said

    def sound(self, need: str) -> bool:
        """Return whether nothing was dropped of a part, or around it.

        need: a place with `*` for any key or element: `occupancy.rows` is sound when nothing in it is broken, and
        `facility.rows.*.name` when no row was dropped nor its name, whatever else of a row was.
        """
        parts = need.split(".")
        return not any(
            all(wanted in ("*", part) for wanted, part in zip(parts, place, strict=False)) for place in self._broken
        )


def _has(inside: Any, part: int | str) -> bool:
    return isinstance(inside, list) and isinstance(part, int) and part < len(inside)


def _own(loc: Loc) -> Loc:
    return tuple(part for part in loc if part not in _TAGS)


def _without(value: Any, place: Loc) -> Any:
    """Return a copy of nested data without what is at a place; the data itself where it has no such place."""
    part, rest = place[0], place[1:]
    if isinstance(value, dict) and part in value:
        inner = {part: _without(value[part], rest)} if rest else {}
        return {key: inner.get(key, given) for key, given in value.items() if rest or key != part}
    if isinstance(value, list) and isinstance(part, int):
        kept = [_without(value[part], rest)] if rest else []
        return [*value[:part], *kept, *value[part + 1 :]]
    return value


def _place(loc: Loc) -> str:
    text = ""
    for part in _own(loc):
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def _message(problem: Any) -> str:
    phrase = _PHRASES.get(problem["type"])
    if phrase:
        return phrase
    text = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if problem["type"] in ("model_type", "dict_type"):
        text = "must be a mapping of keys to values"
    return f"{short_repr(problem['input'])}: {text[0].lower()}{text[1:]}"

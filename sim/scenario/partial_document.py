"""What is left of a file's data when its broken parts are dropped, so that one round of mending tells all offenders."""

import difflib
import re
from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import Any, get_args

from pydantic import BaseModel

from sim.common.schema_base import NAME_PATTERN
from sim.common.text import printable, short_repr
from sim.model.facility import COUNTED, LISTED
from sim.model.profiles import PROFILE_PATTERN

Loc = tuple[int | str, ...]

_UNKNOWN = "extra_forbidden"
_MISSING = "missing"
_TAGS = ("[key]", COUNTED, LISTED)
"""What pydantic puts into a place that the file's author did not write."""

_LETTERS = {
    NAME_PATTERN: "must be a name of letters, digits and . _ -, with a letter or digit first",
    PROFILE_PATTERN: "must be a name of small letters, digits and _, with a letter first",
}
"""What patterns ask for, in words."""

_PHRASES = {_UNKNOWN: "unknown key", _MISSING: "is missing"}


class PartialDocument:
    """The data of a file without what was found to be wrong with it; what was given stays as it is."""

    def __init__(self, data: dict[str, Any], model: type[BaseModel]) -> None:
        self.data = data
        self._model = model
        self._broken: set[Loc] = set()  # elements of lists are alike, so that a thousand broken ones are one place
        self._gone: set[str] = set()
        self._kept: dict[str, list[int]] = {}  # by the place of a list: the numbers in the file of what is left of it

    def drop(self, problems: Sequence[Any]) -> list[str]:
        """Drop the smallest part that each of pydantic's problems spoils; return a line for each that is news."""
        news = [p for p in problems if not self._follows(p)]
        lines = [f"{self.as_written(_place(p['loc']))}: {_message(p)}{self._meant(p)}" for p in news]
        dropped = {self._smallest(_own(p["loc"])): p["type"] == _UNKNOWN for p in problems}
        self._broken |= {_any_element(place) for place, unknown in dropped.items() if not unknown}
        self._gone |= {self.as_written(_place(place)) for place in dropped}
        self.data = self._without(self.data, list(dropped), "")
        return list(dict.fromkeys(lines))

    def _without(self, value: Any, places: Sequence[Loc], written: str) -> Any:
        """Return a copy of nested data without what is at some places, all at once; `written`: its own place."""
        inside: dict[int | str, list[Loc]] = {}
        for place in places:
            inside.setdefault(place[0], []).append(place[1:])
        gone = {part for part, rests in inside.items() if () in rests}
        if isinstance(value, dict):
            left = {key: given for key, given in value.items() if key not in gone}
            return {
                key: self._without(given, inside[key], f"{written}.{printable(key)}" if written else printable(key))
                if key in inside
                else given
                for key, given in left.items()
            }
        if not isinstance(value, list):
            return value
        numbers = self._kept.get(written, range(len(value)))
        self._kept[written] = [number for i, number in enumerate(numbers) if i not in gone]
        return [
            self._without(given, inside[i], f"{written}[{numbers[i]}]") if i in inside else given
            for i, given in enumerate(value)
            if i not in gone
        ]

    def _follows(self, problem: Any) -> bool:
        """Return whether a problem is only that a part is missing which was dropped."""
        return problem["type"] == _MISSING and self.as_written(_place(problem["loc"])) in self._gone

    def _meant(self, problem: Any) -> str:
        """Return a hint at the key that an unknown one was perhaps meant to be."""
        *around, key = _own(problem["loc"])
        known = _keys(self._model, around) if problem["type"] == _UNKNOWN else []
        near = difflib.get_close_matches(str(key), known, 1)
        return f"; did you mean {near[0]!r}?" if near else ""

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
        for piece in re.split(r"(\[\d+\])", place) if self._kept else [place]:
            counted = written in self._kept and re.fullmatch(r"\[\d+\]", piece)
            written += f"[{_number(self._kept[written], int(piece[1:-1]))}]" if counted else piece
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


def _keys(model: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """Return the keys that a part of a document may have; names of profiles and the like lead no further in."""
    models = {model}
    for part in place:
        inner = {m for of in models if part in of.model_fields for m in _models(of.model_fields[str(part)].annotation)}
        models = inner or models
    return sorted({key for of in models for key in of.model_fields})


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the sections that an annotation speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _number(kept: Sequence[int], index: int) -> int:
    """Return the number in the file of an element of what is left of a list; beyond it lie those that were dropped."""
    if index < len(kept):
        return kept[index]
    return next(islice((n for n in count() if n not in kept), index - len(kept), None))


def _has(inside: Any, part: int | str) -> bool:
    return isinstance(inside, list) and isinstance(part, int) and part < len(inside)


def _any_element(place: Loc) -> Loc:
    return tuple("*" if isinstance(part, int) else part for part in place)


def _own(loc: Loc) -> Loc:
    return tuple(part for part in loc if part not in _TAGS)


def _place(loc: Loc) -> str:
    text = ""
    for part in _own(loc):
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = printable(part)
            text += f".{key}" if text else key
    return text


def _message(problem: Any) -> str:
    phrase = _PHRASES.get(problem["type"])
    if phrase:
        return phrase
    text = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if problem["type"] == "string_pattern_mismatch":
        text = _LETTERS.get(problem["ctx"]["pattern"], text)
    if problem["type"] in ("model_type", "dict_type"):
        text = "must be a mapping of keys to values"
    return f"{short_repr(problem['input'])}: {text[0].lower()}{text[1:]}"

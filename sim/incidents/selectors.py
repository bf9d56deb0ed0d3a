"""Selectors: how a scenario names the assets that an incident affects."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from sim.common.text import join_names, short_repr
from sim.incidents.kinds import Level
from sim.model.facility import Facility

LEVELS: tuple[Level, ...] = ("rack", "row", "loop", "ups", "plant")
_NODE_KIND = {"rack": "rack", "row": "row", "loop": "loop", "ups": "ups", "plant": "chiller_plant"}
_RANDOM = re.compile(r"random\(\s*(\w+)\s*,\s*(\d{1,9})\s*\)")

FORMS = "rack:R-C-07, row:C, loop:CL-2, ups:UPS-1, rack:*, random(rack, 3), plant"


class SelectorError(ValueError):
    """A selector that names nothing in the hall; the message says what would be right."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Assets of one level: all that match, or `count` of them drawn at random where that is given."""

    level: Level
    assets: tuple[str, ...]
    count: int | None = None

    def choose(self, rng: np.random.Generator) -> tuple[str, ...]:
        """Return the assets meant, those drawn in the order of the hall."""
        if self.count is None:
            return self.assets
        drawn = sorted(rng.choice(len(self.assets), self.count, replace=False).tolist())
        return tuple(self.assets[i] for i in drawn)


def assets_of(level: Level, facility: Facility) -> tuple[str, ...]:
    """Return the names of all assets of a level, in the hall's order."""
    return tuple(n for n, data in facility.graph.nodes(data=True) if data["kind"] == _NODE_KIND[level])


def parse_selector(text: str, facility: Facility) -> Selector:
    """Return what a selector means in a hall. Raises SelectorError."""
    drawn = _RANDOM.fullmatch(text.strip())
    if drawn:
        level = _level(drawn[1], text)
        assets, count = assets_of(level, facility), int(drawn[2])
        if not 1 <= count <= len(assets):
            raise SelectorError(f"{short_repr(text)} asks for {count}; the hall has {len(assets)} of level {level}")
        return Selector(level, assets, count)
    head, colon, pattern = text.strip().partition(":")
    if not colon and (named := _level_of_asset(head, facility)):
        raise SelectorError(f"{short_repr(text)} is no selector; did you mean '{named}:{head}'?")
    level = _level(head, text)
    assets = assets_of(level, facility)
    if not colon:
        if level != "plant":
            raise SelectorError(f"{short_repr(text)} names no asset; write it like {FORMS}")
        return Selector(level, assets)
    found = tuple(a for a in assets if fnmatchcase(a.removeprefix("row:"), pattern))
    if not found:
        raise SelectorError(f"{short_repr(text)} is not in the facility ({level}s: {join_names(asset_names(assets))})")
    return Selector(level, found)


def _level_of_asset(name: str, facility: Facility) -> Level | None:
    """Return the level that an asset of this name is of, None where there is none."""
    return next((level for level in LEVELS if name in asset_names(assets_of(level, facility))), None)


def fixed_assets(text: str, facility: Facility) -> tuple[str, ...]:
    """Return the assets that a selector names where none can be drawn. Raises SelectorError."""
    selector = parse_selector(text, facility)
    if selector.count is not None:
        raise SelectorError(f"{short_repr(text)}: nothing is drawn at random here; name the assets")
    return selector.assets


def _level(word: str, text: str) -> Level:
    if word not in LEVELS:
        raise SelectorError(f"{short_repr(text)} is no selector; write it like {FORMS}")
    return next(level for level in LEVELS if level == word)


def asset_names(assets: Sequence[str]) -> list[str]:
    """Return assets as people write them: row:C is C."""
    return [asset.removeprefix("row:") for asset in assets]

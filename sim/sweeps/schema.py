"""What a sweep file may say."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from sim.common.schema_base import Name, Section

MAX_RUNS = 100_000
_RANGE = re.compile(r"\s*(\d{1,19})\s*(?:-\s*(\d{1,19})\s*)?")
_SEEDS = "seeds are a count, a range such as 0-99, or a list of seeds and ranges"


def parse_seeds(value: Any) -> Any:
    """Return seeds from a count (5 is 0 to 4), a range, or a list of both. Raises ValueError on anything else."""
    if isinstance(value, bool) or value is None:
        raise ValueError(_SEEDS)
    if isinstance(value, int) or (isinstance(value, str) and value.strip().isdecimal()):
        seeds = [*range(_countable(int(value)))]
    else:
        parts = value.split(",") if isinstance(value, str) else value if isinstance(value, (list, tuple)) else [value]
        seeds = [seed for part in parts for seed in _seeds(part)]
    _countable(len(seeds))
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1}) if len(set(seeds)) < len(seeds) else []
    if twice:
        raise ValueError(f"seeds that stand more than once: {', '.join(map(str, twice[:5]))}")
    if any(seed >= 2**63 for seed in seeds):
        raise ValueError("a seed is below 2**63")
    return tuple(seeds)


def _seeds(part: Any) -> Iterator[int]:
    found = _RANGE.fullmatch(str(part))
    if isinstance(part, bool) or found is None:
        raise ValueError(_SEEDS)
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        raise ValueError(f"the range of seeds {part} ends before it begins")
    _countable(last - first + 1)
    yield from range(first, last + 1)


def _countable(count: int) -> int:
    if not 1 <= count <= MAX_RUNS:
        raise ValueError(f"{count:,} seeds; a sweep has 1 to {MAX_RUNS:,} runs")
    return count


Seeds = Annotated[tuple[int, ...], BeforeValidator(parse_seeds, json_schema_input_type=int | str | list[int | str])]


class SiteSpec(Section):
    """A site: a scenario and what is different here, such as its climate."""

    scenario: str = Field(description="shipped name, or a path that starts beside the sweep file")
    set: dict[str, Any] = Field(default_factory=dict, description="dotted keys laid over it, as run_sim.py --set does")


def _site(value: Any) -> Any:
    return {"scenario": value} if isinstance(value, str) else value


Kept = Literal["telemetry", "labels", "events", "twin"]


class SweepSpec(Section):
    """A sweep: every scenario with every point of the grid and every seed."""

    schema_version: Literal[1] = Field(default=1, description="of the format of this file")
    scenarios: list[str] | dict[Name, Annotated[SiteSpec, BeforeValidator(_site)]] = Field(
        description="names or files; or by site, each with its own draws", min_length=1
    )
    seeds: Seeds | None = Field(default=None, description="5, 0-99, [1, 5, 7]; each scenario's own unless given")
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        default_factory=dict, description="values of dotted keys, each with each"
    )
    keep: list[Kept] = Field(
        default=["telemetry", "labels", "events"], description="files of each run; events and manifest are always kept"
    )

"""The hall: its racks, rows and loops, numbered, and what feeds and touches what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sim.domain.scenario import FacilitySpec, LoopSpec, RowSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import networkx as nx

MAX_RACKS = 20_000
ROWS_PER_LOOP = 2
CHILLER_PLANT = "CH-1"

Indices = npt.NDArray[np.intp]


def row_specs(spec: FacilitySpec) -> list[RowSpec]:
    """Return the rows as the file lists them, or as many as it counts, named A, B, .., Z, AA, .."""
    if isinstance(spec.rows, int):
        return [RowSpec(name=_letters(i)) for i in range(spec.rows)]
    return spec.rows


def loop_specs(spec: FacilitySpec) -> list[LoopSpec]:
    """Return the loops as the file lists them, or one for each pair of rows in order."""
    if spec.loops is not None:
        return spec.loops
    rows = [row.name for row in row_specs(spec)]
    pairs = [rows[i : i + ROWS_PER_LOOP] for i in range(0, len(rows), ROWS_PER_LOOP)]
    return [LoopSpec(name=f"CL-{i}", feeds=pair) for i, pair in enumerate(pairs, start=1)]


def _letters(index: int) -> str:
    text = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


@dataclass(frozen=True)
class Facility:
    """A hall, and the index maps that let arrays stand for its assets.

    Racks, rows and loops are numbered in the order of the scenario. aisles: index pairs of rows that face each other,
    (pairs, 2).
    """

    spec: FacilitySpec
    racks: tuple[str, ...]
    rows: tuple[str, ...]
    loops: tuple[str, ...]
    row_of_rack: Indices
    loop_of_row: Indices
    size_of_rack: npt.NDArray[np.float64]
    aisles: Indices

    @cached_property
    def loop_of_rack(self) -> Indices:
        """Loop index of each rack, (racks,)."""
        return self.loop_of_row[self.row_of_rack]

    @cached_property
    def adjacent_racks(self) -> Indices:
        """Index pairs of racks that share air, (pairs, 2), each pair once: in a row and across its aisle."""
        members = [self.racks_of_row(row).tolist() for row in range(len(self.rows))]
        beside = [pair for racks in members for pair in pairwise(racks)]
        across = [pair for one, other in self.aisles for pair in zip(members[one], members[other], strict=False)]
        return np.array(sorted((min(p), max(p)) for p in beside + across), dtype=np.intp).reshape(-1, 2)

    def racks_of_row(self, row: int) -> Indices:
        """Return the rack indices of a row."""
        return np.flatnonzero(self.row_of_rack == row)

    @cached_property
    def graph(self) -> nx.DiGraph[str]:
        """The hall as a graph, see `facility_graph`."""
        from sim.domain.facility_graph import facility_graph  # noqa: PLC0415 - NetworkX costs a run 0.1 s it can spare

        return facility_graph(self)

    def racks_under(self, assets: Iterable[str]) -> Indices:
        """Return the indices of the racks that are, or hang on, some assets, in order."""
        below = self._below(assets)
        return np.array([i for i, rack in enumerate(self.racks) if rack in below], dtype=np.intp)

    def loops_under(self, assets: Iterable[str]) -> Indices:
        """Return the indices of the loops that are, or hang on, some assets, in order."""
        below = self._below(assets)
        return np.array([i for i, loop in enumerate(self.loops) if loop in below], dtype=np.intp)

    def _below(self, assets: Iterable[str]) -> set[str]:
        from sim.domain.facility_graph import below  # noqa: PLC0415 - as above

        return below(self._influence, assets)

    @cached_property
    def _influence(self) -> nx.DiGraph[str]:
        from sim.domain.facility_graph import influence  # noqa: PLC0415 - as above

        return influence(self.graph)

    def reach(self, asset: str) -> frozenset[str]:
        """Return every asset that a fault of `asset` can influence while the chiller plant is not saturated.

        What it powers, cools and contains; and, since the racks of a loop share its water, everything on the loops
        of the racks among those. Raises KeyError when the hall has no such asset.
        """
        from sim.domain.facility_graph import reach  # noqa: PLC0415 - as above

        return reach(self._influence, asset)


def build_facility(spec: FacilitySpec) -> Facility:
    """Return the hall that a (validated) facility section describes."""
    rows, loops = row_specs(spec), loop_specs(spec)
    sizes = {"standard": 1.0} | {name: kind.size for name, kind in spec.rack_types.items()}
    row_index = {row.name: i for i, row in enumerate(rows)}
    fed_rows = [[row_index[name] for name in loop.feeds] for loop in loops]
    loop_of = {row: i for i, fed in enumerate(fed_rows) for row in fed}
    names = [list(rack_names(row, spec.racks_per_row)) for row in rows]
    counts = [len(of_row) for of_row in names]
    aisles = [pair for fed in fed_rows for pair in zip(fed[::2], fed[1::2], strict=False)]
    return Facility(
        spec=spec,
        racks=tuple(chain.from_iterable(names)),
        rows=tuple(row_index),
        loops=tuple(loop.name for loop in loops),
        row_of_rack=np.repeat(np.arange(len(rows)), counts),
        loop_of_row=np.array([loop_of[i] for i in range(len(rows))], dtype=np.intp),
        size_of_rack=np.repeat([sizes[row.rack_type] for row in rows], counts),
        aisles=np.array(aisles, dtype=np.intp).reshape(-1, 2),
    )


def rack_names(row: RowSpec, racks_per_row: int) -> Iterator[str]:
    """Yield the names of a row's racks: R-C-01, R-C-02, .."""
    count = row.racks if row.racks is not None else racks_per_row
    width = max(2, len(str(count)))
    return (f"R-{row.name}-{n:0{width}d}" for n in range(1, count + 1))

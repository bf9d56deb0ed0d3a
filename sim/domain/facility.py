"""The hall as a graph: what cools, powers, contains and touches what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import numpy.typing as npt

from sim.domain.scenario import FacilitySpec, LoopSpec, RowSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    """The graph of a hall, and the index maps that let arrays stand for its assets.

    Node names are asset names (R-C-07, row:C, CL-2, CH-1, PDU-C, UPS-1); edges carry `relation`: contains, cools,
    powers or adjacent. Racks, rows and loops are numbered in the order of the scenario.
    """

    graph: nx.DiGraph[str]
    racks: tuple[str, ...]
    rows: tuple[str, ...]
    loops: tuple[str, ...]
    row_of_rack: Indices
    loop_of_row: Indices
    size_of_rack: npt.NDArray[np.float64]

    @cached_property
    def loop_of_rack(self) -> Indices:
        """Loop index of each rack, (racks,)."""
        return self.loop_of_row[self.row_of_rack]

    @cached_property
    def adjacent_racks(self) -> Indices:
        """Index pairs of racks that share air, (pairs, 2), each pair once."""
        index = {rack: i for i, rack in enumerate(self.racks)}
        pairs = [(index[a], index[b]) for a, b in self._edges("adjacent") if a in index and index[a] < index[b]]
        return np.array(sorted(pairs), dtype=np.intp).reshape(-1, 2)

    def racks_of_row(self, row: int) -> Indices:
        """Return the rack indices of a row."""
        return np.flatnonzero(self.row_of_rack == row)

    def racks_under(self, assets: Iterable[str]) -> Indices:
        """Return the indices of the racks that are, or hang on, some assets, in order."""
        index = {rack: i for i, rack in enumerate(self.racks)}
        found = {n for a in assets for n in (a, *nx.descendants(self._influence, a)) if n in index}
        return np.array(sorted(index[n] for n in found), dtype=np.intp)

    def loops_under(self, assets: Iterable[str]) -> Indices:
        """Return the indices of the loops that are, or hang on, some assets, in order."""
        found = {n for a in assets for n in (a, *nx.descendants(self._influence, a))}
        return np.array([i for i, loop in enumerate(self.loops) if loop in found], dtype=np.intp)

    def reach(self, asset: str) -> frozenset[str]:
        """Return every asset that a fault of `asset` can influence while the chiller plant is not saturated.

        What it powers, cools and contains; and, since the racks of a loop share its water, everything on the loops
        of the racks among those. Raises KeyError when the hall has no such asset.
        """
        if asset not in self.graph:
            raise KeyError(asset)
        below = {asset, *nx.descendants(self._influence, asset)}
        loops = {
            loop
            for rack in below
            for loop in self.graph.predecessors(rack)
            if self.graph.nodes[rack]["kind"] == "rack" and self.graph.nodes[loop]["kind"] == "loop"
        }
        for loop in loops:
            below |= {loop, *nx.descendants(self._influence, loop)}
        return frozenset(below)

    def _edges(self, *relations: str) -> list[tuple[str, str]]:
        return [(a, b) for a, b in self.graph.edges if self.graph.edges[a, b]["relation"] in relations]

    @cached_property
    def _influence(self) -> nx.DiGraph[str]:
        edges = self._edges("contains", "cools", "powers")
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self.graph)
        graph.add_edges_from(edges)
        return graph


def build_facility(spec: FacilitySpec) -> Facility:
    """Return the hall that a (validated) facility section describes."""
    rows, loops = row_specs(spec), loop_specs(spec)
    graph: nx.DiGraph[str] = nx.DiGraph()
    sizes = {"standard": 1.0} | {name: kind.size for name, kind in spec.rack_types.items()}
    loop_of = {row: i for i, loop in enumerate(loops) for row in loop.feeds}
    racks, row_of_rack, size_of_rack = [], [], []
    _add_plant(graph, spec, [loop.name for loop in loops])
    for i, row in enumerate(rows):
        names = list(rack_names(row, spec.racks_per_row))
        _add_row(graph, row, names, loops[loop_of[row.name]].name, f"UPS-{i % spec.ups_count + 1}")
        racks += names
        row_of_rack += [i] * len(names)
        size_of_rack += [sizes[row.rack_type]] * len(names)
    for loop in loops:
        _add_aisles(graph, loop.feeds)
    return Facility(
        graph=graph,
        racks=tuple(racks),
        rows=tuple(row.name for row in rows),
        loops=tuple(loop.name for loop in loops),
        row_of_rack=np.array(row_of_rack, dtype=np.intp),
        loop_of_row=np.array([loop_of[row.name] for row in rows], dtype=np.intp),
        size_of_rack=np.array(size_of_rack),
    )


def rack_names(row: RowSpec, racks_per_row: int) -> Iterator[str]:
    """Yield the names of a row's racks: R-C-01, R-C-02, .."""
    count = row.racks if row.racks is not None else racks_per_row
    width = max(2, len(str(count)))
    return (f"R-{row.name}-{n:0{width}d}" for n in range(1, count + 1))


def _add_plant(graph: nx.DiGraph[str], spec: FacilitySpec, loops: list[str]) -> None:
    graph.add_node(spec.site, kind="site")
    graph.add_node(spec.hall, kind="hall")
    graph.add_node(CHILLER_PLANT, kind="chiller_plant")
    graph.add_edge(spec.site, spec.hall, relation="contains")
    for i in range(1, spec.ups_count + 1):
        graph.add_node(f"UPS-{i}", kind="ups")
    for loop in loops:
        graph.add_node(loop, kind="loop")
        graph.add_edge(CHILLER_PLANT, loop, relation="cools")


def _add_row(graph: nx.DiGraph[str], row: RowSpec, racks: list[str], loop: str, ups: str) -> None:
    node, pdu = f"row:{row.name}", f"PDU-{row.name}"
    graph.add_node(node, kind="row")
    graph.add_node(pdu, kind="pdu")
    hall = next(n for n in graph if graph.nodes[n]["kind"] == "hall")
    graph.add_edge(hall, node, relation="contains")
    graph.add_edge(ups, pdu, relation="powers")
    for rack in racks:
        graph.add_node(rack, kind="rack")
        graph.add_edge(node, rack, relation="contains")
        graph.add_edge(pdu, rack, relation="powers")
        graph.add_edge(loop, rack, relation="cools")
    for left, right in pairwise(racks):
        _touch(graph, left, right)


def _add_aisles(graph: nx.DiGraph[str], rows: list[str]) -> None:
    """Pair the rows of one loop in order: racks that face each other across an aisle share its air."""
    for one, other in zip(rows[::2], rows[1::2], strict=False):
        _touch(graph, f"row:{one}", f"row:{other}")
        for a, b in zip(*(_racks_in(graph, row) for row in (one, other)), strict=False):
            _touch(graph, a, b)


def _racks_in(graph: nx.DiGraph[str], row: str) -> list[str]:
    return [n for n in graph.successors(f"row:{row}") if graph.nodes[n]["kind"] == "rack"]


def _touch(graph: nx.DiGraph[str], one: str, other: str) -> None:
    graph.add_edge(one, other, relation="adjacent")
    graph.add_edge(other, one, relation="adjacent")

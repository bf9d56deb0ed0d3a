"""The hall as a graph: what cools, powers, contains and touches what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx

from sim.domain.facility import CHILLER_PLANT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sim.domain.facility import Facility


def facility_graph(hall: Facility) -> nx.DiGraph[str]:
    """Return the graph of a hall.

    Node names are asset names (R-C-07, row:C, CL-2, CH-1, PDU-C, UPS-1), nodes carry `kind`; edges carry `relation`:
    contains, cools, powers or adjacent.
    """
    graph: nx.DiGraph[str] = nx.DiGraph()
    spec = hall.spec
    graph.add_node(spec.site, kind="site")
    graph.add_node(spec.hall, kind="hall")
    graph.add_edge(spec.site, spec.hall, relation="contains")
    graph.add_node(CHILLER_PLANT, kind="chiller_plant")
    graph.add_nodes_from((f"UPS-{i}" for i in range(1, spec.ups_count + 1)), kind="ups")
    graph.add_nodes_from(hall.loops, kind="loop")
    graph.add_edges_from(((CHILLER_PLANT, loop) for loop in hall.loops), relation="cools")
    for i, row in enumerate(hall.rows):
        racks = [hall.racks[j] for j in hall.racks_of_row(i)]
        _add_row(graph, spec.hall, row, racks, hall.loops[hall.loop_of_row[i]], f"UPS-{i % spec.ups_count + 1}")
    rows = [f"row:{row}" for row in hall.rows]
    touching = [(rows[a], rows[b]) for a, b in hall.aisles]
    touching += [(hall.racks[a], hall.racks[b]) for a, b in hall.adjacent_racks]
    graph.add_edges_from(touching, relation="adjacent")
    graph.add_edges_from(((b, a) for a, b in touching), relation="adjacent")
    return graph


def _add_row(graph: nx.DiGraph[str], hall: str, row: str, racks: list[str], loop: str, ups: str) -> None:
    node, pdu = f"row:{row}", f"PDU-{row}"
    graph.add_node(node, kind="row")
    graph.add_node(pdu, kind="pdu")
    graph.add_edge(hall, node, relation="contains")
    graph.add_edge(ups, pdu, relation="powers")
    for rack in racks:
        graph.add_node(rack, kind="rack")
        graph.add_edge(node, rack, relation="contains")
        graph.add_edge(pdu, rack, relation="powers")
        graph.add_edge(loop, rack, relation="cools")


def influence(graph: nx.DiGraph[str]) -> nx.DiGraph[str]:
    """Return the part of a hall's graph along which a fault passes on: all but what merely touches."""
    passing: nx.DiGraph[str] = nx.DiGraph()
    passing.add_nodes_from(graph.nodes(data=True))
    passing.add_edges_from((a, b) for a, b, edge in graph.edges(data=True) if edge["relation"] != "adjacent")
    return passing


def below(passing: nx.DiGraph[str], assets: Iterable[str]) -> set[str]:
    """Return some assets and all that they contain, cool or power. Raises KeyError for one the hall does not have."""
    found: set[str] = set()
    for asset in assets:
        if asset not in passing:
            raise KeyError(asset)
        found |= {asset, *nx.descendants(passing, asset)}
    return found


def reach(passing: nx.DiGraph[str], asset: str) -> frozenset[str]:
    """Return what a fault of an asset can influence, see `Facility.reach`."""
    found = below(passing, [asset])
    kinds = passing.nodes(data="kind")
    racks = [name for name in found if kinds[name] == "rack"]
    loops = {above for rack in racks for above in passing.predecessors(rack) if kinds[above] == "loop"}
    return frozenset(found | below(passing, loops))

"""The hall: its racks, rows and loops, numbered, and what feeds and touches what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count, islice, pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from sim.common.schema_base import NULL_WORDS, Name, Section

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import networkx as nx

MAX_RACKS = 100_000
ROWS_PER_LOOP = 2
CHILLER_PLANT = "CH-1"
STANDARD = "standard"
"""The rack type that profiles describe, which a scenario need not name."""
DLC = "dlc"
"""Racks with direct liquid cooling: cold plates take most of their heat."""

SIZES = {STANDARD: 1.0, DLC: 16.0}
"""Of the rack types that a scenario need not describe, in standard racks; a dlc rack draws 120 to 140 kW."""

GPUS_PER_SIZE = {STANDARD: 16.0, DLC: 4.5}
"""GPUs in a standard rack's part of a rack, by type; types that are not listed are of the standard one's GPUs."""

Indices = npt.NDArray[np.intp]
Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


class RowSpec(Section):
    """One row of racks."""

    name: Name = Field(description="such as C; its racks are R-C-01, R-C-02, ..")
    racks: Count | None = Field(default=None, description="number of racks; racks_per_row unless given")
    rack_type: Name = Field(default=STANDARD, description="one of rack_types, standard, or dlc: liquid-cooled")


class LoopSpec(Section):
    """One cooling loop and the rows it feeds."""

    name: Name = Field(description="such as CL-1")
    feeds: list[Name] = Field(description="rows that it cools; each row hangs on one loop")


class RackType(Section):
    """A kind of rack, by its size relative to the rack the profiles describe."""

    size: float = Field(gt=0, le=20, description="load, power, airflow and cooling relative to a standard rack")


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


COUNTED, LISTED = "(number)", "(list)"


def _kind_of_list(value: Any) -> str:
    return LISTED if isinstance(value, list) else COUNTED


Rows = Annotated[
    Annotated[Count, Tag(COUNTED)]
    | Annotated[list[Annotated[RowSpec, BeforeValidator(_named, json_schema_input_type=RowSpec | str)]], Tag(LISTED)],
    Discriminator(_kind_of_list),
]
"""Rows by their number or one by one; the file's own form decides which of the two is checked."""

Loops = Annotated[
    Annotated[Count, Tag(COUNTED)] | Annotated[list[LoopSpec], Tag(LISTED)],
    Discriminator(_kind_of_list),
]
"""Cooling loops, likewise."""


class Climate(NamedTuple):
    """What a site's weather makes of a hall: mean outdoor temperature [degC], water and air warmer than usual [K]."""

    outdoor_c: float
    warmer_k: float


CLIMATES = {"temperate": Climate(12.0, 0.0), "cold": Climate(3.0, -1.5), "hot": Climate(30.0, 1.5)}
"""By name; the shifts are those of the training document's multi-site example, outdoor temperatures are assumed."""

SUPPLY_WATER_C = 15.0
"""Of a temperate site."""


def _in_its_climate(given: Any) -> Any:
    """Return the keys of a facility with what follows from its climate and is not given."""
    climate = CLIMATES.get(given["climate"]) if isinstance(given, dict) and _is_named(given.get("climate")) else None
    if climate is None:
        return given
    return {"outdoor_c": climate.outdoor_c, "supply_water_c": SUPPLY_WATER_C + climate.warmer_k, **given}


def _is_named(climate: object) -> bool:
    return isinstance(climate, str) and climate in CLIMATES


class FacilitySpec(Section):
    """The hall: rows, racks, cooling loops, power and climate."""

    site: Name = Field(default="S1", description="name of the site")
    hall: Name = Field(default="H1", description="name of the hall")
    rows: Rows = Field(default=6, description="a number, or a list of names or of {name, racks, rack_type}")
    racks_per_row: Count = Field(default=12, description="of rows that do not say how many they have")
    loops: Loops | None = Field(
        default=None,
        description="a number, which share the rows in order, or a list; a loop for each two rows unless given",
    )
    rack_types: dict[Name, RackType] = Field(default_factory=dict, description="kinds of rack by name")
    ups_count: int = Field(default=2, ge=1, le=64, strict=True, description="UPS, which the rows' PDUs hang on in turn")
    climate: Literal["temperate", "cold", "hot"] = Field(
        default="temperate",
        description="cold and hot: outdoors 3 or 30 degC; water and the shipped profiles' air 1.5 K cooler or warmer",
    )
    supply_water_c: float = Field(
        default=SUPPLY_WATER_C, ge=4, le=40, description="setpoint of the loops' supply water, degC"
    )
    outdoor_c: float = Field(
        default=CLIMATES["temperate"].outdoor_c,
        ge=-40,
        le=50,
        description="mean outdoor temperature, degC; sets the chillers' power, so the PUE, and no rack's reading: "
        "weather beyond the chillers' design is the incident heat_wave",
    )
    outdoor_swing_c: float = Field(default=5.0, ge=0, le=20, description="half its daily swing, K")
    chiller_capacity_kw: float | None = Field(
        default=None, gt=0, description="heat the plant can take away; 1.15 x the racks' design load unless given"
    )

    _climate = model_validator(mode="before")(_in_its_climate)


def row_specs(spec: FacilitySpec) -> list[RowSpec]:
    """Return the rows as the file lists them, or as many as it counts, named A, B, .., Z, AA, .. but NA and NAN."""
    if isinstance(spec.rows, int):
        names = (name for name in map(_letters, count()) if name.lower() not in NULL_WORDS)
        return [RowSpec(name=name) for name in islice(names, spec.rows)]
    return spec.rows


def loop_specs(spec: FacilitySpec) -> list[LoopSpec]:
    """Return the loops as the file lists them, as many as it counts, or one for each pair of rows, in their order."""
    if isinstance(spec.loops, list):
        return spec.loops
    rows = [row.name for row in row_specs(spec)]
    pairs = [rows[i : i + ROWS_PER_LOOP] for i in range(0, len(rows), ROWS_PER_LOOP)]
    feeds = pairs if spec.loops is None else _shared(rows, spec.loops)
    return [LoopSpec(name=f"CL-{i}", feeds=of_loop) for i, of_loop in enumerate(feeds, start=1)]


def _shared(rows: list[str], loops: int) -> list[list[str]]:
    """Return rows in order, as evenly as they go: those of each loop."""
    return [rows[i * len(rows) // loops : (i + 1) * len(rows) // loops] for i in range(loops)]


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
    type_of_rack: tuple[str, ...]
    size_of_rack: npt.NDArray[np.float64]
    aisles: Indices

    @cached_property
    def loop_of_rack(self) -> Indices:
        """Loop index of each rack, (racks,)."""
        return self.loop_of_row[self.row_of_rack]

    @cached_property
    def gpus_of_rack(self) -> Indices:
        """Number of GPUs of each rack, (racks,)."""
        per_size = [GPUS_PER_SIZE.get(kind, GPUS_PER_SIZE[STANDARD]) for kind in self.type_of_rack]
        return np.maximum(np.rint(self.size_of_rack * per_size), 1).astype(np.intp)

    @cached_property
    def adjacent_racks(self) -> Indices:
        """Index pairs of racks that share air, (pairs, 2), each pair once: in a row and across its aisle."""
        members = [self.racks_of_row(row).tolist() for row in range(len(self.rows))]
        beside = [pair for racks in members for pair in pairwise(racks)]
        across = [pair for one, other in self.aisles for pair in zip(members[one], members[other], strict=False)]
        return np.array(sorted((min(p), max(p)) for p in beside + across), dtype=np.intp).reshape(-1, 2)

    def racks_of_row(self, row: int) -> Indices:
        """Return the rack indices of a row, which stand one after the other."""
        return np.arange(*np.searchsorted(self.row_of_rack, (row, row + 1)), dtype=np.intp)

    @cached_property
    def graph(self) -> nx.DiGraph[str]:
        """The hall as a graph, see `facility_graph`."""
        return facility_graph(self)

    @cached_property
    def number_of_rack(self) -> dict[str, int]:
        """Index of each rack by name."""
        return {rack: i for i, rack in enumerate(self.racks)}

    def racks_under(self, assets: Iterable[str]) -> Indices:
        """Return the indices of the racks that are, or hang on, some assets, in order."""
        return self._racks_among(self._below(assets))

    def _racks_among(self, assets: Iterable[str]) -> Indices:
        numbers = self.number_of_rack
        return np.array(sorted(numbers[asset] for asset in assets if asset in numbers), dtype=np.intp)

    def loops_under(self, assets: Iterable[str]) -> Indices:
        """Return the indices of the loops that are, or hang on, some assets, in order."""
        below = self._below(assets)
        return np.array([i for i, loop in enumerate(self.loops) if loop in below], dtype=np.intp)

    def _below(self, assets: Iterable[str]) -> set[str]:
        return below(self._influence, assets)

    @cached_property
    def _influence(self) -> nx.DiGraph[str]:
        return influence(self.graph)

    def reach(self, asset: str) -> frozenset[str]:
        """Return every asset that a fault of `asset` can influence while the chiller plant is not saturated.

        What it powers, cools and contains; and, since the racks of a loop share its water, everything on the loops
        of the racks among those. Raises KeyError when the hall has no such asset.
        """
        return reach(self._influence, asset)

    def racks_reached(self, asset: str) -> Indices:
        """Return the indices of the racks that a fault of an asset can influence, in order: one array for all."""
        if asset not in self._reached:
            self._reached[asset] = self._racks_among(self.reach(asset))
        return self._reached[asset]

    @cached_property
    def _reached(self) -> dict[str, Indices]:
        return {}


def build_facility(spec: FacilitySpec) -> Facility:
    """Return the hall that a (validated) facility section describes."""
    rows, loops = row_specs(spec), loop_specs(spec)
    sizes = SIZES | {name: kind.size for name, kind in spec.rack_types.items()}
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
        type_of_rack=tuple(kind for row, n in zip(rows, counts, strict=True) for kind in [row.rack_type] * n),
        size_of_rack=np.repeat([sizes[row.rack_type] for row in rows], counts),
        aisles=np.array(aisles, dtype=np.intp).reshape(-1, 2),
    )


def rack_names(row: RowSpec, racks_per_row: int) -> Iterator[str]:
    """Yield the names of a row's racks: R-C-01, R-C-02, .."""
    count = row.racks if row.racks is not None else racks_per_row
    width = max(2, len(str(count)))
    return (f"R-{row.name}-{n:0{width}d}" for n in range(1, count + 1))


def facility_graph(hall: Facility) -> nx.DiGraph[str]:
    """Return the graph of a hall.

    Node names are asset names (R-C-07, row:C, CL-2, CH-1, PDU-C, UPS-1), nodes carry `kind`; edges carry `relation`:
    contains, cools, powers or adjacent.
    """
    import networkx as nx  # noqa: PLC0415 - it costs a run without incidents 0.1 s that it can spare

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
    import networkx as nx  # noqa: PLC0415 - as above

    passing: nx.DiGraph[str] = nx.DiGraph()
    passing.add_nodes_from(graph.nodes(data=True))
    passing.add_edges_from((a, b) for a, b, edge in graph.edges(data=True) if edge["relation"] != "adjacent")
    return passing


def below(passing: nx.DiGraph[str], assets: Iterable[str]) -> set[str]:
    """Return some assets and all that they contain, cool or power. Raises KeyError for one the hall does not have."""
    import networkx as nx  # noqa: PLC0415 - as above

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

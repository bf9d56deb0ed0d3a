"""The hall as a graph, and the index maps that stand for it."""

import itertools

import networkx as nx
import numpy as np
import pytest

from sim.model.facility import FacilitySpec, build_facility, loop_specs


def hall(**spec):
    return build_facility(FacilitySpec.model_validate(spec))


@pytest.fixture(scope="module")
def default():
    return hall()


def edges(facility, relation):
    return {(a, b) for a, b, r in facility.graph.edges(data="relation") if r == relation}


def of_kind(facility, kind):
    return [n for n, k in facility.graph.nodes(data="kind") if k == kind]


def racks(row, count=12):
    return [f"R-{row}-{n:02d}" for n in range(1, count + 1)]


def test_the_default_hall_has_six_rows_of_twelve_racks_on_three_loops(default):
    assert default.racks == tuple(itertools.chain.from_iterable(racks(row) for row in "ABCDEF"))
    assert default.rows == tuple("ABCDEF")
    assert default.loops == ("CL-1", "CL-2", "CL-3")
    assert of_kind(default, "chiller_plant") == ["CH-1"]
    assert of_kind(default, "ups") == ["UPS-1", "UPS-2"]
    assert of_kind(default, "pdu") == [f"PDU-{row}" for row in "ABCDEF"]
    assert (of_kind(default, "site"), of_kind(default, "hall")) == (["S1"], ["H1"])


def test_every_node_has_a_kind_and_every_edge_a_known_relation(default):
    kinds = {kind for _, kind in default.graph.nodes(data="kind")}
    relations = {relation for _, _, relation in default.graph.edges(data="relation")}
    assert kinds == {"site", "hall", "row", "rack", "loop", "chiller_plant", "pdu", "ups"}
    assert relations == {"contains", "cools", "powers", "adjacent"}


def test_each_loop_cools_the_racks_of_its_two_rows_and_the_plant_cools_the_loops(default):
    cooled = {
        (loop, rack)
        for loop, pair in zip(default.loops, ("AB", "CD", "EF"), strict=True)
        for r in pair
        for rack in racks(r)
    }
    assert edges(default, "cools") == cooled | {("CH-1", loop) for loop in default.loops}


def test_power_flows_from_a_ups_through_the_rows_pdu_to_each_rack(default):
    powered = edges(default, "powers")
    for i, row in enumerate("ABCDEF"):
        assert (f"UPS-{i % 2 + 1}", f"PDU-{row}") in powered
        assert {(f"PDU-{row}", rack) for rack in racks(row)} <= powered
    assert len(powered) == 6 + 72


def test_the_site_contains_the_hall_its_rows_and_their_racks(default):
    contained = {(f"row:{row}", rack) for row in "ABCDEF" for rack in racks(row)}
    assert edges(default, "contains") == contained | {("S1", "H1")} | {("H1", f"row:{row}") for row in "ABCDEF"}


def test_racks_touch_their_sides_and_the_rack_across_the_aisle_both_ways(default):
    touched = edges(default, "adjacent")
    assert {b for a, b in touched if a == "R-C-07"} == {"R-C-06", "R-C-08", "R-D-07"}
    assert {b for a, b in touched if a == "R-C-01"} == {"R-C-02", "R-D-01"}
    assert touched == {(b, a) for a, b in touched}


def test_aisles_pair_the_rows_of_one_loop_and_none_of_two(default):
    rows = {frozenset(pair) for pair in edges(default, "adjacent") if pair[0].startswith("row:")}
    assert rows == {frozenset({f"row:{a}", f"row:{b}"}) for a, b in ("AB", "CD", "EF")}
    loop_of = dict(zip(default.racks, default.loop_of_rack.tolist(), strict=True))
    assert all(loop_of[a] == loop_of[b] for a, b in edges(default, "adjacent") if a in loop_of)


def test_a_third_row_of_a_loop_has_no_row_across_its_aisle():
    facility = hall(rows=3, racks_per_row=2, loops=[{"name": "CL-1", "feeds": ["A", "B", "C"]}])
    assert {b for a, b in edges(facility, "adjacent") if a.startswith("R-C")} == {"R-C-01", "R-C-02"}


def test_rows_of_unequal_length_face_each_other_as_far_as_both_reach():
    facility = hall(rows=[{"name": "A", "racks": 3}, {"name": "B", "racks": 1}])
    assert {frozenset(pair) for pair in edges(facility, "adjacent")} == {
        *(frozenset(p) for p in (("R-A-01", "R-A-02"), ("R-A-02", "R-A-03"), ("R-A-01", "R-B-01"))),
        frozenset({"row:A", "row:B"}),
    }


def test_adjacent_racks_lists_each_touching_pair_once(default):
    pairs = {frozenset(default.racks[i] for i in pair) for pair in default.adjacent_racks.tolist()}
    touched = {frozenset(pair) for pair in edges(default, "adjacent") if not pair[0].startswith("row:")}
    assert pairs == touched
    assert len(default.adjacent_racks) == len(pairs) == 6 * 11 + 3 * 12


def test_index_maps_agree_with_the_graph(default):
    for i, rack in enumerate(default.racks):
        row, loop = default.rows[default.row_of_rack[i]], default.loops[default.loop_of_rack[i]]
        assert default.graph.has_edge(f"row:{row}", rack)
        assert default.graph.has_edge(loop, rack)
    assert default.loop_of_row.tolist() == [0, 0, 1, 1, 2, 2]
    assert [default.racks[i] for i in default.racks_of_row(2)] == racks("C")


def test_a_rack_reaches_what_shares_its_water_and_nothing_else(default):
    assert default.reach("R-C-07") == {"CL-2", *racks("C"), *racks("D")}


def test_a_loop_reaches_its_racks(default):
    assert default.reach("CL-2") == {"CL-2", *racks("C"), *racks("D")}


def test_a_pdu_reaches_its_rows_racks_and_through_their_loop_the_row_beside(default):
    assert default.reach("PDU-C") == {"PDU-C", "CL-2", *racks("C"), *racks("D")}


def test_a_ups_reaches_its_pdus_and_every_loop_they_touch(default):
    assert default.reach("UPS-1") == {
        *("UPS-1", "PDU-A", "PDU-C", "PDU-E", *default.loops, *default.racks),
    }


def test_the_chiller_plant_and_the_site_reach_every_rack(default):
    assert set(default.racks) | set(default.loops) <= default.reach("CH-1")
    assert set(default.racks) | {f"row:{row}" for row in "ABCDEF"} <= default.reach("S1")


def test_what_a_rack_reaches_it_shares_with_those_it_reaches(default):
    for rack in ("R-A-01", "R-D-12", "R-F-06"):
        assert all(default.reach(other) == default.reach(rack) for other in default.reach(rack))


def test_the_reach_of_an_asset_that_is_not_there_is_an_error(default):
    with pytest.raises(KeyError, match="R-Z-01"):
        default.reach("R-Z-01")


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 28])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_hall_of_any_shape_has_every_rack_in_one_row_on_one_loop(rows, count):
    facility = hall(rows=rows, racks_per_row=count)
    assert len(facility.racks) == len(set(facility.racks)) == rows * count
    assert len(facility.rows) == rows
    assert len(facility.loops) == (rows + 1) // 2
    assert np.bincount(facility.row_of_rack, minlength=rows).tolist() == [count] * rows
    for rack in facility.racks:
        fed_by = sorted(facility.graph.nodes[n]["kind"] for n in facility.graph.predecessors(rack))
        assert [kind for kind in fed_by if kind != "rack"] == ["loop", "pdu", "row"]
    assert set(facility.racks) <= nx.descendants(facility.graph, "S1") & nx.descendants(facility.graph, "CH-1")


def test_rows_past_z_are_named_as_spreadsheets_name_columns():
    assert hall(rows=54, racks_per_row=1).rows[24:] == (
        "Y",
        "Z",
        *(f"A{c}" for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        "BA",
        "BB",
    )


def test_rack_numbers_are_as_wide_as_their_row_needs():
    facility = hall(rows=[{"name": "A", "racks": 100}, {"name": "B", "racks": 2}])
    assert facility.racks[0] == "R-A-001"
    assert facility.racks[99:] == ("R-A-100", "R-B-01", "R-B-02")


def test_rows_loops_and_rack_types_come_from_the_file():
    facility = hall(
        rows=["west", {"name": "east", "racks": 2, "rack_type": "dense"}],
        racks_per_row=1,
        loops=[{"name": "CDU-2", "feeds": ["east"]}, {"name": "CDU-1", "feeds": ["west"]}],
        rack_types={"dense": {"size": 2.5}},
        ups_count=1,
    )
    assert facility.racks == ("R-west-01", "R-east-01", "R-east-02")
    assert facility.loops == ("CDU-2", "CDU-1")
    assert facility.loop_of_rack.tolist() == [1, 0, 0]
    assert facility.size_of_rack.tolist() == [1.0, 2.5, 2.5]
    assert of_kind(facility, "ups") == ["UPS-1"]
    assert facility.reach("R-west-01") == {"R-west-01", "CDU-1"}


@pytest.mark.parametrize(
    ("rows", "loops", "fed"),
    [(6, 5, ["A", "B", "C", "D", "EF"]), (6, 1, ["ABCDEF"]), (6, 6, list("ABCDEF")), (5, 2, ["AB", "CDE"])],
)
def test_loops_may_be_a_number_that_share_the_rows_in_order(rows, loops, fed):
    specs = loop_specs(FacilitySpec(rows=rows, loops=loops))
    assert [loop.name for loop in specs] == [f"CL-{i}" for i in range(1, loops + 1)]
    assert ["".join(loop.feeds) for loop in specs] == fed

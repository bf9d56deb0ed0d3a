"""What a sweep file means: its seeds, its runs and their folders."""

import pytest

from sim.common.errors import InputError
from sim.common.streams import derived_seed
from sim.runs.fleet import folder_name
from sim.sweeps.expected import ROW_BYTES, Rates, seconds_of
from sim.sweeps.schema import parse_seeds
from sim.sweeps.sweep import read_sweep


@pytest.mark.parametrize(
    ("given", "seeds"),
    [
        (3, (0, 1, 2)),
        ("3", (0, 1, 2)),
        ("4-6", (4, 5, 6)),
        ([7], (7,)),
        ("0,5,8-9", (0, 5, 8, 9)),
        ([3, "5-6", 1], (3, 5, 6, 1)),
        (f"{2**63 - 1}-{2**63 - 1}", (2**63 - 1,)),
    ],
)
def test_seeds_are_a_count_a_range_or_a_list_of_both(given, seeds):
    assert parse_seeds(given) == seeds


@pytest.mark.parametrize(
    "given", [0, -1, "", "x", "1-", "-3", "5-4", [1, 1], ["0-3", 2], True, [True], 1.5, {}, f"{2**63}-{2**63}", 10**9]
)
def test_what_are_no_seeds_is_an_error(given):
    with pytest.raises(ValueError, match=r"seed"):
        parse_seeds(given)


def test_runs_are_every_scenario_with_every_point_and_every_seed_the_first_seeds_first(tmp_path):
    (tmp_path / "s.yaml").write_text(
        "scenarios: [week, small]\nseeds: [4, 2]\ngrid: {facility.outdoor_c: [1, 2.5], facility.hall: [a/b]}\n"
    )
    with pytest.raises(InputError, match=r"facility\.hall"):
        read_sweep(tmp_path / "s.yaml")  # a hall has no such name
    (tmp_path / "s.yaml").write_text(
        "scenarios: [week, small]\nseeds: [4, 2]\ngrid: {facility.outdoor_c: [1, 2.5], tick: [10m]}\n"
    )
    folders = [run.folder for run in read_sweep(tmp_path / "s.yaml").runs()]
    assert folders == [
        f"scenario={name}/site=S1/facility.outdoor_c={value}/tick=10m/seed={seed}"
        for seed in (4, 2)
        for name in ("week", "small")
        for value in ("1", "2.5")
    ]


def test_without_seeds_each_scenario_has_its_own(tmp_path):
    (tmp_path / "a.yaml").write_text("extends: week\nseed: 7\n")
    (tmp_path / "s.yaml").write_text("scenarios: [a.yaml, small]\n")
    assert [run.parameters["seed"] for run in read_sweep(tmp_path / "s.yaml").runs()] == [7, 42]


def test_two_sites_of_one_scenario_and_seed_draw_differently_and_a_third_one_changes_neither(tmp_path):
    found = []
    for more in ("", "  c: week\n"):
        (tmp_path / "s.yaml").write_text(f"scenarios:\n  a: week\n  b: week\n{more}seeds: [5]\n")
        found.append([run.scenario.seed for run in read_sweep(tmp_path / "s.yaml").runs()])
    assert found[0] == found[1][:2] == [derived_seed(5, "a"), derived_seed(5, "b")]
    assert len(set(found[1])) == 3


def test_the_same_sweep_has_the_same_hash_and_any_other_another(tmp_path):
    def sha256(text):
        (tmp_path / "s.yaml").write_text(text)
        return read_sweep(tmp_path / "s.yaml").sha256

    first = sha256("scenarios: [week]\nseeds: 3\n")
    assert sha256("seeds: [0, 1, 2]\nscenarios: [week]\nkeep: [labels, telemetry]\n") == first
    others = ["seeds: 4", "seeds: 3\nkeep: [telemetry]", "seeds: 3\ngrid: {tick: [60]}"]
    hashes = [sha256(f"scenarios: [week]\n{text}\n") for text in others] + [sha256("scenarios: [small]\nseeds: 3\n")]
    assert len({first, *hashes}) == 5


def test_a_folder_is_named_as_readers_of_hive_partitions_take_it_apart():
    assert str(folder_name({"a.b": True, "c": 1.5, "d": "x/y z=%"})) == "a.b=true/c=1.5/d=x%2Fy%20z%3D%25"


def test_what_is_expected_of_runs_follows_those_that_are_complete():
    [run] = read_sweep(None, ["small"]).runs()
    line = {"seconds": 3 * seconds_of(run), "bytes": 2 * ROW_BYTES * run.rows}
    assert Rates.learnt([(run, line)]).seconds == pytest.approx(3)
    assert Rates.learnt([(run, line)]).size == pytest.approx(2)
    assert Rates.learnt([]) == Rates(1.0, 1.0)

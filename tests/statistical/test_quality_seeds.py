"""The tables of a benchmark's quality over many seeds."""

import json
from dataclasses import asdict

import pytest

import benchmarks.quality
from benchmarks.quality_seeds import Judged, KindFound, tables
from sim.runs.checks.check import at_least, at_most


def judged(seed, value):
    checks = [
        at_most("Q1", "incidents one threshold finds, less chance", value, 25, "%"),
        at_most("Q1", f"same, a threshold per rack ({seed} % by chance)", 90, 25, "%", "soft"),
        at_least("Q5", f"of {seed} label starts, those within a tick", 99, 95, "%"),
        at_most("Q5", "rack-ticks that differ before any cause", 0, 0),
    ]
    kinds = {"power_cap": KindFound(4, 30, 1, 2, 3)}
    if seed == 1:
        kinds["fan_failure"] = KindFound(1, 70, 1, 0, 1)
    return Judged("some", seed, checks, kinds, 1.5)


def test_each_hard_check_has_its_spread_and_how_many_seeds_keep_it():
    text = tables([judged(1, 10.0), judged(2, 20.0), judged(3, 30.0)])
    assert "| Q1 incidents one threshold finds, less chance | <= 25 % | 3 | 10 | 20 | 30 | 20 | 2 |" in text
    assert "| Q5 of label starts, those within a tick | >= 95 % | 3 | 99 | 99 | 99 | 99 | 3 |" in text
    assert "| Q5 rack-ticks that differ before any cause | <= 0 | 3 | 0 | 0 | 0 | 0 | 3 |" in text
    assert "threshold per rack" not in text


def test_kinds_tell_what_part_of_their_faults_is_found_and_what_part_of_the_rows_they_are():
    text = tables([judged(1, 10.0), judged(2, 20.0)])
    assert "| fan_failure | 0.5 | 53.8 % | 100 % | 0 % | 100 % |" in text
    assert "| power_cap | 4.0 | 46.2 % | 25 % | 50 % | 75 % |" in text


def test_what_is_kept_reads_back_the_same():
    one = judged(1, 10.0)
    assert Judged.of(json.loads(json.dumps(asdict(one)))) == one


def test_seeds_that_were_judged_before_are_not_judged_again(tmp_path, monkeypatch, capsys):
    kept = tmp_path / "seeds.jsonl"
    known = [Judged("benchmark_easy", seed, judged(seed, 10.0).checks, {}, 1.0) for seed in (43, 44)]
    kept.write_text("".join(json.dumps(asdict(one)) + "\n" for one in known), encoding="utf-8")
    given = ["quality", "--scenario", "benchmark_easy", "--seeds", "2", "--keep", str(kept)]
    monkeypatch.setattr("sys.argv", given)
    assert benchmarks.quality.main() == 0
    assert "benchmark_easy: 2 seeds, 43 to 44" in capsys.readouterr().out


@pytest.mark.parametrize(("value", "passed"), [(10.0, True), (30.0, False)])
def test_a_seed_passes_when_its_hard_checks_do(value, passed):
    assert judged(1, value).passed is passed

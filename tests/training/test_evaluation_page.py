"""docs/evaluation.md: what the command measures, and that its words say no more than the figures."""

import numpy as np
import pytest

from benchmarks.evaluation_page import measure
from benchmarks.evaluation_text import KEEP_FROM, KEEP_TO, Job, Measured, comparison, page
from sim.common.errors import InputError
from tests.training.halls import faulty_scenario


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    path = faulty_scenario(tmp_path_factory.mktemp("scenario"), "kind: sensor_offset, duration: 1h")
    return measure(Job(str(path), 0, 14 / 24))


def figures(**values):
    keys = ("vus_pr", "auc", "f05", "precision", "recall", "delay_p50_s", "false_alarms_per_rack_day")
    return {**dict.fromkeys(keys, 0.5), **values}


def made(scenario, number, scores):
    rows = [{"detector": name, **figures(vus_pr=score)} for name, score in scores.items()]
    found = {name: {"pump_trip": (1, 2)} for name in scores}
    facts = {"rows": 1000, "racks": 8, "share": 0.01, "lasting": 2, "short": 1}
    return Measured(Job(scenario, number, 5.0), facts, rows, found)


def test_a_run_is_measured_with_every_detector_on_what_follows_the_clean_days(measured):
    names = [row["detector"] for row in measured.rows]
    assert names[:2] == ["ims", "ims-boxes"]
    assert {"knn", "lof", "random", "ims, likelihood", "ims-boxes, likelihood", "lof-context", "twin"} < set(names)
    assert measured.facts["rows"] == 6 * 60 * 8
    assert measured.found["twin"] == {"fan_failure": (1, 1), "sensor_offset": (1, 1)}


def test_days_that_are_not_clean_are_refused(tmp_path):
    path = faulty_scenario(tmp_path, "kind: sensor_offset, duration: 1h")
    with pytest.raises(InputError, match=r"has incidents in its first 0\.7 days: they have to be clean"):
        measure(Job(str(path), 0, 0.7))


def test_a_difference_is_told_only_where_its_interval_leaves_out_zero():
    runs = {
        "ims": np.array([0.50, 0.52, 0.54]),
        "pca": np.array([0.40, 0.42, 0.45]),
        "knn": np.array([0.60, 0.62, 0.63]),
        "lof": np.array([0.40, 0.52, 0.68]),
    }
    told = comparison({name: {"vus_pr": values} for name, values in runs.items()}, "vus_pr")
    # by Student's t of two degrees of freedom, 4.303 x sd / sqrt 3 of the differences run by run
    assert told == (
        "- VUS-PR: ims is above pca (0.097 +- 0.014); is below knn (0.097 +- 0.014); "
        "cannot be told from lof (0.013 +- 0.299)."
    )


def test_the_page_keeps_what_was_written_by_hand_and_nothing_else():
    runs = [made("easy", k, {"ims": 0.5 + k / 100, "pca": 0.4}) for k in range(3)]
    first = page(runs, ["hbos"], "")
    edited = first.replace(KEEP_FROM, f"{KEEP_FROM}\nBecause of the load.").replace(
        "# IMS against", "# Changed against"
    )
    again = page(runs, ["hbos"], edited)
    assert again == first.replace(f"{KEEP_FROM}\n", f"{KEEP_FROM}\nBecause of the load.\n")
    assert page(runs, ["hbos"], again) == again
    assert again.index(KEEP_FROM) < again.index(KEEP_TO)
    assert "not measured, for pyod is not installed: hbos" in again


def test_the_page_has_a_section_for_each_scenario_and_a_row_for_each_detector_and_kind():
    runs = [made(name, k, {"ims": 0.5, "pca": 0.4}) for name in ("easy", "dir/hard.yaml") for k in range(2)]
    lines = page(runs, [], "").splitlines()
    assert [line for line in lines if line.startswith("## ")][1:] == ["## easy", "## hard"]
    assert lines.count("| pca | 0.400 | 0.500 | 0.500 | 0.500 | 0.500 | 0 | 0.500 |") == 2
    assert lines.count("| pump_trip | 4 | 0.50 | 0.50 |") == 2


def test_one_run_tells_no_difference():
    assert "is above" not in page([made("easy", 0, {"ims": 0.5, "pca": 0.4})], [], "")
    assert "is above" in page([made("easy", k, {"ims": 0.5, "pca": 0.4}) for k in range(2)], [], "")

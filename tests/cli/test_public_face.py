"""`import sim` offers a handful of names, and costs nothing until one is used."""

import subprocess
import sys

import pandas as pd
import pytest

import sim
from sim.common.errors import InputError
from sim.engine.build import resolve
from sim.runs.files import run_paths
from sim.runs.simulate import simulate_to_files

SMALL = {"duration": "1h", "facility": {"racks_per_row": 1}}


def test_importing_sim_imports_nothing_heavy():
    code = "import sys; import sim; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert not {"numpy", "pandas", "pyarrow", "pydantic", "simpy", "networkx", "matplotlib"} & {*done.stdout.split()}


def test_importing_sim_takes_less_than_a_third_of_a_second_of_processor_time():
    """Counted by the process itself, so that a busy machine changes nothing; about 0.02 s on an ordinary one."""
    code = "import time; began = time.process_time(); import sim; print(time.process_time() - began)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert float(done.stdout) < 0.3


def test_reading_a_run_does_not_import_what_draws(tmp_path):
    path, *_ = sim.run("week", **SMALL).write(tmp_path / "a.csv")
    code = f"import sys; import sim; sim.read({str(path)!r}).labels; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.split() == ["False"]


def test_a_scenario_is_asked_for_by_either_name_before_and_after_its_room_is_imported():
    code = (
        "import sim; print(sim.scenario('week', seed=7) == sim.load_scenario('week', seed=7));"
        "import sim.scenario.schema; print(sim.scenario('week', seed=7).seed, sim.scenario.schema.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.split() == ["True", "7", "sim.scenario.schema"]


def test_every_name_that_is_offered_is_there_and_listed():
    assert {"Run", "Scenario", "kinds", "load_scenario", "read", "run", "scenario"} == set(sim.__all__) <= set(dir(sim))
    assert all(getattr(sim, name) is not None for name in sim.__all__)


def test_a_name_that_is_not_offered_is_an_error_that_says_what_is():
    with pytest.raises(AttributeError, match=r"module 'sim' has no attribute 'simulate'; it offers Run, Scenario"):
        sim.simulate  # noqa: B018 - asking is the test


def test_keys_are_laid_over_a_scenario_key_by_key():
    week = sim.load_scenario("week", seed=7, facility={"racks_per_row": 2})
    assert (week.name, week.seed, week.facility.racks_per_row) == ("week", 7, 2)
    assert week.facility.model_copy(update={"racks_per_row": 12}) == sim.load_scenario("week").facility


def test_a_scenario_that_is_loaded_runs_like_its_name_and_takes_keys_too():
    by_name, loaded = sim.run("week", **SMALL, seed=3), sim.run(sim.load_scenario("week", **SMALL), seed=3)
    pd.testing.assert_frame_equal(by_name.telemetry, loaded.telemetry)


def test_what_runs_in_memory_is_what_would_be_written_and_read(tmp_path):
    paths = run_paths("week", str(tmp_path / "week.csv"), None, "parquet")
    simulate_to_files(resolve(sim.load_scenario("week", **SMALL)), paths)
    written, kept = sim.read(tmp_path / "week.csv", check=True), sim.run("week", **SMALL)
    assert isinstance(written, sim.Run)
    for part in ("telemetry", "labels", "events"):
        pd.testing.assert_frame_equal(getattr(written, part), getattr(kept, part), check_categorical=False)


def test_a_key_that_is_wrong_is_an_error_that_names_the_scenario_and_the_key():
    with pytest.raises(InputError, match=r"week: 1 problem\n  durations"):
        sim.run("week", durations="2d")


def test_the_kinds_of_incident_are_those_of_the_catalogue_and_cannot_be_changed_through_the_face():
    sim.kinds().clear()
    assert sim.kinds()["pump_trip"].group == "cooling"

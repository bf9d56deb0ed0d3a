"""What a run writes does not hang on the last bits in which processors' exp, log and power differ."""

import numpy as np
import pytest

from sim.engine.build import build, resolve
from sim.plant import air_cooling, relations
from sim.runs.files import RunFiles, run_paths
from sim.runs.memory import MemorySink
from sim.scenario.files import load_scenario
from tests.golden.processors import EVERY_EDGE

TRANSCENDENTAL = [(np, name) for name in ("exp", "expm1", "log", "log1p", "cos", "hypot")]
POWERS = [(relations, "clock_within"), (air_cooling, "coil_conductances")]
"""The relations that raise arrays to a power, an operator that cannot be replaced."""


def off_by_a_bit(law, salt):
    """Return a law whose results are off by -1, 0 or 1 in the last bit; always the same for the same result."""

    def other(*args, **options):
        result = law(*args, **options)
        return type(result)(*map(off, result)) if isinstance(result, tuple) else off(result)

    def off(result):
        exact = np.asarray(result, dtype=np.float64)
        bits = np.atleast_1d(exact).view(np.uint64)
        way = (((bits + np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)) % 3
        towards = np.array([-np.inf, np.nan, np.inf])[way.astype(int)].reshape(exact.shape)
        return np.where(np.isnan(towards) | (exact == 0), exact, np.nextafter(exact, towards))[()]

    return other


def run_to(folder):
    """Run the hall that is driven to its limits, its files in a folder; return the true inlets and the files."""
    hall = resolve(load_scenario(str(EVERY_EDGE)))
    kept = MemorySink(hall)
    folder.mkdir()
    paths = run_paths("run", f"{folder}/run.csv", None, "csv", twin=True, effects=True)
    with RunFiles(paths, hall) as files:
        build(hall, [files, kept], effects=True).run()
    truth = np.concatenate([block.truth["inlet_c"] for block in kept.telemetry_blocks])
    return truth, {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    return run_to(tmp_path_factory.mktemp("exact") / "run")


@pytest.mark.parametrize("salt", [1, 2, 3])
def test_the_same_bytes_whatever_the_last_bits_of_exp_log_and_power(exact, salt, tmp_path, monkeypatch):
    for module, name in TRANSCENDENTAL + POWERS:
        monkeypatch.setattr(module, name, off_by_a_bit(getattr(module, name), salt))
    truth, files = run_to(tmp_path / "run")
    assert (truth != exact[0]).mean() > 0.5, "the truth has to differ in its last bits for this to say something"
    assert set(files) == set(exact[1])
    assert [name for name, content in files.items() if content != exact[1][name]] == []

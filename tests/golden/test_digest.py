"""One tiny run, to the byte, under the versions of constraints.txt; to the last digits elsewhere."""

import hashlib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from click.testing import CliRunner

from sim.cli.commands import run_sim

GOLDEN = Path(__file__).with_name("small.csv")
CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"


def test_the_small_scenario_is_what_it_was(tmp_path):
    result = CliRunner().invoke(run_sim, ["--scenario", "small", "--quiet", "--output", f"{tmp_path}/"])
    assert result.exit_code == 0
    made = tmp_path / "small.csv"
    if f"numpy=={version('numpy')}" in CONSTRAINTS.read_text().split():
        assert hashlib.sha256(made.read_bytes()).hexdigest() == hashlib.sha256(GOLDEN.read_bytes()).hexdigest()
    ours, golden = pd.read_csv(made), pd.read_csv(GOLDEN)
    assert (ours[["ts", "rack_id"]] == golden[["ts", "rack_id"]]).all().all()
    numbers = golden.columns[2:]
    # another NumPy may round the last written digit the other way
    assert np.allclose(ours[numbers], golden[numbers], rtol=1e-3, atol=0.11)

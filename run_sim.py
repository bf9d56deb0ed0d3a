"""Simulate a scenario: python run_sim.py --scenario week --seed 42."""

import gc
import os

# before NumPy is imported: nothing here multiplies matrices, and threads that wait for it burn 0.1 s of CPU each
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from sim.cli.commands import run_sim

if __name__ == "__main__":
    gc.freeze()  # what is imported by now stays: the collector need not look through it again
    run_sim()

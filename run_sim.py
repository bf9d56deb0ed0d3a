"""Simulate a scenario: python run_sim.py --scenario week --seed 42."""

import os

# before NumPy is imported: nothing here multiplies matrices, and threads that wait for it burn 0.1 s of CPU each
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from sim.cli import run_sim

if __name__ == "__main__":
    run_sim()

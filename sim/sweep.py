"""Simulate many runs: python -m sim.sweep --scenario week --seeds 0-99 --output data/fleet."""

import os

# before NumPy is imported, also in the processes that a sweep starts: each of them keeps one core busy
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

if __name__ == "__main__":  # what a sweep starts imports this file too, and none of its command
    from sim.cli.sweeping import sweep

    sweep()

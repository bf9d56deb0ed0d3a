"""Simulate a scenario: python run_sim.py --scenario week --seed 42."""

from sim.cli import run_sim

if __name__ == "__main__":
    run_sim()

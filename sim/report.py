"""Report on a run, or on any telemetry: python -m sim.report data/week.csv."""

from sim.cli.commands import report

if __name__ == "__main__":
    report()

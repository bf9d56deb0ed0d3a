"""Export a finished run for other tools: python -m sim.export --to timeeval --input data/week.csv --output out."""

from sim.cli.commands import export

if __name__ == "__main__":
    export()

"""Judge a run or a scenario by the checks of realism and quality: python -m sim.quality data/mine.csv."""

from sim.cli.judging import quality

if __name__ == "__main__":
    quality()

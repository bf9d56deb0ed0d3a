"""`python -m training.score`: score a telemetry file with a trained model."""

from pathlib import Path
from typing import Any

import click

from sim.common.errors import EXIT_CODES
from sim.common.log import log_level_option
from training.artifact import load
from training.console import HELP, json_option, path_option, progress, refuse_overwriting, reports_errors, tell, writing
from training.features import FEATURES
from training.fleet import runs_of
from training.mms import ALPHA, PERSIST_TICKS, STATES, Smoothing
from training.model import LEVELS
from training.scoring import ScoreSummary, score_file

SCORES = "scores.parquet"
"""Of one run of a fleet."""


@click.command(epilog=EXIT_CODES, context_settings=HELP)
@path_option("--model", required=True, text="The model's JSON file.")
@path_option(
    "--data", required=True, folder=True, text="Telemetry to score, .csv, .csv.gz or .parquet, or a fleet's folder."
)
@path_option(
    "--output",
    required=True,
    folder=True,
    text="Scores, .csv, .csv.gz or .parquet by its name; of a fleet a folder with a folder of each run.",
)
@click.option("--smoothing", type=click.Choice(["ema", "likelihood"]), default="ema", show_default=True)
@click.option("--alpha", type=float, default=ALPHA, show_default=True, help="Weight of the latest minute in the EMA.")
@click.option(
    "--persist-ticks", type=click.IntRange(min=1), default=PERSIST_TICKS, show_default=True,
    help="Minutes above tau_persist that are persistent.",
)  # fmt: skip
@click.option("--causes", type=click.IntRange(0, len(FEATURES)), default=3, show_default=True, help="Causes per row.")
@json_option
@reports_errors
@log_level_option
def main(
    model: Path, data: Path, output: Path, smoothing: Smoothing, causes: int, as_json: bool, **mms: Any
) -> None:  # fmt: skip
    """Score every row: deviation, level, EMA, MMS state, and the features that explain most of it."""
    refuse_overwriting(output, model=model, data=data)
    loaded = load(model)
    files = _files(data, output)
    with writing(*files):
        found = ScoreSummary()
        with progress() as say:
            for target, run in files.items():
                found += score_file(loaded, run, target, smoothing=smoothing, causes=causes, progress=say, **mms)
        tell(lambda: summary(found, data, output), lambda: figures(found, files), as_json=as_json)


def _files(data: Path, output: Path) -> dict[Path, Path]:
    """Return what is scored, by where its scores go."""
    if not data.is_dir():
        return {output: data}
    return {output / name / SCORES: run for name, run in runs_of(data).items()}


def figures(found: ScoreSummary, files: dict[Path, Path]) -> dict[str, Any]:
    """Return what a program wants to know of scored files."""
    counts: dict[str, Any] = {"levels": found.levels, "mms_states": found.states, "events": found.events}
    scores = [{"data": str(run), "scores": str(target)} for target, run in files.items()]
    return {"rows": found.rows, "degraded": found.degraded, **counts, "files": scores}


def summary(found: ScoreSummary, data: Path, output: Path) -> str:
    """Return what a person wants to know of a scored file."""
    lines = [
        f"{data.name}: {found.rows:,} rows, {found.degraded:,} with a feature missing",
        "level      " + "   ".join(f"{name} {found.levels[name]:,}" for name in LEVELS),
        "mms_state  " + "   ".join(f"{name} {found.states[name]:,}" for name in STATES),
        f"events     {found.events:,}",
        f"scores: {output}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()

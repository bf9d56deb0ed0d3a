"""`python -m training.train_ims`: train a monitor on a telemetry file."""

from pathlib import Path
from typing import Any

import click

from sim.common.errors import EXIT_CODES, InputError
from sim.common.log import log_level_option
from training.artifact import save
from training.console import HELP, json_option, path_option, progress, refuse_overwriting, reports_errors, tell, writing
from training.fitting import fit
from training.import_optional import require
from training.model import Model
from training.nominal import FILTERS
from training.text_files import name_of

ARTIFACTS = Path("artifacts")


@click.command(epilog=EXIT_CODES, context_settings=HELP)
@path_option(
    "--data",
    required=True,
    folder=True,
    text="Telemetry to learn from, .csv, .csv.gz or .parquet, or a fleet's folder.",
)
@click.option("--n-clusters", type=click.IntRange(1, 4096), default=8, show_default=True, help="k-means centres.")
@click.option("--algorithm", type=click.Choice(["kmeans", "hyperbox"]), default="kmeans", show_default=True)
@click.option(
    "--features", type=click.Choice(["context", "plain"]),
    help="In each rack's own context, or as they are read.  [default: context; plain with --compat]",
)  # fmt: skip
@click.option(
    "--eps", type=float, help="hyperbox: distance that starts a new cluster.  [default: 3.0 in context, else 1.0]"
)
@click.option("--rho", type=float, default=0.05, show_default=True, help="hyperbox: half-width of a new cluster.")
@click.option(
    "--widest", type=float, help="hyperbox: width that no range grows beyond.  [default: 2.0 in context, else any]"
)
@click.option(
    "--filter", type=click.Choice(FILTERS), default="extended", show_default=True, help="Which rows are nominal."
)
@path_option("--labels", text="Ground truth; NAME.labels.parquet beside the data unless given.")
@click.option("--compat", type=click.Choice(["reference"]), help="Thresholds from the training scores.")
@path_option(
    "--calibration",
    folder=True,
    text="Telemetry or fleet to set the thresholds with, instead of the last 20 % of --data.",
)
@path_option(
    "--faults", folder=True, text="Labelled telemetry with faults, for --smoothing likelihood, instead of --data's own."
)
@click.option("--one-rack", is_flag=True, help="Learn from a run of a single rack.")
@click.option("--seed", type=click.IntRange(min=0), default=42, show_default=True)
@path_option("--output", text="The model's file; artifacts/ims_NAME.json unless given.")
@json_option
@reports_errors
@log_level_option
def main(
    data: Path, calibration: Path | None, labels: Path | None, faults: Path | None, output: Path | None, as_json: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Train IMS on the nominal rows of a run and write the model as one JSON file."""
    require("sklearn", "threadpoolctl")
    target = output or ARTIFACTS / f"ims_{name_of(data)}.json"
    refuse_overwriting(target, data=data, labels=labels, calibration=calibration, faults=faults)
    if labels and data.is_dir():
        raise InputError("--labels: a fleet's runs have their labels beside them; leave it out")
    if options["compat"] and calibration:
        raise InputError("--compat reference takes the thresholds from the training scores: leave --calibration out")
    with writing(target):
        with progress() as say:
            model = fit(data, labels=labels, calibration=calibration, faults=faults, progress=say, **options)
            save(model, target)
        tell(lambda: summary(model, target), lambda: figures(model, target), as_json=as_json)


def figures(model: Model, target: Path) -> dict[str, Any]:
    """Return what a program wants to know of a training run: where the model is, its thresholds and its card."""
    own = {"algorithm": model.algorithm, "clusters": len(model.lo), "seed": model.seed, **model.options}
    return {"model": str(target), **own, "tau_fast": model.tau_fast, "tau_persist": model.tau_persist, **model.card}


def summary(model: Model, target: Path) -> str:
    """Return what a person wants to know of a training run."""
    card = model.card
    rows = f"{card['data']}: {card['rows_in']:,} rows of {card['racks']} racks, every {card['interval_s']:g} s"
    removed = [f"  removed {count:>9,}  {rule}" for rule, count in card["rows_removed"].items()]
    nominal = f"  nominal {card['rows_nominal']:>9,}  {card['rows_nominal'] / card['rows_in']:.1%} of the rows"
    how = f"{model.options['features']} features, {model.algorithm}, {len(model.lo)} clusters, seed {model.seed}"
    lines = [
        rows,
        *removed,
        nominal,
        f"  trained {card['rows_trained']:>9,}  {how}",
        f"tau_fast {model.tau_fast:.4f}   tau_persist {model.tau_persist:.4f}   from {_source(model)}",
        f"held-out false alarms: {card['false_alarms_per_rack_day']:.3f} per rack-day",
        f"model: {target}",
    ]
    return "\n".join(lines)


def _source(model: Model) -> str:
    if model.options["compat"]:
        return "the training scores"
    same = model.card["calibration"] == model.card["data"]
    return "the last 20 % of the time" if same else str(model.card["calibration"])


if __name__ == "__main__":
    main()

"""`python -m training.explain`: why a row deviates: which feature, which way, how far outside what range."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from sim.common.errors import EXIT_CODES, InputError
from sim.common.log import log_level_option
from sim.model.channels import CHANNELS
from training.artifact import load
from training.console import HELP, json_option, path_option, reports_errors, tell
from training.features import FEATURES, GROUPS, Floats, feature_vector
from training.model import LEVELS, REFUSED, Cause, Model, causes_by_group, explain_vector, score_batch
from training.monitor import Monitor, seconds_of
from training.telemetry import TelemetryFile


@click.command(epilog=EXIT_CODES, context_settings=HELP)
@path_option("--model", required=True, text="The model's JSON file.")
@click.option(
    "--row",
    required=True,
    help="A sample: inlet_c=30.1,outlet_c=44,... or JSON. With --data: a row number from 1, or RACK@TS.",
)
@path_option("--data", text="Telemetry the row is taken from.")
@click.option("--interval", type=float, help="Seconds between samples, where gpu_power_kw comes from gpu_energy_j.")
@json_option
@reports_errors
@log_level_option
def main(model: Path, row: str, data: Path | None, interval: float | None, as_json: bool) -> None:
    """Explain one row's deviation."""
    loaded = load(model)
    x, state = row_of(loaded, data, row) if data else (feature_vector(parse_sample(row), interval), None)
    explained = Explained.of(loaded, x, state)
    tell(explained.text, explained.figures, as_json=as_json)


def parse_sample(text: str) -> dict[str, float | None]:
    """Read a sample from `name=value,...` or a JSON object. Raises InputError naming every part that is wrong."""
    pairs = _json_pairs(text) if text.lstrip().startswith("{") else _text_pairs(text)
    wrong = [f"{name}: is no channel" for name in pairs if name not in CHANNELS and name not in ("ts", "rack_id")]
    sample: dict[str, float | None] = {}
    for name, value in pairs.items():
        if name in CHANNELS:
            try:
                sample[name] = None if value in (None, "") else float(value)
            except (TypeError, ValueError):
                wrong.append(f"{name}: {value!r} is no number")
    if wrong:
        raise InputError(f"--row: {'; '.join(wrong)} (channels: {', '.join(CHANNELS)})")
    return sample


def _json_pairs(text: str) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except ValueError as error:
        raise InputError(f"--row: is not JSON ({error}); write name=value,name=value or a JSON object") from error


def _text_pairs(text: str) -> dict[str, Any]:
    parts = [part.partition("=") for part in text.split(",") if part.strip()]
    if not parts or any(not equals for _, equals, _ in parts):
        raise InputError(f"--row: {text!r} is no sample; write name=value,name=value; a row number needs --data")
    return {name.strip(): value.strip() for name, _, value in parts}


def row_of(model: Model, data: Path, row: str) -> tuple[Floats, Floats | None]:
    """Return the vector of a row, by its number from 1 or as RACK@TS, and its rack's state after it in context.

    Raises InputError when it is not there.
    """
    rack, at, ts = row.rpartition("@")
    if not at and not row.isdigit():
        raise InputError(f"--row: {row!r} is neither a row number nor RACK@TS")
    ts_s = seconds_of(ts) if at else 0.0
    file, monitor = TelemetryFile(data), Monitor(model)
    rows = 0
    for block in file.blocks():
        rows = block.start + block.ts_s.size
        if at:
            number = file.racks.index(rack) if rack in file.racks else -1
            found = np.flatnonzero((block.ts_s == ts_s) & (block.rack == number))
        else:
            found = np.arange(block.ts_s.size)[int(row) - 1 - block.start :][: int(block.start < int(row) <= rows)]
        if found.size or model.context is not None:
            states = monitor.update_batch(file.racks, block.rack, block.ts_s, block.x).states
        if found.size:
            return block.x[found[0]], None if states is None else states[found[0]]
    raise InputError(f"{data}: has no row {row}; it has {rows} rows of {len(file.racks)} racks")


@dataclass(frozen=True, slots=True)
class Explained:
    """Why a vector deviates. leveled: whether the rack's own level was known, where the model asks for it."""

    model: Model
    deviation: float
    level: str
    degraded: bool
    leveled: bool
    causes: list[Cause]
    groups: dict[str, float]

    @classmethod
    def of(cls, model: Model, x: Floats, state: Floats | None = None) -> "Explained":
        """Explain a vector. state: of its rack, in context. Raises InputError where too little of it is there."""
        states = None if state is None else state.reshape(1, -1)
        scores = score_batch(model, x.reshape(1, -1), states)
        if scores.level[0] == REFUSED:
            absent = [name for name, value in zip(FEATURES, x, strict=True) if np.isnan(value)]
            raise InputError(f"--row: too few features to score: {', '.join(absent)} are missing")
        groups = dict(zip(GROUPS, causes_by_group(model, x.reshape(1, -1), states)[0].tolist(), strict=True))
        return cls(
            model, float(scores.deviation[0]), LEVELS[scores.level[0]], bool(scores.degraded[0]),
            model.context is None or state is not None, explain_vector(model, x, state=state),
            {name: groups[name] for name in sorted(groups, key=lambda name: -groups[name])},
        )  # fmt: skip

    def text(self) -> str:
        """Return the explanation for a person."""
        of = self.model
        head = f"deviation {self.deviation:.4f}: {self.level} ({of.algorithm}, "
        head += f"tau_fast {of.tau_fast:.4f}, tau_persist {of.tau_persist:.4f})"
        if self.degraded:
            head += "; degraded: a feature is missing"
        if not self.leveled:
            head += "; the rack's own level is not known, all racks' is taken"
        if not self.causes:
            return head + "\nevery feature is inside a nominal cluster"
        groups = "by group: " + ", ".join(f"{name} {share:.4f}" for name, share in self.groups.items())
        return "\n".join([head, self.causes[0].text, *map(_line, self.causes), groups])

    def figures(self) -> dict[str, Any]:
        """Return the explanation for a program."""
        of = self.model
        return {
            "deviation": self.deviation, "level": self.level, "degraded": self.degraded,
            "level_of_rack_known": self.leveled, "algorithm": of.algorithm, "tau_fast": of.tau_fast,
            "tau_persist": of.tau_persist, "causes": [{**asdict(c), "text": c.text} for c in self.causes],
            "groups": self.groups,
        }  # fmt: skip


def _line(cause: Cause) -> str:
    outside = cause.sign != "inside"
    where = f"{cause.excess:.2f} {cause.unit} {cause.sign}er than" if outside else "inside"
    return (
        f"  {cause.share:8.4f}  {cause.feature:<15} {cause.value:>10.2f} {cause.unit:<8} "
        f"{where} {cause.low:.2f} to {cause.high:.2f}"
    )


if __name__ == "__main__":
    main()

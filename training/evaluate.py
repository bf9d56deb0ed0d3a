"""`python -m training.evaluate`: measure models, and detectors to compare them with, on a run with labels."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from sim.common.errors import EXIT_CODES, InputError
from sim.common.log import log_level_option
from sim.model.profiles import INCIDENT, SENSOR
from training.artifact import load
from training.console import (
    HELP,
    json_option,
    path_option,
    progress,
    refuse_overwriting,
    reports_errors,
    tell,
    text_table,
    writing,
)
from training.detectors import DESCRIPTIONS, FLOORS, IMS, IN_CONTEXT, PEERS, Builder, choose
from training.evaluate_alarms import judge, table
from training.evaluation import Evaluated, Protocol, Result, compare, measure_model, measure_twin, split
from training.fleet import runs_of
from training.import_optional import require
from training.labels import Labels, find_labels, read_labels
from training.mms import Smoothing
from training.nominal import FILTERS
from training.telemetry import Telemetry, read_telemetry
from training.text_files import name_of

TRAIN_SHARE = 0.6
ARTIFACTS = Path("artifacts")
ALL = ",".join([*IMS, *PEERS, *IN_CONTEXT])
_DEFAULTS = Protocol()


def _names(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (value or "").split(",") if name.strip())


@click.command(epilog=EXIT_CODES, context_settings=HELP)
@path_option(
    "--data",
    required=True,
    folder=True,
    text="The run to measure on, .csv, .csv.gz or .parquet, or a fleet's folder.",
)
@path_option("--labels", text="Its ground truth; NAME.labels.parquet beside the data unless given.")
@click.option("--models", multiple=True, help="Trained models, separated by commas or spaces.")
@click.option(
    "--against", callback=_names, help=f"Detectors to fit and compare: {ALL}, hbos, copod, ecod (pyod), or all."
)
@path_option("--train", text="The run they learn from; the first 60 % of --data unless given, the rest is measured.")
@click.option("--seeds", type=click.IntRange(1, 100), default=5, show_default=True, help="One per run of a fleet.")
@click.option(
    "--filter", type=click.Choice(FILTERS), default="extended", show_default=True, help="Rows they learn from."
)
@click.option("--truth", callback=_names, default=",".join(_DEFAULTS.truth), show_default=True, help="Kinds to find.")
@click.option(
    "--ignore", callback=_names, default=",".join(_DEFAULTS.ignored), show_default=True, help="Kinds left out."
)
@click.option(
    "--buffer", type=click.FloatRange(0, 240), default=30.0, show_default=True, help="VUS-PR window, minutes."
)
@path_option(
    "--alarms", text="Alarms of any monitor, CSV: contestant,rack_id,start,end,cause,kind; judges these alone."
)
@path_option("--twin", text="The same run without its incidents: adds the ceiling.")
@click.option("--racks", callback=_names, help="Racks to draw; the three busiest unless given.")
@click.option(
    "--smoothing", type=click.Choice(["ema", "likelihood"]), default="ema", show_default=True, help="Of the models."
)
@path_option("--output", text="Name of the page and the CSV files; artifacts/evaluation_NAME unless given.")
@click.argument("more_models", nargs=-1)
@json_option
@reports_errors
@log_level_option
def main(
    data: Path, labels: Path | None, models: tuple[str, ...], against: tuple[str, ...], train: Path | None, seeds: int,
    filter: str, truth: tuple[str, ...], ignore: tuple[str, ...], buffer: float,  # noqa: A002
    alarms: Path | None, twin: Path | None,
    racks: tuple[str, ...], smoothing: Smoothing, output: Path | None, as_json: bool,
    more_models: tuple[str, ...],
) -> None:  # fmt: skip
    """Measure models and detectors against the truth: a table, CSV files and a page with pictures."""
    protocol = Protocol(truth, ignore, buffer * 60.0, tuple(range(seeds)), filter)
    paths = [Path(name) for text in (*models, *more_models) for name in text.split(",") if name]
    names = ALL.split(",") if against == ("all",) else list(against)
    if data.is_dir() and (given := {"--labels": labels, "--alarms": alarms, "--twin": twin, "--racks": racks}):
        _refuse_for_fleets(given)
    if alarms is not None:
        if paths or names:
            raise InputError("--alarms: judges these alarms alone; leave out --models and --against")
        _judge(data, labels, alarms, protocol, output or ARTIFACTS / f"alarms_{name_of(data)}.json", as_json=as_json)
        return
    require("matplotlib", "scipy", "jinja2", *(["sklearn", "threadpoolctl"] if names else []))
    if not paths and not names:
        raise InputError("give --models, or --against with detectors to compare (or all)")
    builders, without = choose(names) if names else ({}, [])
    output = output or ARTIFACTS / f"evaluation_{name_of(data)}"
    with _writing(output, data=data, labels=labels, train=train, twin=twin, models=paths):
        with progress() as say:
            measured = _Measured(paths, builders, smoothing, train, twin)
            if data.is_dir():
                run, results, source = _of_fleet(data, measured, protocol, say)
            else:
                run, results, source = measured.on(data, labels, protocol, say)
            _check_racks(run, racks)
            say("drawing")
            shown = _publish(output, run, results, (source, _remarks(protocol, without, twin)), racks)
        tell(shown.text, shown.figures, as_json=as_json)


def _judge(
    data: Path, labels: Path | None, alarms: Path, protocol: Protocol, output: Path, *, as_json: bool
) -> None:  # fmt: skip
    board = judge(data, labels, alarms, protocol, output)
    tell(
        lambda: "\n".join([table(board["contestants"]), f"files: {output}"]),
        lambda: {**board, "files": [str(output)]},
        as_json=as_json,
    )


def _refuse_for_fleets(given: Mapping[str, Any]) -> None:
    wrong = [name for name, value in given.items() if value]
    if wrong:
        raise InputError(f"{', '.join(wrong)}: of one run; --data is a fleet, whose runs have their own files")


@dataclass(frozen=True, slots=True)
class _Measured:
    """What is measured on every run: trained models, and detectors that learn from another run or an earlier part."""

    models: Sequence[Path]
    builders: Mapping[str, Builder]
    smoothing: Smoothing
    train: Path | None
    twin: Path | None

    def on(
        self, data: Path, labels: Path | None, protocol: Protocol, say: Callable[[str], None]
    ) -> tuple[Evaluated, list[Result], str]:
        """Return a run, the results on it, and what detectors learnt from."""
        compares = bool(self.builders)
        run, (learnt, truth) = _read(data, labels, self.train if compares else None, compares, protocol, say)
        results = [measure_model(run, path.stem, load(path), self.smoothing) for path in self.models]
        if compares:
            results += compare(run, learnt, self.builders, say, truth)
        if self.twin:
            results.append(measure_twin(run, read_telemetry(self.twin)))
        return run, results, Path(learnt.source).name


def _told_of(name: str, say: Callable[[str], None]) -> Callable[[str], None]:
    return lambda text: say(f"{name}: {text}")


def _of_fleet(
    data: Path, measured: _Measured, protocol: Protocol, say: Callable[[str], None]
) -> tuple[Evaluated, list[Result], str]:
    """Return the first run, and the results on every run: each is a repetition, with a seed of the detectors' own."""
    results: list[Result] = []
    shown: Evaluated | None = None
    source = ""
    for number, (name, path) in enumerate(runs_of(data).items()):
        own = replace(protocol, seeds=(number,))
        run, found, source = measured.on(path, None, own, _told_of(name, say))
        if shown is None:
            shown, results = run, [replace(result, run=name) for result in found]
        else:
            results += [result.of_run(name) for result in found]
    assert shown is not None  # noqa: S101 - runs_of refused a fleet of none
    return shown, results, source


@contextmanager
def _writing(output: Path, *, models: Sequence[Path], **inputs: Path | None) -> Iterator[None]:
    """Write an evaluation, unless it would replace what it reads."""
    from training.report import names  # noqa: PLC0415 - keeps --help quick

    files = names(output)
    for path in files:
        refuse_overwriting(path, **inputs)
        for model in models:
            refuse_overwriting(path, models=model)
    with writing(files[0]):
        yield


def _read(
    data: Path, labels: Path | None, train: Path | None, compares: bool, protocol: Protocol, say: Callable[[str], None]
) -> tuple[Evaluated, tuple[Telemetry, Labels | None]]:
    """Return what is measured on and what is learnt from: another run, or an earlier part of the same."""
    telemetry = read_telemetry(data, lambda rows: say(f"reading {data.name}: {rows:,} rows"))
    path = find_labels(data, labels)
    if path is None:
        raise InputError(f"{data}: has no labels: {name_of(data)}.labels.parquet is not beside it; give --labels")
    own = read_labels(path, telemetry)
    learnt: tuple[Telemetry, Labels | None] = telemetry, own
    if train:
        other = read_telemetry(train, lambda rows: say(f"reading {train.name}: {rows:,} rows"))
        beside = find_labels(train)
        learnt = other, read_labels(beside, other) if beside else None
    elif compares:
        learnt, (telemetry, own) = split(telemetry, own, TRAIN_SHARE)
    return Evaluated.of(telemetry, own, protocol), learnt


def _check_racks(run: Evaluated, racks: Sequence[str]) -> None:
    unknown = [name for name in racks if name not in run.telemetry.racks]
    if unknown:
        raise InputError(f"--racks: not in the run: {', '.join(unknown)} (racks: {', '.join(run.telemetry.racks)})")


def _remarks(protocol: Protocol, without: Sequence[str], twin: Path | None) -> list[str]:
    remarks = []
    if without:
        remarks.append(f"pyod is not installed: {', '.join(without)} left out; pip install 'skadi-sim[peers]' adds it")
    others = [kind for kind in protocol.truth if kind not in (INCIDENT, SENSOR)]
    if twin and others:
        ignored = ",".join([*protocol.ignored, *others])
        remarks.append(f"the twin knows of incidents only: --truth incident,sensor --ignore {ignored} compares with it")
    return remarks


@dataclass(frozen=True, slots=True)
class _Published:
    """An evaluation that is written."""

    files: list[Path]
    results: list[Result]
    remarks: list[str]

    def text(self) -> str:
        """Return its tables for a person."""
        from training import report  # noqa: PLC0415 - keeps --help quick

        tables = [
            text_table(["detector", *report.COLUMNS.values()], report.detector_table(self.results)),
            f"profiles, {self.results[0].name}:",
            text_table(list(report.PROFILE_COLUMNS.values()), report.profile_table(self.results[0])),
            *self.remarks,
            f"files: {', '.join(map(str, self.files))}",
        ]
        return "\n".join(tables)

    def figures(self) -> dict[str, Any]:
        """Return the rows of its CSV files for a program."""
        from training import report  # noqa: PLC0415 - as above

        return {
            "detectors": [result.row() for result in self.results],
            "profiles": report.profile_rows(self.results),
            "remarks": self.remarks,
            "files": [str(path) for path in self.files],
        }


def _publish(
    output: Path, run: Evaluated, results: list[Result], said: tuple[str, list[str]], racks: Sequence[str]
) -> _Published:
    from training import report  # noqa: PLC0415 - as above

    source, remarks = said
    own = source == Path(run.telemetry.source).name
    where = f"the first {TRAIN_SHARE:.0%} of the run" if own else source
    seeds = f"{len(run.protocol.seeds)} seeds" if not results[0].run else "a seed for each run"
    fitted = any(r.name in FLOORS for r in results)
    shown = {r.name for r in results}
    notes = [*remarks, *(f"{name}: {text}" for name, text in DESCRIPTIONS.items() if name in shown)]
    trained = f"Detectors learn from the nominal rows of {where}, {seeds}." if fitted else ""
    return _Published(report.write(output, report.page(run, results, trained, notes, racks), results), results, remarks)


if __name__ == "__main__":
    main()

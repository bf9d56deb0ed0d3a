"""The commands that make a run, a training set or an export."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np
from click.shell_completion import CompletionItem

from sim import __version__
from sim.cli.explanations import (
    dotted_keys,
    kind_explained,
    kind_for_programs,
    kind_list,
    kind_yaml,
    kinds_listed,
    scenario_schema,
    scenarios_listed,
)
from sim.cli.live import LiveOptions, send, sender_of
from sim.cli.progress import progress_of
from sim.cli.speaking import Told, console_of_tables, exit_codes, say
from sim.cli.summary import described, description, estimate, estimated, export_summary, run_summary, size_text
from sim.common.atomic_files import identity
from sim.common.errors import EXIT_CODES, InputError
from sim.common.json_text import json_text
from sim.common.log import log_level_option
from sim.common.streams import derived_seed
from sim.common.time_units import parse_hours_s, parse_instant
from sim.engine.build import Hall, resolve
from sim.incidents.catalogue import CATALOGUE
from sim.runs.exports.exporting import ANOMALY_KINDS, DEFAULT_KINDS, Choice, Target, export_run
from sim.runs.exports.series import Split
from sim.runs.files import (
    JOINED,
    RunPaths,
    check_replaceable,
    filled_in,
    refuse_all_replacing,
    refuse_replacing,
    run_paths,
)
from sim.runs.formats import FORMATS, LABEL_FORMATS
from sim.runs.simulate import demand_trace, simulate_to_files
from sim.scenario.files import load_scenario, scenario_files, scenario_list, shipped_scenarios

FEW_TICKS = 10
"""So few samples are hardly what somebody wants who gave a duration without a unit."""

RUN_EXAMPLES = (
    """\b
Examples:
  python run_sim.py --scenario week --seed 42
  python run_sim.py --scenario small --output out/ --labels csv
  python run_sim.py --scenario my_hall.yaml --set facility.racks_per_row=8 --check
  python run_sim.py --scenario week --duration 2d12h --tick 30s --output two_days.parquet
  python run_sim.py --scenario pump_trip --twin --effects
  python run_sim.py --scenario week --seed 7 --output "data/{scenario}_{seed}.parquet" --no-clobber
  python run_sim.py --scenario week --live --speed 60 --to http://127.0.0.1:8000
"""
    "\n\n" + EXIT_CODES
)


def _run(
    hall: Hall, paths: RunPaths, sources: Iterable[Path], complete: list[Path], *, quiet: bool, reported: bool = False
) -> dict[str, Any]:
    """Run a hall into its files, say so unless `quiet`, and return what became of it."""
    began, before = time.perf_counter(), identity(paths.manifest)
    manifest = [paths.manifest] if before else []
    refuse_replacing(paths, sources)
    replaced = check_replaceable(paths)
    trace = demand_trace(hall.scenario)
    try:
        with progress_of(hall, quiet=quiet) as on_progress:
            statistics = simulate_to_files(hall, paths, trace, on_progress)
    finally:
        if identity(paths.manifest) != before:
            complete.append(paths.telemetry)
    was_there = manifest + [paths.telemetry.with_name(name) for name in replaced]
    seconds = time.perf_counter() - began
    if not quiet:
        say(lambda: run_summary(hall, statistics, trace, paths.written, was_there, seconds))
    report = {"report": str(_report(paths.telemetry, None, None, quiet=quiet))} if reported else {}
    s = hall.scenario
    return {
        "scenario": s.name,
        "seed": s.seed,
        "racks": len(hall.facility.racks),
        "ticks": s.tick_count,
        "rows": s.tick_count * len(hall.facility.racks),
        "seconds": round(seconds, 3),
        "pue": round(statistics.pue, 4),
        "incidents": len(statistics.incidents),
        "files": [str(path) for path in paths.written],
        "replaced": [str(path) for path in was_there],
        **report,
    }


def _card(telemetries: Sequence[Path], *, quiet: bool) -> dict[str, list[str]]:
    from sim.reports.card import write_card  # noqa: PLC0415 - as for reports

    made = [str(path) for path in write_card(telemetries)]
    if not quiet:
        say(lambda: f"data card: {', '.join(made)}")
    return {"card": made}


def _check_card(telemetries: Sequence[Path]) -> None:
    from sim.reports.card import check_cards_replaceable  # noqa: PLC0415 - as for reports

    check_cards_replaceable(telemetries)


def _report(telemetry: Path, output: Path | None, labels: Path | None, *, quiet: bool) -> Path:
    from sim.reports.page import write_report  # noqa: PLC0415 - runs without a report need none of it

    made = write_report(telemetry, output, labels)
    if not quiet:
        say(lambda: f"report: {made}  {size_text(made.stat().st_size)}")
    return made


def _sources(hall: Hall, scenario: str) -> Iterator[Path]:
    """Yield the files that a run is made from."""
    yield from scenario_files(scenario)
    if hall.scenario.demand.file is not None:
        yield Path(hall.scenario.demand.file)


def _near_words(words: Callable[[], Iterable[str]], *, files: bool = False) -> Callable[..., list[CompletionItem]]:
    """Return what completes a value in a shell: one of some words, or else a file."""

    def complete(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        found = [CompletionItem(word) for word in words() if word.startswith(incomplete)]
        return found or ([CompletionItem(incomplete, type="file")] if files else [])

    return complete


def _overrides(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _told(
    text: Callable[[], str], listed: Callable[[], Any] | None = None
) -> Callable[[click.Context, click.Parameter, bool], None]:
    """Return a callback that prints a text and ends the command; listed: the same for --json."""

    def tell(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value and not context.resilient_parsing:
            as_json = listed is not None and context.params.get("as_json")
            click.echo(json_text(listed()) if listed and as_json else text())
            context.exit()

    return tell


def _explain_kind(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is None or context.resilient_parsing:
        return
    with exit_codes():
        if context.params.get("as_yaml"):
            click.echo(kind_yaml(value))
        else:
            said = json_text(kind_for_programs(value)) if context.params.get("as_json") else kind_explained(value)
            click.echo(said)
    context.exit()


@click.command(cls=Told, epilog=RUN_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--scenario", default="week", show_default=True, metavar="NAME|FILE", help="Shipped name or YAML file.",
              shell_complete=_near_words(shipped_scenarios, files=True))  # fmt: skip
@click.option("--seed", type=int, metavar="INT", help="Overrides the scenario's seed.")
@click.option("--duration", metavar="TIME", help="Such as 90m, 2d14h or seconds.")
@click.option("--tick", metavar="TIME", help="Time between samples, such as 30s.")
@click.option("--start", metavar="INSTANT", help="First sample, ISO 8601; UTC unless it says otherwise.")
@click.option("--output", metavar="FILE|DIR",
              help="Where to write; {scenario} and {seed} are filled in.  [default: data/<scenario>.csv]")  # fmt: skip
@click.option("--no-clobber", is_flag=True, help="Refuse to replace any file.")
@click.option("--format", "file_format", type=click.Choice(list(FORMATS)), help="Else from the suffix of --output.")
@click.option("--labels", type=click.Choice([*LABEL_FORMATS, JOINED, "none"]), default="parquet", show_default=True,
              help="join: also NAME.joined.csv, readings and truth side by side.")  # fmt: skip
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any key of the scenario, dotted; repeatable.",
    shell_complete=_near_words(lambda: [f"{key}=" for key in dotted_keys()]),
)  # fmt: skip
@click.option(
    "--json", "as_json", is_flag=True, is_eager=True, help="Print as JSON what happened, or what was asked for."
)
@click.option("--list", is_flag=True, expose_value=False, callback=_told(scenario_list, scenarios_listed),
              help="List scenarios.")  # fmt: skip
@click.option("--twin", is_flag=True, help="Also write the same run without its incidents, as NAME.twin.csv.")
@click.option("--effects", is_flag=True, help="Labels also tell what incidents change, channel by channel.")
@click.option("--incidents", is_flag=True, expose_value=False, callback=_told(kind_list, kinds_listed),
              help="List the kinds of incident.")  # fmt: skip
@click.option("--yaml", "as_yaml", is_flag=True, is_eager=True,
              help="With --explain: as an entry of a scenario's incidents, to paste.")  # fmt: skip
@click.option("--explain", expose_value=False, callback=_explain_kind, metavar="KIND",
              shell_complete=_near_words(lambda: CATALOGUE),
              help="Print what a kind does, its relations and constants.")  # fmt: skip
@click.option("--schema", is_flag=True, is_eager=True, expose_value=False, callback=_told(scenario_schema),
              help="Print the JSON Schema of scenario files, for editors.")  # fmt: skip
@click.option("--report", "reported", is_flag=True, help="Also write NAME.report.html, a page that shows the run.")
@click.option("--card", "carded", is_flag=True,
              help="Also write a data card: NAME.card.md for hubs, NAME.croissant.json for loaders.")  # fmt: skip
@click.option("--live", is_flag=True, help="Send the run to --to while it is under way; nothing is written.")
@click.option("--to", metavar="URL", help="Receiver of --live, such as http://127.0.0.1:8000.")
@click.option("--token", envvar="SKADI_TOKEN", metavar="TEXT", help="Its bearer token; SKADI_TOKEN unless given.")
@click.option("--speed", default="60", show_default=True, metavar="NUMBER|max", help="Simulated seconds in a second.")
@click.option(
    "--spool", metavar="DIR", help="Where samples wait while nobody answers.  [default: data/<scenario>.spool]"
)
@click.option("--describe", is_flag=True, help="Print the resolved scenario and hall; run nothing.")
@click.option("--check", is_flag=True, help="Validate only.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@log_level_option
@click.version_option(__version__, prog_name="skadi-sim")
def run_sim(
    scenario: str,
    seed: int | None,
    duration: str | None,
    tick: str | None,
    start: str | None,
    settings: tuple[str, ...],
    describe: bool,
    check: bool,
    quiet: bool,
    live: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Simulate a hall of GPU racks and write its telemetry, labels, events and manifest."""
    if options.pop("as_yaml"):
        raise click.UsageError("--yaml shows a kind as YAML; add --explain KIND")
    wanted = _Wanted(**{of.name: options.pop(of.name) for of in fields(_Wanted)})
    _check_live(live=live, writes=wanted.anything, to=options["to"])
    with exit_codes() as complete:
        overrides = _overrides(seed=seed, duration=duration, tick=tick, start=start)
        try:
            hall = resolve(load_scenario(scenario, settings, overrides))
        except InputError:
            _note_bare_seconds(duration)
            raise
        if not quiet and hall.scenario.tick_count < FEW_TICKS:
            _note_bare_seconds(duration, hall.scenario.tick_count)
        if not quiet:
            _note_idle_profiles(hall)
        if describe:
            console_of_tables().print(description(hall)) if not as_json else click.echo(json_text(described(hall)))
        elif check:
            _check(hall, scenario, quiet=quiet, as_json=as_json)
        elif live:
            send(hall, *sender_of(LiveOptions(**options), hall.scenario.name, quiet=quiet), quiet=quiet)
        else:
            made = _write(hall, scenario, wanted, complete, quiet=quiet or as_json)
            if as_json:
                click.echo(json_text(made))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be written, and where."""

    output: str | None
    file_format: str | None
    labels: str
    twin: bool
    effects: bool
    no_clobber: bool
    reported: bool
    carded: bool

    @property
    def anything(self) -> bool:
        """Whether files were asked for in so many words."""
        return bool(self.output or self.file_format or self.twin or self.effects or self.reported or self.carded)


def _write(hall: Hall, scenario: str, wanted: _Wanted, complete: list[Path], *, quiet: bool) -> dict[str, Any]:
    if wanted.twin or wanted.effects:
        labelled = not wanted.effects or wanted.labels != "none"
        _check_twin(hall, scenario, "--twin" if wanted.twin else "--effects", labelled=labelled)
    name, counters, where = hall.scenario.name, hall.scenario.has_counters, filled_in(wanted.output, hall.scenario)
    kept = {"twin": wanted.twin, "effects": wanted.effects, "counters": counters}
    paths = run_paths(name, where, wanted.file_format, wanted.labels, **kept)
    if wanted.no_clobber:
        refuse_all_replacing(paths)
    if wanted.carded:
        _check_card([paths.telemetry])
    made = _run(hall, paths, _sources(hall, scenario), complete, quiet=quiet, reported=wanted.reported)
    return made | (_card([paths.telemetry], quiet=quiet) if wanted.carded else {})


def _check_twin(hall: Hall, scenario: str, asked: str, *, labelled: bool) -> None:
    if not hall.scenario.has_incidents:
        raise InputError(f"{asked}: {scenario} has no incidents or incident_rates, so it is its own twin")
    if not labelled:
        raise InputError("--effects: goes into the labels, which --labels none leaves out")


def _check(hall: Hall, scenario: str, *, quiet: bool, as_json: bool) -> None:
    """Look at whatever a run would read, and tell what it amounts to."""
    trace = demand_trace(hall.scenario)
    if as_json:
        click.echo(json_text({"scenario": scenario, **estimated(hall, trace)}))
    elif not quiet:
        click.echo(f"{scenario}: valid; {estimate(estimated(hall, trace))}")


def _note_bare_seconds(duration: str | None, ticks: int = 0) -> None:
    """Tell who wrote a bare number what was understood. ticks: the few samples that it makes, 0 where it makes none."""
    if duration is not None and duration[-1:].isdigit() and duration.isascii():
        samples = f", {ticks} sample{'s' * (ticks > 1)} of each rack" if ticks else ""
        click.echo(f"note: --duration {duration} is {duration} seconds{samples}; {duration}h would be hours", err=True)


def _note_idle_profiles(hall: Hall) -> None:
    """Tell which profiles that a scenario describes never occur, since no law gives them a share."""
    shares = np.max([of_row.total[:, :-1].max(axis=1) for of_row in hall.occupancy_shares], axis=0)
    idle = [
        name for name, share in zip(hall.profiles, shares, strict=True) if share == 0 and name in hall.scenario.profiles
    ]
    if idle:
        named = f"{', '.join(idle)}: described, but without a share in occupancy, so"
        click.echo(f"note: profiles.{named} never there; give one in occupancy.anytime", err=True)


def _check_live(*, live: bool, writes: bool, to: str | None) -> None:
    if live and writes:
        raise click.UsageError(
            "--live sends and writes nothing; leave out --output, --format, --twin, --effects, --report, --card"
        )
    if to is not None and not live:
        raise click.UsageError("--to is the receiver of --live; add --live")


def _hours_s(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """Read a duration whose bare number counts hours, as the training document has it [s]."""
    if value is None:
        return None
    try:
        return parse_hours_s(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}") from None


GENERATE_EXAMPLES = (
    """\b
Examples:
  python generate_training_data.py --all
  python generate_training_data.py --output data/custom.csv --duration 48 --tick 60
  python generate_training_data.py --output data/high_res.csv --duration 1 --tick 10 --seed 123
"""
    "\n\n" + EXIT_CODES
)

TRAINING_SETS = ("training_main", "training_ims", "validation")


@click.command(cls=Told, epilog=GENERATE_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--all", "all_sets", is_flag=True, help=f"Write {', '.join(TRAINING_SETS)}, each with a seed of its own.")
@click.option(
    "--output", default=None, metavar="FILE|DIR", help="[default: data/training_main.csv; a folder with --all]"
)
@click.option(
    "--duration", callback=_hours_s, metavar="HOURS", help="Hours, or with a unit such as 2d.  [default: 168]"
)
@click.option("--tick", metavar="SECONDS", help="[default: 60]")
@click.option("--seed", type=int, default=42, show_default=True)
@click.option("--report", "reported", is_flag=True, help="Also write NAME.report.html for each set.")
@click.option(
    "--card",
    "carded",
    is_flag=True,
    help="Also write a data card: with --all README.md and croissant.json of the folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what happened as JSON, a list of runs.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@log_level_option
@click.version_option(__version__, prog_name="skadi-sim")
def generate_training_data(
    all_sets: bool, output: str | None, duration: float | None, tick: str | None, seed: int, reported: bool,
    carded: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Generate the training document's datasets."""
    if all_sets and (duration is not None or tick is not None):
        raise click.UsageError("--all writes sets of fixed duration and tick; leave out --duration and --tick")
    if all_sets and output and Path(output).suffix:
        raise click.UsageError(f"--all writes three files; --output must be a folder, not {output!r}")
    with exit_codes() as complete:
        if all_sets:
            # seeds of their own, so that validation is not a prefix of a training set
            scenarios = [load_scenario(n, (), {"seed": derived_seed(seed, n)}) for n in TRAINING_SETS]
            halls = [(resolve(s), filled_in(f"{output or 'data'}/", s)) for s in scenarios]
        else:
            scenario = load_scenario("training_main", (), _overrides(seed=seed, duration=duration, tick=tick))
            halls = [(resolve(scenario), filled_in(output, scenario))]
        runs = [(hall, run_paths(hall.scenario.name, where, None, "parquet")) for hall, where in halls]
        telemetries = [paths.telemetry for _, paths in runs]
        if carded:
            _check_card(telemetries)
        quiet = quiet or as_json
        made = [_run(hall, paths, (), complete, quiet=quiet, reported=reported) for hall, paths in runs]
        card = _card(telemetries, quiet=quiet) if carded else {}
        if as_json:
            click.echo(json_text([run | card for run in made]))


EXPORT_EXAMPLES = (
    """\b
Examples:
  python -m sim.export --to timeeval --input data/week.csv --output out/week_timeeval
  python -m sim.export --to tsb-ad --input data/week.csv --output out/week_tsb --anomalies incident,sensor
  python -m sim.export --to nab --input data/week.csv --output out/week_nab --channels inlet_c,latency_p95_ms
  python -m sim.export --to openmetrics --input data/week.csv --output out/week_om --align-end now
"""
    "\n\n" + EXIT_CODES
)


def _names(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    if value is None:
        return ()
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if not names:
        raise click.BadParameter("names nothing")
    return names


def _split(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Split:
    """Read the end of the train rows: a share of the rows, or an instant."""
    if value is None:
        return Split()
    with suppress(ValueError):
        return Split(float(value))
    try:
        return Split(parse_instant(value))
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a share of the rows, such as 0.3, nor an instant") from None


def _end(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    """Read the instant that a run's last sample is moved to."""
    if value is None:
        return None
    try:
        return datetime.now(UTC) if value == "now" else parse_instant(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither now nor an instant such as 2025-01-06T00:00:00Z") from None


@click.command("export", cls=Told, epilog=EXPORT_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--to", "target", required=True, type=click.Choice(get_args(Target)), help="The format.")
@click.option("--input", "telemetry", required=True, metavar="RUN", help="Telemetry of a run, .csv or .parquet.")
@click.option("--output", required=True, metavar="DIR", help="A folder that is not there yet, or empty.")
@click.option(
    "--anomalies",
    default=",".join(DEFAULT_KINDS),
    show_default=True,
    callback=_names,
    metavar="KINDS",
    help=f"Which rows count as anomalous, of {', '.join(ANOMALY_KINDS)}.",
)
@click.option("--racks", callback=_names, metavar="NAMES", help="[default: all]")
@click.option(
    "--channels",
    callback=_names,
    metavar="NAMES",
    help="[default: all; tsb-ad: those that follow from no other; nab: inlet_c]",
)
@click.option(
    "--align-end",
    callback=_end,
    metavar="now|INSTANT",
    help="openmetrics: move the run in time so that its last sample is of then.",
)
@click.option(
    "--visible", is_flag=True, help="nab: no window for an incident that does not show in the file's channel."
)
@click.option(
    "--train",
    "split",
    callback=_split,
    metavar="SHARE|INSTANT",
    help="Where the train rows end.  [default: short of the first anomaly; see docs/exports.md]",
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON what was exported, as export.json has it.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@log_level_option
@click.version_option(__version__, prog_name="skadi-sim")
def export(
    target: Target,
    telemetry: str,
    output: str,
    anomalies: tuple[str, ...],
    racks: tuple[str, ...],
    channels: tuple[str, ...],
    align_end: datetime | None,
    split: Split,
    visible: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Export a finished run, a series per rack, in the format of another tool."""
    with exit_codes():
        choice = Choice(racks, anomalies, channels, split, align_end, visible)
        exported = export_run(Path(telemetry), target, Path(output), choice)
        if as_json:
            told = json.loads((Path(output) / "export.json").read_text(encoding="utf-8"))
            click.echo(json_text({**told, "notes": exported.notes}))
        elif not quiet:
            say(lambda: export_summary(exported, output))


REPORT_EXAMPLES = (
    """\b
Examples:
  python -m sim.report data/week.csv
  python -m sim.report data/fleet
  python -m sim.report theirs.parquet --labels their_labels.csv --output out/theirs.html
"""
    "\n\n" + EXIT_CODES
)


@click.command("report", cls=Told, epilog=REPORT_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("telemetry", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--output", metavar="FILE", type=click.Path(path_type=Path), help="[default: beside RUN, as NAME.report.html]"
)
@click.option("--labels", metavar="FILE", type=click.Path(path_type=Path), help="Instead of those beside RUN.")
@click.option(
    "--card", "carded", is_flag=True, help="A data card instead, of a complete run: NAME.card.md and Croissant."
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON what was written.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@log_level_option
@click.version_option(__version__, prog_name="skadi-sim")
def report(telemetry: Path, output: Path | None, labels: Path | None, carded: bool, as_json: bool, quiet: bool) -> None:
    """Write a page that shows a run, a fleet's folder, or telemetry of any origin in our columns, for any browser."""
    if carded and (output or labels):
        raise click.UsageError("--card goes beside the run, with the labels there; leave out --output and --labels")
    with exit_codes():
        quiet = quiet or as_json
        if carded:
            made: dict[str, Any] = _card([telemetry], quiet=quiet)
        else:
            page = _report(telemetry, output, labels, quiet=quiet)
            made = {"report": str(page), "bytes": page.stat().st_size}
        if as_json:
            click.echo(json_text(made))

"""The command that judges a run: `python -m sim.quality`."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from sim import __version__
from sim.cli.speaking import Told, exit_codes, say
from sim.common.errors import EXIT_CODES, InputError
from sim.common.json_text import json_text
from sim.common.log import log_level_option
from sim.runs.checks.check import LINE
from sim.runs.checks.judging import Judged, judge, lines
from sim.runs.formats import SUFFIXES, suffix_of
from sim.runs.run import Run
from sim.runs.simulate import simulate_in_memory
from sim.scenario.checks import parse_scenario
from sim.scenario.files import load_scenario

EXAMPLES = (
    """\b
Examples:
  python -m sim.quality data/mine.csv
  python -m sim.quality benchmark_mixed
  python -m sim.quality my_hall.yaml --set seed=7 --json
"""
    "\n\n" + EXIT_CODES + "  1 also where a hard check fails."
)


@click.command("quality", cls=Told, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("what", metavar="RUN|SCENARIO")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any key of a scenario, dotted; repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@log_level_option
@click.version_option(__version__, prog_name="skadi-sim")
def quality(what: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Judge a finished run, or a scenario, by every check of realism and of a benchmark's quality that it allows.

    A run is computed again from its manifest, in memory and with its truth, and must be as its file says.
    """
    with exit_codes():
        judged = _judged(what, settings)
        if as_json:
            click.echo(_json(judged))
        else:
            say(lambda: "\n".join([LINE.format("id", "check", "value", "accept", "level", "pass"), *lines(judged)]))
    if not judged.passed:
        sys.exit(1)


def _judged(what: str, settings: Sequence[str]) -> Judged:
    path = Path(what)
    if suffix_of(path) not in SUFFIXES:
        return judge(simulate_in_memory(load_scenario(what, settings)).arrays)
    if settings:
        raise InputError("--set: is for a scenario; a run is as its manifest says")
    finished = Run.open(path, check=True)
    again = simulate_in_memory(parse_scenario(finished.manifest["scenario"], str(path)))
    for channel in finished.channels:
        if not again.telemetry[channel].equals(finished.telemetry[channel]):
            raise InputError(f"{path}: {channel} is not what its scenario gives here; another version made it")
    return judge(again.arrays)


def _json(judged: Judged) -> str:
    checks = [asdict(check) | {"passed": check.passed} for check in judged.checks]
    return json_text({"passed": judged.passed, "checks": checks, "left_out": judged.left_out})

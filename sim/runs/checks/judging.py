"""Every check that a run allows, of realism and of a benchmark's quality, and why the others were left out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sim.common.streams import Streams
from sim.common.time_units import format_duration
from sim.engine.blocks import Array
from sim.runs.arrays import RunArrays
from sim.runs.checks import quality, realism
from sim.runs.checks.check import Check
from sim.runs.checks.counterfactual import Counterfactual
from sim.runs.checks.visibility import Seen, residuals, seen

CONTROL_SEED = 0
"""Of the random windows that detection by chance is measured on."""
DAY_S, LAG_S = 86_400.0, 60.0
FEW_RACKS = 2
"""So few are no sample of what differs between racks."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The checks of a run, by their ids, and what was left out, each with its reason."""

    checks: list[Check]
    left_out: list[str]

    @property
    def passed(self) -> bool:
        """Whether every hard check keeps its bounds."""
        return all(check.passed for check in self.checks if check.level == "hard")


@dataclass(frozen=True, slots=True)
class _Part:
    """Some checks. lacks: what keeps a run from having them, or nothing."""

    name: str
    lacks: Callable[[RunArrays], str]
    measure: Callable[[RunArrays], list[Check]]


def judge(run: RunArrays) -> Judged:
    """Return every check that a run in memory, with its truth, allows."""
    checks, left_out = [], []
    for part in (*_REALISM, *_QUALITY):
        if lacking := part.lacks(run):
            left_out.append(f"{part.name}: {lacking}")
        else:
            checks += part.measure(run)
    return Judged(sorted(checks, key=lambda check: (check.id[0] != "R", int(check.id[1:]))), left_out)


def _nothing(_run: RunArrays) -> str:
    return ""


def _a_day(run: RunArrays) -> str:
    length_s = len(run.profile) * run.tick_s
    return "" if length_s >= DAY_S else f"the run lasts {format_duration(length_s)}, a day is needed"


def _fine_ticks(run: RunArrays) -> str:
    tick = format_duration(run.tick_s)
    return "" if run.tick_s <= realism.FINE_TICK_S else f"the tick is {tick}; run it with --tick 10s"


def _ticks_of_a_minute(run: RunArrays) -> str:
    if run.tick_s > LAG_S:
        return f"the tick is {format_duration(run.tick_s)}, longer than a minute"
    return _a_day(run)


def _racks(run: RunArrays) -> str:
    return "" if len(run.hall.facility.racks) > FEW_RACKS else "there are too few racks to differ"


def _loops(run: RunArrays) -> str:
    return "" if len(run.hall.facility.loops) > 1 else "there is one cooling loop, and another is needed beside it"


def _incidents(run: RunArrays) -> str:
    return "" if run.incident_labels is not None else "the scenario has no incidents"


def _faults(run: RunArrays) -> str:
    return _incidents(run) or ("" if Counterfactual(run).faults else "no fault can be observed")


def _prefix(run: RunArrays) -> str:
    clean = "" if _incidents(run) or Counterfactual(run).test_from else "no clean beginning (incident_rates.after)"
    return _faults(run) or clean


def _drawn(run: RunArrays) -> str:
    return "" if run.hall.scenario.incident_rates else "nothing is drawn at random (incident_rates)"


def _of_facts(measure: Callable[[Counterfactual], list[Check]]) -> Callable[[RunArrays], list[Check]]:
    return lambda run: measure(Counterfactual(run))


def seen_of(facts: Counterfactual, apart: Array) -> Seen:
    """Return how faults are seen, with control windows that are the same each time; apart: residuals of the run."""
    return seen(facts, apart, Streams(CONTROL_SEED).stream("control windows"))


def _visibility(facts: Counterfactual) -> list[Check]:
    return quality.visibility(seen_of(facts, residuals(facts.run.readings, facts.test_from)))


def _positions(run: RunArrays) -> list[Check]:
    return quality.positions(run.hall.scenario.model_dump())


_REALISM: tuple[_Part, ...] = (
    _Part("airflow R01", _nothing, realism.airflow),
    _Part("heat balance R02", _nothing, realism.heat_balance),
    _Part("outlet's response R04", _nothing, lambda run: realism.outlet_response(run.hall)),
    _Part("power leads outlet R05", _fine_ticks, realism.power_leads_outlet),
    _Part("pump trip R07", _loops, lambda run: realism.pump_trip(run.hall)),
    _Part("memory R10, R11", _ticks_of_a_minute, realism.memory),
    _Part("meter R13", _nothing, realism.meter),
    _Part("racks differ R15", lambda run: _racks(run) or _a_day(run), realism.rack_variation),
    _Part("shape of the day R16", _a_day, realism.day_shape),
)
_QUALITY: tuple[_Part, ...] = (
    _Part("visibility Q1, Q2", _prefix, _of_facts(_visibility)),
    _Part("density Q3", _incidents, _of_facts(quality.density)),
    _Part("positions Q4", _drawn, _positions),
    _Part("labels Q5 to Q8", _incidents, _of_facts(quality.labels)),
    _Part("durations Q9", _faults, _of_facts(quality.durations)),
    _Part("clean beginning Q11", _prefix, _of_facts(quality.prefix)),
    _Part("normal but rare Q12", _incidents, _of_facts(quality.normal_events)),
)


def lines(judged: Judged) -> Iterator[str]:
    """Yield the table of checks, and what was left out."""
    yield from map(str, judged.checks)
    if judged.left_out:
        yield "left out:"
        yield from (f"  {reason}" for reason in judged.left_out)

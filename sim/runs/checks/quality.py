"""Quality checks of benchmark scenarios.

They answer what is said against public benchmarks (Wu & Keogh, "Current Time Series Anomaly Detection Benchmarks are
Flawed"): trivial anomalies, unrealistic density, wrong labels, anomalies at the end only. Each function says what its
figure is; docs/quality.md what the shipped scenarios reach. Q10, which needs detectors, is in training/detection.py,
Q14 and Q15, which need a learner, in training/leaks.py; `python -m benchmarks.quality` prints them all.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.common.streams import Streams
from sim.engine.blocks import Array
from sim.incidents.catalogue import CATALOGUE
from sim.incidents.planning import draw_incidents
from sim.incidents.schema import KindRate
from sim.model.facility import build_facility
from sim.runs.arrays import Mask, RunArrays
from sim.runs.checks import honesty
from sim.runs.checks.check import Check, at_least, at_most
from sim.runs.checks.counterfactual import Counterfactual
from sim.runs.checks.visibility import Seen
from sim.runs.memory import record
from sim.scenario.checks import parse_scenario

PLANNED_SEEDS = 20
GRID_S = 1800.0
"""Where and when faults are planned is asked at so many seconds."""

KS_TERMS, KS_CERTAIN = 100, 0.2
"""Terms of the series, and the statistic below which p is 1 to six digits and the series too slow."""


def visibility(seen: Seen) -> list[Check]:
    """Q1, Q2: incidents that one threshold on one transform of one channel finds, and those only seen across channels.

    The threshold is one number for all racks, which no rack passes in its clean prefix, on z-scores against the rack's
    own prefix. With a threshold of its own for each rack (soft) more is found, and far more by chance. Q2 counts what
    no single channel finds and a regression of each channel on the others does. Each is less what is found so in
    random normal windows.
    """
    plain, across, racks_own = (
        100 * (float(found.mean()) - chance)
        for found, chance in zip(
            (seen.one_threshold, seen.only_across, seen.own_threshold), seen.by_chance, strict=True
        )
    )
    chance_pct = 100 * seen.by_chance[2]
    return [
        at_most("Q1", "incidents one threshold finds, less chance", plain, 25, "%"),
        at_most("Q1", f"same, a threshold per rack ({chance_pct:.0f} % by chance)", racks_own, 25, "%", "soft"),
        at_least("Q2", "incidents seen only across channels, less chance", across, 20, "%"),
    ]


def density(facts: Counterfactual) -> list[Check]:
    """Q3: anomalous rack-ticks of the test part, and racks without any."""
    anomalous = facts.anomalous[facts.test_from :]
    return [
        Check("Q3", "anomalous rack-ticks of the test part", "%", 100 * float(anomalous.mean()), 0.5, 3, "hard"),
        at_least("Q3", "clean racks", 100 * float((~anomalous.any(axis=0)).mean()), 30, "%"),
    ]


def positions(scenario: dict[str, Any]) -> list[Check]:
    """Q4: how likely uniform starts would be as uneven as those that PLANNED_SEEDS seeds draw, by chance."""
    at = np.concatenate([_starts({**scenario, "seed": seed}) for seed in range(PLANNED_SEEDS)])
    return [at_least("Q4", f"KS p of {at.size} starts over {PLANNED_SEEDS} seeds, uniform", uniform_p(at), 0.05)]


def _starts(data: dict[str, Any]) -> Array:
    """Return when incidents of a scenario's rates begin, as a part of the test part."""
    scenario = parse_scenario(data, "benchmark")
    drawn = draw_incidents(scenario, build_facility(scenario.facility), Streams(scenario.seed))
    after_s = scenario.incident_rates.after if scenario.incident_rates else 0.0
    starts_s = np.array([i.at_s for i in drawn.values() if i.at_s is not None and not i.kind.is_normal])
    return np.asarray((starts_s - after_s) / (scenario.duration - after_s))


def planned_faults(data: dict[str, Any]) -> tuple[Array, Mask]:
    """Return rack, hour and weekday at instants of a grid over the test part, (n, 3), and where faults are planned."""
    scenario = parse_scenario(data, "benchmark")
    facility, rates = build_facility(scenario.facility), scenario.incident_rates
    time_s = np.arange(rates.after if rates else 0.0, scenario.duration, GRID_S)
    faulty = np.zeros((len(time_s), len(facility.racks)), dtype=np.bool_)
    for i in draw_incidents(scenario, facility, Streams(scenario.seed)).values():
        if i.at_s is not None and not i.kind.is_normal:
            faulty[np.ix_((time_s >= i.at_s) & (time_s < i.at_s + i.duration_s), i.racks)] = True
    rack = np.broadcast_to(np.arange(len(facility.racks)), faulty.shape)
    hour = np.broadcast_to((time_s / 3600 % 24)[:, None], faulty.shape)
    day = np.broadcast_to((time_s // 86_400 % 7)[:, None], faulty.shape)
    return np.stack([rack.ravel(), hour.ravel(), day.ravel()], axis=1).astype(float), faulty.ravel()


def uniform_p(x: Array) -> float:
    """Return the p value of the Kolmogorov-Smirnov test that values in 0..1 are uniform, by its asymptotic series."""
    ordered, n = np.sort(x), x.size
    gap = max((np.arange(1, n + 1) / n - ordered).max(), (ordered - np.arange(n) / n).max())
    reach = (n**0.5 + 0.12 + 0.11 / n**0.5) * gap
    k = np.arange(1, KS_TERMS + 1)
    tail = 2 * np.sum((-1.0) ** (k - 1) * np.exp(-2 * (k * reach) ** 2))
    return float(np.clip(tail, 0, 1)) if reach > KS_CERTAIN else 1.0


def labels(facts: Counterfactual) -> list[Check]:
    """Q5 to Q8: whether labels and events say what truth and twin say, see `honesty`."""
    starts, late = honesty.late_starts(facts)
    ids, wrong = honesty.disagreements(facts)
    changed, unexplained = honesty.unreachable(facts)
    unlabelled_pct = 100 * honesty.unlabelled_share(facts)
    return [
        at_least("Q5", f"of {starts} label starts, those within a tick", 100 * (1 - late / max(starts, 1)), 95, "%"),
        at_most("Q5", "rack-ticks that differ before any cause", honesty.early_differences(facts), 0),
        at_most("Q6", "rack-ticks over 3 sigmas without a label", unlabelled_pct, 0.1, "%"),
        at_least("Q7", f"of {ids} events and episodes, as in labels", 100 * (1 - wrong / max(ids, 1)), 100, "%"),
        at_least("Q8", "changed rack-ticks a cause reaches", 100 * (1 - unexplained / max(changed, 1)), 100, "%"),
    ]


def durations(facts: Counterfactual) -> list[Check]:
    """Q9: how far apart the shortest and longest causes are, and how many effects stay under 360 s, or do not."""
    lasting = np.array([e.end_s - e.start_s for e in facts.faults])
    persistent_pct = 100 * float(np.mean([e.persistent for e in facts.faults]))
    return [
        at_least("Q9", "longest over shortest incident, decades", float(np.log10(lasting.max() / lasting.min())), 3),
        at_least("Q9", "transient incidents", 100 - persistent_pct, 30, "%"),
        at_least("Q9", "persistent incidents", persistent_pct, 30, "%"),
    ]


def prefix(facts: Counterfactual) -> list[Check]:
    """Q11: effects in the clean prefix, and normal rack-ticks of the test part that it does not cover.

    One is covered when every channel reads within what the same rack's prefix has seen.
    """
    clean = slice(0, facts.test_from)
    effects = int(
        (facts.differs[clean] | facts.reads_differently[clean] | (facts.incident_labels.incidents[clean] != 0)).sum()
    )
    normal = facts.incident_labels.incidents[facts.test_from :] == 0
    outside = np.zeros(normal.shape, dtype=np.bool_)
    for x in facts.run.readings.values():
        outside |= (x[facts.test_from :] < x[clean].min(axis=0)) | (x[facts.test_from :] > x[clean].max(axis=0))
    return [
        at_most("Q11", "rack-ticks of the prefix that incidents touch", effects, 0),
        at_most("Q11", "normal rack-ticks outside the prefix's ranges", 100 * float(outside[normal].mean()), 5, "%"),
    ]


def normal_events(facts: Counterfactual) -> list[Check]:
    """Q12: rare but normal events that could be observed, and anomalous rows that name nothing else."""
    seen, called_anomalous = honesty.normal_events(facts)
    return [
        at_least("Q12", "normal but rare events observed", seen, 1),
        at_most("Q12", "their rack-ticks called anomalous", called_anomalous, 0),
    ]


def same_bytes(run: RunArrays, scenario: dict[str, Any]) -> list[Check]:
    """Q13: whether a second run hands out the same readings, labels and events to the last bit."""
    again = record(scenario, truth=False)
    return [at_least("Q13", "same seed, same bytes", float(digest(run) == digest(again)), 1)]


def digest(run: RunArrays) -> str:
    """Return a hash of all that a run hands to its files."""
    summed, m = sha256(), run.incident_labels
    cells: list[npt.NDArray[Any]] = [*run.readings.values(), run.profile, run.row_profile, run.loop_profile]
    cells += [run.episode, run.persistent]
    if m:
        cells += [m.incidents, m.observed, m.sensors, m.phase, m.severity, m.physical, m.sensor, m.persistent]
        summed.update(repr((m.incident_names, m.observed_names, m.sensor_names)).encode())
    for whole in cells:
        summed.update(whole.tobytes())
    summed.update(repr(run.incidents).encode())
    summed.update(repr([(e.name, e.start_s, e.end_s, e.incident, sorted(e.racks)) for e in run.episodes]).encode())
    return summed.hexdigest()


def cheap_checks(facts: Counterfactual) -> list[Check]:
    """Return the checks that need no other run and no detector."""
    return [c for check in (density, labels, durations, prefix, normal_events) for c in check(facts)]


def weakened(scenario: dict[str, Any], factor: float) -> dict[str, Any]:
    """Return a scenario whose faults are weaker by a factor and otherwise the same; normal events stay."""
    rates = scenario["incident_rates"]
    kinds = {
        name: rate if CATALOGUE[name].is_normal else {**rate, "severity": _times(rate.get("severity"), factor)}
        for name, rate in rates["kinds"].items()
    }
    scripted = [
        spec if CATALOGUE[spec["kind"]].is_normal else {**spec, "severity": factor * spec.get("severity", 1.0)}
        for spec in scenario.get("incidents", ())
    ]
    return {**scenario, "incidents": scripted, "incident_rates": {**rates, "kinds": kinds}}


def _times(severity: Sequence[float] | None, factor: float) -> list[float]:
    return [factor * x for x in (severity or KindRate().severity)]

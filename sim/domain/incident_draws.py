"""Incidents drawn at random: when each kind strikes whom, for how long and how hard."""

from collections.abc import Iterator
from math import gamma

import numpy as np

from sim.domain.catalogue import CATALOGUE
from sim.domain.facility import Facility
from sim.domain.incident_specs import CauseSpec, DurationLaw, IncidentRates, KindRate, Value
from sim.domain.incidents import Incident, destination, make_incident, strikable
from sim.domain.kinds import DAY_S, Kind
from sim.domain.scenario import Scenario
from sim.domain.selectors import parse_selector
from sim.domain.sensor_faults import CHANNEL
from sim.domain.streams import Streams

YEAR_S = 365.25 * DAY_S


def draw_incidents(scenario: Scenario, facility: Facility, streams: Streams) -> dict[str, Incident]:
    """Return what a (validated) scenario's rates bring in one run, by id, in order of time.

    Each kind draws from a stream of its own, so that another kind's rate shifts nothing of it. A draw is dropped where
    it strikes what an earlier one of its kind still holds or recovers from, or where the scenario's spacing forbids it.
    """
    rates = scenario.incident_rates
    if rates is None:
        return {}
    drawn = [
        incident
        for name, rate in _kinds(rates).items()
        for incident in _draws(CATALOGUE[name], rate, rates, scenario, facility, streams)
    ]
    kept: list[Incident] = []
    lately: list[Incident] = []
    for incident in sorted(drawn, key=_begin_s):
        lately = [earlier for earlier in lately if _begin_s(incident) < _end_s(earlier) + rates.spacing]
        if not any(_collide(incident, earlier, rates.spacing) for earlier in lately):
            kept.append(incident)
            lately.append(incident)
    return {incident.id: incident for incident in kept}


def expected_draws(scenario: Scenario, facility: Facility) -> Iterator[float]:
    """Yield how many incidents the (validated) rates of each kind bring in the run on average."""
    rates = scenario.incident_rates
    if rates is None:
        return
    for name, rate in _kinds(rates).items():
        kind = CATALOGUE[name]
        assets = len(_struck_by(kind, rate, facility))
        yield rate_per_year(kind, rate) * rates.acceleration * assets * (scenario.duration - rates.after) / YEAR_S


def _kinds(rates: IncidentRates) -> dict[str, KindRate]:
    return rates.kinds or {name: KindRate() for name in CATALOGUE}


def rate_per_year(kind: Kind, rate: KindRate) -> float:
    """Return how often a kind strikes each asset in a year, before acceleration."""
    return kind.per_year if rate.per_year is None else rate.per_year


def _begin_s(incident: Incident) -> float:
    return float("inf") if incident.at_s is None else incident.at_s


def _end_s(incident: Incident) -> float:
    return _begin_s(incident) + incident.duration_s + incident.recovery_s


def _collide(later: Incident, earlier: Incident, spacing_s: float) -> bool:
    same = later.kind is earlier.kind and bool(set(later.assets) & set(earlier.assets))
    if same and _begin_s(later) < _end_s(earlier):
        return True
    near = _begin_s(later) < _end_s(earlier) + spacing_s
    return spacing_s > 0 and near and bool((later.reaches & earlier.reaches).any())


def _draws(
    kind: Kind, rate: KindRate, rates: IncidentRates, scenario: Scenario, facility: Facility, streams: Streams
) -> Iterator[Incident]:
    """Yield the draws of one kind; each costs the same draws, whatever becomes of it."""
    rng = streams.stream("incident_rates", kind.name)
    choosing = streams.stream("incident_rates", kind.name, "channel")
    assets = _struck_by(kind, rate, facility)
    per_s = rate_per_year(kind, rate) * rates.acceleration * len(assets) / YEAR_S
    if per_s <= 0:
        return
    time_s, number = rates.after, 0
    while True:
        time_s += _gap(rate, rng) / per_s
        asset = assets[int(rng.integers(len(assets)))]
        duration_s, severity = _duration_s(kind, rate.duration, rng), rng.uniform(*rate.severity)
        if time_s >= scenario.duration:
            return
        number += 1
        parameters = _with_one_channel(rate, choosing)
        spec = CauseSpec(
            kind=kind.name, duration=duration_s, severity=round(severity, 3), parameters=parameters, causes=[]
        )
        # to the second, as scripted ones are
        yield make_incident(f"{kind.name}-r{number}", spec, (asset,), float(round(time_s)), facility, "drawn")


def _struck_by(kind: Kind, rate: KindRate, facility: Facility) -> tuple[str, ...]:
    """Return the assets that a kind may strike at a rate, in the hall's order."""
    assets = strikable(kind, facility)
    if rate.within is not None:
        inside = {a for text in rate.within for a in parse_selector(text, facility).assets}
        assets = tuple(a for a in assets if a in inside)
    if kind.moves_load:
        assets = tuple(a for a in assets if _finds_takers(kind, a, rate, facility))
    return assets


def _finds_takers(kind: Kind, asset: str, rate: KindRate, facility: Facility) -> bool:
    try:
        destination(CauseSpec(kind=kind.name, parameters=rate.parameters), (asset,), facility)
    except ValueError:
        return False
    return True


def _with_one_channel(rate: KindRate, rng: np.random.Generator) -> dict[str, Value]:
    """Return a rate's parameters with one channel of those it lists."""
    channel = rate.parameters.get(CHANNEL)
    if not isinstance(channel, list):
        return rate.parameters
    return {**rate.parameters, CHANNEL: channel[int(rng.integers(len(channel)))]}


def _gap(rate: KindRate, rng: np.random.Generator) -> float:
    """Return a gap with mean 1."""
    if rate.gaps == "exponential":
        return float(rng.standard_exponential())
    return float(rng.weibull(rate.gap_shape)) / gamma(1 + 1 / rate.gap_shape)


def _duration_s(kind: Kind, law: DurationLaw | None, rng: np.random.Generator) -> float:
    own = kind.durations
    median_s, shape = (own.median_s, own.sigma) if law is None else (law.median, law.shape)
    shortest_s, longest_s = (own.shortest_s, own.longest_s) if law is None else (law.shortest, law.longest)
    normal, uniform = float(rng.standard_normal()), float(rng.random())
    if law is not None and law.law == "fixed":
        return median_s
    if law is not None and law.law == "weibull":
        drawn_s = median_s * (np.log(1 - uniform) / np.log(0.5)) ** (1 / shape)
    else:
        drawn_s = median_s * float(np.exp(shape * normal))
    return float(round(min(max(drawn_s, shortest_s), longest_s)))

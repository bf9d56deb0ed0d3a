"""Incidents planned, scripted and drawn from rates: whom each affects, how strong, how long, what it triggers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from math import gamma
from statistics import NormalDist

import numpy as np

from sim.common.streams import Streams
from sim.incidents.catalogue import CATALOGUE, CHANNEL, DEFAULT_CHANNEL
from sim.incidents.envelope import SeverityEnvelope, Shape
from sim.incidents.kinds import DAY_S, FAULT_INPUTS, Kind
from sim.incidents.schema import (
    DurationLaw,
    IncidentRates,
    IncidentSpec,
    KindRate,
    RunDocument,
    TriggerSpec,
    Value,
    seconds_into_run,
)
from sim.incidents.selectors import Selector, assets_of, fixed_assets, parse_selector
from sim.incidents.strata import latin_hypercube
from sim.model.facility import CHILLER_PLANT, Facility, Indices

TO = "to"
"""Name of the parameter that says where load moves."""

MAX_OCCURRENCES = 20_000
"""How often incidents may begin in a run; more set each other off without end."""

PARTS = 4
"""A ramp rises over one of so many parts of the duration, or of a rack's own turn, and so long is a tooth or a pulse,
unless it says else."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """What an incident sets off: another's id, after a delay [s], with a probability."""

    id: str
    after_s: float
    probability: float


@dataclass(frozen=True, slots=True, eq=False)
class Incident:
    """One incident, planned. It may happen more than once where others set it off.

    assets: what it affects, by name. racks, loops: indices of what its effects act on. to_racks: racks that take the
    load it moves. reaches: those that can feel it while the chiller plant is not saturated. at_s: when it begins, None
    where only others set it off. origin: scripted, drawn or caused.
    """

    id: str
    kind: Kind
    assets: tuple[str, ...]
    racks: Indices
    loops: Indices
    to_racks: Indices
    reaches: Indices
    at_s: float | None
    duration_s: float
    severity: float
    shape: Shape
    rise_s: float
    period_s: float
    recovery_s: float
    numbers: Mapping[str, float]
    channel: str
    origin: str
    triggers: tuple[Trigger, ...] = ()

    def envelopes(self, start_s: float) -> tuple[SeverityEnvelope, ...]:
        """Return its envelope from a time on [s]: one for all, or one for each rack where they come in turn."""
        turns = len(self.racks) if self.kind.in_turn else 1
        each_s = self.duration_s / turns
        return tuple(
            SeverityEnvelope(start_s + i * each_s, each_s, self.shape, self.rise_s, self.period_s, self.recovery_s)
            for i in range(turns)
        )

    def parameter(self, name: str) -> float:
        """Return a parameter as the scenario has it, else as the kind does."""
        return self.numbers.get(name, self.kind.defaults()[name])


def plan_incidents(run: RunDocument, facility: Facility, streams: Streams) -> dict[str, Incident]:
    """Return a (validated) scenario's scripted incidents, those its rates bring, and all that they trigger, by id."""
    planner = _Planner(run, facility, streams)
    for identity, spec in zip(incident_ids(run.incidents), run.incidents, strict=True):
        planner.add(identity, spec, "scripted" if spec.at is not None else "caused")
    for incident in draw_incidents(run, facility, streams).values():
        planner.adopt(incident)
    return planner.planned


def incident_ids(specs: Sequence[IncidentSpec]) -> list[str]:
    """Return the ids of scripted incidents: their own, else their kind and number among those of the kind."""
    count: dict[str, int] = {}
    ids = []
    for spec in specs:
        count[spec.kind] = count.get(spec.kind, 0) + 1
        ids.append(spec.id or f"{spec.kind}-{count[spec.kind]}")
    return ids


def triggers_of(spec: IncidentSpec | TriggerSpec) -> Iterable[TriggerSpec]:
    """Return what an incident sets off: as the scenario says, else as its kind does by itself."""
    if spec.causes is not None:
        return spec.causes
    kind = CATALOGUE.get(spec.kind or "")
    return [
        TriggerSpec(kind=c.kind, target=[c.target], after=c.after_s, duration=c.duration_s, probability=c.probability)
        for c in (kind.triggers if kind else ())
    ]


def selectors_of(spec: IncidentSpec | TriggerSpec, facility: Facility) -> list[Selector]:
    """Return what a spec affects. Raises SelectorError; ValueError where nothing is named and the kind needs it."""
    kind = CATALOGUE[spec.kind or ""]
    texts = spec.target if spec.target is not None else [kind.target] if kind.target else []
    if not texts:
        raise ValueError(f"is missing; {kind.name} affects a {' or a '.join(kind.target_levels)}")
    return [parse_selector(text, facility) for text in texts]


class _Planner:
    def __init__(self, run: RunDocument, facility: Facility, streams: Streams) -> None:
        self._run = run
        self._facility = facility
        self._streams = streams
        self._own = set(incident_ids(run.incidents))
        self._job = racks_of_job(run, facility)
        self.planned: dict[str, Incident] = {}

    def adopt(self, incident: Incident) -> None:
        """Take in an incident that was drawn, with what its kind sets off."""
        name, spec = self._free(incident.id), TriggerSpec(kind=incident.kind.name)
        self.planned[name] = replace(incident, id=name, triggers=self._triggers(name, spec))

    def _triggers(self, identity: str, spec: IncidentSpec | TriggerSpec) -> tuple[Trigger, ...]:
        triggers = []
        for trigger in triggers_of(spec):
            child = trigger.incident
            if child is None:
                child = self._free(f"{identity}.{trigger.kind}")
                self.add(child, trigger, "caused")
            triggers.append(Trigger(child, trigger.after, trigger.probability))
        return tuple(triggers)

    def add(self, identity: str, spec: IncidentSpec | TriggerSpec, origin: str) -> None:
        """Plan a scripted or caused incident."""
        at = spec.at if isinstance(spec, IncidentSpec) else None
        run = self._run
        rng = self._streams.stream("incident", identity, "target")
        assets = [a for selector in selectors_of(spec, self._facility) for a in selector.choose(rng)]
        self.planned[identity] = make_incident(
            identity,
            spec,
            tuple(dict.fromkeys(assets)),
            None if at is None else seconds_into_run(at, run.start, run.utc_offset),
            self._facility,
            origin,
            self._triggers(identity, spec),
            self._job,
        )

    def _free(self, identity: str) -> str:
        number, name = 1, identity
        while name in self.planned or name in self._own:
            number += 1
            name = f"{identity}-{number}"
        return name


def make_incident(
    identity: str,
    spec: IncidentSpec | TriggerSpec,
    assets: tuple[str, ...],
    at_s: float | None,
    facility: Facility,
    origin: str,
    triggers: tuple[Trigger, ...] = (),
    job: tuple[str, ...] = (),
) -> Incident:
    """Return an incident of a (validated) spec that affects these assets; job: racks of the training job."""
    kind = CATALOGUE[spec.kind or ""]
    felt = job if kind.whole_job else assets
    duration_s = kind.duration_s if spec.duration is None else spec.duration
    racks = facility.racks_under(felt)
    turn_s = duration_s / len(racks) if kind.in_turn else duration_s
    to = destination(spec, assets, facility) if kind.moves_load else ()
    return Incident(
        id=identity,
        kind=kind,
        assets=_named(kind, assets, facility),
        racks=racks,
        loops=facility.loops_under(felt),
        to_racks=facility.racks_under(to),
        reaches=_reaches(kind, (*felt, *to), facility),
        at_s=at_s,
        duration_s=duration_s,
        severity=spec.severity,
        shape=spec.shape or kind.shape,
        rise_s=min(kind.rise_s or turn_s / PARTS, duration_s) if spec.rise is None else spec.rise,
        period_s=spec.period or kind.period_s or turn_s / PARTS,
        recovery_s=kind.recovery_s if spec.recovery is None else spec.recovery,
        numbers={k: float(v) for k, v in spec.parameters.items() if isinstance(v, (int, float))},
        channel=str(spec.parameters.get(CHANNEL, DEFAULT_CHANNEL)),
        origin=origin,
        triggers=triggers,
    )


def racks_of_job(run: RunDocument, facility: Facility) -> tuple[str, ...]:
    """Return the racks of a (validated) scenario's training job by name, in the hall's order."""
    named = [asset for text in run.job_racks for asset in fixed_assets(text, facility)]
    return tuple(facility.racks[i] for i in facility.racks_under(named)) if named else ()


def destination(spec: IncidentSpec | TriggerSpec, assets: tuple[str, ...], facility: Facility) -> tuple[str, ...]:
    """Return the assets that take the load a kind moves: those named, else the target's own neighbours.

    A rack's load goes to the other racks of its row, a row's to the other rows of its loop; where all of those are
    affected, to the rest of the hall. Raises SelectorError for names that are not in the hall, ValueError where
    nobody is left.
    """
    named = spec.parameters.get(TO)
    affected = set(facility.racks_under(assets).tolist())
    if named is not None:
        texts = [named] if isinstance(named, str) else named
        if not isinstance(texts, list):
            raise ValueError(f"{named!r}: must be a selector like row:D or rack:R-C-07, or a list of them")
        found = [a for text in texts for a in fixed_assets(text, facility)]
        if not found:
            raise ValueError("the list is empty; name racks or rows")
        if affected & set(facility.racks_under(found).tolist()):
            raise ValueError(f"{named!r}: load cannot move from a rack to itself")
        return tuple(found)
    group = facility.row_of_rack if all(a in facility.number_of_rack for a in assets) else facility.loop_of_rack
    near = np.flatnonzero(np.isin(group, group[sorted(affected)])).tolist()
    found = [facility.racks[i] for i in near if i not in affected]
    found = found or [rack for i, rack in enumerate(facility.racks) if i not in affected]
    if not found:
        raise ValueError("is missing: the target is the whole hall; nobody is left to take its load")
    return tuple(found)


def _named(kind: Kind, assets: tuple[str, ...], facility: Facility) -> tuple[str, ...]:
    """Return the assets as events name them: what affects all racks but not the chiller plant affects the hall."""
    if any(FAULT_INPUTS[effect.fault_input].of == "plant" for effect in kind.effects):
        return assets
    return tuple(facility.spec.hall if asset == CHILLER_PLANT else asset for asset in assets)


def _reaches(kind: Kind, assets: tuple[str, ...], facility: Facility) -> Indices:
    """Return which racks can feel a kind that affects these assets: a sensor's fault stays where it is."""
    if kind.sensor:
        return facility.racks_under(assets)
    each = [facility.racks_reached(asset) for asset in assets]
    return each[0] if len(each) == 1 else np.unique(np.concatenate(each))


def eligible_assets(kind: Kind, facility: Facility) -> tuple[str, ...]:
    """Return every asset that a kind can affect, in the hall's order."""
    assets = tuple(asset for level in kind.target_levels for asset in assets_of(level, facility))
    if kind.rack_type is None:
        return assets
    fitting = racks_of_type(kind.rack_type, facility)
    return tuple(asset for asset in assets if asset in fitting)


def racks_of_type(rack_type: str, facility: Facility) -> dict[str, None]:
    """Return the racks of a type by name, in the hall's order."""
    kinds = zip(facility.racks, facility.type_of_rack, strict=True)
    return dict.fromkeys(rack for rack, kind in kinds if kind == rack_type)


YEAR_S = 365.25 * DAY_S


def draw_incidents(run: RunDocument, facility: Facility, streams: Streams) -> dict[str, Incident]:
    """Return what a (validated) scenario's rates bring in one run, by id, in order of time.

    Each kind draws from a stream of its own, so that another kind's rate shifts nothing of it. A draw is dropped where
    it affects what an earlier one of its kind still holds or recovers from, or where the scenario's spacing forbids it.
    """
    rates = run.incident_rates
    if rates is None:
        return {}
    spared = _spared_racks(rates, facility, streams)
    drawn: list[Incident] = []
    for name, rate in _kinds(rates).items():
        kind = CATALOGUE[name]
        assets = _affected_by(kind, rate, run, facility, spared)
        drawing = _at_a_rate if rate.count is None else _in_strata
        draws = drawing(kind, rate, run, _Places(assets, rates.rack_time_limit, facility), streams)
        drawn += [_drawn(kind, number, draw, run, facility) for number, draw in enumerate(draws, 1)]
    kept: list[Incident] = []
    lately: list[Incident] = []
    for incident in sorted(drawn, key=_begin_s):
        lately = [earlier for earlier in lately if _begin_s(incident) < _end_s(earlier) + rates.spacing]
        if not any(_collide(incident, earlier, rates.spacing) for earlier in lately):
            kept.append(incident)
            lately.append(incident)
    return {incident.id: incident for incident in kept}


def expected_draws(run: RunDocument, facility: Facility) -> Iterator[float]:
    """Yield how many incidents the (validated) rates of each kind bring in the run on average."""
    rates = run.incident_rates
    if rates is None:
        return
    for name, rate in _kinds(rates).items():
        kind = CATALOGUE[name]
        if rate.count is not None:
            yield rate.count
            continue
        assets = len(_affected_by(kind, rate, run, facility))
        yield rate_per_year(kind, rate) * rates.acceleration * assets * (run.duration - rates.after) / YEAR_S


def _kinds(rates: IncidentRates) -> dict[str, KindRate]:
    return rates.kinds or {name: KindRate() for name in CATALOGUE}


def rate_per_year(kind: Kind, rate: KindRate) -> float:
    """Return how often a kind affects each asset in a year, before acceleration."""
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
    return spacing_s > 0 and near and np.intersect1d(later.reaches, earlier.reaches).size > 0


@dataclass(frozen=True, slots=True)
class _Draw:
    """What chance says of one incident."""

    at_s: float
    asset: str
    duration_s: float
    severity: float
    parameters: dict[str, Value]


@dataclass(frozen=True, slots=True)
class _Places:
    """Assets that a kind may affect, and the racks times duration that one fault may hold of them [s]."""

    assets: tuple[str, ...]
    rack_time_limit_s: float | None
    facility: Facility

    def lasting(self, kind: Kind, asset: str, duration_s: float) -> float:
        """Return how long a draw lasts there: what holds more than a fault may is cut [s]."""
        if self.rack_time_limit_s is None or kind.is_normal:
            return duration_s
        return min(duration_s, float(max(1, self.rack_time_limit_s // len(self.facility.racks_under([asset])))))


def _at_a_rate(kind: Kind, rate: KindRate, run: RunDocument, places: _Places, streams: Streams) -> Iterator[_Draw]:
    """Yield the draws of one kind; each costs the same draws, whatever becomes of it."""
    rates, assets = run.incident_rates or IncidentRates(), places.assets
    rng = streams.stream("incident_rates", kind.name)
    choosing = streams.stream("incident_rates", kind.name, "channel")
    per_s = rate_per_year(kind, rate) * rates.acceleration * len(assets) / YEAR_S
    if per_s <= 0:
        return
    time_s = rates.after
    while True:
        time_s += _gap(rate, rng) / per_s
        asset = assets[int(rng.integers(len(assets)))]
        duration_s = _duration_s(kind, rate.duration, float(rng.standard_normal()), float(rng.random()))
        severity = rng.uniform(*rate.severity)
        if time_s >= run.duration:
            return
        channels = _channels(rate)
        parameters = _with_channel(rate, channels[int(choosing.integers(len(channels)))] if channels else None)
        yield _Draw(float(round(time_s)), asset, places.lasting(kind, asset, duration_s), severity, parameters)


def _in_strata(kind: Kind, rate: KindRate, run: RunDocument, places: _Places, streams: Streams) -> Iterator[_Draw]:
    """Yield as many draws of one kind as it is to have, spread evenly over times, assets, durations and severities.

    One that would affect what an earlier one still holds or recovers from affects the next asset that is free.
    """
    rates, assets = run.incident_rates or IncidentRates(), places.assets
    held_until_s = dict.fromkeys(assets, 0.0)
    points = latin_hypercube(streams, ("incident_rates", kind.name), rate.count or 0, len(_SPREAD_OVER))
    for start, place, duration, severity, channel in sorted(map(tuple, points)):
        at_s = float(rates.after + start * (run.duration - rates.after) // 1)
        first = int(place * len(assets))
        asset = next((a for a in (*assets[first:], *assets[:first]) if held_until_s[a] <= at_s), None)
        if asset is None:
            continue
        drawn_s = _duration_s(kind, rate.duration, NormalDist().inv_cdf(max(duration, LEAST_CHANCE)), duration)
        duration_s = places.lasting(kind, asset, drawn_s)
        held_until_s[asset] = at_s + duration_s + kind.recovery_s
        channels, (low, high) = _channels(rate), rate.severity
        parameters = _with_channel(rate, channels[int(channel * len(channels))] if channels else None)
        yield _Draw(at_s, asset, duration_s, low + severity * (high - low), parameters)


_SPREAD_OVER = ("start", "asset", "duration", "severity", "channel")

LEAST_CHANCE = 1e-12
"""Of a duration's law; its quantile at none is infinitely short."""


def _drawn(kind: Kind, number: int, draw: _Draw, run: RunDocument, facility: Facility) -> Incident:
    spec = TriggerSpec(
        kind=kind.name,
        duration=draw.duration_s,
        severity=round(draw.severity, 3),
        parameters=draw.parameters,
        causes=[],
    )
    job = racks_of_job(run, facility)
    # to the second, as scripted ones are
    return make_incident(f"{kind.name}-r{number}", spec, (draw.asset,), draw.at_s, facility, "drawn", job=job)


def assets_left(kind: Kind, rate: KindRate, run: RunDocument, facility: Facility) -> tuple[str, ...]:
    """Return the assets that a kind may affect beside those that a (validated) scenario spares whatever is drawn."""
    spared = run.incident_rates.spared if run.incident_rates else None
    selectors = [parse_selector(text, facility) for text in spared or ()]
    certain = [a for s in selectors if s.count in (None, len(s.assets)) for a in s.assets]
    return _affected_by(kind, rate, run, facility, set(facility.racks_under(certain).tolist()) if certain else set())


def _spared_racks(rates: IncidentRates, facility: Facility, streams: Streams) -> set[int]:
    """Return the indices of the racks that no drawn fault is aimed at, those drawn at random included."""
    rng = streams.stream("incident_rates", "spared")
    chosen = [a for text in rates.spared or () for a in parse_selector(text, facility).choose(rng)]
    return set(facility.racks_under(chosen).tolist()) if chosen else set()


def _affected_by(
    kind: Kind, rate: KindRate, run: RunDocument, facility: Facility, spared: AbstractSet[int] = frozenset()
) -> tuple[str, ...]:
    """Return the assets that a kind may affect at a rate, in the hall's order; faults leave spared racks alone."""
    assets = eligible_assets(kind, facility)
    if spared and not kind.is_normal:
        assets = tuple(a for a in assets if spared.isdisjoint(facility.racks_under([a]).tolist()))
    if rate.within is not None:
        inside = {a for text in rate.within for a in parse_selector(text, facility).assets}
        assets = tuple(a for a in assets if a in inside)
    if kind.whole_job:
        job = set(racks_of_job(run, facility))
        assets = tuple(a for a in assets if a in job)
    if kind.moves_load:
        assets = tuple(a for a in assets if _finds_recipients(kind, a, rate, facility))
    return assets


def _finds_recipients(kind: Kind, asset: str, rate: KindRate, facility: Facility) -> bool:
    try:
        destination(TriggerSpec(kind=kind.name, parameters=rate.parameters), (asset,), facility)
    except ValueError:
        return False
    return True


def _channels(rate: KindRate) -> list[str]:
    """Return the channels of which each draw takes one, none where the scenario names one or leaves it to the kind."""
    channels = rate.parameters.get(CHANNEL)
    return channels if isinstance(channels, list) else []


def _with_channel(rate: KindRate, channel: str | None) -> dict[str, Value]:
    """Return a rate's parameters with one channel of those it lists."""
    return rate.parameters if channel is None else {**rate.parameters, CHANNEL: channel}


def _gap(rate: KindRate, rng: np.random.Generator) -> float:
    """Return a gap with mean 1."""
    if rate.gaps == "exponential":
        return float(rng.standard_exponential())
    return float(rng.weibull(rate.gap_shape)) / gamma(1 + 1 / rate.gap_shape)


def _duration_s(kind: Kind, law: DurationLaw | None, normal: float, uniform: float) -> float:
    """Return what a draw of the normal law, or one of 0..1, stands for in a law, else in the kind's own [s]."""
    own = kind.durations
    median_s, shape = (own.median_s, own.sigma) if law is None else (law.median, law.shape)
    shortest_s, longest_s = (own.shortest_s, own.longest_s) if law is None else (law.shortest, law.longest)
    if law is not None and law.law == "fixed":
        return median_s
    if law is not None and law.law == "weibull":
        drawn_s = median_s * (np.log(1 - uniform) / np.log(0.5)) ** (1 / shape)
    else:
        drawn_s = median_s * float(np.exp(shape * normal))
    return float(round(min(max(drawn_s, shortest_s), longest_s)))

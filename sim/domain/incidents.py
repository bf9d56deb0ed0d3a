"""Incidents as the run needs them: whom each strikes and reaches, how strong and how long, and what it sets off."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sim.domain.catalogue import CATALOGUE
from sim.domain.courses import Course, Shape
from sim.domain.facility import CHILLER_PLANT, Facility, Indices
from sim.domain.incident_specs import CauseSpec, IncidentSpec, seconds_into_run
from sim.domain.kinds import Kind
from sim.domain.levers import LEVERS
from sim.domain.scenario import Scenario
from sim.domain.selectors import Selector, assets_of, fixed_assets, parse_selector
from sim.domain.sensor_faults import CHANNEL, DEFAULT_CHANNEL
from sim.domain.streams import Streams

TO = "to"
"""Name of the parameter that says where load moves."""

PARTS = 4
"""A ramp rises over one of so many parts of the duration, or of a rack's own turn, and so long is a tooth or a pulse,
unless it says else."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What an incident sets off: another's id, after a delay [s], with a probability."""

    id: str
    after_s: float
    probability: float


@dataclass(frozen=True, slots=True, eq=False)
class Incident:
    """One incident, planned. It may happen more than once where others set it off.

    assets: what it strikes, by name. racks, loops: indices of what its effects touch. to_racks: racks that take the
    load it moves. reaches: whether a rack can feel it while the chiller plant is not saturated, (racks,). at_s: when
    it begins, None where only others set it off. origin: scripted, drawn or caused.
    """

    id: str
    kind: Kind
    assets: tuple[str, ...]
    racks: Indices
    loops: Indices
    to_racks: Indices
    reaches: npt.NDArray[np.bool_]
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
    causes: tuple[Cause, ...] = ()

    def courses(self, start_s: float) -> tuple[Course, ...]:
        """Return its course when it begins at a time [s]: one for all, or one for each rack where they come in turn."""
        turns = len(self.racks) if self.kind.in_turn else 1
        each_s = self.duration_s / turns
        return tuple(
            Course(start_s + i * each_s, each_s, self.shape, self.rise_s, self.period_s, self.recovery_s)
            for i in range(turns)
        )

    def parameter(self, name: str) -> float:
        """Return a parameter as the scenario has it, else as the kind does."""
        return self.numbers.get(name, self.kind.defaults()[name])


def plan_incidents(
    scenario: Scenario, facility: Facility, streams: Streams, drawn: Iterable[Incident] = ()
) -> dict[str, Incident]:
    """Return a (validated) scenario's scripted incidents, those drawn, and all that they set off, by id."""
    planner = _Planner(scenario, facility, streams)
    for identity, spec in zip(incident_ids(scenario.incidents), scenario.incidents, strict=True):
        planner.add(identity, spec, "scripted" if spec.at is not None else "caused")
    for incident in drawn:
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


def causes_of(spec: IncidentSpec | CauseSpec) -> Iterable[CauseSpec]:
    """Return what an incident sets off: as the scenario says, else as its kind does by itself."""
    if spec.causes is not None:
        return spec.causes
    kind = CATALOGUE.get(spec.kind or "")
    return [
        CauseSpec(kind=c.kind, target=[c.target], after=c.after_s, duration=c.duration_s, probability=c.probability)
        for c in (kind.consequences if kind else ())
    ]


def selectors_of(spec: IncidentSpec | CauseSpec, facility: Facility) -> list[Selector]:
    """Return whom a spec strikes. Raises SelectorError; ValueError where nothing is named and the kind needs it."""
    kind = CATALOGUE[spec.kind or ""]
    texts = spec.target if spec.target is not None else [kind.target] if kind.target else []
    if not texts:
        raise ValueError(f"is missing; {kind.name} strikes a {' or a '.join(kind.strikes)}")
    return [parse_selector(text, facility) for text in texts]


class _Planner:
    def __init__(self, scenario: Scenario, facility: Facility, streams: Streams) -> None:
        self._scenario = scenario
        self._facility = facility
        self._streams = streams
        self._own = set(incident_ids(scenario.incidents))
        self.planned: dict[str, Incident] = {}

    def adopt(self, incident: Incident) -> None:
        """Take in an incident that was drawn, with what its kind sets off."""
        name, spec = self._free(incident.id), CauseSpec(kind=incident.kind.name)
        self.planned[name] = replace(incident, id=name, causes=self._causes(name, spec))

    def _causes(self, identity: str, spec: IncidentSpec | CauseSpec) -> tuple[Cause, ...]:
        causes = []
        for cause in causes_of(spec):
            child = cause.incident
            if child is None:
                child = self._free(f"{identity}.{cause.kind}")
                self.add(child, cause, "caused")
            causes.append(Cause(child, cause.after, cause.probability))
        return tuple(causes)

    def add(self, identity: str, spec: IncidentSpec | CauseSpec, origin: str) -> None:
        """Plan a scripted or caused incident."""
        at = spec.at if isinstance(spec, IncidentSpec) else None
        s = self._scenario
        rng = self._streams.stream("incident", identity, "target")
        assets = [a for selector in selectors_of(spec, self._facility) for a in selector.choose(rng)]
        self.planned[identity] = make_incident(
            identity,
            spec,
            tuple(dict.fromkeys(assets)),
            None if at is None else seconds_into_run(at, s.start, s.utc_offset),
            self._facility,
            origin,
            self._causes(identity, spec),
        )

    def _free(self, identity: str) -> str:
        number, name = 1, identity
        while name in self.planned or name in self._own:
            number += 1
            name = f"{identity}-{number}"
        return name


def make_incident(
    identity: str,
    spec: IncidentSpec | CauseSpec,
    assets: tuple[str, ...],
    at_s: float | None,
    facility: Facility,
    origin: str,
    causes: tuple[Cause, ...] = (),
) -> Incident:
    """Return an incident of a (validated) spec that strikes these assets."""
    kind = CATALOGUE[spec.kind or ""]
    duration_s = kind.duration_s if spec.duration is None else spec.duration
    racks = facility.racks_under(assets)
    turn_s = duration_s / len(racks) if kind.in_turn else duration_s
    to = destination(spec, assets, facility) if kind.moves_load else ()
    return Incident(
        id=identity,
        kind=kind,
        assets=_named(kind, assets, facility),
        racks=racks,
        loops=facility.loops_under(assets),
        to_racks=facility.racks_under(to),
        reaches=_reaches(kind, (*assets, *to), facility),
        at_s=at_s,
        duration_s=duration_s,
        severity=spec.severity,
        shape=spec.shape or kind.shape,
        rise_s=turn_s / PARTS if spec.rise is None else spec.rise,
        period_s=turn_s / PARTS if spec.period is None else spec.period,
        recovery_s=kind.recovery_s if spec.recovery is None else spec.recovery,
        numbers={k: float(v) for k, v in spec.parameters.items() if isinstance(v, (int, float))},
        channel=str(spec.parameters.get(CHANNEL, DEFAULT_CHANNEL)),
        origin=origin,
        causes=causes,
    )


def destination(spec: IncidentSpec | CauseSpec, assets: tuple[str, ...], facility: Facility) -> tuple[str, ...]:
    """Return the assets that take the load a kind moves: those named, else the target's own neighbours.

    A rack's load goes to the other racks of its row, a row's to the other rows of its loop; where all of those are
    struck, to the rest of the hall. Raises SelectorError for names that are not in the hall, ValueError where there is
    nobody.
    """
    named = spec.parameters.get(TO)
    struck = set(facility.racks_under(assets).tolist())
    if named is not None:
        texts = [named] if isinstance(named, str) else named
        if not isinstance(texts, list):
            raise ValueError(f"{named!r}: must be a selector like row:D or rack:R-C-07, or a list of them")
        found = [a for text in texts for a in fixed_assets(text, facility)]
        if not found:
            raise ValueError("the list is empty; name racks or rows")
        if struck & set(facility.racks_under(found).tolist()):
            raise ValueError(f"{named!r}: load cannot move from a rack to itself")
        return tuple(found)
    group = facility.row_of_rack if all(a in facility.racks for a in assets) else facility.loop_of_rack
    near = np.flatnonzero(np.isin(group, group[sorted(struck)])).tolist()
    found = [facility.racks[i] for i in near if i not in struck]
    found = found or [rack for i, rack in enumerate(facility.racks) if i not in struck]
    if not found:
        raise ValueError("is missing: the target is the whole hall; nobody is left to take its load")
    return tuple(found)


def _named(kind: Kind, assets: tuple[str, ...], facility: Facility) -> tuple[str, ...]:
    """Return the assets as events name them: what strikes all racks but not the chiller plant strikes the hall."""
    if any(LEVERS[effect.lever].of == "plant" for effect in kind.effects):
        return assets
    return tuple(facility.spec.hall if asset == CHILLER_PLANT else asset for asset in assets)


def _reaches(kind: Kind, assets: tuple[str, ...], facility: Facility) -> npt.NDArray[np.bool_]:
    """Return which racks can feel a kind that strikes these assets: a sensor's fault stays where it is."""
    touched = set(assets) if kind.sensor else {name for asset in assets for name in facility.reach(asset)}
    return np.array([rack in touched for rack in facility.racks])


def strikable(kind: Kind, facility: Facility) -> tuple[str, ...]:
    """Return every asset that a kind can strike, in the hall's order."""
    return tuple(asset for level in kind.strikes for asset in assets_of(level, facility))

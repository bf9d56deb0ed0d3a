"""Whether labels and events say what truth and twin say: Q5 to Q8 and Q12."""

import numpy as np
import numpy.typing as npt

from sim.incidents.labels import IncidentEvent
from sim.incidents.planning import Incident
from sim.runs.arrays import Mask
from sim.runs.checks.counterfactual import OBSERVABLE_SIGMAS, Counterfactual

LINGERS_S = 7200.0
"""How long an incident may still be felt, below what can be observed, after its end; beyond time constants."""


def late_starts(facts: Counterfactual) -> tuple[int, int]:
    """Return how many label starts there are, and how many are more than a tick off the twin's first departure.

    One start for each fault and rack that it can be observed on: the first row that names it and is anomalous. The
    twin's first departure is the first tick from the fault's beginning on at which the rack departs by
    OBSERVABLE_SIGMAS, whoever brings it. A sensor's fault departs in its reading, as written.
    """
    starts = wrong = 0
    for event in facts.faults:
        departs = departing(facts, event)
        for rack, ticks in facts.rows(event):
            departed = np.flatnonzero(departs[facts.begin(event) :, rack]) + facts.begin(event)
            starts += 1
            wrong += not departed.size or abs(int(ticks[0]) - int(departed[0])) > 1
    return starts, wrong


def departing(facts: Counterfactual, event: IncidentEvent) -> Mask:
    """Return where truth, or reading for a sensor's fault, is observably not the twin's."""
    return np.asarray((facts.off if event.group == "sensor" else facts.apart) > OBSERVABLE_SIGMAS)


def early_differences(facts: Counterfactual) -> int:
    """Return in how many rack-ticks truth and twin differ, in any bit, before any incident that reaches the rack."""
    first = np.full(facts.differs.shape[1], len(facts.differs))
    for event in facts.run.incidents:
        racks = reached(facts, facts.planned_of(event), event)
        first[racks] = np.minimum(first[racks], facts.begin(event))
    before = np.arange(len(facts.differs))[:, None] < first
    return int((facts.differs & before).sum())


def unlabelled_share(facts: Counterfactual) -> float:
    """Return the share of rack-ticks that depart from the twin, in truth or reading, while no incident is named."""
    return float((facts.observable & (facts.incident_labels.incidents == 0)).mean())


def disagreements(facts: Counterfactual) -> tuple[int, int]:
    """Return how many ids events and labels hold between them, and for how many they disagree.

    An id agrees when it stands in both over as many ticks, its event's onset and racks are among the rows that name it,
    and no row that names it alone departs from the twin before that onset or on other racks, where no other incident
    can be felt (for a sensor's fault, no other sensor's): there nobody else can be why. A rack's episodes agree when
    both count as many ticks.
    """
    reaching = {sensors: np.zeros(facts.anomalous.shape, dtype=np.int16) for sensors in (True, False)}
    for event in facts.run.incidents:
        reaching[event.group == "sensor"][_while_felt(facts, event)] += 1
    told = {e.id: e for e in facts.run.incidents}
    labelled = {name for text in facts.incident_labels.incident_names for name in text.split("|") if name}
    wrong = len(labelled.symmetric_difference(name for name, e in told.items() if e.ticks))
    for name in labelled & told.keys():
        wrong += not _agrees(facts, told[name], reaching[told[name].group == "sensor"])
    rack_episodes = {e.number: e for e in facts.run.episodes if e.asset in facts.run.hall.facility.racks and e.ticks}
    numbers, counts = np.unique(facts.run.episode[facts.run.episode >= 0], return_counts=True)
    in_labels = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
    wrong += sum(in_labels.get(n) != e.ticks for n, e in rack_episodes.items())
    wrong += len(in_labels.keys() - rack_episodes.keys())
    return len(labelled | told.keys()) + len(in_labels.keys() | rack_episodes.keys()), wrong


def _while_felt(facts: Counterfactual, event: IncidentEvent) -> tuple[npt.NDArray[np.integer], ...]:
    """Return the cells that an event may change, until its effect has faded for good."""
    plan = facts.planned_of(event)
    over = int(np.ceil((event.end_s + plan.recovery_s + LINGERS_S) / facts.tick_s))
    return np.ix_(
        np.arange(facts.begin(event), min(over, len(facts.differs))), np.flatnonzero(reached(facts, plan, event))
    )


def _agrees(facts: Counterfactual, event: IncidentEvent, reaching: npt.NDArray[np.int16]) -> bool:
    named = facts.names(event)
    if int(named.any(axis=1).sum()) != event.ticks:
        return False
    # a sensor's departure is known before rounding, so its own mark is asked; a normal event has none
    departs = facts.incident_labels.sensor if event.group == "sensor" else departing(facts, event)
    onset = len(named) if event.onset_s is None else round(event.onset_s / facts.tick_s)
    others = reaching.copy()
    others[_while_felt(facts, event)] -= 1
    racks, alone = facts.affected(event), facts.names_only(event) & departs & (others == 0)
    told = named[:, racks].any(axis=0).all() and named[onset : onset + 1].any(axis=1).all()
    return bool(told) and not alone[:onset].any() and set(np.flatnonzero(alone.any(axis=0))) <= set(racks)


def reached(facts: Counterfactual, plan: Incident, event: IncidentEvent) -> Mask:
    """Return which racks an event may change: what its assets, and those that take its load, can influence."""
    facility = facts.run.hall.facility
    if event.saturated:
        return np.ones(len(facility.racks), dtype=np.bool_)
    if event.group == "sensor":
        return np.isin(np.arange(len(facility.racks)), plan.racks)
    causes = {*event.assets, *(facility.racks[i] for i in plan.to_racks)}
    below = set().union(*(facility.reach(asset) for asset in causes))
    return np.array([rack in below for rack in facility.racks])


def unreachable(facts: Counterfactual) -> tuple[int, int]:
    """Return how many rack-ticks incidents change in any bit, and how many of them no incident explains.

    An incident explains a changed truth of what it reaches from its beginning on, and a changed reading of its own rack
    until it is over. What another set off does not begin before it.
    """
    physical, sensors = (np.zeros(facts.differs.shape, dtype=np.bool_) for _ in range(2))
    starts_s = {e.id: e.start_s for e in facts.run.incidents}
    before_cause = 0
    for event in facts.run.incidents:
        plan, begin = facts.planned_of(event), facts.begin(event)
        where = reached(facts, plan, event)
        if event.group == "sensor":
            end = int(np.ceil((event.end_s + plan.recovery_s) / facts.tick_s))
            sensors[begin:end, where] = True
        else:
            physical[begin:, where] = True
        before_cause += event.triggered_by is not None and starts_s[event.triggered_by] > event.start_s
    changed = int(facts.differs.sum() + facts.reads_differently.sum())
    wrong = int((facts.differs & ~physical).sum() + (facts.reads_differently & ~sensors).sum())
    return changed, wrong + before_cause


def normal_events(facts: Counterfactual) -> tuple[int, int]:
    """Return how many normal events could be observed, and in how many rack-ticks that only they name is an anomaly."""
    normal = {e.id for e in facts.run.incidents if e.group == "normal"}
    seen = sum(e.onset_s is not None for e in facts.run.incidents if e.id in normal)
    only = [i for i, text in enumerate(facts.incident_labels.incident_names) if text and set(text.split("|")) <= normal]
    return seen, int((np.isin(facts.incident_labels.incidents, only) & facts.anomalous).sum())

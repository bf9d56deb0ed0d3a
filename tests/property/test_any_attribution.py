"""Attribution against the slow and obvious: every rule of its docstring, row by row, over the whole run."""

from dataclasses import dataclass, field
from math import ceil, inf
from types import SimpleNamespace

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from sim.incidents.active import Occurrence
from sim.incidents.attribution import LOOK_AHEAD_S, OBSERVABLE_SIGMAS, QUIET_S, Attribution
from sim.incidents.envelope import SeverityEnvelope
from sim.incidents.labels import painted
from sim.model.episodes import PERSISTENT_S
from tests.examples import examples

RACKS = 3


@dataclass(frozen=True)
class Case:
    """One run: how far each row departs, and what was planned."""

    tick_s: int
    departure: np.ndarray
    planned: list

    def occurrences(self):
        return [occurrence(i, **o) for i, o in enumerate(self.planned)]


def occurrence(
    number, *, start_s, duration_s, recovery_s, affected, reaches, takes=(), saturated_s=None, sensor=None, rise_s=None
):
    shape = "step" if rise_s is None else "ramp"
    reached = np.isin(np.arange(RACKS), sorted({*affected, *reaches, *takes}))
    incident = SimpleNamespace(
        kind=SimpleNamespace(sensor=sensor, is_normal=False), racks=np.array(affected),
        to_racks=np.array(takes, dtype=int), reaches=reached, shape=shape, severity=1.0,
        rise_s=rise_s or 1.0, duration_s=duration_s, recovery_s=recovery_s, channel="inlet_c",
    )  # fmt: skip
    envelope = SeverityEnvelope(start_s, duration_s, shape, rise_s or 1.0, 1.0, recovery_s)
    return Occurrence(f"o{number}", number, incident, (envelope,), None, saturated_s)


@dataclass
class Told:
    """What is learned of an occurrence; rows and observed as sets of (tick, rack), phase by row."""

    rows: set = field(default_factory=set)
    observed: set = field(default_factory=set)
    phase: dict = field(default_factory=dict)
    racks: set = field(default_factory=set)
    onset: int | None = None
    peak: int | None = None
    last: int | None = None
    ticks: int = 0
    persistent: bool = False


class Slow:
    """The rules, one question at a time."""

    def __init__(self, case):
        self.case, self.tick_s = case, case.tick_s
        self.seen = case.departure > OBSERVABLE_SIGMAS
        self.ticks = len(self.seen)
        self.all = case.occurrences()

    def next_seen(self, t, r):
        return next((u for u in range(t, self.ticks) if self.seen[u, r]), inf)

    def filled(self, t, r):
        before = next((u for u in range(t, -1, -1) if self.seen[u, r]), -inf)
        return (self.next_seen(t, r) - before) * self.tick_s <= QUIET_S

    def lasts(self, t, r):
        """Whether the stretch of filled rows around a row lasts."""
        first = last = t
        while first > 0 and self.filled(first - 1, r):
            first -= 1
        while last < self.ticks - 1 and self.filled(last + 1, r):
            last += 1
        return (last - first + 1) * self.tick_s >= PERSISTENT_S

    def span(self, o):
        begin, over = ceil(o.start_s / self.tick_s), ceil(o.over_s / self.tick_s)
        return begin, max(begin, over - 1 if o.incident.kind.sensor else over)

    def reaches(self, o, t, r):
        return o.incident.reaches[r] or (o.saturated_s is not None and t * self.tick_s >= o.saturated_s)

    def plans(self, o, t, r):
        begin, end = self.span(o)
        return begin <= t <= end and self.reaches(o, t, r)

    def touches(self, o, r):
        return r in o.incident.racks or r in o.incident.to_racks

    def takes_over(self, other, o, t, r):
        """Whether another occurrence is planned to take a row: one that touches the rack, if this one does."""
        begin, end = self.span(other)
        if other is o or not self.touches(o, r):
            return other is not o and self.plans(other, t, r)
        return begin <= t <= end and self.touches(other, r)

    def holds(self, o, t, r):
        """Whether an occurrence touches a row: as planned, or as long as it is felt after that."""
        begin, end = self.span(o)
        if not self.touches(o, r) or t < begin:
            return False
        for u in range(end + 1, t + 1):
            observed, late = self.filled(u, r), (self.next_seen(u, r) - end) * self.tick_s <= QUIET_S
            if not (observed or late) or any(self.takes_over(other, o, u, r) for other in self.all):
                return False
        return t <= end or observed or r in o.incident.racks

    def left_to(self, o, t, r):
        """Whether no other occurrence holds a row that this one does not touch itself."""
        return self.touches(o, r) or not any(self.holds(other, t, r) for other in self.all if other is not o)

    def owned(self, o, r):
        """Yield the rows of a rack that an occurrence owns, and whether each is observed."""
        begin, end = self.span(o)
        for t in range(begin, self.ticks):
            observed = self.filled(t, r) and self.reaches(o, t, r) and self.left_to(o, t, r)
            if t > end:
                late = (self.next_seen(t, r) - end) * self.tick_s <= QUIET_S
                if not (observed or late) or any(self.takes_over(other, o, t, r) for other in self.all):
                    return
            if observed or r in o.incident.racks:
                yield t, observed

    def told(self, o):
        told, strongest = Told(), 0.0
        risen_s = o.start_s + (o.incident.rise_s if o.incident.shape == "ramp" else 0)
        for r in range(RACKS):
            first_seen = inf
            for t, observed in self.owned(o, r):
                told.rows.add((t, r))
                if observed:
                    told.observed.add((t, r))
                if self.seen[t, r]:
                    first_seen = min(first_seen, t)
                    told.racks.add(r)
                    told.persistent |= self.lasts(t, r)
                held = t >= first_seen and t * self.tick_s >= risen_s
                told.phase[t, r] = 1 if t * self.tick_s >= o.end_s else 3 if held else 2
        lit = sorted({t for t, r in told.rows if self.seen[t, r]})
        told.ticks = len({t for t, _ in told.rows})
        if lit:
            told.onset, told.last = lit[0], lit[-1]
            for t in lit:
                level = max(self.case.departure[t, r] for r in range(RACKS) if (t, r) in told.rows)
                if level > strongest:
                    strongest, told.peak = level, t
        return told


def fast(case, block_ticks):
    """Return what attribution tells block by block, forgetting what is closed as the labeller does."""
    attribution, tick_s = Attribution(case.tick_s), case.tick_s
    ahead, ticks = int(LOOK_AHEAD_S // tick_s) + 1, len(case.departure)
    every, told, lasting = case.occurrences(), {}, np.zeros(case.departure.shape, dtype=bool)
    kept = list(every)
    for first in range(0, ticks, block_ticks):
        block = case.departure[first : first + block_ticks]
        after = case.departure[first + block_ticks :][:ahead]
        claims, felt = attribution.block(first, block, after, kept)
        for rack, stretch in [(r, s) for r, of_rack in felt.items() for s in of_rack.stretches if s.lasts]:
            lasting[max(first, stretch.ticks.start) : min(first + len(block), stretch.ticks.stop), rack] = True
        for of_one in claims:
            number = of_one.occurrence.number
            mine = told.setdefault(number, Told())
            for claim in of_one.of_racks:
                mine.rows |= {(t, claim.rack) for ticks_ in claim.owned for t in ticks_}
                mine.observed |= {(t, claim.rack) for s in claim.observed for t in s.ticks}
            labels = painted(range(first, first + len(block)), RACKS, [of_one], [felt], tick_s)
            mine.phase |= {(t + first, r): int(p) for (t, r), p in np.ndenumerate(labels.phase) if p}
        for o in [o for o in kept if attribution.is_closed(o, first + len(block))]:
            kept.remove(o)
            attribution.forget(o)
    for o in every:
        mine = told.setdefault(o.number, Told())
        mine.racks, mine.onset, mine.peak, mine.last = o.racks, o.onset_tick, o.peak_tick, o.last_tick
        mine.ticks, mine.persistent = o.ticks, o.persistent
    return told, lasting, {o.number for o in kept}


@st.composite
def cases(draw):
    tick_s = draw(st.sampled_from([60, 60, 180, 300, 450, 900, 1000, 3600]))
    ticks = draw(st.integers(5, 70))
    levels = st.sampled_from([0.0, 0.0, 2.9, 3.5, 7.0, inf])
    departure = np.zeros((ticks, RACKS), dtype=np.float32)
    for _ in range(draw(st.integers(0, 8))):
        first, length = draw(st.integers(0, ticks - 1)), draw(st.integers(1, 12))
        departure[first : first + length, draw(st.integers(0, RACKS - 1))] = draw(levels)
    times = st.integers(0, 2 * ticks).map(lambda half: half * tick_s / 2) | st.floats(0, ticks * tick_s - 1)
    lengths = st.sampled_from([1.0, 20.0, tick_s / 2, tick_s, 3.0 * tick_s]) | st.floats(1, 20 * tick_s)
    sets = st.lists(st.integers(0, RACKS - 1), unique=True, max_size=RACKS)
    planned = []
    for _ in range(draw(st.integers(1, 4))):
        one = {
            "start_s": min(draw(times), ticks * tick_s - 1.0),
            "duration_s": draw(lengths),
            "recovery_s": draw(st.just(0.0) | lengths),
            "affected": draw(sets.filter(bool)),
            "reaches": draw(sets),
            "takes": draw(st.just([]) | sets),
            "sensor": draw(st.sampled_from([None, None, "offset"])),
            "rise_s": draw(st.none() | lengths),
        }
        if draw(st.booleans()):  # it saturates the plant, in a step while it lasts or in the one after
            into = draw(st.floats(0, 1)) * (one["duration_s"] + one["recovery_s"])
            one["saturated_s"] = (one["start_s"] + into) // tick_s * tick_s + tick_s
        planned.append(one)
    planned.sort(key=lambda o: o["start_s"])
    return Case(tick_s, departure, planned)


def hill(ticks, *spans, rack=0):
    departure = np.zeros((ticks, RACKS), dtype=np.float32)
    for first, last in spans:
        departure[first : last + 1, rack] = 5
    return departure


def one(start_s, duration_s, recovery_s=0.0, affected=(0,), reaches=(), **more):
    return {"start_s": start_s, "duration_s": duration_s, "recovery_s": recovery_s, "affected": list(affected),
            "reaches": list(reaches), **more}  # fmt: skip


@examples(250)
@given(cases(), st.integers(1, 40))
@example(Case(60, hill(80, (10, 12), (27, 28), (44, 44)), [one(600, 300)]), 7)  # gaps of QUIET_S and one tick more
@example(Case(60, hill(80, (10, 40)), [one(600, 300), one(1800, 60, affected=(1,), reaches=(0,))]), 5)  # a tail cut
@example(Case(60, hill(80, (20, 24)), [one(600, 120)]), 3)  # seen only after the planned end
@example(Case(60, hill(80, (60, 79)), [one(3500, 2000)]), 9)  # open at the run's end
@example(Case(60, hill(80, (11, 11)), [one(605, 20)]), 1)  # a blip shorter than a tick
@example(Case(60, hill(80, (30, 50), rack=2), [one(600, 1800, saturated_s=1500.0)]), 11)  # through the plant
@example(
    Case(60, hill(80, (5, 40)), [one(300, 2400, affected=(1,), reaches=(0,)), one(900, 600)]), 8
)  # left to another
@example(  # what it owns of a stretch that lasts is only the gap in it
    Case(60, hill(30, (0, 5), (20, 20)) + hill(30, (11, 11), rack=1), [one(600, 120, affected=(0, 1)), one(780, 60)]), 1
)
@example(  # gone for good from one rack while it is still felt by another, then something else is felt by the first
    Case(60, hill(80, (40, 60)) + hill(80, (10, 70), rack=1), [one(600, 120, affected=(0, 1))]), 10
)
def test_blocks_tell_what_the_rules_say_row_by_row(case, block_ticks):
    slow = Slow(case)
    told, lasting, still_open = fast(case, block_ticks)
    for o in slow.all:
        if slow.span(o)[0] < slow.ticks:
            assert told[o.number] == slow.told(o), o.id
        expected = slow.told(o)
        if max((t for t, _ in expected.rows), default=0) == slow.ticks - 1:
            assert o.number in still_open
    for t, r in np.ndindex(lasting.shape):
        assert lasting[t, r] == (slow.filled(t, r) and slow.lasts(t, r)), (t, r)

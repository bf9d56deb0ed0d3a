"""Attribution against the slow and obvious: every rule of its docstring, row by row, over the whole run."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from sim.incidents.active import ActiveIncidents, Occurrence
from sim.incidents.attribution import Attribution
from sim.incidents.envelope import SeverityEnvelope
from sim.incidents.labels import painted
from sim.incidents.observed import LOOK_AHEAD_S, OBSERVABLE_SIGMAS
from tests.examples import examples
from tests.twin.leave_one_out import ruled

RACKS = 3


@dataclass(frozen=True)
class Case:
    """One run: what was planned, how far each incident alone moves each row, and all faults together."""

    tick_s: int
    planned: list
    own: list
    together: np.ndarray


def occurrence(number, *, start_s, duration_s, recovery_s, affected, reaches, normal):
    incident = SimpleNamespace(
        kind=SimpleNamespace(sensor=None, is_normal=normal), racks=np.array(affected), channel="inlet_c",
        reaches=np.array(sorted({*affected, *reaches}), dtype=np.intp), shape="step", severity=1.0, rise_s=1.0,
        duration_s=duration_s, recovery_s=recovery_s,
    )  # fmt: skip
    envelope = SeverityEnvelope(start_s, duration_s, "step", 1.0, 1.0, recovery_s)
    return Occurrence(f"o{number}", number, incident, (envelope,), None)


class Told:
    """What blocks of labels say, one after another, as the labeller asks for them."""

    def __init__(self, case, block_ticks):
        self.case, self.ticks = case, len(case.together)
        self.active, self.attribution = ActiveIncidents(case.tick_s), Attribution(case.tick_s)
        self.every = [occurrence(i, **planned) for i, planned in enumerate(case.planned)]
        self.masks = {n: np.zeros((self.ticks, RACKS), dtype=bool) for n in ("physical", "persistent")}
        self.owned = {o.number: np.zeros((self.ticks, RACKS), dtype=bool) for o in self.every}
        self.closed = set()
        blocks = [range(a, min(a + block_ticks, self.ticks)) for a in range(0, self.ticks, block_ticks)]
        for tick in range(self.ticks):
            self._observe(tick)
            while blocks and blocks[0][-1] * case.tick_s <= tick * case.tick_s - LOOK_AHEAD_S:
                self._label(blocks.pop(0))
        for block in blocks:
            self._label(block)

    def _observe(self, tick):
        active = self.active
        if tick:
            active.part(SimpleNamespace(become=lambda _: None), (tick - 1) * self.case.tick_s)
        departure = np.zeros((len(active.without.sources), RACKS), dtype=np.float32)
        for o in active.open:
            departure[active.without.world_of(o)] = self.case.own[o.number][tick]
        departure[0] = 0
        departure[active.without.planned] = self.case.together[tick]
        active.observe(tick, departure)
        begun = [o for o in self.every if tick * self.case.tick_s < o.start_s <= (tick + 1) * self.case.tick_s]
        active.occurrences += begun
        active.open += begun

    def _label(self, block):
        claims = self.attribution.block(block, self.active.occurrences)
        labels = painted(block, RACKS, claims, self.case.tick_s)
        for name, mask in self.masks.items():
            mask[block] = getattr(labels, name)
        names = np.array(labels.incident_names)[labels.incidents]
        for number, owned in self.owned.items():
            owned[block] = [[f"o{number}" in cell.split("|") for cell in row] for row in names]
        for o in [o for o in self.active.occurrences if o not in self.active.open]:
            if self.attribution.is_closed(o, block.stop):
                self.active.occurrences.remove(o)
                self.attribution.forget(o)
                self.closed.add(o.number)


def jointly_owned(case, every, own):
    """Return by number what no fault is seen to do by itself, and which of these cells last."""
    faults = [o for o in every if not o.incident.kind.is_normal]
    shared = {o.number: np.zeros(case.together.shape, dtype=bool) for o in every}
    for t, r in np.argwhere(case.together > OBSERVABLE_SIGMAS):
        there = [
            o
            for o in faults
            if o.plan(case.tick_s).start <= t <= own[o.number].last_open and t * case.tick_s > o.start_s - case.tick_s
        ]
        if any(own[o.number].seen[t, r] for o in there):
            continue
        part = [o for o in there if case.own[o.number][t, r] >= OBSERVABLE_SIGMAS / len(there)]
        for o in part or [o for o in there if o.comes_to(RACKS)[r]] or there:
            shared[o.number][t, r] = True
    return shared


@st.composite
def cases(draw):
    tick_s = draw(st.sampled_from([60, 60, 180, 300, 450, 900, 1000, 3600]))
    ticks = draw(st.integers(5, 70))
    levels = st.sampled_from([0.0, 0.0, 2.9, 3.5, 7.0, np.inf])

    def hills():
        departure = np.zeros((ticks, RACKS), dtype=np.float32)
        for _ in range(draw(st.integers(0, 6))):
            first, length = draw(st.integers(0, ticks - 1)), draw(st.integers(1, 12))
            departure[first : first + length, draw(st.integers(0, RACKS - 1))] = draw(levels)
        return departure

    times = st.integers(1, 2 * ticks).map(lambda half: half * tick_s / 2) | st.floats(1, ticks * tick_s - 1)
    lengths = st.sampled_from([1.0, 20.0, tick_s / 2, tick_s, 3.0 * tick_s]) | st.floats(1, 20 * tick_s)
    sets = st.lists(st.integers(0, RACKS - 1), unique=True, max_size=RACKS)
    planned, own = [], []
    for start_s in sorted(draw(st.lists(times, min_size=1, max_size=4))):
        one = {
            "start_s": min(start_s, (ticks - 1) * tick_s),
            "duration_s": draw(lengths),
            "recovery_s": draw(st.just(0.0) | lengths),
            "affected": draw(sets.filter(bool)),
            "reaches": draw(sets),
            "normal": draw(st.sampled_from([False, False, True])),
        }
        planned.append(one)
        departs = hills()
        departs[: occurrence(0, **one).plan(tick_s).start] = 0
        own.append(departs)
    return Case(tick_s, planned, own, hills())


def hill(ticks, *spans, rack=0):
    departure = np.zeros((ticks, RACKS), dtype=np.float32)
    for first, last in spans:
        departure[first : last + 1, rack] = 5
    return departure


def one(start_s, duration_s, recovery_s=0.0, affected=(0,), reaches=(), *, normal=False):
    return {"start_s": start_s, "duration_s": duration_s, "recovery_s": recovery_s, "affected": list(affected),
            "reaches": list(reaches), "normal": normal}  # fmt: skip


def alone(*spans, start_s=600, duration_s=300, ticks=80, together=()):
    return Case(60, [one(start_s, duration_s)], [hill(ticks, *spans)], hill(ticks, *together))


@examples(250)
@given(cases(), st.integers(1, 40))
@example(alone((10, 12), (27, 28), (44, 44)), 7)  # gaps of QUIET_S and one tick more
@example(alone((20, 24), duration_s=120), 3)  # seen only after the planned end
@example(alone((60, 79), start_s=3500, duration_s=2000), 9)  # open at the run's end
@example(alone((11, 11), start_s=605, duration_s=20), 1)  # a blip shorter than a tick
@example(alone(together=((20, 29),)), 4)  # seen with nobody else that could be why, shortly after its end
@example(  # a gap between the planned course and what is seen after it, in blocks of its own
    Case(60, [one(600, 120)], [hill(60, (25, 26))], hill(60)), 2
)
@example(  # gone for good from one rack while it is still felt by another, then something else is felt by the first
    Case(60, [one(600, 120, affected=(0, 1))], [hill(80, (40, 60)) + hill(80, (10, 70), rack=1)], hill(80)), 10
)
def test_blocks_tell_what_the_rules_say_row_by_row(case, block_ticks):
    told = Told(case, block_ticks)
    own = {}
    for o, level, planned in zip(told.every, case.own, case.planned, strict=True):
        plan = o.plan(case.tick_s)
        own[o.number] = ruled(level, (plan.start, plan[-1]), planned["affected"], case.tick_s)
    shared = jointly_owned(case, told.every, own)
    physical = np.zeros(case.together.shape, dtype=bool)
    for o in told.every:
        mine = own[o.number]
        assert np.array_equal(told.owned[o.number], mine.owned | shared[o.number]), o.id
        assert (o.racks, o.onset_tick) == (set(mine.racks), mine.lit[0] if mine.lit.size else None)
        assert (o.last_tick, o.peak_tick) == (mine.lit[-1] if mine.lit.size else None, mine.peak)
        assert (o.ticks, o.persistent) == ((mine.owned | shared[o.number]).any(axis=1).sum(), mine.persistent)
        if not o.incident.kind.is_normal:
            physical |= mine.observed | shared[o.number]
    assert np.array_equal(told.masks["physical"], physical)
    lasting = np.any(
        [own[o.number].lasting for o in told.every if not o.incident.kind.is_normal] + [physical & False], 0
    )
    seen_alone = lasting | ~np.any(list(shared.values()), axis=0)
    assert np.array_equal(told.masks["persistent"][seen_alone], lasting[seen_alone])

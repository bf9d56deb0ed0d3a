"""Whose departure it is: how far racks are from their twins, as intervals of ticks that rules assign to incidents.

A rack's tick is *seen* where its truth departs from its twin's by OBSERVABLE_SIGMAS of a healthy sensor in any channel.
Ticks seen at most QUIET_S apart make one *stretch* with what lies between, so that "gone for good" means gone for
QUIET_S. An incident may claim ticks of a rack from its planned start to its planned end, recovery included, and then
in its *tail*: as long as its stretch goes on, or through a gap of up to QUIET_S after the end to what is seen next.
What it claims of them, and who ends its tail, depends on how it comes to the rack: RULES.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
import numpy.typing as npt

from sim.incidents.active import Occurrence
from sim.model.channels import CHANNELS, MEASURED
from sim.model.episodes import PERSISTENT_S

OBSERVABLE_SIGMAS = 3.0
QUIET_S = 900.0
"""An effect is gone for good once it was not seen for so long; assumed: the hall's own settling time."""

LOOK_AHEAD_S = QUIET_S + PERSISTENT_S
"""How far beyond a row one has to see to know all about it."""

Array = npt.NDArray[np.float64]
Departure = npt.NDArray[np.float32]
"""In single precision, so that departures that are equal but for what rounding left of them count as equal: the first
of them is the peak, and one of exactly OBSERVABLE_SIGMAS cannot be observed, on whatever processor."""
Sigma = Callable[[str, Array], Array]
"""The standard deviation of a healthy sensor's readings, from the channel's name and its true values."""

Relation = Literal["affects", "loads", "reaches", "couples"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What an incident claims of a rack's ticks, of those in its plan and its tail.

    unfelt_too: all of them, not only those in a stretch. holds: it keeps its plan, and what it claims of its tail, from
    incidents that do not hold. tail_ends: at the first tick of another's plan, of one that holds or of any.
    """

    unfelt_too: bool
    holds: bool
    tail_ends: Literal["holder", "any"]


RULES: dict[Relation, Rule] = {
    "affects": Rule(unfelt_too=True, holds=True, tail_ends="holder"),
    "loads": Rule(unfelt_too=False, holds=True, tail_ends="holder"),
    "reaches": Rule(unfelt_too=False, holds=False, tail_ends="any"),
    "couples": Rule(unfelt_too=False, holds=False, tail_ends="any"),
}
"""By how an incident comes to a rack: it affects it, gives it load, may reach it, or reaches it through the chiller
plant, from the tick in which that ran out of capacity on."""


class TwinResidual:
    """Measures how far racks are from their twins; only those that an incident has ever reached can be."""

    def __init__(self, sigma: Sigma, racks: int, channels: Sequence[str] = MEASURED) -> None:
        self._sigma = sigma
        self._channels = channels
        self._reached = np.zeros(racks, dtype=np.bool_)

    def measure(self, truth: Mapping[str, Array], twin: Mapping[str, Array], begun: Sequence[Occurrence]) -> Departure:
        """Return how far each rack is from its twin in the channel that shows it most [sigmas], (ticks, racks)."""
        for o in begun:
            self._reached |= o.incident.reaches | (o.saturated_s is not None)
        racks = np.flatnonzero(self._reached)
        apart: Departure = np.zeros(truth["inlet_c"].shape, dtype=np.float32)
        if len(racks):
            most = np.zeros((len(apart), len(racks)))
            for name in self._channels:
                there = twin[name][:, racks]
                away = np.abs(truth[name][:, racks] - there)
                np.maximum(most, away / self._sigma(name, there), out=most)
            apart[:, racks] = most
        return apart


def effects(
    truth: Mapping[str, Array], twin: Mapping[str, Array], channels: Sequence[str]
) -> dict[str, npt.NDArray[np.float32]]:
    """Return what incidents change of the truth, by channel, (ticks, racks) each.

    To a tenth of the channel's last written digit: further ones are no more than what rounding left of the truths, and
    differ from processor to processor.
    """
    return {name: _to_tenths(truth[name] - twin[name], CHANNELS[name].decimals) for name in channels}


def _to_tenths(difference: Array, decimals: int) -> npt.NDArray[np.float32]:
    scale = 10.0 ** (decimals + 1)
    rounded = np.rint(difference * scale) / scale + 0.0  # -0 becomes 0
    return rounded.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive ticks in which a rack is felt to depart, and whether they last at least PERSISTENT_S in all."""

    ticks: range
    lasts: bool


@dataclass(frozen=True, slots=True)
class Felt:
    """What is felt of a rack in a block and the ticks after it: the ticks seen, in order, and their stretches."""

    seen: Sequence[int] = ()
    stretches: Sequence[Stretch] = ()


class Stretches:
    """Turns departures into stretches per rack, block by block in order."""

    def __init__(self, tick_s: float) -> None:
        self._quiet = max(1, int(QUIET_S // tick_s))  # ticks in a row are one stretch, however long they are
        self._lasting = ceil(PERSISTENT_S / tick_s)
        self._open: dict[int, range] = {}  # by rack, the latest stretch as far as it is known

    def of(self, first: int, departure: Departure, ahead: Departure) -> dict[int, Felt]:
        """Return what is felt of each rack that departs in a block or in the ticks after it, as far as they matter."""
        seen = np.concatenate([departure, ahead]) > OBSERVABLE_SIGMAS
        racks, ticks = np.nonzero(seen.T)
        departing, begins = np.unique(racks, return_index=True)
        of_racks = np.split((ticks + first).astype(np.int64), begins[1:]) if len(departing) else []
        stop = first + len(departure)
        return {rack: self._felt(rack, of, stop) for rack, of in zip(departing.tolist(), of_racks, strict=True)}

    def _felt(self, rack: int, seen: npt.NDArray[np.int64], stop: int) -> Felt:
        gaps = np.flatnonzero(np.diff(seen) > self._quiet)
        begins = [int(seen[0]), *seen[gaps + 1].tolist()]
        ends = [*seen[gaps].tolist(), int(seen[-1])]
        before = self._open.get(rack)
        if before and begins[0] - before[-1] <= self._quiet:
            begins[0] = before.start
        in_block = int(np.searchsorted(seen, stop))
        if in_block:
            last = int(seen[in_block - 1])
            self._open[rack] = range(max(b for b in begins if b <= last), last + 1)
        spans = [range(b, e + 1) for b, e in zip(begins, ends, strict=True) if b < stop]
        return Felt(seen.tolist(), [Stretch(ticks, len(ticks) >= self._lasting) for ticks in spans])


def _common(one: range, other: range) -> range:
    return range(max(one.start, other.start), min(one.stop, other.stop))


def _cut(stretches: Sequence[Stretch], to: range) -> list[Stretch]:
    """Return what of stretches lies in an interval."""
    return [Stretch(ticks, s.lasts) for s in stretches if (ticks := _common(s.ticks, to))]


def _without(stretches: Sequence[Stretch], holes: Sequence[range]) -> Sequence[Stretch]:
    """Return what intervals leave of stretches."""
    for hole in holes:
        stretches = [
            Stretch(left, s.lasts)
            for s in stretches
            for left in (
                range(s.ticks.start, min(s.ticks.stop, hole.start)),
                range(max(s.ticks.start, hole.stop), s.ticks.stop),
            )
            if left
        ]
    return stretches


@dataclass(frozen=True, slots=True)
class Claim:
    """What an incident owns of a rack in a block.

    owned: its ticks. observed: those of them in which it can be observed. seen: those in which the rack is seen to
    depart. first_seen: the first such tick of all blocks, None if there is none yet.
    """

    rack: int
    owned: Sequence[range]
    observed: Sequence[Stretch]
    seen: Sequence[int]
    first_seen: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Claims:
    """What an occurrence owns of a block, rack by rack in the hall's order."""

    occurrence: Occurrence
    of_racks: Sequence[Claim]


class _Claimant:
    """An occurrence in ticks, and what is remembered of it between blocks."""

    def __init__(self, o: Occurrence, tick_s: float) -> None:
        self.occurrence = o
        self._tick_s = tick_s
        self.affected = frozenset(o.incident.racks.tolist())
        self._recipients = frozenset(o.incident.to_racks.tolist())
        self._reaches = o.incident.reaches.tolist()
        self.alive: set[int] | None = (
            None  # racks on which its tail went on at the last block's end; None before its own
        )
        self.going_on: set[int] = set()  # the same of the block at hand
        self._first_seen: dict[int, int] = {}
        self._claims: list[Claim] = []
        self.plan = self.planned()
        """The ticks of its planned course, recovery included; a blip has at least one."""

    def planned(self) -> range:
        """Return the ticks of its course as it is planned now: it may be ended before its time."""
        # a tick shows what the plant was under since the tick before, but a sensor's fault at its own instant only
        o = self.occurrence
        begin, after = ceil(o.start_s / self._tick_s), ceil(o.over_s / self._tick_s)
        return range(begin, max(begin + 1, after if o.incident.kind.sensor else after + 1))

    def relation(self, rack: int) -> Relation | None:
        """Return how it comes to a rack, None where it does not."""
        if rack in self.affected:
            return "affects"
        if rack in self._recipients:
            return "loads"
        if self._reaches[rack]:
            return "reaches"
        return "couples" if self.occurrence.saturated_s is not None else None

    def plan_for(self, relation: Relation) -> range:
        """Return the ticks in which it is planned to be felt by a rack."""
        saturated_s = self.occurrence.saturated_s
        if relation != "couples" or saturated_s is None:
            return self.plan
        return range(max(self.plan.start, ceil(saturated_s / self._tick_s)), self.plan.stop)

    def went_on(self, rack: int) -> bool:
        """Return whether its tail on a rack had not ended before the block at hand."""
        return self.alive is None or rack in self.alive

    def claim(self, rack: int, owned: Sequence[range], observed: Sequence[Stretch], seen: Sequence[int]) -> None:
        """Take down what it owns of a rack in the block at hand."""
        mine = [t for o in observed for t in _seen_in(seen, o.ticks)]
        if mine:
            self._first_seen.setdefault(rack, mine[0])
        self._claims.append(Claim(rack, owned, observed, mine, self._first_seen.get(rack)))

    def claimed_of(self, block: range) -> Claims:
        """Return what it owns of a block, all racks of which have been assigned."""
        if self.plan.stop < block.stop:
            self.alive = self.going_on
        claims = Claims(self.occurrence, self._claims)
        self._claims, self.going_on = [], set()
        return claims


@dataclass(frozen=True, slots=True, eq=False)
class _Standing:
    """How an occurrence stands to a rack, and the ticks in which it is planned to be felt by it."""

    who: _Claimant
    rule: Rule
    plan: range


@dataclass(frozen=True, slots=True)
class _Rack:
    """A rack in a block of ticks: what is felt of it, and all that come to it."""

    index: int
    block: range
    felt: Felt
    standing: Sequence[_Standing]


class Attribution:
    """Assigns one kind of departure, of the physics or of the sensors, block by block in order."""

    def __init__(self, tick_s: float) -> None:
        self._tick_s = tick_s
        self._quiet = int(QUIET_S // tick_s)
        self._stretches = Stretches(tick_s)
        self._claimants: dict[int, _Claimant] = {}

    def block(
        self, first: int, departure: Departure, ahead: Departure, occurrences: Sequence[Occurrence]
    ) -> tuple[list[Claims], dict[int, Felt]]:
        """Return what each occurrence owns of a block, and what is felt of each rack; tell occurrences what is theirs.

        departure: of the block's rows, (ticks, racks) [sigmas]; ahead: of the rows after it, as far as they matter.
        """
        felt = self._stretches.of(first, departure, ahead)
        ticks = range(first, first + len(departure))
        begun = [c for c in map(self._claimant, occurrences) if c.plan.start < ticks.stop]
        for rack in sorted(set(felt).union(*(c.affected for c in begun))):
            standing = [_Standing(c, RULES[how], c.plan_for(how)) for c in begun if (how := c.relation(rack))]
            self._assign(_Rack(rack, ticks, felt.get(rack, Felt()), standing))
        claims = [c.claimed_of(ticks) for c in begun]
        for of_one in claims:
            _learn(of_one, first, departure)
        return claims, felt

    def _claimant(self, o: Occurrence) -> _Claimant:
        if o.number not in self._claimants:
            self._claimants[o.number] = _Claimant(o, self._tick_s)
        claimant = self._claimants[o.number]
        claimant.plan = claimant.planned()
        return claimant

    def _assign(self, rack: _Rack) -> None:
        """Let all that come to a rack claim its ticks: first those that hold, then the others what is left."""
        held: list[range] = []
        for s in rack.standing:
            if s.rule.holds:
                held += self._claim(s, rack, rack.felt.stretches)
        free = _without(rack.felt.stretches, held)
        for s in rack.standing:
            if not s.rule.holds and rack.felt.seen:
                self._claim(s, rack, free)

    def _claim(self, s: _Standing, rack: _Rack, stretches: Sequence[Stretch]) -> list[range]:
        """Let one claim of a rack's stretches what it may; return the ticks that it holds if it is one that holds."""
        mine = _cut(stretches, range(s.plan.start, rack.block.stop))
        planned, tail = _common(s.who.plan, rack.block), self._tail(s, rack, mine)
        both = range(planned.start, tail.stop) if planned and tail else planned or tail
        observed = _cut(mine, both)
        owned = [both] if s.rule.unfelt_too else [o.ticks for o in observed]
        if tail.stop == rack.block.stop:
            s.who.going_on.add(rack.index)
        if any(owned):
            s.who.claim(rack.index, owned, observed, rack.felt.seen)
        return [planned, *owned]

    def _tail(self, s: _Standing, rack: _Rack, mine: Sequence[Stretch]) -> range:
        """Return the ticks of a block that follow its plan and in which its effect still goes on."""
        end = s.who.plan.stop
        start = max(end, rack.block.start)
        if start >= rack.block.stop or not s.who.went_on(rack.index):
            return range(0)
        soon = _seen_in(rack.felt.seen, range(start, end + self._quiet))
        stop = soon[-1] + 1 if soon else start
        stop = max([stop, *(m.ticks.stop for m in mine if stop in m.ticks)])
        others = [o.plan for o in rack.standing if o is not s and (o.rule.holds or s.rule.tail_ends == "any")]
        taken = [max(start, plan.start) for plan in others if plan and plan.stop > start]
        return range(start, min([stop, rack.block.stop, *taken]))

    def is_closed(self, o: Occurrence, ticks_known: int) -> bool:
        """Return whether nothing of an occurrence can follow after the ticks that were attributed."""
        c = self._claimant(o)
        return c.plan.stop < ticks_known and not c.alive

    def forget(self, o: Occurrence) -> None:
        """Drop what is remembered of a closed occurrence."""
        self._claimants.pop(o.number, None)


def _learn(claims: Claims, first: int, departure: Departure) -> None:
    """Take into the occurrence what a block says of it."""
    o = claims.occurrence
    o.ticks += _count([ticks for claim in claims.of_racks for ticks in claim.owned])
    felt = [claim for claim in claims.of_racks if claim.seen]
    if not felt:
        return
    o.racks |= {claim.rack for claim in felt}
    o.onset_tick = min(claim.seen[0] for claim in felt) if o.onset_tick is None else o.onset_tick
    o.last_tick = max(claim.seen[-1] for claim in felt)
    o.persistent |= any(s.lasts and _seen_in(claim.seen, s.ticks) for claim in felt for s in claim.observed)
    for claim in felt:
        levels = departure[np.array(claim.seen) - first, claim.rack]
        peak = int(levels.argmax())
        level, tick = float(levels[peak]), claim.seen[peak]
        if o.peak_tick is None or (level, -tick) > (o.peak_sigmas, -o.peak_tick):
            o.peak_sigmas, o.peak_tick = level, tick


def _seen_in(seen: Sequence[int], ticks: range) -> Sequence[int]:
    return seen[bisect_left(seen, ticks.start) : bisect_left(seen, ticks.stop)]


def _count(intervals: Sequence[range]) -> int:
    """Return how many ticks lie in any of some intervals."""
    total, stop = 0, -1
    for ticks in sorted(intervals, key=lambda t: t.start):
        total += max(0, ticks.stop - max(stop, ticks.start))
        stop = max(stop, ticks.stop)
    return total

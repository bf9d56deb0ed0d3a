"""Whose rows they are: what is seen of each incident's own effect, as intervals of ticks rack by rack.

A rack's tick is *seen* by an incident where the hall with it departs from the hall without it, all else the same, by
OBSERVABLE_SIGMAS of a healthy sensor in any channel. Ticks that it sees at most QUIET_S apart make one *stretch* with
what lies between. It owns its stretches; of racks that it affects also its planned course, recovery included, and a gap
of up to QUIET_S between that and a stretch. Ticks that depart though no fault is seen by itself are owned jointly.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.incidents.active import Occurrence
from sim.incidents.observed import Array, Cells, joined, lasting_ticks, quiet_ticks
from sim.model.channels import CHANNELS


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
    """Consecutive ticks in which an effect is observed, and whether they last at least PERSISTENT_S in all."""

    ticks: range
    lasts: bool


class Stretches:
    """Turns the cells in which one incident is seen into stretches per rack, block by block in order.

    gap: how many ticks two of one stretch are apart at most.
    """

    def __init__(self, gap: int, lasting: int) -> None:
        self._gap = gap
        self._lasting = lasting
        self._latest: dict[int, range] = {}  # by rack, as far as it is known

    def of(self, block: range, cells: Cells) -> dict[int, list[Stretch]]:
        """Return each rack's stretches in a block, and those that begin shortly after it; cells: from it on."""
        order = np.argsort(cells.racks, kind="stable")
        racks, begins = np.unique(cells.racks[order], return_index=True)
        of_racks = np.split(cells.ticks[order], begins[1:]) if len(racks) else []
        found = {rack: self._of_rack(rack, of, block) for rack, of in zip(racks.tolist(), of_racks, strict=True)}
        return {rack: stretches for rack, stretches in found.items() if stretches}

    def _of_rack(self, rack: int, seen: npt.NDArray[np.int64], block: range) -> list[Stretch]:
        gaps = np.flatnonzero(np.diff(seen) > self._gap)
        begins = [int(seen[0]), *seen[gaps + 1].tolist()]
        ends = [*seen[gaps].tolist(), int(seen[-1])]
        before = self._latest.get(rack)
        if before and begins[0] - before[-1] <= self._gap:
            begins[0] = before.start
        in_block = int(np.searchsorted(seen, block.stop))
        if in_block:
            last = int(seen[in_block - 1])
            self._latest[rack] = range(max(b for b in begins if b <= last), last + 1)
        spans = [range(b, e + 1) for b, e in zip(begins, ends, strict=True) if b < block.stop + self._gap]
        return [Stretch(ticks, len(ticks) >= self._lasting) for ticks in spans]


@dataclass(frozen=True, slots=True)
class Claim:
    """What an incident owns of a rack in a block.

    owned: its ticks. observed: stretches of those in which it can be observed. first_seen: the first tick of all blocks
    in which it is seen, None if there is none yet.
    """

    rack: int
    owned: Sequence[range]
    observed: Sequence[Stretch]
    first_seen: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Claims:
    """What an occurrence owns of a block, rack by rack in the hall's order."""

    occurrence: Occurrence
    of_racks: Sequence[Claim]


class _Claimant:
    """An occurrence in ticks, and what is remembered of it between blocks."""

    def __init__(self, o: Occurrence, tick_s: float) -> None:
        self._o = o
        self.plan = o.plan(tick_s)
        self._affected = sorted(o.incident.racks.tolist())
        self._quiet = quiet_ticks(tick_s)
        self._own = Stretches(self._quiet, lasting_ticks(tick_s))
        self._jointly = Stretches(1, lasting_ticks(tick_s))
        self._first_seen: dict[int, int] = {}

    def claims(self, block: range) -> Claims:
        """Return what it owns of a block, and tell it so."""
        o = self._o
        seen, jointly = joined(o.seen), joined(o.jointly)
        own, shared = self._own.of(block, seen), self._jointly.of(block, jointly)
        affected = self._affected if _common(self.plan, block) or own else []
        of_racks = []
        for rack in sorted({*affected, *own, *shared}):
            claim = self._claim(rack, block, own.get(rack, []), shared.get(rack, []))
            if any(claim.owned):
                of_racks.append(claim)
        o.seen, o.jointly = [_after(seen, block.stop)], [_after(jointly, block.stop)]
        o.ticks += _count([ticks for claim in of_racks for ticks in claim.owned])
        return Claims(o, of_racks)

    def _claim(self, rack: int, block: range, own: Sequence[Stretch], shared: Sequence[Stretch]) -> Claim:
        mine = _cut(own, block)
        self._o.persistent |= any(s.lasts for s in mine)
        if mine:
            self._first_seen.setdefault(rack, mine[0].ticks.start)
        observed = [*mine, *_cut(shared, block)]
        owned = [s.ticks for s in observed]
        if _is_in(self._affected, rack):
            owned += [_common(self.plan, block), *(_common(gap, block) for gap in self._gaps(own))]
        return Claim(rack, [ticks for ticks in owned if ticks], observed, self._first_seen.get(rack))

    def _gaps(self, own: Sequence[Stretch]) -> list[range]:
        """Return what lies between the planned course and a stretch that begins within QUIET_S of it."""
        end = self.plan.stop
        return [range(end, s.ticks.start) for s in own if end <= s.ticks.start < end + self._quiet]


class Attribution:
    """Assigns rows to incidents, block by block in order."""

    def __init__(self, tick_s: float) -> None:
        self._tick_s = tick_s
        self._claimants: dict[int, _Claimant] = {}

    def block(self, block: range, occurrences: Sequence[Occurrence]) -> list[Claims]:
        """Return what each occurrence owns of a block of ticks, and tell occurrences what is theirs."""
        of_all = [self._claimant(o) for o in occurrences]
        return [c.claims(block) for c in of_all if c.plan.start < block.stop]

    def _claimant(self, o: Occurrence) -> _Claimant:
        if o.number not in self._claimants:
            self._claimants[o.number] = _Claimant(o, self._tick_s)
        claimant = self._claimants[o.number]
        claimant.plan = o.plan(self._tick_s)  # it may be ended before its time
        return claimant

    def is_closed(self, o: Occurrence, ticks_known: int) -> bool:
        """Return whether nothing of an occurrence that is gone for good can follow after the ticks attributed."""
        return self._claimant(o).plan.stop <= ticks_known and not any(len(c.ticks) for c in (*o.seen, *o.jointly))

    def forget(self, o: Occurrence) -> None:
        """Drop what is remembered of a closed occurrence."""
        self._claimants.pop(o.number, None)


def _after(cells: Cells, tick: int) -> Cells:
    first = int(np.searchsorted(cells.ticks, tick))
    return Cells(cells.ticks[first:], cells.racks[first:])


def _is_in(ordered: Sequence[int], rack: int) -> bool:
    at = bisect_left(ordered, rack)
    return at < len(ordered) and ordered[at] == rack


def _common(one: range, other: range) -> range:
    return range(max(one.start, other.start), min(one.stop, other.stop))


def _cut(stretches: Sequence[Stretch], to: range) -> list[Stretch]:
    """Return what of stretches lies in an interval."""
    return [Stretch(ticks, s.lasts) for s in stretches if (ticks := _common(s.ticks, to))]


def _count(intervals: Sequence[range]) -> int:
    """Return how many ticks lie in any of some intervals."""
    total, stop = 0, -1
    for ticks in sorted(intervals, key=lambda t: t.start):
        total += max(0, ticks.stop - max(stop, ticks.start))
        stop = max(stop, ticks.stop)
    return total

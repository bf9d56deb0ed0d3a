"""When each rack was sampled: order, duplicates, and a tick that stays about the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.common.errors import InputError
from sim.common.text import printable
from sim.common.time_units import format_instant_us
from training.features import Floats

SAME_SPACING_RUN = 10
"""So many equal spacings in a row that are not the rack's interval are a changed tick, not lost samples (assumed)."""

_PARTS = 4
"""Spacings are told apart in quarters of the interval: jitter is less, a changed tick more (assumed)."""


def instant_text(seconds: float) -> str:
    """Return ISO 8601 with Z."""
    return format_instant_us(round(seconds * 1e6))


@dataclass(frozen=True, slots=True)
class _Spacings:
    """A block's samples rack by rack: row numbers in the file, racks, times, and time since the rack's last sample."""

    row: NDArray[np.intp]
    rack: NDArray[np.intp]
    t: Floats
    since_s: Floats


class Timeline:
    """Checks the order of a file's samples as its blocks go by, and knows each rack's interval.

    intervals_s: spacing by rack name, from the start of the file; usual_s: for racks that are not in it.
    """

    def __init__(self, source: str, intervals_s: Mapping[str, float], usual_s: float) -> None:
        self._source, self._intervals_s, self._usual_s = source, intervals_s, usual_s
        self._latest_s = -np.inf
        self._last_s: Floats = np.empty(0)
        self._interval_s: Floats = np.empty(0)
        self._runs: dict[int, tuple[int, int]] = {}

    def check(self, ts_s: Floats, rack: NDArray[np.intp], racks: Sequence[str], start: int) -> Floats:
        """Return the interval of each row's own rack [s], NaN where unknown. Raises InputError on a broken timeline."""
        self._know(racks)
        self._check_order(ts_s, start)
        order = np.argsort(rack, kind="stable")
        r, t = rack[order], ts_s[order]
        before = np.empty_like(t)
        before[1:] = t[:-1]
        first = np.ones(r.size, dtype=bool)
        first[1:] = r[1:] != r[:-1]
        before[first] = self._last_s[r[first]]
        self._check_spacing(_Spacings(start + order, r, t, t - before), racks)
        last = np.ones(r.size, dtype=bool)
        last[:-1] = first[1:]
        self._last_s[r[last]] = t[last]
        interval_s: Floats = self._interval_s[rack]
        return interval_s

    def _know(self, racks: Sequence[str]) -> None:
        new = racks[self._last_s.size :]
        self._last_s = np.append(self._last_s, np.full(len(new), np.nan))
        self._interval_s = np.append(self._interval_s, [self._intervals_s.get(n, self._usual_s) for n in new])

    def _check_order(self, ts_s: Floats, start: int) -> None:
        back = np.flatnonzero(np.diff(ts_s, prepend=self._latest_s) < 0)
        if back.size:
            row = int(back[0])
            earlier = ts_s[row - 1] if row else self._latest_s
            raise InputError(
                f"{self._source}: row {start + row + 1}: ts goes back from {instant_text(earlier)} to "
                f"{instant_text(ts_s[row])}; sort the file by ts, then rack_id"
            )
        self._latest_s = float(ts_s[-1])

    def _check_spacing(self, samples: _Spacings, racks: Sequence[str]) -> None:
        twice = np.flatnonzero(samples.since_s == 0)
        if twice.size:
            k = int(twice[0])
            raise InputError(
                f"{self._source}: row {samples.row[k] + 1}: rack {printable(racks[samples.rack[k]])} is there twice at "
                f"{instant_text(samples.t[k])}; keep one of the rows"
            )
        parts = np.rint(_PARTS * samples.since_s / self._interval_s[samples.rack])
        known = np.isfinite(parts)
        for number in {*np.unique(samples.rack[known & (parts != _PARTS)]).tolist(), *self._runs}:
            for k in np.flatnonzero((samples.rack == number) & known).tolist():
                self._follow(number, int(parts[k]), samples, k, racks)

    def _follow(self, number: int, parts: int, samples: _Spacings, k: int, racks: Sequence[str]) -> None:
        """Count equal spacings that are not the interval; a long run of them is a changed tick."""
        before, length = self._runs.pop(number, (_PARTS, 0))
        length = length + 1 if parts == before else 1
        if parts != _PARTS:
            if length >= SAME_SPACING_RUN:
                self._refuse_tick(samples, k, racks)
            self._runs[number] = (parts, length)

    def _refuse_tick(self, samples: _Spacings, k: int, racks: Sequence[str]) -> None:
        rack = samples.rack[k]
        raise InputError(
            f"{self._source}: row {samples.row[k] + 1}: the tick changes midway: rack {printable(racks[rack])} is "
            f"sampled after {samples.since_s[k]:g} s at {instant_text(samples.t[k])} and every "
            f"{self._interval_s[rack]:g} s elsewhere; split the file where it changes"
        )

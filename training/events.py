"""True events and alarms as spans of time, and how they meet."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.model.episodes import PERSISTENT_S, SETTLED_S
from training.features import Floats
from training.labels import Labels, runs_by_rack
from training.mms import PERSISTENT, RECOVERING, TRANSIENT

LONG_S, SHORT_S = 1200.0, 180.0
"""Episodes of at least 20 ticks of 60 s have to be called persistent, those under 3 ticks not."""

DAY_S = 86_400.0
Rows = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Spans:
    """Stretches of rows of one rack: rack (n,), begin and end [s] with the end excluded, key (n,)."""

    rack: NDArray[np.intp]
    begin_s: Floats
    end_s: Floats
    key: NDArray[np.str_]

    @property
    def length_s(self) -> Floats:
        return self.end_s - self.begin_s


def spans(on: Rows, key: NDArray[np.str_], rack: NDArray[np.intp], ts_s: Floats, interval_s: float) -> Spans:
    """Return the stretches of rows that are on, split where the rack or the key changes."""
    order, first = runs_by_rack(rack)
    lit, name = on[order], key[order]
    new = first.copy()
    new[1:] |= (lit[1:] != lit[:-1]) | (name[1:] != name[:-1])
    begin = np.flatnonzero(new)
    end = np.append(begin[1:], order.size) - 1
    kept = lit[begin]
    begin, end = begin[kept], end[kept]
    return Spans(rack[order][begin], ts_s[order][begin], ts_s[order][end] + interval_s, name[begin])


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of a run. event, ignored: rows (n,) that are an anomaly to find, or neither right nor wrong."""

    event: Rows
    ignored: Rows
    key: NDArray[np.str_]
    rack: NDArray[np.intp]
    ts_s: Floats
    interval_s: float
    grace_s: float = SETTLED_S

    @classmethod
    def of(
        cls, labels: Labels, rack: NDArray[np.intp], ts_s: Floats, interval_s: float, kinds: Sequence[str],
        ignored: Sequence[str],
    ) -> "Truth":  # fmt: skip
        """Return what is true of labelled rows: kinds of anomaly to find, and kinds neither right nor wrong."""
        event = labels.anomaly & np.isin(labels.kind, kinds)
        others = labels.anomaly & ~event & np.isin(labels.kind, ignored)
        return cls(event, others, labels.episode, rack, ts_s, interval_s)

    def events(self) -> Spans:
        return spans(self.event, self.key, self.rack, self.ts_s, self.interval_s)

    def quiet(self) -> Rows:
        """Mark the rows where an alarm is false: no event, nothing ignored, and the hall settled after either."""
        order, first = runs_by_rack(self.rack)
        busy = (self.event | self.ignored)[order]
        ts_s = self.ts_s[order]
        # the time of the last busy row so far, carried forward within a rack
        index = np.where(busy, np.arange(busy.size), -1)
        start = np.maximum.accumulate(np.where(first, np.arange(busy.size), 0))
        last = np.maximum.accumulate(index)
        since = np.where(last >= start, ts_s - ts_s[np.maximum(last, 0)], np.inf)
        quiet = np.empty_like(busy)
        quiet[order] = since > self.grace_s
        return quiet


@dataclass(frozen=True, slots=True)
class EventFigures:
    """How a detector's alarms meet the events that last at least 360 s.

    precision is corrected for false-alarm time: TP / (TP + FP) times the share of quiet time without an alarm.
    delays_s: from an event's begin to its first alarm, of the events found (n,), 0 where one was open already.
    called: what each event of the truth was called (events,), and confusion: true kind (persistent, transient) by
    called kind: persistent, transient, nothing.
    persistent_of_long, persistent_of_short: share called persistent of the events of at least 1200 s and under 180 s.
    persistent_of_short_begun: share of the short ones with an alarm that began with or after them; one open before is
    another anomaly's. persistent_of_short_alone: share called persistent of the short ones without another anomaly of
    the rack within 900 s, which an alarm might be meant for.
    """

    events: int
    precision: float
    recall: float
    f05: float
    delays_s: Floats
    false_alarms_per_rack_day: float
    false_time: float
    duplicates: int
    called: NDArray[np.int64]
    confusion: NDArray[np.int64]
    persistent_of_long: float
    persistent_of_short: float
    persistent_of_short_begun: float
    persistent_of_short_alone: float


def event_figures(truth: Truth, state: NDArray[np.int8]) -> EventFigures:
    """Compare the MMS states of every row with the truth."""
    open_ = (state == PERSISTENT) | (state == RECOVERING)
    none = np.full(open_.size, "")
    alarms = spans(open_, none, truth.rack, truth.ts_s, truth.interval_s)
    transients = spans(state == TRANSIENT, none, truth.rack, truth.ts_s, truth.interval_s)
    return alarm_figures(truth, alarms, transients, open_)


def alarm_figures(truth: Truth, alarms: Spans, transients: Spans, open_: Rows) -> EventFigures:
    """Compare alarms, and what was only called transient, with the truth; open_: rows (n,) while an alarm is open."""
    events, quiet = truth.events(), truth.quiet()
    early = begun_in(alarms, truth, quiet)
    hits = [overlapping(alarms, events, k, truth.grace_s, early) for k in range(events.rack.size)]
    called = np.array([0 if len(h) else 1 if len(overlapping(transients, events, k, truth.grace_s)) else 2
                       for k, h in enumerate(hits)], dtype=np.int64)  # fmt: skip
    long, short = events.length_s >= PERSISTENT_S, events.length_s < SHORT_S
    false = false_alarms(alarms, truth, quiet)
    quiet_days = quiet.sum() * truth.interval_s / DAY_S
    found = int((long & (called == 0)).sum())
    false_time = float((open_ & quiet).sum() / max(1, quiet.sum()))
    precision = _ratio(found, found + false) * (1.0 - false_time)
    recall = _ratio(found, int(long.sum()))
    confusion = np.array([np.bincount(called[kind], minlength=3) for kind in (long, ~long)])
    begun = np.array([(alarms.begin_s[h] >= events.begin_s[k]).any() for k, h in enumerate(hits)], dtype=bool)
    delays = [max(0.0, alarms.begin_s[h].min() - events.begin_s[k]) for k, h in enumerate(hits) if long[k] and len(h)]
    return EventFigures(
        int(long.sum()), precision, recall, _ratio(1.25 * precision * recall, 0.25 * precision + recall),
        np.array(delays), _ratio(false, quiet_days), false_time,
        sum(max(0, len(h) - 1) for h in hits), called, confusion,
        _share(called == 0, events.length_s >= LONG_S), _share(called == 0, short), _share(begun, short),
        _share(called == 0, short & _alone(events, truth)),
    )  # fmt: skip


def _alone(events: Spans, truth: Truth) -> Rows:
    """Mark the events without another anomaly of the same rack near them, be it one to find or one ignored."""
    anomalies = spans(truth.event | truth.ignored, truth.key, truth.rack, truth.ts_s, truth.interval_s)
    near = [
        (anomalies.rack == events.rack[k])
        & (anomalies.begin_s < events.end_s[k] + truth.grace_s)
        & (anomalies.end_s > events.begin_s[k] - truth.grace_s)
        for k in range(events.rack.size)
    ]
    return np.array([n.sum() == 1 for n in near], dtype=bool)


def overlapping(
    found: Spans, events: Spans, k: int, grace_s: float, groundless: Rows | None = None
) -> NDArray[np.intp]:  # fmt: skip
    """Return the spans that meet event k before the hall has settled after it.

    groundless: spans (n,) that began with nothing to find; begun over grace_s before an event they are not about it.
    """
    mine = found.rack == events.rack[k]
    meets = mine & (found.begin_s < events.end_s[k] + grace_s) & (found.end_s > events.begin_s[k])
    if groundless is not None:
        meets &= ~groundless | (found.begin_s >= events.begin_s[k] - grace_s)
    return np.flatnonzero(meets)


def begun_in(found: Spans, truth: Truth, rows: Rows) -> Rows:
    """Mark the spans (n,) whose first row, at their begin or the next, is among these rows of the truth."""
    order, _ = runs_by_rack(truth.rack)
    rack, ts_s, chosen = truth.rack[order], truth.ts_s[order], rows[order]
    marked = np.zeros(found.rack.size, dtype=bool)
    for k, (r, begin_s) in enumerate(zip(found.rack, found.begin_s, strict=True)):
        start, stop = np.searchsorted(rack, (r, r + 1))
        at = start + np.searchsorted(ts_s[start:stop], begin_s)
        marked[k] = at < stop and chosen[at]
    return marked


def false_alarms(alarms: Spans, truth: Truth, quiet: Rows) -> int:
    """Count the alarms whose every row is quiet."""
    order, _ = runs_by_rack(truth.rack)
    rack, ts_s, calm = truth.rack[order], truth.ts_s[order], np.concatenate([[0], np.cumsum(quiet[order])])
    bounds = np.searchsorted(rack, np.arange(rack.max() + 2))
    count = 0
    for r, begin_s, end_s in zip(alarms.rack, alarms.begin_s, alarms.end_s, strict=True):
        mine = ts_s[bounds[r] : bounds[r + 1]]
        begin, end = (bounds[r] + np.searchsorted(mine, t) for t in (begin_s, end_s))
        count += bool(calm[end] - calm[begin] == end - begin)
    return count


def _share(chosen: Rows, of: Rows) -> float:
    return float(chosen[of].mean()) if of.any() else float("nan")


def _ratio(a: float, b: float) -> float:
    return float(a / b) if b else float("nan")

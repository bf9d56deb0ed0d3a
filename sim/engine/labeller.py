"""The labeller: holds the truth of ticks back until all about it is known, then hands it out in order."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sim.agents.occupancy import MAX_LAG_S
from sim.engine.blocks import Labels, Sink
from sim.engine.truth_log import NO_EPISODE, TruthLog
from sim.incidents.active import ActiveIncidents, Occurrence
from sim.incidents.attribution import Attribution
from sim.incidents.labels import IncidentEvent, IncidentLabels, painted
from sim.incidents.observed import LOOK_AHEAD_S, QUIET_S
from sim.model.episodes import PERSISTENT_S, Episode


class Labeller:
    """Completes blocks of labels and hands them, then what ended before them, to the sinks."""

    def __init__(
        self, truth_log: TruthLog, active: ActiveIncidents | None, sinks: Sequence[Sink], tick_s: float
    ) -> None:
        self._truth_log = truth_log
        self._active = active
        self._sinks = sinks
        self._tick_s = tick_s
        self._pending: deque[Labels] = deque()
        self._waits_s = PERSISTENT_S if active is None else LOOK_AHEAD_S
        self._attribution = Attribution(tick_s)
        # a rack joins its row's episode up to MAX_LAG_S after that began, and so perhaps after it ended; an incident's
        # last observed tick may be a gap older than the tick that tells that it was the last
        self._settles_s = MAX_LAG_S if active is None else max(MAX_LAG_S, QUIET_S) + 2 * tick_s
        self._closed: list[tuple[float, int, IncidentEvent]] = []
        self._run_ends_s = float("inf")  # known once it is over

    def take(self, block: Labels) -> None:
        """Take a block's truth as known at its end, and hand out those that are complete now."""
        self._pending.append(block)
        last_s = (block.after - 1) * self._tick_s
        self._release(last_s - self._waits_s, last_s)

    def finish(self, end_s: float) -> None:
        """Hand out what was held back; the run is over."""
        self._run_ends_s = end_s
        self._release(float("inf"), end_s)
        for o in self._active.occurrences if self._active else ():
            self._close(o)
        self._tell(float("inf"))
        for sink in self._sinks:
            sink.events(list(self._truth_log.kept().values()))

    def _release(self, until_s: float, now_s: float) -> None:
        while self._pending:
            block = self._pending[0]
            after = block.after
            if (after - 1) * self._tick_s > until_s:
                return
            self._pending.popleft()
            labels = self._completed(block, now_s)
            for sink in self._sinks:
                sink.labels(labels)
            self._hand_out(after, after * self._tick_s - self._settles_s)

    def _hand_out(self, ticks_known: int, before_s: float) -> None:
        active = self._active
        if active is not None:
            over = [o for o in active.occurrences if o not in active.open]
            for o in [o for o in over if self._attribution.is_closed(o, ticks_known)]:
                active.occurrences.remove(o)
                self._close(o)
        self._tell(before_s)

    def _tell(self, before_s: float) -> None:
        """Hand out what ended before a time, in order of the end."""
        ended: list[tuple[float, int, int, Episode | IncidentEvent]] = [
            (e.end_s or 0.0, 0, e.number, e) for e in self._truth_log.hand_out(before_s)
        ]
        ended += [(end_s, 1, number, e) for end_s, number, e in self._closed if end_s < before_s]
        self._closed = [c for c in self._closed if c[0] >= before_s]
        told = [e for *_, e in sorted(ended, key=lambda e: e[:3])]
        for sink in self._sinks:
            sink.events(told)

    def _close(self, o: Occurrence) -> None:
        """Make an occurrence an event; those that share an end keep the order in which they began."""
        self._attribution.forget(o)
        names = self._truth_log.racks.assets
        last_s = None if o.last_tick is None else (o.last_tick + 1) * self._tick_s
        event = IncidentEvent(
            id=o.id,
            kind=o.incident.kind.name,
            group=o.incident.kind.group,
            triggered_by=o.triggered_by,
            assets=o.incident.assets,
            affected=tuple(names[i] for i in sorted(o.racks)),
            start_s=o.start_s,
            end_s=o.end_s,
            onset_s=None if o.onset_tick is None else o.onset_tick * self._tick_s,
            peak_s=None if o.peak_tick is None else o.peak_tick * self._tick_s,
            observable_end_s=None if last_s is None or last_s >= self._run_ends_s else last_s,
            severity=o.incident.severity,
            ticks=o.ticks,
            persistent=o.persistent,
            saturated=o.saturated_s is not None,
            origin=o.incident.origin,
        )
        self._closed.append((max(o.over_s, last_s or 0.0), o.number, event))

    def _completed(self, labels: Labels, now_s: float) -> Labels:
        kept, seen = self._truth_log.kept(), {}
        for kind in (labels.racks, labels.rows, labels.loops):
            numbers, ticks = np.unique(kind.episode, return_counts=True)
            for number, count in zip(numbers.tolist(), ticks.tolist(), strict=True):
                if number != NO_EPISODE:
                    kept[number].ticks += count
                    seen[number] = kept[number]
        lasting = np.array([n for n, e in seen.items() if e.lasts_s(now_s) >= PERSISTENT_S], dtype=np.int32)
        persistent = np.isin(labels.racks.episode, lasting)
        return replace(labels, episodes=seen, persistent=persistent, incident_labels=self._incident_labels(labels))

    def _incident_labels(self, block: Labels) -> IncidentLabels | None:
        if self._active is None:
            return None
        ticks = range(block.first_tick, block.after)
        claims = self._attribution.block(ticks, self._active.occurrences)
        return painted(ticks, len(self._truth_log.racks.assets), claims, self._tick_s)

"""Retention: what came in too long ago, or is more than may be kept, is deleted batch by batch."""

import time

import sqlalchemy as sa

from api.settings import Settings
from api.store import BATCHES, SCORES, TELEMETRY, Store

_EVERY_S = 30.0
_BATCHES_AT_A_TIME = 200
_DAY_US = 86_400_000_000


class Retention:
    """Deletes the oldest batches with their samples and scores; alarms and models stay."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._days, self._rows = store, settings.retention_days, settings.retention_rows
        self._next_s = 0.0

    def look(self) -> None:
        """Delete what is due, now and then. Raises StoreUnavailable."""
        if (self._days is None and self._rows is None) or time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + _EVERY_S
        last = self._last_due()
        while last is not None and self._delete_some(last):
            pass

    def _last_due(self) -> int | None:
        """Return the newest batch that is to go."""
        due = []
        with self._store.reading() as connection:
            if self._days is not None:
                before_us = time.time_ns() // 1000 - round(self._days * _DAY_US)
                due.append(connection.scalar(
                    sa.select(sa.func.max(BATCHES.c.batch_id)).where(BATCHES.c.received_us < before_us)
                ))  # fmt: skip
            if self._rows is not None:
                due.append(self._last_beyond(connection, self._rows))
        return max((batch_id for batch_id in due if batch_id is not None), default=None)

    def _last_beyond(self, connection: sa.Connection, rows: int) -> int | None:
        """Return the newest batch such that those after it have at least so many samples."""
        kept = 0
        newest_first = sa.select(BATCHES.c.batch_id, BATCHES.c.rows).order_by(BATCHES.c.batch_id.desc())
        for batch_id, count in connection.execution_options(yield_per=1000).execute(newest_first):
            if kept >= rows:
                return int(batch_id)
            kept += count
        return None

    def _delete_some(self, last: int) -> bool:
        """Delete some of the oldest batches up to one; tell whether there were any."""
        with self._store.writing() as connection:
            oldest = sa.select(BATCHES.c.batch_id).where(BATCHES.c.batch_id <= last, BATCHES.c.scored)
            ids = list(connection.scalars(oldest.order_by(BATCHES.c.batch_id).limit(_BATCHES_AT_A_TIME)))
            if ids:
                for table in (SCORES, TELEMETRY, BATCHES):
                    connection.execute(table.delete().where(table.c.batch_id.between(ids[0], ids[-1])))
        return bool(ids)

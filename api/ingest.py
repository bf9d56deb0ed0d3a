"""Ingest: samples become rows of the store, each once, and are scored when they are safe there."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from api.aggregates import Aggregates, Limits
from api.problems import Problem, StoreContended, StoreUnavailable
from api.retention import Retention
from api.samples import Batch, Rejected, Sample, check
from api.scoring import Scoring
from api.store import BATCHES, RACKS, TELEMETRY, Store
from sim.model.channels import TELEMETRY_CHANNELS

_KEYS_AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a batch."""

    ingested: int
    duplicates: int
    rejected: list[Rejected]
    ignored_fields: int
    scored: int
    why_not_scored: str | None

    def document(self) -> dict[str, Any]:
        """Return it as clients read it."""
        return {"status": "ok", **asdict(self)}


@dataclass(slots=True)
class Counters:
    """What came in since the start."""

    batches: int = 0
    samples: int = 0
    duplicates: int = 0
    rejected: int = 0


class Ingest:
    """Takes batches, one at a time, from whoever posts them and from the live hall alike."""

    def __init__(
        self,
        store: Store,
        scoring: Scoring,
        retention: Retention,
        limits: Limits,
        stored: Callable[[Sequence[Sample]], None],
    ) -> None:
        self.counters = Counters()
        self._store, self._scoring, self._retention, self._stored = store, scoring, retention, stored
        self._lock = threading.Lock()
        self._newest_us = self._stored_newest_us()
        self.aggregates = Aggregates(store, limits, self._newest_us)

    def take(self, samples: Sequence[Any], key: str | None = None, body: bytes = b"") -> dict[str, Any]:
        """Store and score the samples of a batch and return what became of them.

        key: the same key with the same body gets the same answer, and nothing is done twice. Raises Problem 422 where
        no sample can be used or the key came with another body, StoreUnavailable.
        """
        digest = hashlib.sha256(body).hexdigest() if key else None
        batch = check(samples)
        with self._lock:
            if key and (known := self._answer_of(key, digest)):
                return known
            try:
                return self._take(batch, key, digest)
            except StoreContended:
                self._newest_us = self._stored_newest_us()
                self._scoring.recover()
                raise

    def _stored_newest_us(self) -> dict[str, int]:
        with self._store.reading() as connection:
            rows = connection.execute(sa.select(RACKS.c.rack_id, RACKS.c.newest_us))
            return {row.rack_id: row.newest_us for row in rows}

    def _answer_of(self, key: str, digest: str | None) -> dict[str, Any] | None:
        with self._store.reading() as connection:
            found = connection.execute(
                sa.select(BATCHES.c.body_sha256, BATCHES.c.answer).where(BATCHES.c.key == key)
            ).first()
        if found is None:
            return None
        if found.body_sha256 != digest:
            raise Problem(422, "Idempotency-Key: came with another body before; a new batch needs a new key")
        answer: dict[str, Any] = json.loads(found.answer)
        return answer

    def _take(self, batch: Batch, key: str | None, digest: str | None) -> dict[str, Any]:
        with self._store.adding() as connection:
            fresh, duplicates = self._told_apart(connection, batch)
            if not fresh and not duplicates:
                self.counters.rejected += len(batch.rejected)
                raise Problem(422, _summary(batch.rejected), [_error(r) for r in batch.rejected])
            answer = Answer(
                len(fresh), duplicates, sorted(batch.rejected, key=lambda r: r.index), batch.ignored, 0, None
            )
            batch_id = self._insert(connection, fresh, key, digest, answer)
            added = self.aggregates.add(connection, fresh)
        self.aggregates.keep(added)
        for s in fresh:
            self._newest_us[s.rack_id] = max(s.ts_us, self._newest_us.get(s.rack_id, s.ts_us))
        self._count(answer)
        scored, why = self._score(batch_id, fresh)
        self._stored(fresh)
        return {**answer.document(), "scored": scored, "why_not_scored": why}

    def _score(self, batch_id: int, fresh: Sequence[Sample]) -> tuple[int, str | None]:
        """Score what was stored; a store that fails meanwhile leaves it to the next batch, or to the next start."""
        try:
            scored = self._scoring.take(batch_id, fresh)
            self._retention.look()
        except StoreUnavailable as error:
            return 0, f"{error.detail}; it will be scored with the next batch"
        return scored

    def _told_apart(self, connection: sa.Connection, batch: Batch) -> tuple[list[Sample], int]:
        """Return the samples that are new, and how many are there already; others of the same key are rejected."""
        known = self._known(connection, batch.samples)
        fresh, duplicates = [], 0
        for sample in batch.samples:
            at = (sample.rack_id, sample.ts_us)
            if at not in known:
                known[at] = sample.values
                fresh.append(sample)
            elif known[at] == sample.values:
                duplicates += 1
            else:
                why = "the rack has another sample of this instant; a sample is not changed once it is stored"
                batch.rejected.append(Rejected(sample.index, "ts", why))
        return fresh, duplicates

    def _known(self, connection: sa.Connection, samples: Sequence[Sample]) -> dict[tuple[str, int], tuple[Any, ...]]:
        """Return the stored values of those samples that can be there: no newer than their rack's newest."""
        old = [(s.rack_id, s.ts_us) for s in samples if s.ts_us <= self._newest_us.get(s.rack_id, -1)]
        found: dict[tuple[str, int], tuple[Any, ...]] = {}
        key = sa.tuple_(TELEMETRY.c.rack_id, TELEMETRY.c.ts_us)
        for start in range(0, len(old), _KEYS_AT_A_TIME):
            query = sa.select(TELEMETRY).where(key.in_(old[start : start + _KEYS_AT_A_TIME]))
            for row in connection.execute(query).mappings():
                found[row["rack_id"], row["ts_us"]] = tuple(row[name] for name in TELEMETRY_CHANNELS)
        return found

    def _insert(
        self, connection: sa.Connection, fresh: Sequence[Sample], key: str | None, digest: str | None, answer: Answer
    ) -> int:
        batch = {
            "received_us": time.time_ns() // 1000,
            "rows": len(fresh),
            "scored": not fresh,
            "key": key,
            "body_sha256": digest,
            "answer": json.dumps(answer.document()) if key else None,
        }
        batch_id: int = connection.execute(BATCHES.insert().values(batch)).inserted_primary_key[0]  # type: ignore[index]
        if fresh:
            connection.execute(TELEMETRY.insert(), [
                {"rack_id": s.rack_id, "ts_us": s.ts_us, "batch_id": batch_id}
                | dict(zip(TELEMETRY_CHANNELS, s.values, strict=True))
                for s in fresh
            ])  # fmt: skip
            newest = dict(self._newest_us_of(fresh))
            self._store.upsert(connection, RACKS, [{"rack_id": r, "newest_us": us} for r, us in newest.items()])
        return batch_id

    def _newest_us_of(self, fresh: Sequence[Sample]) -> list[tuple[str, int]]:
        newest: dict[str, int] = {}
        for s in fresh:
            newest[s.rack_id] = max(s.ts_us, newest.get(s.rack_id, self._newest_us.get(s.rack_id, s.ts_us)))
        return sorted(newest.items())

    def _count(self, answer: Answer) -> None:
        self.counters.batches += 1
        self.counters.samples += answer.ingested
        self.counters.duplicates += answer.duplicates
        self.counters.rejected += len(answer.rejected)


def _summary(rejected: Sequence[Rejected]) -> str:
    first = rejected[0]
    more = f"; {len(rejected) - 1} more are wrong" if len(rejected) > 1 else ""
    return f"no sample can be used: samples[{first.index}].{first.field}: {first.why}{more}"


def _error(rejected: Rejected) -> dict[str, Any]:
    return {"place": f"samples[{rejected.index}].{rejected.field}", "why": rejected.why}

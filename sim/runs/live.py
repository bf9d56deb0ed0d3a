"""A run sent over HTTP while it is under way, paced by the clock: batches, retries, and a spool while nobody answers.

Every sample arrives at least once, in order: a batch that was not acknowledged is sent again under the same
Idempotency-Key. While the receiver is away batches wait on the disk; when the spool is full the run waits.
"""

import gzip
import hashlib
import http.client
import json
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sim.common.errors import InputError, OutputError
from sim.common.text import reason
from sim.engine.blocks import Labels, Telemetry
from sim.engine.build import Hall, build
from sim.incidents.labels import IncidentEvent
from sim.model.episodes import Episode
from sim.runs.samples import Sample, samples_of
from sim.scenario.request_trace import RequestTrace

ROUTE = "/telemetry/batch"
BATCH_SAMPLES = 1000
BATCH_S = 1.0
"""A batch goes out when it is full, or when its first sample has waited so long."""

TIMEOUT_S = 10.0
FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 30.0
SPOOL_BYTES = 256 * 2**20
GIVE_UP_S = 300.0
"""How long an ended run goes on trying."""

_ENDING = ".json.gz"
_RETRY = (408, 425, 429, 500, 502, 503, 504)


class Away(Exception):  # noqa: N818 - it is a state of the receiver, not only an error
    """The receiver did not acknowledge a batch; it may later. after_s: as it asks, None where it does not."""

    def __init__(self, why: str, after_s: float | None = None) -> None:
        super().__init__(why)
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class Receiver:
    """Whoever takes batches. Raises InputError for a URL that is none."""

    url: str
    token: str | None = None

    @classmethod
    def at(cls, url: str, token: str | None = None) -> "Receiver":
        """Return the receiver at a URL; without a path its batches go to ROUTE."""
        try:
            parts = urlsplit(url)
            known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            known = False
        if not known:
            raise InputError(f"--to: {url!r} is no URL; give one like http://127.0.0.1:8000")
        return cls(url if parts.path.strip("/") else url.rstrip("/") + ROUTE, token)

    def post(self, body: bytes) -> dict[str, Any]:
        """Send a packed batch and return the answer. Raises Away, and OutputError where it is refused for good."""
        headers = {
            "Content-Type": "application/json", "Content-Encoding": "gzip",
            "Idempotency-Key": hashlib.sha256(body).hexdigest(),
        }  # fmt: skip
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.url, body, headers, method="POST")  # noqa: S310 - http or https, see `at`
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - as above
                return _document(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                self._refused(error.code, error.headers.get("Retry-After"), error.read(4096))
        except (OSError, http.client.HTTPException) as error:
            raise Away(reason(getattr(error, "reason", error) or error)) from None
        return {}

    def _refused(self, status: int, retry_after: str | None, raw: bytes) -> None:
        detail = _document(raw).get("detail") or raw.decode(errors="replace")[:200]
        if status in _RETRY:
            after_s = float(retry_after) if retry_after and retry_after.isdecimal() else None
            raise Away(f"{status}: {detail}", after_s)
        told = "give --token, or SKADI_TOKEN" if status in (401, 403) else "mend what it says, and send again"
        raise OutputError(f"{self.url}: refuses the samples ({status}: {detail}); {told}")


def _document(raw: bytes) -> dict[str, Any]:
    with suppress(ValueError):
        found = json.loads(raw)
        if isinstance(found, dict):
            return found
    return {}


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A batch on the disk: its file, its bytes, and its samples, 0 where an earlier run left it."""

    path: Path
    size: int
    samples: int


class Spool:
    """Batches in files of a folder, the oldest first; those that an earlier run left there are sent before all."""

    def __init__(self, folder: Path, most_bytes: int = SPOOL_BYTES) -> None:
        self.folder, self._most = folder, most_bytes
        self._waiting: deque[_Waiting] = deque()
        self.bytes = 0
        with self._told():
            for path in sorted(folder.glob(f"*{_ENDING}")) if folder.is_dir() else ():
                self._note(_Waiting(path, path.stat().st_size, 0))

    def __len__(self) -> int:
        """Return the number of batches that wait."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether no more than what waits may wait."""
        return self.bytes >= self._most

    @property
    def samples(self) -> int:
        """Number of samples that wait, those left by an earlier run not counted."""
        return sum(waiting.samples for waiting in self._waiting)

    def put(self, body: bytes, samples: int) -> None:
        """Keep a batch. Raises OutputError."""
        last = int(self._waiting[-1].path.name.removesuffix(_ENDING)) if self._waiting else 0
        path = self.folder / f"{last + 1:012}{_ENDING}"
        with self._told():
            self.folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_bytes(body)
            part.replace(path)
        self._note(_Waiting(path, len(body), samples))

    def oldest(self) -> bytes:
        """Return the batch that has waited longest."""
        with self._told():
            return self._waiting[0].path.read_bytes()

    def drop_oldest(self) -> None:
        """Forget the oldest batch, which has arrived."""
        arrived = self._waiting.popleft()
        self.bytes -= arrived.size
        with self._told():
            arrived.path.unlink(missing_ok=True)
            if not self._waiting:
                self.folder.rmdir()

    def _note(self, waiting: "_Waiting") -> None:
        self._waiting.append(waiting)
        self.bytes += waiting.size

    def _told(self) -> "_DiskTroubles":
        return _DiskTroubles(self.folder)


@dataclass(frozen=True, slots=True)
class _DiskTroubles:
    """Turns the disk's troubles into OutputError."""

    folder: Path

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            raise OutputError(f"{self.folder}: the spool cannot be used: {error.strerror or error}") from error


@dataclass(slots=True)
class Sent:
    """What became of a run's samples so far."""

    produced: int = 0
    rejected: int = 0
    why_rejected: str = ""
    lag_s: float = 0.0


@dataclass(slots=True)
class Sender:
    """Makes batches of samples and sees to it that they arrive. say: called when the receiver goes away or returns."""

    receiver: Receiver
    spool: Spool
    say: Callable[[str], None]
    sent: Sent = field(default_factory=Sent)
    _batch: list[Sample] = field(default_factory=list)
    _since: float = 0.0
    _retry_s: float = FIRST_RETRY_S
    _retry_at: float = float("-inf")
    _away: bool = False

    @property
    def left(self) -> int:
        """Number of samples of this run that have not arrived."""
        return len(self._batch) + self.spool.samples

    def take(self, samples: Sequence[Sample]) -> None:
        """Take a tick's samples."""
        if not self._batch:
            self._since = time.monotonic()
        self._batch += samples
        self.sent.produced += len(samples)
        while len(self._batch) >= BATCH_SAMPLES:
            full, self._batch = self._batch[:BATCH_SAMPLES], self._batch[BATCH_SAMPLES:]
            self._pass_on(full)
        if self._batch and time.monotonic() - self._since >= BATCH_S:
            self.flush()

    def flush(self) -> None:
        """Pass on what has come together."""
        if self._batch:
            batch, self._batch = self._batch, []
            self._pass_on(batch)

    def keep(self) -> None:
        """Keep what has come together in the spool, without trying to send it."""
        if self._batch:
            batch, self._batch = self._batch, []
            self.spool.put(_packed(batch), len(batch))

    def _pass_on(self, batch: Sequence[Sample]) -> None:
        body, arrived = _packed(batch), False
        try:
            arrived = not len(self.spool) and self._post(body)
        finally:  # an interrupt loses nothing either
            if not arrived:
                self.spool.put(body, len(batch))
        self.drain()

    def drain(self) -> bool:
        """Send what waits, if it is time to try; return whether nothing waits any more."""
        while len(self.spool) and time.monotonic() >= self._retry_at:
            if not self._post(self.spool.oldest()):
                return False
            self.spool.drop_oldest()
        return not len(self.spool)

    @property
    def wait_s(self) -> float:
        """How long to wait before the next try is due [s]."""
        return max(0.0, self._retry_at - time.monotonic())

    def _post(self, body: bytes) -> bool:
        """Send a batch; return whether it arrived."""
        if time.monotonic() < self._retry_at:
            return False
        try:
            answer = self.receiver.post(body)
        except Away as error:
            wait_s = self._retry_s if error.after_s is None else error.after_s
            self._retry_at = time.monotonic() + wait_s
            self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)
            if not self._away:
                self.say(f"{self.receiver.url} does not answer ({error}); samples wait in {self.spool.folder}")
            self._away = True
            return False
        self._retry_s, self._retry_at = FIRST_RETRY_S, float("-inf")
        if self._away:
            self.say(f"{self.receiver.url} answers again")
        self._away = False
        self._count(answer)
        return True

    def _count(self, answer: dict[str, Any]) -> None:
        rejected = answer.get("rejected")
        wrong = rejected if isinstance(rejected, list) else []
        if wrong and isinstance(wrong[0], dict):
            self.sent.why_rejected = f"{wrong[0].get('field')}: {wrong[0].get('why')}"
        self.sent.rejected += len(wrong)


def _packed(samples: Sequence[Sample]) -> bytes:
    # a time of 0, so that the same samples are the same bytes
    return gzip.compress(json.dumps({"samples": samples}, separators=(",", ":")).encode(), 6, mtime=0)


class _Latest:
    """Keeps the latest tick."""

    block: Telemetry | None = None

    def telemetry(self, block: Telemetry) -> None:
        """Take readings."""
        self.block = block

    def labels(self, block: Labels) -> None:
        """The truth is not sent."""

    def events(self, finished: Sequence[Episode | IncidentEvent]) -> None:
        """The truth is not sent."""


def ticks(hall: Hall, trace: RequestTrace | None) -> Iterator[list[Sample]]:
    """Yield the samples of a run tick by tick."""
    latest, tick_s = _Latest(), round(hall.scenario.tick)
    simulation = build(hall, [latest], trace=trace, block_ticks=1)
    for tick in range(hall.scenario.tick_count):
        simulation.advance((tick + 1) * tick_s)
        if latest.block is not None:
            yield samples_of(hall, latest.block)


def send_live(hall: Hall, trace: RequestTrace | None, sender: Sender, speed: float | None) -> None:
    """Run a hall and send it, `speed` simulated seconds in a second, None as fast as it goes; return when all arrived.

    What is late is not slept for. Raises OutputError where the receiver refuses, or is away for GIVE_UP_S after the
    run's end.
    """
    began, tick_s = time.monotonic(), round(hall.scenario.tick)
    for tick, samples in enumerate(ticks(hall, trace), start=1):
        if speed is not None:
            _sleep_until(began + tick * tick_s / speed, sender)
        sender.take(samples)
        while sender.spool.is_full and not sender.drain():
            time.sleep(min(0.1, sender.wait_s) or 0.01)
    sender.flush()
    over = time.monotonic()
    while not sender.drain():
        if time.monotonic() - over > GIVE_UP_S:
            raise OutputError(
                f"{sender.receiver.url}: has not answered for {GIVE_UP_S:g} s; {sender.left:,} samples wait in "
                f"{sender.spool.folder} and are sent first by the next run that spools there"
            )
        time.sleep(min(0.5, sender.wait_s) or 0.01)


def _sleep_until(due: float, sender: Sender) -> None:
    """Wait for a tick's time, and use the wait for what is to be sent again."""
    sender.sent.lag_s = max(0.0, time.monotonic() - due)
    while (left_s := due - time.monotonic()) > 0:
        sender.drain()
        time.sleep(min(left_s, 0.25 if len(sender.spool) else left_s))

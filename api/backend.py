"""The parts of the backend, put together once: the only place where they meet."""

import json
import logging
from collections.abc import Sequence
from typing import Any

from api.actions import Actions
from api.aggregates import Limits
from api.hall import LiveHall
from api.hall_log import HallLog
from api.ingest import Ingest
from api.metrics import RackMetrics
from api.problems import Problem
from api.referee import Referee
from api.retention import Retention
from api.samples import Sample
from api.scoring import Scored, Scoring, newest_artifact, sensors_of
from api.settings import Settings
from api.store import Store
from api.stream import Stream
from api.training import Trainer
from sim.common.errors import InputError
from sim.common.time_units import format_instant_us
from sim.scenario.files import load_scenario
from training import artifact
from training.mms import STATES
from training.model import LEVELS

_LOG = logging.getLogger(__name__)


class Backend:
    """Store, ingest, scoring and stream of one server. Raises InputError and OutputError where they cannot be.

    sockets: how many clients hold /ws/events open; the event loop's alone.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sockets = 0
        self.store = Store(settings.database_url.get_secret_value())
        self.stream = Stream()
        self.scoring = Scoring(self.store, self._scored, settings.mms_ema_alpha, settings.mms_persist_ticks)
        self.trainer = Trainer(self.store, lambda: self.stream.closed)
        self._take_up_newest_artifact()
        self.scoring.recover()
        limits = Limits(settings.sla_latency_ms, settings.inlet_max_c)
        self.ingest = Ingest(self.store, self.scoring, Retention(self.store, settings), limits, self._stored)
        self.rack_metrics = RackMetrics(self.store, settings.metrics_site, settings.metrics_hall)
        self.referee = Referee(self.store, self.stream, reveal=settings.reveal)
        self.hall = LiveHall(
            HallLog(self.store), self.ingest, self.stream,
            lambda run: self.referee.open(run, self.scoring.model), self.referee.keep, reveal=settings.reveal,
        )  # fmt: skip
        self.actions = Actions(self.store, self.hall, settings)
        if settings.hall is not None:
            self._start_hall(settings.hall)

    def actions_during(self, start_us: int, end_us: int) -> list[dict[str, Any]]:
        """Return the log of the actions of a stretch of event time [us], in order of time."""
        return self.actions.during(start_us, end_us)

    def close(self) -> None:
        """End the hall and the stream, and give the store back."""
        self.hall.close()
        self.stream.close()
        self.store.close()

    def _start_hall(self, name: str) -> None:
        """Run the scenario that the settings name, shipped or a file of this machine's."""
        try:
            self.hall.start(load_scenario(name, (), {}), self.settings.speed, paused=False, keep_start=False)
        except (InputError, Problem) as error:
            self.close()
            raise InputError(f"hall: {error}") from None

    def _take_up_newest_artifact(self) -> None:
        """Keep the newest artifact of the folder; it becomes the active model where none is yet."""
        path = newest_artifact(self.settings.artifacts_dir)
        if path is None:
            return
        try:
            model = artifact.load(path)
        except InputError as error:
            _LOG.warning("not used as a model: %s", error)
            return
        self.scoring.add_model(model, path.name, activate=not self.scoring.has_active())

    def _stored(self, samples: Sequence[Sample]) -> None:
        if samples:
            newest = max(samples, key=lambda s: s.ts_us)
            self.stream.tell("tick", {"ts": format_instant_us(newest.ts_us), "samples": len(samples)})

    def _scored(self, scored: Scored, alarms: list[dict[str, Any]]) -> None:
        """Tell the latest score of each rack, and the alarms that changed."""
        latest: dict[str, list[Any]] = {}
        for k, sample in enumerate(scored.samples):
            if not scored.late[k]:
                deviation = scored.deviation[k]
                latest[sample.rack_id] = [
                    sample.rack_id, None if deviation != deviation else round(float(deviation), 4),  # noqa: PLR0124
                    LEVELS[scored.level[k]], STATES[scored.state[k]],
                ]  # fmt: skip
        if latest:
            self.stream.tell("scores", {
                "ts": format_instant_us(scored.samples[-1].ts_us), "model_id": self.scoring.model_id,
                "columns": ["rack_id", "deviation", "level", "mms_state"], "racks": list(latest.values()),
            })  # fmt: skip
        for alarm in alarms:
            self.stream.tell("alarm", alarm_document(alarm))


def alarm_document(alarm: dict[str, Any]) -> dict[str, Any]:
    """Return a stored alarm as clients read it."""
    instants = {
        name: None if alarm[f"{name}_us"] is None else format_instant_us(alarm[f"{name}_us"])
        for name in ("onset", "opened", "end", "acknowledged")
    }
    return {
        "alarm_id": alarm["alarm_id"],
        "rack_id": alarm["rack_id"],
        "open": alarm["end_us"] is None,
        **instants,
        "peak": {"deviation": alarm["peak"], "ts": format_instant_us(alarm["peak_us"])},
        "causes": json.loads(alarm["causes"]),
        "sensors": sensors_of(alarm["sensors"]),
        "comment": alarm["comment"],
        "model_id": alarm["model_id"],
    }

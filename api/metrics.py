"""What Prometheus reads: text written here, since 10,000 racks take over a second as the client library's objects."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from api.aggregates import RackTotal
from api.figures import FRESH_US
from api.ingest import Counters
from api.store import ALARMS, RACKS, SCORES, TELEMETRY, Store
from sim import __version__
from sim.common.time_units import instant_us, parse_instant
from sim.runs.exports.openmetrics import FAMILIES, Family, escaped, labels
from training.mms import STATES

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_STATES = ", ".join(f"{code} {name}" for code, name in enumerate(STATES))
_OWN = (
    ("skadi_rack_sample_time_seconds", "Instant of the rack's latest sample, in event time, since 1970."),
    ("skadi_rack_deviation", "Distance of the rack's latest sample from what is nominal."),
    ("skadi_rack_monitor_state", f"State of the rack's monitor: {_STATES}."),
)
_HALL = (
    ("skadi_hall_time_seconds", "Instant that the live hall has come to, since 1970."),
    ("skadi_hall_lag_seconds", "How far the live hall is behind its pace."),
    ("skadi_hall_pue_ratio", "Power of the live hall over that of its racks."),
    ("skadi_hall_it_power_watts", "Power of the live hall's racks."),
    ("skadi_hall_cooling_power_watts", "Power of the live hall's cooling."),
)
_PROCESS = CollectorRegistry()
ProcessCollector(registry=_PROCESS)


class RackMetrics:
    """The racks' part, for a site and a hall; the labels of a rack are made once."""

    def __init__(self, store: Store, site: str, hall: str) -> None:
        self._store, self._site, self._hall = store, site, hall
        self._labels: dict[str, str] = {}

    def text(self, totals: Mapping[str, RackTotal]) -> str:
        """Return the metrics of the racks that were sampled in the 15 minutes before the newest sample.

        totals: the racks' running sums since the start.
        """
        rows = self._latest()
        told = [self._labels_of(row.rack_id) for row in rows]
        columns = [(family.name, _kind(family), family.text, _values(family, rows, totals)) for family in FAMILIES]
        own = zip(
            _OWN, ([r.ts_us / 1e6 for r in rows], [r.deviation for r in rows], [r.state for r in rows]), strict=True
        )
        columns += [(name, "gauge", text, values) for (name, text), values in own]
        return "".join(_family(*column[:3], zip(told, column[3], strict=True)) for column in columns)

    def _latest(self) -> Sequence[sa.Row[Any]]:
        """Return the latest sample and score of each rack, in order of racks."""
        its = sa.and_(TELEMETRY.c.rack_id == RACKS.c.rack_id, TELEMETRY.c.ts_us == RACKS.c.newest_us)
        scored = sa.and_(SCORES.c.rack_id == TELEMETRY.c.rack_id, SCORES.c.ts_us == TELEMETRY.c.ts_us)
        newest = sa.select(sa.func.max(RACKS.c.newest_us)).scalar_subquery()
        query = sa.select(TELEMETRY, SCORES.c.deviation, SCORES.c.state).select_from(RACKS)
        query = (
            query.join(TELEMETRY, its).join(SCORES, scored, isouter=True).where(RACKS.c.newest_us > newest - FRESH_US)
        )
        with self._store.reading() as connection:
            return connection.execute(query.order_by(RACKS.c.rack_id)).all()

    def _labels_of(self, rack: str) -> str:
        if rack not in self._labels:
            self._labels[rack] = labels(self._site, self._hall, rack)
        return self._labels[rack]


def _kind(family: Family) -> str:
    return "counter" if family.is_counter else "gauge"


def _values(family: Family, rows: Sequence[sa.Row[Any]], totals: Mapping[str, RackTotal]) -> Sequence[float | None]:
    """Return a family's value of each rack in its unit, None where there is none."""
    if family.is_counter:
        none = RackTotal()
        of_racks = [totals.get(row.rack_id, none) for row in rows]
        return [t.gpu_energy_j if family.kind == "reading" else t.tokens for t in of_racks]
    column, factor = TELEMETRY.c.keys().index(family.channel), family.factor
    return [None if row[column] is None else row[column] * factor for row in rows]


def _family(name: str, kind: str, text: str, samples: Iterable[tuple[str, float | None]]) -> str:
    """Return a family's lines; what has no value is left out."""
    head = f"# HELP {name} {text}\n# TYPE {name} {kind}\n"
    return head + "".join([f"{name}{told} {value:.12g}\n" for told, value in samples if value is not None])


def hall_text(document: Mapping[str, Any], site: str, hall: str) -> str:
    """Return the live hall's part. document: as GET /hall gives it; what is null there is left out."""
    told = f'{{site="{escaped(site)}",hall="{escaped(hall)}"}}'
    ts = document["ts"]
    values = (
        None if ts is None else instant_us(parse_instant(ts)) / 1e6,
        document["lag_s"],
        document["pue"],
        None if document["it_kw"] is None else document["it_kw"] * 1e3,
        None if document["cooling_kw"] is None else document["cooling_kw"] * 1e3,
    )
    pairs = zip(_HALL, values, strict=True)
    return "".join(_family(name, "gauge", text, [(told, value)]) for (name, text), value in pairs if value is not None)


def server_text(counters: Counters, open_alarms: int, listeners: int) -> str:
    """Return what the server says of itself."""
    lines = (
        ("skadi_ingest_batches_total", "counter", "Batches of samples taken in since the start.", counters.batches),
        ("skadi_ingest_samples_total", "counter", "Samples stored since the start.", counters.samples),
        ("skadi_ingest_duplicates_total", "counter", "Samples sent again since the start.", counters.duplicates),
        ("skadi_ingest_rejected_total", "counter", "Samples refused since the start.", counters.rejected),
        ("skadi_alarms_open", "gauge", "Alarms that are open.", open_alarms),
        ("skadi_stream_listeners", "gauge", "Clients that listen to the stream.", listeners),
    )
    build = _family("skadi_build_info", "gauge", "Version of the program.", [(f'{{version="{__version__}"}}', 1)])
    return "".join(_family(name, kind, text, [("", value)]) for name, kind, text, value in lines) + build


def process_text() -> str:
    """Return what the process takes of its machine, where that is known."""
    return generate_latest(_PROCESS).decode()


def open_alarms(store: Store) -> int:
    """Return the number of alarms that are open."""
    with store.reading() as connection:
        found = connection.scalar(sa.select(sa.func.count()).where(ALARMS.c.end_us.is_(None)))
    return int(found or 0)

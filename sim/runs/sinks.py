"""One kind of output each: telemetry, labels, events; `RunFiles` passes them what is theirs."""

import csv
import io
from collections import Counter, deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sim.engine.blocks import Labels, Telemetry
from sim.incidents.labels import IncidentEvent
from sim.model.channels import measured
from sim.model.episodes import PERSISTENT_S, Episode
from sim.model.facility import CHILLER_PLANT
from sim.runs.formats import FileFormat, Output
from sim.runs.tables import Tables, joined

if TYPE_CHECKING:
    import pyarrow as pa

EVENT_COLUMNS = (
    "event_id",
    "type",
    "kind",
    "cause_id",
    "root_asset",
    "affected_assets",
    "planned_start",
    "planned_end",
    "observable_onset",
    "peak",
    "observable_end",
    "ticks",
    "is_persistent",
    "severity",
    "origin",
)


class TelemetrySink:
    """Telemetry in a format."""

    def __init__(self, file: Output, tables: Tables, file_format: FileFormat) -> None:
        self._rows_of = tables.decimals if file_format.text else tables.floats
        self.table = file_format.table(file, tables.columns)

    def telemetry(self, block: Telemetry) -> None:
        """Write readings."""
        self.table.write(self._rows_of(block))


class CounterSink:
    """Counters of GPUs beside the telemetry, in its order."""

    def __init__(self, file: Output, tables: Tables, file_format: FileFormat) -> None:
        self._tables = tables
        self.table = file_format.table(file, ())

    def telemetry(self, block: Telemetry) -> None:
        """Write counters."""
        self.table.write(self._tables.counters(block))


class LabelSink:
    """Labels beside the telemetry, in its order; `effects` says that they tell what incidents change, by channel."""

    def __init__(self, file: Output, tables: Tables, file_format: FileFormat, *, effects: bool = False) -> None:
        self._tables = tables
        self._text = file_format.text
        columns = [*tables.label_columns, *(f"effect_{name}" for name in measured(tables.channels) if effects)]
        self.table = file_format.table(file, columns)

    def labels(self, block: Labels) -> None:
        """Write labels."""
        self.table.write(self._tables.labels(block, text=self._text))


class JoinedSink:
    """Readings and truth side by side: the columns of the telemetry, then those of the labels but ts and rack_id.

    The truth of a tick is known later than its readings, so these wait for it.
    """

    def __init__(self, file: Output, tables: Tables, file_format: FileFormat, *, effects: bool = False) -> None:
        self._tables = tables
        self._text = file_format.text
        self._waiting: deque[pa.Table] = deque()
        self._columns = [
            *tables.label_columns[2:],
            *(f"effect_{name}" for name in measured(tables.channels) if effects),
        ]
        self.table = file_format.table(file, [*tables.columns, *self._columns])

    def telemetry(self, block: Telemetry) -> None:
        """Keep readings."""
        self._waiting.append(self._tables.decimals(block) if self._text else self._tables.floats(block))

    def labels(self, block: Labels) -> None:
        """Write the readings of ticks whose truth this is, with it."""
        truth = self._tables.labels(block, text=self._text).select(self._columns)
        while truth.num_rows:
            readings = self._waiting.popleft()
            rows = min(readings.num_rows, truth.num_rows)
            self.table.write(joined(readings.slice(0, rows), truth.slice(0, rows)))
            truth = truth.slice(rows)
            if readings.num_rows > rows:
                self._waiting.appendleft(readings.slice(rows))


class EventSink:
    """One line for each episode and incident that is seen at a tick, in order of their end."""

    def __init__(self, file: Output, start: datetime, profiles: Sequence[str], until_s: float) -> None:
        self._file = file
        self._start = start
        self._profiles = profiles
        self._until_s = until_s
        self.rows = 0
        self.unseen_episodes = 0
        self.incidents: Counter[str] = Counter()
        self._write([EVENT_COLUMNS])

    def events(self, finished: Sequence[Episode | IncidentEvent]) -> None:
        """Write events. Episodes between two ticks are only counted, and incidents past the last tick not even that."""
        seen = [e for e in finished if e.ticks]
        self._write([self._incident(e) if isinstance(e, IncidentEvent) else self._episode(e) for e in seen])
        self.incidents.update(e.origin for e in seen if isinstance(e, IncidentEvent))
        self.rows += len(seen)
        self.unseen_episodes += sum(isinstance(e, Episode) for e in finished if not e.ticks)

    def _incident(self, e: IncidentEvent) -> tuple[str | int, ...]:
        learned = (e.onset_s, e.peak_s, e.observable_end_s)
        return (
            e.id,
            "sensor" if e.group == "sensor" else "maintenance" if e.group == "normal" else "incident",
            e.kind,
            e.triggered_by or "",
            "|".join(e.assets),
            "|".join([*e.affected, *((CHILLER_PLANT,) if e.saturated else ())]),
            self._instant(e.start_s),
            self._instant(e.end_s),
            *("" if s is None else self._instant(s) for s in learned),
            e.ticks,
            "true" if e.persistent else "false",
            f"{e.severity:g}",
            e.origin,
        )

    def _episode(self, e: Episode) -> tuple[str | int, ...]:
        return (
            e.name,
            "episode",
            self._profiles[e.profile],
            # a cause that fell between two ticks is in no file; one that lasts was seen by the tick that saw this
            (e.cause.name if e.cause.ticks else "") if e.cause else e.incident or "",
            e.asset,
            "|".join(sorted(e.racks)) if e.racks else e.asset,
            self._instant(e.start_s),
            "" if e.end_s is None else self._instant(e.end_s),
            "",
            "",
            "",
            e.ticks,
            "true" if e.lasts_s(self._until_s) >= PERSISTENT_S else "false",
            "",
            "",
        )

    def _instant(self, time_s: float) -> str:
        """Return an instant to the millisecond."""
        instant = self._start + timedelta(milliseconds=round(time_s * 1000))
        return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _write(self, lines: Sequence[tuple[str | int, ...]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        self._file.write(text.getvalue().encode())

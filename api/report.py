"""The report on a period, as a document and as a PDF: from what was stored, null where nothing was measured."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import sqlalchemy as sa

from api import figures
from api.aggregates import DAY_US
from api.store import MINUTES

if TYPE_CHECKING:
    from reportlab.platypus import Flowable

PERIOD_US = 7 * DAY_US
"""A report is on the last seven days of event time unless asked for others."""

_MOST_SHOWN = 100
_NAMES = {
    "j_per_prompt_wh": "Energy per request [Wh]",
    "latency_p95_ms": "95th percentile latency, mean of the racks [ms]",
    "inlet_compliance_pct": "Inlet readings within the limit [%]",
    "energy_saved_pct": "Energy saved against the twin [%]",
    "baseline_j_per_prompt": "Energy per request of the baseline [J]",
    "current_j_per_prompt": "Energy per request [J]",
    "reduction_pct": "Reduction [%]",
    "total_predicted_savings_pct": "Predicted by the actions applied [%]",
    "total_realized_savings_pct": "Measured [%]",
    "total_actions": "Actions",
    "applied": "Applied",
    "advisory": "Advisory",
    "rejected": "Rejected",
    "mode": "Mode",
    "kill_switch": "Kill switch",
    "data_points": "Samples",
    "actions_executed": "Actions executed",
}
_COLUMNS = {
    "ts": "When",
    "action": "What",
    "status": "Status",
    "pred_saving_pct": "Predicted [%]",
    "realized_saving_pct": "Measured [%]",
    "reason": "Why",
}


def last_days(connection: sa.Connection) -> figures.Period | None:
    """Return the stretch that a report is on unless asked for another: null where nothing is stored."""
    newest = figures.newest_us(connection)
    if newest is None:
        return None
    oldest = connection.scalar(sa.select(sa.func.min(MINUTES.c.minute_us))) or 0
    return figures.Period(max(newest - PERIOD_US, oldest), newest)


def document(
    sums: figures.Sums | None, period: figures.Period | None, actions: Sequence[Mapping[str, Any]],
    system: Mapping[str, Any], generated_at: str,
) -> dict[str, Any]:  # fmt: skip
    """Return the report on a period. sums: of the period, null where nothing is stored."""
    saved = figures.saved_pct(actions)
    current = None if sums is None else figures.j_per_prompt(sums)
    none = dict.fromkeys(("j_per_prompt_wh", "latency_p95_ms", "inlet_compliance_pct"))
    told = none if sums is None else figures.kpis(sums)
    applied = [a for a in actions if a["status"] == "applied"]
    status = Counter(a["status"] for a in actions)
    return {
        "generated_at": generated_at,
        "period": {"from": None, "to": None} if period is None else period.document(),
        "kpis": {**told, "energy_saved_pct": saved},
        "savings_attribution": {
            "baseline_j_per_prompt": None,
            "current_j_per_prompt": current,
            "reduction_pct": None,
            "total_predicted_savings_pct": round(sum(a["pred_saving_pct"] for a in applied), 6) if applied else None,
            "total_realized_savings_pct": saved,
        },
        "actions": {
            "total_actions": len(actions),
            **{name: status[name] for name in ("applied", "advisory", "rejected")},
            "by_type": dict(Counter(a["action"] for a in actions)),
        },
        "action_log": list(actions[-_MOST_SHOWN:]),
        "system_performance": {
            **system, "data_points": 0 if sums is None else int(sums["samples"] or 0), "actions_executed": len(applied),
        },
        "charts": _charts(period),
    }  # fmt: skip


def _charts(period: figures.Period | None) -> dict[str, str | None]:
    if period is None:
        return {"timeline_url": None, "heatmap_url": "/heatmap?type=inlet"}
    told = period.document()
    at = {"type": "inlet", "ts": told["to"]}
    return {"timeline_url": f"/timeline?{urlencode(told)}", "heatmap_url": f"/heatmap?{urlencode(at)}"}


def pdf(report: Mapping[str, Any]) -> bytes:
    """Return a report as a PDF."""
    from reportlab.lib.pagesizes import A4  # noqa: PLC0415 - slow to load, and used here alone
    from reportlab.lib.styles import getSampleStyleSheet  # noqa: PLC0415 - as above
    from reportlab.platypus import Paragraph, SimpleDocTemplate  # noqa: PLC0415 - as above

    styles = getSampleStyleSheet()
    period = report["period"]
    told = f"{period['from']} to {period['to']}" if period["from"] else "Nothing is stored yet."
    story: list[Flowable] = [Paragraph("Skadi report", styles["Title"]), Paragraph(told, styles["Normal"])]
    sections = ("kpis", "savings_attribution", "actions", "system_performance")
    for title, name in zip(("Key figures", "Savings", "Actions", "System"), sections, strict=True):
        rows = [[_NAMES[key], _shown(value)] for key, value in report[name].items() if key in _NAMES]
        story += [Paragraph(title, styles["Heading2"]), _table(rows, (320, 130))]
    story += _log(report["action_log"])
    out = BytesIO()
    SimpleDocTemplate(out, pagesize=A4, title="Skadi report", author="skadi-sim", invariant=1).build(story)
    return out.getvalue()


def _log(actions: Sequence[Mapping[str, Any]]) -> "Iterator[Flowable]":
    from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet  # noqa: PLC0415 - slow to load
    from reportlab.platypus import Paragraph  # noqa: PLC0415 - as above

    if not actions:
        return
    small = ParagraphStyle("small", fontName="Helvetica", fontSize=8, leading=10)
    lines = [list(_COLUMNS.values()), *([_shown(action[name]) for name in _COLUMNS] for action in actions)]
    yield Paragraph("Latest actions", getSampleStyleSheet()["Heading2"])
    yield _table([[Paragraph(escape(text), small) for text in line] for line in lines], (102, 112, 46, 50, 50, 90))


def _table(rows: list[list[Any]], widths_pt: tuple[int, ...]) -> "Flowable":
    from reportlab.lib.colors import lightgrey  # noqa: PLC0415 - slow to load
    from reportlab.platypus import Table, TableStyle  # noqa: PLC0415 - as above

    lines = TableStyle([("LINEBELOW", (0, 0), (-1, -1), 0.25, lightgrey), ("VALIGN", (0, 0), (-1, -1), "TOP")])
    return Table(rows, colWidths=widths_pt, style=lines)


def _shown(value: Any) -> str:
    """Return a value as a reader of paper wants it; a text without what no font draws, and not without end."""
    if value is None:
        return "not measured"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:,.4g}"
    text = "".join(c if c.isprintable() else " " for c in str(value))
    return text if len(text) <= 200 else f"{text[:197]}..."  # noqa: PLR2004 - a few lines of a cell

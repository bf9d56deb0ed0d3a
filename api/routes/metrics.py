"""What Prometheus reads."""

from fastapi import APIRouter
from fastapi.responses import Response

from api import metrics
from api.openapi import answers
from api.routes.parts import BackendOf

router = APIRouter(tags=["operations"])


@router.get("/metrics", response_class=Response, responses=answers(None, "text/plain"))
def get_metrics(backend: BackendOf) -> Response:
    """Return the racks, the live hall and the server in Prometheus' text format."""
    settings = backend.settings
    parts = (
        backend.rack_metrics.text(backend.ingest.aggregates.totals()),
        metrics.hall_text(backend.hall.document(), settings.metrics_site, settings.metrics_hall),
        metrics.server_text(backend.ingest.counters, metrics.open_alarms(backend.store), backend.stream.listeners),
        metrics.process_text(),
    )
    return Response("".join(parts), media_type=metrics.CONTENT_TYPE)

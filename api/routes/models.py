"""Models: trained from what is stored, listed, fetched, activated."""

import json
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Body, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from api.openapi import answers
from api.problems import Problem
from api.routes.parts import BackendOf, us_of
from api.store import MODELS
from api.training import Task, Trained
from sim.common.time_units import format_instant_us
from training.features import FEATURES

router = APIRouter(tags=["models"])

_TRAINED_EXAMPLE: dict[str, Any] = {
    "model_id": "ims-0123456789ab", "tau_fast": 1.92, "tau_persist": 2.41, "features": list(FEATURES),
    "training_samples": 3204, "n_clusters": 8, "status": "trained",
    "metrics": {
        "training_samples": 3204, "n_clusters": 8, "tau_fast": 1.92, "tau_persist": 2.41, "mean_deviation": 0.91,
        "median_deviation": 0.84, "std_deviation": 0.42,
    },
}  # fmt: skip
_MODEL_EXAMPLE: dict[str, Any] = {
    "model_id": "ims-0123456789ab", "created_at": "2026-01-01T00:00:00Z", "tau_fast": 1.92, "tau_persist": 2.41,
    "n_clusters": 8, "training_samples": 3204, "is_active": True,
}  # fmt: skip
_NOT_STORED = "no such model is stored"
ModelId = Annotated[str, Path(max_length=64, examples=["ims-0123456789ab"])]
Newest = Annotated[int, Query(ge=1, le=1000, description="so many at most, the newest first")]


class Training(BaseModel):
    """What to train on: samples from an instant to another, all without; n_clusters: IMS_KMEANS_CLUSTERS without."""

    start_ts: str | None = Field(default=None, max_length=64, examples=["2025-01-06T00:00:00Z"])
    end_ts: str | None = Field(default=None, max_length=64, examples=["2025-01-13T00:00:00Z"])
    n_clusters: int | None = Field(default=None, ge=1, le=4096, strict=True, examples=[8])


@router.post("/ims/train", responses=answers(
    _TRAINED_EXAMPLE, s400="under 100 samples to train on", s409="one is being trained", s413="the body is too large",
    s415="the body's type is not JSON", s429="too many requests",
))  # fmt: skip
def train(backend: BackendOf, asked: Annotated[Training | None, Body()] = None) -> dict[str, Any]:
    """Train a model from what is stored, in a process of its own, and activate it; samples are taken in meanwhile."""
    asked, settings = asked or Training(), backend.settings
    start_us, end_us = us_of(asked.start_ts, "start_ts"), us_of(asked.end_ts, "end_ts")
    if start_us is not None and end_us is not None and end_us < start_us:
        raise Problem(422, f"end_ts: {asked.end_ts!r:.60} is before start_ts, {asked.start_ts!r:.60}")
    percentiles = (settings.ims_tau_fast_percentile, settings.ims_tau_persist_percentile)
    url = settings.database_url.get_secret_value()
    task = Task(url, start_us, end_us, asked.n_clusters or settings.ims_kmeans_clusters, percentiles)
    trained = backend.trainer.train(task)
    model_id = backend.scoring.add_model(trained.model, "trained from stored samples", activate=True)
    return _trained_document(model_id, trained)


def _trained_document(model_id: str, trained: Trained) -> dict[str, Any]:
    model = trained.model
    told = {
        "training_samples": model.card["rows_trained"],
        "n_clusters": len(model.lo),
        "tau_fast": model.tau_fast,
        "tau_persist": model.tau_persist,
    }
    metrics = {**told, **{f"{name}_deviation": value for name, value in trained.deviations.items()}}
    return {"model_id": model_id, **told, "features": list(FEATURES), "status": "trained", "metrics": metrics}


@router.get("/ims/models", responses=answers({"models": [_MODEL_EXAMPLE]}))
def get_ims_models(backend: BackendOf, limit: Newest = 100) -> dict[str, Any]:
    """Return the stored models, the newest first."""
    return {"models": [_summary(row) for row in _newest(backend, limit)]}


@router.get("/models", responses=answers({
    "models": [_MODEL_EXAMPLE | {"name": "stored", "algorithm": "kmeans", "source": "trained from stored samples"}]
}))  # fmt: skip
def get_models(backend: BackendOf, limit: Newest = 100) -> dict[str, Any]:
    """Return the stored models, the newest first, with where they are from."""
    return {"models": [_summary(row) | _origin(row) for row in _newest(backend, limit)]}


def _newest(backend: BackendOf, limit: int) -> list[dict[str, Any]]:
    """Return rows of the newest models, each with its artifact read."""
    query = sa.select(MODELS).order_by(MODELS.c.created_us.desc(), MODELS.c.model_id).limit(limit)
    with backend.store.reading() as connection:
        rows = connection.execute(query).mappings().all()
    return [{**row, "artifact": json.loads(row["artifact"])["model"]} for row in rows]


def _summary(row: dict[str, Any]) -> dict[str, Any]:
    model = row["artifact"]
    return {
        "model_id": row["model_id"],
        "created_at": format_instant_us(row["created_us"]),
        "tau_fast": model["tau_fast"],
        "tau_persist": model["tau_persist"],
        "n_clusters": len(model["lo"]),
        "training_samples": model["card"].get("rows_trained"),
        "is_active": row["active"],
    }


def _origin(row: dict[str, Any]) -> dict[str, Any]:
    return {"name": row["artifact"]["name"], "algorithm": row["artifact"]["algorithm"], "source": row["source"]}


@router.get("/models/{model_id}", response_class=Response, responses=answers(
    {"schema": "skadi-ims/3", "sha256": "..", "model": {}}, s404=_NOT_STORED
))  # fmt: skip
def get_model(backend: BackendOf, model_id: ModelId) -> Response:
    """Return a model's file, as training.train_ims writes it and training.score takes it."""
    with backend.store.reading() as connection:
        text = connection.scalar(sa.select(MODELS.c.artifact).where(MODELS.c.model_id == model_id))
    if text is None:
        raise Problem(404, f"models: {model_id!r:.80} is not stored; GET /models lists them")
    return Response(text, media_type="application/json")


@router.post("/models/{model_id}/activate", responses=answers(
    {"model_id": "ims-0123456789ab", "is_active": True}, s404=_NOT_STORED, s413="the body is too large",
    s429="too many requests",
))  # fmt: skip
def activate(backend: BackendOf, model_id: ModelId) -> dict[str, Any]:
    """Score with a model from the next sample on."""
    backend.scoring.activate(model_id)
    return {"model_id": model_id, "is_active": True}

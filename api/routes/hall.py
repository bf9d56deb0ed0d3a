"""The live hall: start it, pace it, strike it, keep what was done."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from api.hall import FASTEST, SLOWEST, LiveHall, incident_entry, scenario_to_run
from api.hall_run import SHOWN_TICKS, TWIN_TICKS
from api.problems import Problem
from api.routes.parts import BackendOf, Limit
from api.store import RACKS
from sim.incidents.catalogue import CATALOGUE, CHANNEL, DEFAULT_CHANNEL, SWAPPED
from sim.incidents.kinds import Kind
from sim.incidents.planning import TO
from sim.model.channels import CHANNELS, MEASURED, TELEMETRY_CHANNELS
from sim.scenario.files import first_line, shipped_scenarios

router = APIRouter(prefix="/hall", tags=["live hall"])

Speed = Annotated[float | None, Field(ge=SLOWEST, le=FASTEST, description="simulated seconds in a second; null: all")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Start(_Body):
    """What to run: a shipped scenario, or one as a document."""

    scenario: Annotated[str, Field(max_length=64)] | dict[str, Any] = Field(
        default="week", description="name of a shipped scenario (GET /hall/scenarios), or a scenario as an object"
    )
    seed: int | None = Field(default=None, ge=0, lt=2**63, description="the scenario's unless given")
    speed: Speed = Field(default=60.0)
    duration: str | float | None = Field(default=None, description="such as 90m, 2d14h or seconds")
    start: Annotated[str, Field(max_length=64)] | None = Field(
        default=None,
        description="first sample; else the scenario's, moved on by weeks past what is stored of its racks",
    )
    paused: bool = Field(default=False, description="wait for POST /hall/resume or /hall/step")


class Pace(_Body):
    """How fast to go."""

    speed: Speed


class Step(_Body):
    """How far to go."""

    ticks: int = Field(default=1, ge=1, le=600)


_DEFAULT, _ONE = Start(), Step()


@router.get("")
def get_hall(backend: BackendOf) -> dict[str, Any]:
    """Return how the hall is."""
    return backend.hall.document()


@router.get("/scenarios")
def get_scenarios() -> dict[str, Any]:
    """Return the scenarios that can be started by name, each with its first line."""
    return {"scenarios": [{"name": name, "text": first_line(path)} for name, path in shipped_scenarios().items()]}


@router.post("/start")
def post_start(backend: BackendOf, asked: Annotated[Start, Body()] = _DEFAULT) -> dict[str, Any]:
    """Start a run of a scenario with its twin; its samples come in as anybody's. 409 while one runs."""
    given = {"seed": asked.seed, "duration": asked.duration, "start": asked.start}
    scenario = scenario_to_run(asked.scenario, {name: value for name, value in given.items() if value is not None})
    return backend.hall.start(scenario, asked.speed, paused=asked.paused, keep_start=asked.start is not None)


@router.post("/stop")
def post_stop(backend: BackendOf) -> dict[str, Any]:
    """End the run where it is."""
    return backend.hall.stop()


@router.post("/pause")
def post_pause(backend: BackendOf) -> dict[str, Any]:
    """Stand still after the tick that is under way."""
    return backend.hall.pause()


@router.post("/resume")
def post_resume(backend: BackendOf) -> dict[str, Any]:
    """Go on."""
    return backend.hall.resume()


@router.post("/step")
def post_step(backend: BackendOf, asked: Annotated[Step, Body()] = _ONE) -> dict[str, Any]:
    """Move a paused hall by some ticks."""
    return backend.hall.step(asked.ticks)


@router.post("/speed")
def post_speed(backend: BackendOf, asked: Pace) -> dict[str, Any]:
    """Go on at another pace."""
    return backend.hall.set_speed(asked.speed)


@router.get("/layout")
def get_layout(backend: BackendOf) -> dict[str, Any]:
    """Return rows, racks, loops and channels; without a hall, as the stored racks' names say."""
    channels = [
        {"name": n, "unit": CHANNELS[n].unit, "decimals": CHANNELS[n].decimals, "description": CHANNELS[n].description}
        for n in TELEMETRY_CHANNELS
    ]
    return {**_rows(backend), "channels": channels}


def _rows(backend: BackendOf) -> dict[str, Any]:
    run = backend.hall.run
    if run is None:
        with backend.store.reading() as connection:
            racks = list(
                connection.scalars(RACKS.select().with_only_columns(RACKS.c.rack_id).order_by(RACKS.c.rack_id))
            )
        by_row: dict[str, list[str]] = {}
        for rack in racks:
            by_row.setdefault(_row_of(rack), []).append(rack)
        return {"rows": [{"name": row, "loop": None, "racks": of} for row, of in sorted(by_row.items())], "loops": []}
    f = run.hall.facility
    rows = [
        {"name": row, "loop": f.loops[f.loop_of_row[i]], "racks": [f.racks[j] for j in f.racks_of_row(i)]}
        for i, row in enumerate(f.rows)
    ]
    return {"rows": rows, "loops": list(f.loops)}


def _row_of(rack: str) -> str:
    """Return the row that a rack's name tells: C of R-C-07."""
    parts = rack.split("-")
    return "-".join(parts[1:-1]) if len(parts) > 2 else ""  # noqa: PLR2004 - R, row, number


@router.get("/kinds")
def get_kinds() -> dict[str, Any]:
    """Return the kinds of incident with what each can be aimed at and its parameters."""
    return {"kinds": [_kind(kind) for kind in CATALOGUE.values()]}


def _kind(kind: Kind) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        p.name: {"default": p.default, "unit": p.unit, "low": p.low, "high": p.high} for p in kind.parameters
    }
    if kind.sensor:
        choices = list(SWAPPED if kind.sensor == "swap" else MEASURED)
        parameters[CHANNEL] = {"default": DEFAULT_CHANNEL, "choices": choices}
    if kind.moves_load:
        parameters[TO] = {"default": None, "text": "rows or racks that take the load, else the target's neighbours"}
    return {
        "kind": kind.name, "group": kind.group, "explanation": kind.line, "targets": list(kind.target_levels),
        "target_needed": kind.target is None, "severity": 1.0, "duration_s": kind.duration_s, "parameters": parameters,
    }  # fmt: skip


_INCIDENT = {"kind": "pump_trip", "target": "loop:CL-1", "severity": 0.8, "duration": "20m"}


@router.post("/incidents")
def post_incident(backend: BackendOf, body: Annotated[dict[str, Any], Body(examples=[_INCIDENT])]) -> dict[str, Any]:
    """Strike the hall: kind, target, severity, duration, at (now unless given), and the kind's own parameters."""
    return backend.hall.add_incident(incident_entry(body))


@router.get("/incidents")
def get_incidents(backend: BackendOf) -> dict[str, Any]:
    """Return the incidents that were commanded, and of the others those that are over; all where the truth is shown."""
    return {"incidents": backend.hall.incidents()}


@router.post("/incidents/{incident_id}/end")
def post_end(backend: BackendOf, incident_id: str) -> dict[str, Any]:
    """End the cause of an incident that is under way; what it has set off goes on."""
    return backend.hall.end_incident(incident_id)


@router.get("/commands")
def get_commands(backend: BackendOf, limit: Limit = 100) -> dict[str, Any]:
    """Return what the hall was told, newest first, also before a restart."""
    return {"commands": backend.hall.log.commands(limit)}


@router.get("/scenario", response_class=Response, responses={200: {"content": {"application/yaml": {}}}})
def get_scenario(backend: BackendOf) -> Response:
    """Return the scenario file with which run_sim.py gives the latest hall's telemetry, byte for byte."""
    headers = {"Content-Disposition": 'attachment; filename="hall.yaml"'}
    return Response(backend.hall.scenario_yaml(), media_type="application/yaml", headers=headers)


@router.get("/twin")
def get_twin(
    backend: BackendOf,
    rack_id: Annotated[str, Query(max_length=64)],
    points: Annotated[int, Query(ge=1, le=TWIN_TICKS, description="the latest so many samples")] = SHOWN_TICKS,
) -> dict[str, Any]:
    """Return what a rack would read without any incident or action, oldest first; where the truth is shown."""
    hall: LiveHall = backend.hall
    if not hall.reveal:
        raise Problem(403, "the twin is not shown; start the server with SKADI_REVEAL=true")
    return {"rack_id": rack_id, "series": hall.twin(rack_id, points)}

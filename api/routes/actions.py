"""Mode, actions, the optimizer and the demo scenarios, as clients of the reference know them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.actions import asked
from api.hall_run import HallRun
from api.optimizer import proposals
from api.problems import Problem
from api.routes.parts import BackendOf, Limit
from api.settings import Mode
from sim.common.time_units import parse_instant

router = APIRouter(tags=["reference"])


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)


class NewMode(_Body):
    """Whether actions move the live hall."""

    mode: Mode


class Action(_Body):
    """An action of the reference."""

    model_config = ConfigDict(
        extra="ignore", strict=True, allow_inf_nan=False,
        json_schema_extra={"example": {"action": "decrease_fan_rpm", "params": {"delta_pct": 5}, "reason": "cool"}},
    )  # fmt: skip
    action: Annotated[str, Field(max_length=64)]
    params: dict[str, Any] = Field(default_factory=dict, max_length=32)
    target: Annotated[str, Field(max_length=64)] = "system"
    reason: Annotated[str, Field(max_length=500)] = ""
    pred_saving_pct: Annotated[float, Field(ge=-100, le=100)] = 0.0


Demo = Literal["add_ai_nodes_row_c", "overcooled_row_e"]
_STRIKES: dict[str, dict[str, str]] = {
    "add_ai_nodes_row_c": {"kind": "added_ai_nodes", "target": "row:C"},
    "overcooled_row_e": {"kind": "overcooled_row", "target": "row:E"},
}


class DemoCommand(_Body):
    """A demo scenario, to be started or stopped."""

    scenario: Demo
    action: Literal["start", "stop"]
    duration_s: Annotated[float, Field(ge=1, le=604_800)] = 300


@router.get("/mode")
def get_mode(backend: BackendOf) -> dict[str, Any]:
    """Return whether actions move the live hall (closed_loop) or are only logged (advisory)."""
    return {"mode": backend.actions.mode, "kill_switch": backend.actions.kill_switch}


@router.post("/mode")
def post_mode(backend: BackendOf, new: NewMode) -> dict[str, Any]:
    """Change the mode."""
    old = backend.actions.set_mode(new.mode)
    return {"old_mode": old, "new_mode": new.mode, "message": f"the mode is {new.mode}"}


@router.post("/actions/apply")
def post_action(backend: BackendOf, action: Action) -> dict[str, Any]:
    """Move a lever of the live hall in closed loop, within limits; log it in advisory mode. 403: kill switch."""
    wanted = asked(action.action, action.params, action.target, action.reason, action.pred_saving_pct)
    return backend.actions.apply(wanted)


@router.get("/actions/log")
def get_actions(backend: BackendOf, limit: Limit = 100) -> dict[str, Any]:
    """Return the latest actions, newest first; what each realised is the hall's energy against its twin's since."""
    return {"actions": backend.actions.logged(limit)}


@router.post("/optimizer/tick")
def post_tick(backend: BackendOf) -> dict[str, Any]:
    """Propose actions from the latest sample of each rack; savings are estimates, and nothing is applied."""
    found = proposals(backend.store, backend.settings)
    message = "savings are estimates; POST /actions/apply takes an action, GET /actions/log tells what it realised"
    if not found:
        return {"status": "no_action", "proposals": [], "picked": None, "message": "nothing is to be gained now"}
    return {"status": "ok", "proposals": found, "picked": found[0], "message": message}


@router.get("/demo/scenarios")
def get_demo_scenarios() -> dict[str, Any]:
    """Return the demo scenarios, each with what it does to the live hall."""
    return {"scenarios": [{"scenario": name, **strike} for name, strike in _STRIKES.items()]}


@router.get("/demo/status")
def get_demo_status(backend: BackendOf) -> dict[str, Any]:
    """Return the demo scenarios that are under way."""
    return {"active_scenarios": _active(backend)}


@router.post("/demo/scenario")
def post_demo(backend: BackendOf, command: DemoCommand) -> dict[str, Any]:
    """Strike the live hall with a demo scenario, which ends by itself, or end it before. 404: none is under way."""
    name = command.scenario
    if command.action == "start":
        made = backend.hall.strike(lambda run: _entry(name, command.duration_s, run))
        return {
            "status": "started", "scenario": name, "message": "{kind} strikes {target}".format(**_STRIKES[name]),
            "scenario_id": made["incident_id"], "duration_s": command.duration_s,
        }  # fmt: skip
    mine = [active["scenario_id"] for active in _active(backend) if active["type"] == name]
    if not mine:
        raise Problem(404, f"scenario: no {name} is under way; GET /demo/status lists those that are")
    for identity in mine:
        backend.hall.end_incident(identity)
    return {"status": "stopped", "scenario": name, "message": "ended; its effect fades", "stopped_ids": mine}


def _active(backend: BackendOf) -> list[dict[str, Any]]:
    """Return the demo scenarios under way: the hall's incidents that bear their names."""
    named = [
        (i, name) for i in backend.hall.incidents() for name in _STRIKES if i["incident_id"].startswith(f"{name}-")
    ]
    return [
        {
            "scenario_id": i["incident_id"], "type": name, "start_ts": i["planned_start"],
            "duration_s": (parse_instant(i["planned_end"]) - parse_instant(i["planned_start"])).total_seconds(),
        }
        for i, name in named
        if i["state"] in ("planned", "active")
    ]  # fmt: skip


def _entry(name: str, duration_s: float, run: HallRun) -> dict[str, Any]:
    times = sum(identity.startswith(f"{name}-") for identity in run.commanded)
    return {**_STRIKES[name], "duration": duration_s, "id": f"{name}-{times + 1}"}

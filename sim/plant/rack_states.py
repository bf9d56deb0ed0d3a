"""States of racks as one small machine: off, booting, serving, capped, shut down; what each draws, moves and serves.

A rack's nodes are off without power, boot for a while once they have it, and serve then; heat shuts all of a rack's
nodes down until its cooling could hold it again. While they serve, GPUs run as fast as heat, the rack's breakers and
incidents let them: below the full clock they are capped. See docs/model.md.
"""

from typing import NamedTuple

import numpy as np

from sim.plant import constants as k
from sim.plant import relations
from sim.plant.load import queued
from sim.plant.relations import Array, largest, smallest, within


class Nodes(NamedTuple):
    """What the nodes of racks are about, as parts of all of a rack's, (worlds, racks); the rest is off.

    running: serve; booting: have power but do not serve yet; boot_s: for how long; admitted: part of the rack's load
    that reaches it; shut: 1 where heat shut the rack down.
    """

    running: Array
    booting: Array
    boot_s: Array
    admitted: Array
    shut: Array

    @property
    def all_serve(self) -> bool:
        """Whether every node runs and gets its load."""
        return smallest(self.admitted) >= 1


class Parts(NamedTuple):
    """Parts of racks' nodes in each state, means over a step: serving, booting, shut down; and the load let in."""

    running: Array | float
    booting: Array | float
    standby: Array | float
    admitted: Array | float

    @property
    def on(self) -> Array | float:
        """Part of the nodes whose fans turn."""
        return self.running + self.booting


ALL_SERVE = Parts(1.0, 0.0, 0.0, 1.0)


def next_nodes(nodes: Nodes, powered: Array, shut: Array, dt_s: float) -> tuple[Nodes, Parts]:
    """Return what nodes are about after a step, and in which parts they were during it.

    powered: part of a rack's nodes with power; shut: 1 where heat keeps the rack down. Nodes that get power boot
    together for BOOT_S; then load comes back evenly over LOAD_RETURN_S.
    """
    on = powered * (1 - shut)
    running = np.minimum(nodes.running, on)
    joining = on - running
    already = np.minimum(nodes.booting, joining)
    boot_s = nodes.boot_s * already / np.maximum(joining, 1e-12) + dt_s
    ready_s = np.where(joining > 0, within(boot_s - k.BOOT_S, 0.0, dt_s), 0.0)
    ends = np.where(ready_s > 0, on, running)
    mean = running + joining * (ready_s / dt_s)
    admitted = np.minimum(nodes.admitted, running)
    open_s = np.where(running > admitted, dt_s, ready_s)
    let_in = np.minimum(ends - admitted, open_s / k.LOAD_RETURN_S)
    mean_in = admitted + let_in * (open_s - let_in * k.LOAD_RETURN_S / 2) / dt_s
    after = Nodes(ends, on - ends, np.where(on > ends, boot_s, 0.0), admitted + let_in, shut)
    return after, Parts(mean, on - mean, powered * shut, mean_in)


def shut_down(nodes: Nodes, inlet_c: Array, may_start: Array) -> Array:
    """Return where heat keeps racks down (1): from SHUTDOWN_INLET_C on, until their cooling could hold them again.

    may_start: whether it could, as an operator finds before starting them; a rack that only has cooled down because it
    stands would heat up again.
    """
    return np.where(inlet_c > k.SHUTDOWN_INLET_C, 1.0, np.where(may_start, 0.0, nodes.shut))


class Work(NamedTuple):
    """What racks are asked to do in a step, each (worlds or 1, racks), and (2, ..) where mean and end differ.

    offered_ps: mean and end [tokens/s]; full_ps: what their running nodes serve at the full clock, mean and end.
    token_energy: against the reference. clock_ceiling: the highest clock that incidents leave.
    limit_kw: the most that GPUs may draw; idle: part of them that is on. gpu_c: their temperature, mean over the step,
    as far as what they draw in it does not move it [degC]; follows: how much of that does.
    """

    offered_ps: Array
    full_ps: Array
    token_energy: Array
    clock_ceiling: Array | float
    limit_kw: Array
    idle: Array | float
    gpu_c: Array
    follows: float


FULL_CLOCK = np.ones((1, 1))
"""Of GPUs that nothing holds back."""


class Served(NamedTuple):
    """What racks serve: at a step's end, what waits then, what they could; and the power that GPUs drew for it [kW]."""

    tokens_ps: Array
    backlog_tokens: Array
    capacity_ps: Array
    utilisation: Array
    clock: Array
    gpu_kw: Array


def serve(work: Work, backlog_tokens: Array, dt_s: float) -> Served:
    """Return what racks serve: all that is offered and waits, at the highest clock at which GPUs draw what they may."""
    w, freely = work, _served(work, backlog_tokens, work.clock_ceiling, dt_s)
    over_kw = freely.gpu_kw - w.limit_kw
    if largest(over_kw) <= 0:
        return freely
    asked_ps = w.offered_ps[0] + backlog_tokens * (1 / max(dt_s, k.BACKLOG_DRAIN_S))
    warmed_c = w.gpu_c + w.follows * k.GPU_KELVIN_PER_KW * w.limit_kw
    budget_kw = w.limit_kw / relations.leakage(warmed_c) - k.GPU_IDLE_KW * w.idle
    capped = relations.clock_within(budget_kw, w.token_energy, asked_ps, w.full_ps[0])
    return _served(w, backlog_tokens, np.where(over_kw > 0, np.minimum(capped, w.clock_ceiling), w.clock_ceiling), dt_s)


def _served(w: Work, backlog_tokens: Array, clock: Array | float, dt_s: float) -> Served:
    """Return what racks serve at a clock."""
    able_ps = w.full_ps * clock
    mean_ps, end_ps, waiting = queued(w.offered_ps, backlog_tokens, able_ps, dt_s)
    return Served(
        end_ps,
        waiting,
        able_ps[1],
        w.offered_ps[1] / np.maximum(able_ps[1], 1e-9),
        clock if isinstance(clock, np.ndarray) else FULL_CLOCK,
        relations.gpu_kw(mean_ps, w.token_energy * clock**k.CLOCK_ENERGY_EXPONENT, w.gpu_c, w.idle, w.follows),
    )


def drawn_kw(gpu_kw: Array, beside_kw: Array, parts: Parts) -> Array:
    """Return racks' power [kW] with what their GPUs draw, and what all that is on draws beside, by state."""
    if parts is ALL_SERVE:
        return gpu_kw * (1 + k.HOST_PER_GPU_KW) + beside_kw + k.HOST_IDLE_KW
    hosts_kw = k.HOST_IDLE_KW * parts.running + k.BOOT_HOST_KW * parts.booting + k.STANDBY_KW * parts.standby
    return np.maximum(gpu_kw * (1 + k.HOST_PER_GPU_KW) + beside_kw * parts.on + hosts_kw, 0.0)

"""Load: what racks are offered, what incidents move between them, and what they serve of it."""

from collections.abc import Sequence

import numpy as np

from sim.incidents.kinds import LoadTransfer
from sim.plant import constants as k
from sim.plant.relations import Array, within


def transferred(offered_ps: Array, transfers: Sequence[LoadTransfer], size: Array, worlds: int) -> Array:
    """Return what is offered [tokens/s], (worlds, racks), once load has moved; none is lost or made.

    All at once in each world: each transfer takes its part of what a rack itself is offered and spreads it evenly over
    those that take it, and several leave what each of them leaves.
    """
    moved = np.repeat(offered_ps, worlds, axis=0) if len(offered_ps) < worlds else offered_ps.copy()
    for world in sorted({world for t in transfers for world in t.worlds}):
        _transfer(moved[world], [t for t in transfers if world in t.worlds], size)
    return moved


def _transfer(offered_ps: Array, transfers: Sequence[LoadTransfer], size: Array) -> None:
    """Move load within one world's array, (racks,)."""
    kept, asked = np.ones(size.size), np.full(size.size, 1e-300)
    for t in transfers:
        kept[t.from_racks] *= 1 - t.part
        asked[t.from_racks] += t.part
    leaving = offered_ps * (1 - kept)
    offered_ps *= kept
    for t in transfers:
        total = (leaving[t.from_racks] * size[t.from_racks] * t.part / asked[t.from_racks]).sum()
        offered_ps[t.to_racks] += total / size[t.to_racks].sum()


def served_ps(offered_ps: Array, backlog_tokens: Array, capacity_ps: Array, dt_s: float) -> Array:
    """Return what is served [tokens/s]: all that is offered and waits, up to capacity: min(o + B / max(tau, dt), c).

    offered_ps: o [tokens/s]; backlog_tokens: B; capacity_ps: c [tokens/s]. tau is assumed.

    >>> served_ps(np.array(500.0), np.array([0.0, 1000.0, 9000.0]), np.array(600.0), dt_s=10.0).tolist()
    [500.0, 550.0, 600.0]
    """
    return np.minimum(offered_ps + backlog_tokens / max(k.BACKLOG_DRAIN_S, dt_s), capacity_ps)


def still_waiting(offered_ps: Array, tokens_ps: Array, backlog_tokens: Array, capacity_ps: Array, dt_s: float) -> Array:
    """Return the tokens that wait after a step, at most 30 s of capacity; the rest is shed: B + (o - s) dt.

    The limit is assumed.

    >>> float(still_waiting(np.array(900.0), np.array(600.0), np.array(0.0), np.array(600.0), dt_s=10.0))
    3000.0
    """
    waiting = backlog_tokens + (offered_ps - tokens_ps) * dt_s
    return within(waiting, 0.0, k.BACKLOG_LIMIT_S * capacity_ps)

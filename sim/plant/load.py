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
    kept, asked = np.ones(moved.shape), np.full(moved.shape, 1e-300)
    leave = [np.ix_(t.worlds, t.from_racks) for t in transfers]
    for t, cells in zip(transfers, leave, strict=True):
        kept[cells] *= 1 - t.part
        asked[cells] += t.part
    leaving = moved * (1 - kept)
    moved *= kept
    for t, cells in zip(transfers, leave, strict=True):
        total = (leaving[cells] * size[t.from_racks] * t.part / asked[cells]).sum(axis=1, keepdims=True)
        moved[np.ix_(t.worlds, t.to_racks)] += total / size[t.to_racks].sum()
    return moved


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

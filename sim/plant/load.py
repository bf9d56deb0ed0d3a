"""Load: what racks are offered, what incidents move between them, and what they serve of it."""

from collections.abc import Sequence

import numpy as np

from sim.incidents.kinds import LoadTransfer
from sim.plant import constants as k
from sim.plant.relations import Array, largest, smallest, within


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


def queued(offered_ps: Array, backlog_tokens: Array, capacity_ps: Array, dt_s: float) -> tuple[Array, Array, Array]:
    """Return what is served, mean over a step and at its end [tokens/s], and what waits then [tokens].

    dB/dt = o - min(o + B / tau, c), exactly for steady o and c: beyond capacity the backlog grows, else it shrinks by
    what is spare until that is more than it takes to drain by its own time constant. tau is assumed. offered_ps,
    capacity_ps: mean over the step and at its end, (2, ..).

    >>> offered_ps, capacity_ps = np.array([[700.0, 500.0], [700.0, 500.0]]), np.full((2, 2), 600.0)
    >>> mean_ps, end_ps, waiting = queued(offered_ps, np.array([0.0, 8000.0]), capacity_ps, dt_s=10.0)
    >>> mean_ps.tolist(), waiting.tolist()
    ([600.0, 600.0], [1000.0, 7000.0])
    """
    (mean_ps, end_ps), (able_ps, able_end_ps) = offered_ps, capacity_ps
    if smallest(capacity_ps - offered_ps) >= 0 and largest(backlog_tokens) <= 0:
        return mean_ps, end_ps, backlog_tokens
    spare_ps = able_ps - mean_ps
    some_ps = np.maximum(spare_ps, 1e-9)
    full_s = within((backlog_tokens - k.BACKLOG_DRAIN_S * some_ps) / some_ps, 0.0, dt_s)
    drained = (backlog_tokens - spare_ps * full_s) * np.exp((full_s - dt_s) / k.BACKLOG_DRAIN_S)
    left = np.where(spare_ps > 0, drained, backlog_tokens - spare_ps * dt_s)
    waiting = np.minimum(left, k.BACKLOG_LIMIT_S * able_end_ps)
    served_ps = np.minimum(end_ps + waiting * (1 / k.BACKLOG_DRAIN_S), able_end_ps)
    return mean_ps + (backlog_tokens - left) / dt_s, served_ps, waiting

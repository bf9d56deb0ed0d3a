"""What theory says of the agents' statistics: how far a measured share of time may stray from the law."""

from math import gamma
from statistics import NormalDist

import numpy as np

from sim.agents.occupancy import MINUTE_S, hazards, hour_classes


def one_minute_transitions(shares, dwell_s):
    """Return the chain's transition matrices, (minutes, profiles, profiles), by the implicit Euler rule."""
    chain = hazards(shares, dwell_s)
    parts = np.diff(np.concatenate([np.zeros((1, chain.into.shape[1])), chain.into]), axis=0)
    entering, leaving = np.diff(chain.entry) * parts, np.diff(chain.exit, axis=1)
    profiles, minutes = entering.shape
    generator = np.zeros((minutes, profiles, profiles))
    generator[:, 0, 1:] = entering[1:].T
    generator[:, 1:, 0] = leaving[1:].T
    diagonal = np.arange(profiles)
    generator[:, diagonal, diagonal] = -generator.sum(axis=2)
    return np.linalg.inv(np.eye(profiles) - generator)


def variance_of_means(shares, dwell_s, values, masks):
    """Return the variance of the mean of f(t, X_t) over the minutes of each mask, for a chain X that follows the law.

    values: f by minute and profile, (functions, minutes, profiles). masks: (classes, minutes). Result: (classes,
    functions). With C_s = diag(pi_s) - pi_s pi_s' and P_s the step from minute s,
    var(sum f) = sum_s f_s C_s f_s + 2 sum_s g_s f_s, where g_(s+1) = (g_s + f_s C_s) P_s is the covariance of all
    earlier terms with being in each profile now.
    """
    values = values * masks[:, None, :, None]
    earlier, total = np.zeros((*values.shape[:2], len(shares))), np.zeros(values.shape[:2])
    for minute, step in enumerate(one_minute_transitions(shares, dwell_s)):
        f, pi = values[:, :, minute], shares[:, minute]
        now = f * pi - (f @ pi)[..., None] * pi
        total += ((now + 2 * earlier) * f).sum(axis=-1)
        earlier = (earlier + now) @ step
    return total / masks.sum(axis=1, keepdims=True) ** 2


def what_a_parent_changes(law):
    """Return by how much a rack's chance to show each profile moves with its parent's, (shown, minutes, parent's).

    It brings its own profile and covers what the rack would show by the law: [parent in k] - pi_k, while not nominal.
    """
    profiles = len(law)
    brings = np.eye(profiles)[:, None] - law[:, :, None]
    brings[:, :, 0] = 0.0
    return brings


def occupancy_standard_errors(hall, row, seeds):
    """Return the standard error of a row's share of each profile in each hour class, (classes, profiles).

    A rack shows its loop's profile when it takes part in it (chance c), else its row's, else its own. Seen from one
    parent, the chance that a rack shows k moves by c f_k, f_k as in `what_a_parent_changes`. All racks of the row
    share that term, so loop and row add c^2 (V_loop + V_row) to the variance of the row's mean, V the variance of the
    mean of f_k over the class. The rest is each rack's own, and at most that of a chain that follows the row's whole
    law: n racks add V_rack / n. Seeds are independent.
    """
    scenario, law = hall.scenario, hall.occupancy_shares[row]
    dwell_s = [scenario.mean_dwell_s(name) for name in hall.profiles]
    c, racks, profiles = scenario.occupancy.participation, len(hall.facility.racks_of_row(row)), len(hall.profiles)
    masks = np.array(list(hour_classes(scenario.occupancy.weekends).values()))
    brings = what_a_parent_changes(law.total[:, :-1])
    shows = np.broadcast_to(np.eye(profiles)[:, None], brings.shape)
    parents = sum(variance_of_means(shares, dwell_s, brings, masks) for shares in (law.loop, law.row))
    own = variance_of_means(law.total, dwell_s, shows, masks)
    return np.sqrt((c**2 * parents + own / racks) / seeds)


def outlasting(dwell, profile, minutes):
    """Return the chance that a stay lasts longer than some minutes."""
    ratio = np.maximum(minutes, 1e-9) / (dwell.mean_s[profile] / MINUTE_S)
    if dwell.law == "lognormal":
        z = (np.log(ratio) + dwell.shape**2 / 2) / dwell.shape
        return 1 - np.array([NormalDist().cdf(x) for x in z])
    k = 1.0 if dwell.memoryless else dwell.shape
    return np.exp(-((ratio * gamma(1 + 1 / k)) ** k))


def renewal_occupancy(shares, dwell, minutes):
    """Return the occupancy of a chain whose stays follow any law, (profiles, minutes + 1), by its renewal equation.

    p_k(t) = p_k(0) R_k(t) e^(-L_k(t)) + sum_s p_0(s) a_k(s) S_k(t - s) e^(-(L_k(t) - L_k(s))), where a_k is the hazard
    of entering k, S_k how long stays last, R_k how long those that are under way still do, and L_k the hazard by which
    a falling share ends stays early. The rest is nominal. Entrants come in the middle of a minute.
    """
    chain = hazards(shares, dwell.mean_s, memoryless=False)
    parts = np.diff(np.concatenate([np.zeros((1, chain.into.shape[1])), chain.into]), axis=0)
    entering = (np.diff(chain.entry) * parts)[:, :minutes]
    age = np.arange(minutes + 1)
    p = np.zeros((len(shares), minutes + 1))
    p[:, 0] = shares[:, 0]
    kept = np.exp(-(chain.exit[:, : minutes + 1]))
    inside = range(1, len(shares))
    lasting = {k: outlasting(dwell, k, age - 0.5) for k in inside}
    for k in inside:
        middle = outlasting(dwell, k, age[1:] - 0.5)
        rest = 1 - np.concatenate([[0.0], np.cumsum(middle)]) * MINUTE_S / dwell.mean_s[k]
        p[k] = p[k, 0] * rest * kept[k]
    for t in range(minutes):
        p[0, t] = 1 - p[1:, t].sum()
        for k in inside:
            late = slice(t + 1, None)
            early_end = np.exp(chain.exit[k, t + 1] - chain.exit[k, t + 1 : minutes + 1])
            p[k, late] += p[0, t] * entering[k, t] * lasting[k][1 : minutes - t + 1] * early_end
    p[0, -1] = 1 - p[1:, -1].sum()
    return p

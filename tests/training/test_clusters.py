import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sim.common.errors import InputError
from tests.examples import examples
from training.clustering import hyperboxes, kmeans_clusters
from training.clusters import _SMALL_ROWS, causes, deviations

A_AND_B = np.array([[0.0, 0.0], [4.0, 4.0]]), np.array([[1.0, 2.0], [6.0, 5.0]])
EACH = ((0,), (1,))
finite = st.floats(-1e3, 1e3, allow_nan=False, width=32)


@pytest.mark.parametrize(
    ("point", "deviation", "cluster"),
    [
        ((0.5, 1), 0, 0),
        ((2, 1), 1, 0),
        ((4, 6), 1, 1),
        ((4.5, 8), 3, 1),
        ((7, 9), 17**0.5, 1),
        ((2.5, 3), 3.25**0.5, 0),
    ],
)
def test_the_deviation_is_the_distance_to_the_nearest_cluster_and_the_first_wins_a_tie(point, deviation, cluster):
    d, nearest = deviations(np.array([point], dtype=float), *A_AND_B)
    assert d[0] == pytest.approx(deviation, rel=1e-15)
    assert nearest[0] == cluster


def test_the_known_distances_to_four_decimals():
    d, _ = deviations(np.array([[7.0, 9.0], [2.5, 3.0]]), *A_AND_B)
    assert np.round(d, 4).tolist() == [4.1231, 1.8028]


@pytest.mark.parametrize(
    ("values", "ranges", "counts"),
    [
        ([0, 1, 2, 10, 11, 1.5], [(0, 2), (10, 11)], [4, 2]),
        ([0, 3, 1, 2], [(0, 2), (3, 3)], [3, 1]),
        ([0, 1, 2, 3], [(0, 3)], [4]),
    ],
)
def test_a_cluster_grows_by_what_lies_within_eps_and_anything_farther_starts_another(values, ranges, counts):
    clusters = hyperboxes(np.array(values, dtype=float)[:, None], eps=1.0, rho=0.0, seed=None)
    assert list(zip(clusters.lo[:, 0], clusters.hi[:, 0], strict=True)) == ranges
    assert clusters.count.tolist() == counts


@pytest.mark.parametrize(
    ("point", "deviation", "share"), [((2.4, 0.5), 1.4, (1.4, 0.8)), ((3.5, 0.5), 2.5, (2.5, 2.5))]
)
def test_a_cause_is_what_goes_away_when_the_feature_is_forgiven(point, deviation, share):
    lo, hi = np.array([[0.0, 0.0], [3.0, 3.0]]), np.array([[1.0, 1.0], [4.0, 4.0]])
    z = np.array([point])
    assert deviations(z, lo, hi)[0][0] == pytest.approx(deviation, rel=1e-15)
    # the root of a difference of squares loses half the digits
    assert causes(z, lo, hi, EACH).share[0] == pytest.approx(share, abs=1e-7)


def one_by_one(z, eps, rho):
    """Grow clusters by the definition, one vector at a time."""
    lo, hi, count = [], [], []
    for v in z:
        d = [
            np.sqrt(sum(max(a - x, 0.0, x - b) ** 2 for x, a, b in zip(v, low, h, strict=True)))
            for low, h in zip(lo, hi, strict=True)
        ]
        if not d or min(d) > eps:
            lo.append(v - rho), hi.append(v + rho), count.append(1)
        else:
            b = d.index(min(d))
            lo[b], hi[b], count[b] = np.minimum(lo[b], v), np.maximum(hi[b], v), count[b] + 1
    return np.array(lo), np.array(hi), np.array(count)


@given(arrays(np.float64, st.tuples(st.integers(1, 60), st.just(2)), elements=st.floats(-4, 4, width=16)))
@examples(60)
def test_clusters_learnt_many_at_a_time_are_those_learnt_one_by_one(z):
    clusters = hyperboxes(z, eps=1.0, rho=0.05, seed=None)
    lo, hi, count = one_by_one(z, 1.0, 0.05)
    assert np.array_equal(clusters.lo, lo)
    assert np.array_equal(clusters.hi, hi)
    assert np.array_equal(clusters.count, count)


@given(
    z=arrays(np.float64, st.tuples(st.integers(1, 2 * _SMALL_ROWS), st.just(10)), elements=finite | st.just(np.nan)),
    clusters=st.integers(1, 6),
    seed=st.integers(0, 99),
)
@examples(80)
def test_one_row_at_a_time_gives_the_bits_of_the_batch(z, clusters, seed):
    rng = np.random.default_rng(seed)
    lo = rng.normal(size=(clusters, 10))
    hi = lo + rng.integers(0, 2) * rng.random((clusters, 10))
    together, nearest = deviations(z, lo, hi)
    for k, row in enumerate(z):
        alone, cluster = deviations(row[None], lo, hi)
        assert np.array_equal(alone, together[k : k + 1], equal_nan=True)
        assert cluster[0] == nearest[k]


@given(arrays(np.float64, (20, 3), elements=finite), st.integers(0, 99))
@examples(60)
def test_a_deviation_is_never_negative_and_no_cause_explains_more_than_all_of_it(z, seed):
    lo = np.random.default_rng(seed).normal(size=(4, 3))
    d, _ = deviations(z, lo, lo + 0.5)
    share = causes(z, lo, lo + 0.5, ((0,), (1,), (2,), (0, 1, 2))).share
    assert (d >= 0).all()
    assert (share >= -1e-9 * (1 + d[:, None])).all()
    assert share[:, 3] == pytest.approx(d, abs=1e-12)


def test_clusters_of_width_zero_give_the_distances_of_kmeans_transform():
    from sklearn.cluster import KMeans  # noqa: PLC0415

    z = np.random.default_rng(0).normal(size=(5000, 10))
    fitted = KMeans(8, n_init=1, random_state=0).fit(z)
    centres = fitted.cluster_centers_
    assert deviations(z, centres, centres)[0] == pytest.approx(fitted.transform(z).min(axis=1), abs=1e-9)


def test_a_missing_feature_is_left_out_and_the_rest_scaled_up():
    z = np.array([[3.0, np.nan, 4.0, 0.0]])
    d, _ = deviations(z, np.zeros((1, 4)), np.zeros((1, 4)))
    assert d[0] == pytest.approx(5.0 * (4 / 3) ** 0.5, rel=1e-15)


def test_what_one_feature_explains_alone_is_the_whole_deviation_also_where_another_is_missing():
    z, zero = np.array([[3.0, np.nan, 0.0, 0.0]]), np.zeros((1, 4))
    found = causes(z, zero, zero, ((0,), (1,), (2,), (3,)))
    assert found.share[0] == pytest.approx([deviations(z, zero, zero)[0][0], 0, 0, 0])


def test_a_vector_with_nothing_present_has_no_deviation():
    assert np.isnan(deviations(np.full((1, 4), np.nan), np.zeros((2, 4)), np.ones((2, 4)))[0][0])


def test_an_infinite_value_is_infinitely_far():
    z = np.array([[np.inf, -np.inf], [0.5, 0.5]])
    assert deviations(z, np.zeros((2, 2)), np.ones((2, 2)))[0].tolist() == [np.inf, 0.0]


def test_every_training_vector_lies_inside_a_learnt_cluster():
    z = np.random.default_rng(3).normal(size=(4000, 10))
    clusters = hyperboxes(z, eps=2.0, rho=0.05, seed=5)
    assert deviations(z, clusters.lo, clusters.hi)[0].max() == 0.0
    assert clusters.count.sum() == len(z)


def test_more_clusters_than_allowed_is_an_error_that_names_eps():
    z = np.arange(5000.0)[:, None] * 10
    with pytest.raises(InputError, match=r"eps: 1 needs more than 4096 clusters"):
        hyperboxes(z, eps=1.0, rho=0.0, seed=0)


def test_kmeans_clusters_are_sorted_by_how_many_rows_they_hold():
    z = np.random.default_rng(1).normal(size=(3000, 4))
    clusters = kmeans_clusters(z, 5, seed=1)
    assert np.array_equal(clusters.lo, clusters.hi)
    assert (np.diff(clusters.count) <= 0).all()
    assert clusters.count.sum() == 3000


def test_equal_rows_give_one_centre_each():
    with pytest.warns(match="distinct clusters"):
        assert len(kmeans_clusters(np.zeros((200, 3)), 4, seed=0).lo) == 1

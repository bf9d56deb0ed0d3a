import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from training.metrics import precision_recall, roc_auc, vus_pr

ONE = np.zeros(4, dtype=int)


def volume(score, label, buffer, series=None, counted=None):
    score, label = np.array(score, dtype=float), np.array(label, dtype=bool)
    series = np.zeros(score.size, dtype=int) if series is None else np.array(series)
    return vus_pr(score, label, series, buffer, counted)


def test_auc_by_hand():
    # positives 0.9 and 0.4 against 0.5 and 0.1: three of four pairs are in order
    assert roc_auc(np.array([0.9, 0.5, 0.4, 0.1]), np.array([True, False, True, False])) == 0.75


def test_auc_counts_a_tie_as_half():
    assert roc_auc(np.ones(4), np.array([True, False, True, False])) == 0.5


def test_auc_without_both_kinds_is_unknown():
    assert np.isnan(roc_auc(np.ones(3), np.zeros(3, dtype=bool)))


def test_precision_and_recall_by_hand():
    recall, precision = precision_recall(np.array([4.0, 3.0, 2.0, 1.0]), np.array([True, False, True, False]))
    assert recall.tolist() == [0.5, 0.5, 1.0, 1.0]
    assert precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2])


def test_without_a_buffer_a_perfect_score_has_volume_one():
    assert volume([0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 0, 0], 0) == pytest.approx(1.0)


def test_without_a_buffer_one_range_gives_the_average_precision():
    # ranks: miss, hit, hit, miss; recall 0, 1/2, 1 and the range exists from the first hit on
    assert volume([4, 3, 2, 1], [0, 1, 1, 0], 0) == pytest.approx(0.5 * 1 / 2 + 0.5 * 2 / 3)


def test_recall_is_multiplied_by_the_share_of_ranges_that_exist():
    # hits in rank order of two ranges: recall 1/3 x 1/2, then 2/3 x 1/2, then 1 x 1; precision 1, 1, 3/4
    score, label = [9, 8, 1, 2, 0], [1, 1, 0, 0, 1]
    ranks = [(1 / 3 * 1 / 2, 1.0), (2 / 3 * 1 / 2, 1.0), (1 / 3, 2 / 3), (1 / 3, 1 / 2), (1.0, 3 / 5)]
    expected, before = 0.0, 0.0
    for recall, precision in ranks:
        expected, before = expected + (recall - before) * precision, recall
    assert volume(score, label, 0) == pytest.approx(expected)


def test_a_window_of_two_by_hand():
    # window 2 widens by one row on either side with weight sqrt(1/2); only the row beside the range is predicted first
    w = 0.5**0.5
    score, label = [0.0, 3.0, 2.0, 1.0], [0, 0, 1, 0]
    first = w / (1 + w / 2)
    second = min((1 + w) / (1 + w / 2), 1.0)
    area_2 = first * w + (second - first) * (1 + w) / 2
    area_0 = area_1 = 1 / 2  # the range is found at the second rank; a window of one widens by nothing
    assert volume(score, label, 2) == pytest.approx((area_0 + area_1 + area_2) / 3)


def test_slopes_that_meet_add_up_to_one_at_most_and_their_ranges_become_one():
    # with window 2 the row between the ranges gets 2 sqrt(1/2), cut to 1, and both are one range from then on
    score, label = [2.0, 3.0, 1.0], [1, 0, 1]
    area_0 = (1 / 4) * (1 / 2) + (1.0 - 1 / 4) * (2 / 3)
    first, second, third = 1 / (2 + 0.5), min(2 / 2.5, 1.0), min(3 / 2.5, 1.0)
    area_2 = first + (second - first) + (third - second)
    assert volume(score, label, 2) == pytest.approx((2 * area_0 + area_2) / 3)


@pytest.mark.parametrize("turn", [1, -1], ids=["end", "beginning"])
def test_a_buffer_stops_at_the_ends_of_its_series(turn):
    """The row beside the range has the highest score: it is right in the range's own series, wrong in another."""
    score, label = [1.0, 2.0, 9.0, 0.0][::turn], [0, 1, 0, 0][::turn]
    split, joined = volume(score, label, 2, [0, 0, 1, 1]), volume(score, label, 2)
    assert split < joined
    assert split == pytest.approx(0.5)  # at every window the range is found at the second rank, after a miss


def test_rows_that_do_not_count_are_neither_right_nor_wrong():
    score, label = [9.0, 3.0, 2.0, 1.0], [0, 1, 1, 0]
    counted = np.array([False, True, True, True])
    assert volume(score, label, 0, counted=counted) == pytest.approx(1.0)


def test_without_an_anomaly_there_is_no_volume():
    assert np.isnan(volume([1, 2], [0, 0], 4))


def direct(score, label, buffer):
    """The definition, threshold by threshold, for one series."""
    n, p = len(score), label.sum()
    ranked = np.sort(score)[::-1]
    starts = [i for i in range(n) if label[i] and (i == 0 or not label[i - 1])]
    ends = [i for i in range(n) if label[i] and (i == n - 1 or not label[i + 1])]
    areas = []
    for w in range(buffer + 1):
        soft, groups = label.astype(float), []
        for s, e in zip(starts, ends, strict=True):
            for k in range(1, w // 2 + 1):
                for i in (s - k, e + k):
                    if 0 <= i < n:
                        soft[i] += (1 - k / w) ** 0.5
            low, high = s - w // 2, e + w // 2
            if groups and groups[-1][1] >= low:
                groups[-1][1] = high
            else:
                groups.append([low, high])
        soft, before, area = np.minimum(soft, 1.0), 0.0, 0.0
        for k in np.linspace(0, n - 1, 250).astype(int):
            chosen = score >= ranked[k]
            tp = (soft * chosen).sum()
            widened = p + (soft * chosen * ~label).sum()
            exist = np.mean([chosen[max(a, 0) : b + 1].any() for a, b in groups])
            recall = min(tp / ((p + widened) / 2), 1.0) * exist
            area, before = area + (recall - before) * tp / chosen.sum(), recall
        areas.append(area)
    return float(np.mean(areas))


@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=60).filter(
        lambda r: any(b for _, b in r)
    ),
    st.integers(0, 9),
)
@examples(60)
def test_the_volume_is_that_of_the_definition_threshold_by_threshold(rows, buffer):
    score, label = np.array([float(s) for s, _ in rows]), np.array([b for _, b in rows])
    assert volume(score, label, buffer) == pytest.approx(direct(score, label, buffer), abs=1e-12)


rows_of_series = st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=20)


@given(rows_of_series, rows_of_series.filter(lambda r: any(b for _, b in r)), st.integers(0, 9))
def test_the_order_of_the_series_changes_nothing(one, other, buffer):
    def laid(*series):
        rows = [row for of_series in series for row in of_series]
        numbers = np.repeat(np.arange(len(series)), [len(of_series) for of_series in series])
        return volume([s for s, _ in rows], [b for _, b in rows], buffer, numbers)

    assert laid(one, other) == pytest.approx(laid(other, one), abs=1e-12)


def test_a_random_score_has_about_the_volume_of_the_anomalies_share():
    rng = np.random.default_rng(0)
    label = np.zeros(20_000, dtype=bool)
    for start in range(100, 20_000, 400):
        label[start : start + 40] = True
    # the precision of a random ranking is the anomalies' share, 0.1; its sd at rank k is sqrt(0.09 / k)
    assert volume(rng.random(label.size), label, 0) == pytest.approx(0.1, abs=3.5 * (0.09 / 2000) ** 0.5)

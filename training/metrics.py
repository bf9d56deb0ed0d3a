"""Measures of a score against the truth that need no threshold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.features import Floats

THRESHOLDS = 250
"""Thresholds of the VUS-PR, at evenly spaced ranks of the score, as TSB-AD takes them."""

Rows = NDArray[np.bool_]


def roc_auc(score: Floats, positive: Rows) -> float:
    """Return the chance that a positive row scores above a negative one, ties counting half; NaN without both."""
    positives = int(positive.sum())
    negatives = positive.size - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((rank[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def precision_recall(score: Floats, positive: Rows, points: int = 200) -> tuple[Floats, Floats]:
    """Return recall and precision at `points` thresholds, from the highest score down."""
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(positive[order])
    at = np.unique(np.linspace(0, score.size - 1, points).astype(int))
    last = np.searchsorted(-score[order], -score[order][at], side="right") - 1
    return hits[last] / max(1, int(hits[-1])), hits[last] / (last + 1.0)


@dataclass(frozen=True, slots=True)
class _Ranges:
    """Anomalous ranges of several series laid end to end: first and last row, and their series' first and last row."""

    start: NDArray[np.intp]
    stop: NDArray[np.intp]
    series_start: NDArray[np.intp]
    series_stop: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Ranking:
    """Rows from the highest score down, the thresholds, and how many rows each predicts."""

    score: Floats
    order: NDArray[np.intp]
    thresholds: Floats
    predicted: NDArray[np.intp]


def vus_pr(score: Floats, anomalous: Rows, series: NDArray[np.intp], buffer: int, counted: Rows | None = None) -> float:
    """Return the volume under the precision-recall surface by TSB-AD's definition (Paparrizos et al. 2022).

    For each window w = 0 .. buffer the label is widened by w // 2 rows on either side, with weight sqrt(1 - distance
    / w); the area under the range-based curve is the sum of precision times the step of recall; the volume is the mean
    of the areas. Recall is TP / ((P + P_w) / 2), P_w counting buffer rows only where they are predicted, times the
    share of ranges with a prediction in or beside them. Several series share the thresholds and keep their ends; with
    one series it is TSB-AD's value.

    score, anomalous: (rows,), series by series, each in time. series: its number (rows,). buffer: the largest window in
    rows. counted: rows that take part; the others are neither right nor wrong.
    """
    counted = np.ones(score.size, dtype=bool) if counted is None else counted
    if not (anomalous & counted).any():
        return float("nan")
    ranges = _ranges(anomalous, series)
    usable = np.where(counted, score, -np.inf)
    order = np.argsort(-usable, kind="stable")[: int(counted.sum())]
    ranked = usable[order]
    thresholds = ranked[np.linspace(0, ranked.size - 1, THRESHOLDS).astype(int)]
    ranking = _Ranking(usable, order, thresholds, np.searchsorted(-ranked, -thresholds, side="right"))
    return float(np.mean([_area(w, ranges, anomalous, ranking) for w in range(buffer + 1)]))


def _area(w: int, ranges: _Ranges, anomalous: Rows, ranking: _Ranking) -> float:
    soft = _soft_label(w, ranges, anomalous)[ranking.order]
    inside = anomalous[ranking.order]
    true_positive = np.cumsum(soft)[ranking.predicted - 1]
    beside = np.cumsum(np.where(inside, 0.0, soft))[ranking.predicted - 1]
    found = _best_of_ranges(w, ranges, ranking.score)
    existence = (found[:, None] >= ranking.thresholds).mean(axis=0)
    recall = np.minimum(true_positive / (inside.sum() + beside / 2.0), 1.0) * existence
    precision = true_positive / ranking.predicted
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def _ranges(anomalous: Rows, series: NDArray[np.intp]) -> _Ranges:
    edge = np.ones(series.size + 1, dtype=bool)
    edge[1:-1] = series[1:] != series[:-1]
    begins = anomalous & (edge[:-1] | ~np.concatenate([[False], anomalous[:-1]]))
    ends = anomalous & (edge[1:] | ~np.concatenate([anomalous[1:], [False]]))
    start, stop = np.flatnonzero(begins), np.flatnonzero(ends)
    bounds = np.flatnonzero(edge)
    number = np.searchsorted(bounds, start, side="right") - 1
    return _Ranges(start, stop, bounds[number], bounds[number + 1] - 1)


def _soft_label(w: int, ranges: _Ranges, anomalous: Rows) -> Floats:
    """Return the label widened by w // 2 rows on either side; where slopes meet they add up, to 1 at most."""
    label = anomalous.astype(np.float64)
    for distance in range(1, w // 2 + 1):
        before, after = ranges.start - distance, ranges.stop + distance
        weight = np.sqrt(1.0 - distance / w)
        np.add.at(label, before[before >= ranges.series_start], weight)
        np.add.at(label, after[after <= ranges.series_stop], weight)
    return np.minimum(label, 1.0)


def _best_of_ranges(w: int, ranges: _Ranges, score: Floats) -> Floats:
    """Return the highest score of each widened range; ranges that touch once widened are one."""
    begin = np.maximum(ranges.start - w // 2, ranges.series_start)
    end = np.minimum(ranges.stop + w // 2, ranges.series_stop)
    gap = ranges.stop[:-1] + w // 2 < ranges.start[1:] - w // 2
    apart = gap | (ranges.series_start[1:] != ranges.series_start[:-1])
    first, last = np.concatenate([[True], apart]), np.concatenate([apart, [True]])
    bounds = np.column_stack([begin[first], end[last] + 1]).ravel()
    # reduceat takes up to the next bound: every second result is a gap between ranges, and -inf closes the last one
    best: Floats = np.maximum.reduceat(np.append(score, -np.inf), bounds)[::2]
    return best

"""Thinning keeps peaks, and what a page holds is what was read."""

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy

from sim.reports.recorded import Grid
from sim.reports.thinned import FEWEST_BINS, MOST_VALUES, Bins, bins_for, packed_bytes, packed_channel


def unpacked(packed, racks):
    """Read a channel as the page does: (bins, racks) smallest and largest."""
    low = words(packed["low"]).reshape(racks, -1)
    low = np.cumsum(low.astype(np.uint64), axis=1).astype(np.uint16)
    high = low + words(packed["more"]).reshape(racks, -1) if "more" in packed else low
    return [np.where(of == 0, np.nan, packed["from"] + packed["step"] * (of.astype(float) - 1)).T for of in (low, high)]


def words(text):
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8).reshape(2, -1)
    return planes[0].astype(np.uint16) | (planes[1].astype(np.uint16) << 8)


readings = of_numpy.arrays(
    np.float64,
    st.tuples(st.integers(1, 40), st.integers(1, 4)),
    elements=st.one_of(st.integers(-5000, 9000).map(lambda n: n / 100), st.just(float("nan"))),
)


@given(readings, st.integers(1, 13))
def test_each_bin_keeps_its_smallest_and_largest_reading_to_the_last_digit(values, width):
    bins = Bins(len(values), width)
    low, high = unpacked(packed_channel("inlet_c", values, bins), values.shape[1])
    for b in range(bins.count):
        part = values[b * width : (b + 1) * width]
        for rack in range(values.shape[1]):
            known = part[~np.isnan(part[:, rack]), rack]
            if len(known):
                assert (low[b, rack], high[b, rack]) == pytest.approx((known.min(), known.max()), abs=1e-6)
            else:
                assert np.isnan(low[b, rack])


def test_a_range_that_two_bytes_cannot_count_in_digits_is_told_in_larger_steps():
    values = np.array([[0.0, 14_020.9], [7_000.3, 3.1]])
    packed = packed_channel("tokens_ps", values, Bins(2, 1))
    assert packed["step"] == pytest.approx(0.3)
    assert np.abs(unpacked(packed, 2)[0] - values).max() <= packed["step"] / 2


def test_a_channel_without_any_reading_stays_without():
    low, high = unpacked(packed_channel("inlet_c", np.full((5, 2), np.nan), Bins(5, 2)), 2)
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_a_bin_is_of_the_profile_that_most_of_its_ticks_are_in():
    cells = np.array([[0], [1], [1], [2], [-1]])
    assert Bins(5, 3).most(cells, 3).ravel().tolist() == [1, 2]
    assert Bins(5, 3).any(cells == 0).ravel().tolist() == [True, False]


@pytest.mark.parametrize(("racks", "ticks"), [(72, 10_080), (8, 60), (2_000, 1_440), (20_000, 1_440), (1, 1)])
def test_bins_are_as_small_as_the_room_for_them_allows(racks, ticks):
    bins = bins_for(Grid(0, 60.0, ticks, tuple(map(str, range(racks)))), 10)
    kept = 2 * 10 * racks * bins.count
    assert kept <= MOST_VALUES or bins.count <= FEWEST_BINS or bins.width == 1
    assert bins.width == 1 or 2 * 10 * racks * -(-ticks // (bins.width - 1)) > MOST_VALUES or bins.count <= FEWEST_BINS


def test_bytes_go_in_and_come_out():
    cells = np.arange(600, dtype=np.uint16) * 100
    assert (words(packed_bytes(cells)) == cells).all()

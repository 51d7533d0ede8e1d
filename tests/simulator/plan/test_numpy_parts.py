"""Parts of products, sums and borders of the NumPy steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import product
from simulator.plan.buffer import BUFFER, short_buffers
from simulator.plan.global_pool import GlobalSum, PooledSums
from simulator.plan.linear import Linear
from simulator.plan.numpy_levels import positions_of
from simulator.plan.numpy_windows import PlainWindows, StackedWindows
from simulator.plan.window import Window
from simulator.plan.workspace import Workspace


@pytest.mark.parametrize("count", [1, 99, 100, 101, 200, 399, 1000])
def test_parts_of_a_product_are_the_product(count, monkeypatch):
    monkeypatch.setattr(product, "SMALL", 100 * 6 * 4)
    rng = np.random.default_rng(count)
    x, weights = (
        rng.integers(-100, 100, shape).astype(np.float32) for shape in ((count, 6), (6, 4))
    )
    out = np.full((count, 4), np.nan, np.float32)
    product.multiply(x, weights, out)
    np.testing.assert_array_equal(out, x.astype(np.int64) @ weights.astype(np.int64))


@given(size=st.integers(1, 200), places=st.sets(st.integers(0, 199)))
def test_positions_of_the_true_values_of_a_mask(size, places):
    mask = np.zeros(size, bool)
    mask[[place for place in places if place < size]] = True
    np.testing.assert_array_equal(positions_of(mask.reshape(1, -1)), np.flatnonzero(mask))


@pytest.mark.parametrize("largest", [100, (1 << 20) - 1, (1 << 24) - 1])
def test_global_sums_beyond_float32_are_exact(largest):
    """Odd sums of up to 2**24 - 1 at each of 36 positions."""
    channels, rng = 8, np.random.default_rng(largest)
    weights = np.eye(channels, dtype=np.int64)[None, None]
    x = rng.integers(largest // 2, largest, (3, 6, 6, channels), endpoint=True) | 1
    pool = GlobalSum(
        bias=np.zeros(channels, np.int64), low=None, high=None, stairs=None,
        finish=lambda totals, tally: totals, largest=36 * (largest | 1),
    )  # fmt: skip
    step = PooledSums(Linear(kind="conv", weights=weights), (6, 6, channels), pool)
    found = step.run(x.astype(np.float32), Workspace())
    np.testing.assert_array_equal(found[:, 0, 0], x.sum(axis=(1, 2)))


def test_numpy_has_its_own_buffer_again_after_a_run():
    before = np.getbufsize()
    with short_buffers():
        assert np.getbufsize() == BUFFER < before
        with pytest.raises(ZeroDivisionError), short_buffers():
            raise ZeroDivisionError
        assert np.getbufsize() == BUFFER
    assert np.getbufsize() == before


@pytest.mark.parametrize("seed", range(40))
def test_stacked_windows_have_the_sums_of_plain_ones(seed):
    rng = np.random.default_rng(seed)
    kernel, strides = rng.integers(1, 6, 2), tuple(map(int, rng.integers(1, 5, 2)))
    channels, filters = map(int, rng.integers(1, 6, 2))
    shape = (*map(int, kernel + rng.integers(0, 9, 2)), channels)
    weights = rng.integers(-9, 10, (*kernel, channels, filters))
    linear = Linear(kind="conv", weights=weights, strides=strides)
    window, x = Window(linear, shape), rng.integers(-9, 10, (2, *shape)).astype(np.float32)
    height, width = window.sums_shape
    start = int(rng.integers(height))
    rows, found = slice(start, int(rng.integers(start + 1, height + 1))), []
    for windows in (PlainWindows(window), StackedWindows(window)):
        matrix = np.ascontiguousarray(windows.matrix.astype(np.float32))
        found.append(windows.sums(x, rows, matrix, Workspace())[:, :, :width])
    np.testing.assert_array_equal(*found)


def test_an_array_with_zeros_around_it():
    work = Workspace()
    for _ in range(2):
        inside = work.take_inside((2, 3, 4, 5), ((1, 2), (0, 3)))
        inside[...] = 7
        whole = work.around(inside)
        assert whole.shape == (2, 6, 7, 5) and whole.sum() == inside.sum()
        held = work.nbytes
        work.release(inside)
        assert work.around(inside) is None and work.nbytes == held
    plain = work.take_inside((2, 3, 4, 5), ((0, 0), (0, 0)))
    assert plain.flags.c_contiguous and work.around(plain) is None

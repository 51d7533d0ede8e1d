"""Parts of products, sums and borders of the NumPy steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import product
from simulator.plan.buffer import BUFFER, short_buffers
from simulator.plan.case import Case
from simulator.plan.global_pool import GlobalSum, PooledSums
from simulator.plan.linear import Linear
from simulator.plan.numpy_levels import positions_of
from simulator.plan.numpy_step import NumpySums
from simulator.plan.numpy_windows import PlainWindows, StackedWindows
from simulator.plan.numpy_winograd import WinogradWindows, largest_sum, suits
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


@pytest.mark.parametrize("largest", [100, (1 << 20) - 1, (1 << 24) - 1, 1 << 24, (1 << 31) - 1])
@pytest.mark.parametrize("bias", [0, 5])
def test_global_sums_beyond_float32_are_exact(largest, bias):
    """Odd sums at each of 36 positions, also those that only a bias makes too large for float32."""
    channels, rng = 8, np.random.default_rng(largest)
    weights = np.eye(channels, dtype=np.int64)[None, None]
    x = rng.integers(largest // 2, largest, (3, 6, 6, channels), endpoint=True) | 1
    pool = GlobalSum(
        bias=np.full(channels, bias), low=None, high=None, stairs=None,
        finish=lambda totals, tally: totals, largest=36 * ((largest | 1) + bias),
    )  # fmt: skip
    step = PooledSums(case_of(weights, (6, 6, channels), largest | 1), pool)
    found = step.run(x.astype(np.float64), Workspace())
    np.testing.assert_array_equal(found[:, 0, 0], (x + bias).sum(axis=(1, 2)))


def case_of(weights, shape, bound):
    return Case(
        linear=Linear(kind="conv", weights=weights), input_shape=shape,
        output_shape=(1, 1, weights.shape[-1]), bound=bound, input_range=(0, bound),
    )  # fmt: skip


@pytest.mark.parametrize("bound, dtype", [((1 << 24) - 1, "float32"), (1 << 24, "float64")])
def test_sums_are_of_the_smallest_exact_dtype(bound, dtype):
    weights = np.ones((1, 1, 2, 3), np.int64)
    assert NumpySums(case_of(weights, (4, 4, 2), bound)).input_dtype == dtype
    with pytest.raises(
        ValueError, match="no float holds every integer up to 9,007,199,254,740,992"
    ):
        NumpySums(case_of(weights, (4, 4, 2), 1 << 53))


def test_numpy_has_its_own_buffer_again_after_a_run():
    before = np.getbufsize()
    with short_buffers():
        assert np.getbufsize() == BUFFER < before
        with pytest.raises(ZeroDivisionError), short_buffers():
            raise ZeroDivisionError
        assert np.getbufsize() == BUFFER
    assert np.getbufsize() == before


def window_sums(windows, x, rows, window):
    """Return the sums of some output rows that have a meaning."""
    matrix = np.ascontiguousarray(windows.matrix).astype(np.float32)
    return windows.sums(x, rows, matrix, Workspace())[:, :, : window.sums_shape[1]]


def drawn_window(rng, kernel, strides):
    """Return a window of random size and weights, inputs for it, and some of its output rows."""
    channels, filters = map(int, rng.integers(1, 6, 2))
    shape = (*map(int, kernel + rng.integers(0, 9, 2)), channels)
    weights = rng.integers(-9, 10, (*kernel, channels, filters))
    window = Window(Linear(kind="conv", weights=weights, strides=strides), shape)
    start = int(rng.integers(window.sums_shape[0]))
    rows = slice(start, int(rng.integers(start + 1, window.sums_shape[0] + 1)))
    return window, rng.integers(-9, 10, (2, *shape)).astype(np.float32), rows


@pytest.mark.parametrize("seed", range(40))
def test_stacked_windows_have_the_sums_of_plain_ones(seed):
    rng = np.random.default_rng(seed)
    kernel, strides = rng.integers(1, 6, 2), tuple(map(int, rng.integers(1, 5, 2)))
    window, x, rows = drawn_window(rng, kernel, strides)
    plain, stacked = (
        window_sums(kind(window), x, rows, window) for kind in (PlainWindows, StackedWindows)
    )
    np.testing.assert_array_equal(plain, stacked)


@pytest.mark.parametrize("seed", range(40))
def test_winograd_windows_have_the_sums_of_plain_ones(seed):
    """Numbers of rows that are odd, even and 1; any width and horizontal stride."""
    rng = np.random.default_rng(seed)
    kernel, strides = np.array([3, rng.integers(1, 6)]), (1, int(rng.integers(1, 5)))
    window, x, rows = drawn_window(rng, kernel, strides)
    plain, winograd = (
        window_sums(kind(window), x, rows, window) for kind in (PlainWindows, WinogradWindows)
    )
    np.testing.assert_array_equal(plain, winograd)


@pytest.mark.parametrize("low", [0, -128])
def test_winograd_windows_are_exact_up_to_their_bound(low):
    """The largest sums that are accepted are exact; a little larger ones are refused."""
    rng, high, shape = np.random.default_rng(-low), 255, (9, 8, 16)
    signs = rng.choice([-1, 1], (3, 3, 16, 16))
    accepted = [
        weight
        for weight in range(1, 999)
        if suits(window_of(signs * weight, shape), (low, high), np.dtype(np.float32))
    ]
    weight = max(accepted)
    assert accepted == list(range(1, weight + 1)) and weight < 998
    assert 2 * largest_sum(signs * weight, low, high) < 1 << 24
    window = window_of(signs * weight, shape)
    x = rng.choice([low, low + 1, high], (18, *shape)).astype(np.float32)
    # Images 0 to 15 have the first window that makes the sum of their filter the largest.
    x[:16, :3, :3] = np.where(signs.transpose(3, 0, 1, 2) > 0, high, low)
    found = window_sums(WinogradWindows(window), x, slice(0, 7), window)
    exact = PlainWindows(window).sums(
        x.astype(np.float64), slice(0, 7), signs.reshape(-1, 16) * float(weight), Workspace()
    )
    np.testing.assert_array_equal(found, exact)


def window_of(weights, shape):
    return Window(Linear(kind="conv", weights=weights), shape)


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

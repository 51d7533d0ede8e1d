"""Integer kernels compared with loops over output pixels, and their exactness bound."""

from itertools import product

import numpy as np
import pytest

from simulator import kernels
from simulator.windows import output_length, same_padding

CASES = list(product(range(1, 8), range(1, 4), ("same", "valid")))


def whole(values):
    """Return an array of Python integers: no width, no rounding."""
    return np.asarray(values).astype(object)


def axis(size, kernel, stride, padding):
    """Return, for each output position, the pairs (kernel tap, input position) inside the input."""
    if padding == "same":
        count = (size + stride - 1) // stride
        before = max((count - 1) * stride + kernel - size, 0) // 2
    else:
        count, before = len(range(0, size - kernel + 1, stride)), 0
    positions = []
    for start in range(-before, -before + count * stride, stride):
        positions.append([(i, start + i) for i in range(kernel) if 0 <= start + i < size])
    return positions


def windows(shape, kernel, strides, padding):
    """Yield (row, column, [(i, j, y, x), ...]) for every output pixel."""
    rows = axis(shape[0], kernel[0], strides[0], padding)
    columns = axis(shape[1], kernel[1], strides[1], padding)
    for (row, ys), (column, xs) in product(enumerate(rows), enumerate(columns)):
        yield row, column, [(i, j, y, x) for (i, y), (j, x) in product(ys, xs)]


def loop_conv2d(x, weights, strides, padding, *, value=0, depthwise=False):
    """Cross-correlate pixel by pixel."""
    taps = list(product(range(weights.shape[0]), range(weights.shape[1])))
    pixels = {}
    for row, column, window in windows(x.shape[1:3], weights.shape[:2], strides, padding):
        inside = {(i, j): x[:, y, x_] for i, j, y, x_ in window}
        outside = np.broadcast_to(whole(value), (x.shape[0], x.shape[3]))
        terms = []
        for i, j in taps:
            pixel = inside.get((i, j), outside)
            terms.append(pixel * weights[i, j, :, 0] if depthwise else pixel @ weights[i, j])
        pixels[row, column] = sum(terms)
    return assemble(pixels)


def assemble(pixels):
    """Stack pixels (row, column) -> (n, c) into (n, h, w, c)."""
    rows, columns = (max(position[k] for position in pixels) + 1 for k in (0, 1))
    stacked = [[pixels[row, column] for column in range(columns)] for row in range(rows)]
    return np.array(stacked, dtype=object).transpose(2, 0, 1, 3)


def loop_transpose(x, weights, strides, padding, *, depthwise=False):
    """Apply the transposed convolution by scattering the inputs that the convolution gathers."""
    n, h, w, _ = x.shape
    kh, kw = weights.shape[:2]
    same = padding == "same"
    shape = tuple(
        size * s + (0 if same else max(k - s, 0))
        for size, k, s in zip((h, w), (kh, kw), strides, strict=True)
    )
    out = np.zeros((n, *shape, weights.shape[2 if depthwise else 3]), object)
    for row, column, window in windows(shape, (kh, kw), strides, padding):
        if row >= h or column >= w:
            continue
        for i, j, y, x_ in window:
            pixel = x[:, row, column]
            term = pixel * weights[i, j, :, 0] if depthwise else pixel @ weights[i, j]
            out[:, y, x_] += term
    return out


def make(rng, shape, bits=8):
    return rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape)


def sizes(kernel, padding):
    """Odd by even and even by odd inputs, also smaller than the kernel if allowed."""
    if padding == "valid":
        return [(kernel, kernel + 3), (kernel + 4, kernel + 1)]
    return [(1, 2), (6, 5), (8, 9)]


@pytest.mark.parametrize(("kernel", "stride", "padding"), CASES)
def test_conv2d(kernel, stride, padding):
    rng = np.random.default_rng(kernel)
    for size, channels in product(sizes(kernel, padding), (1, 3)):
        x = make(rng, (2, *size, channels))
        for shape in ((kernel, kernel), (kernel, 1)):
            weights = make(rng, (*shape, channels, 2))
            for strides in {(stride, stride), (stride, 1)}:
                got = kernels.conv2d(x, weights, strides, padding)
                assert got.dtype == np.int64
                wanted = loop_conv2d(whole(x), whole(weights), strides, padding)
                np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("kernel", [1, 2, 3, 7])
@pytest.mark.parametrize("value", [5, (3, -7, 255)])
def test_conv2d_surrounds_the_image_with_the_padding_value(kernel, value):
    rng = np.random.default_rng(kernel)
    x, weights = make(rng, (2, 5, 4, 3)), make(rng, (kernel, kernel, 3, 2))
    for strides in ((1, 1), (2, 2)):
        got = kernels.conv2d(x, weights, strides, "same", np.array(value))
        wanted = loop_conv2d(whole(x), whole(weights), strides, "same", value=value)
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(("kernel", "stride", "padding"), CASES)
def test_depthwise_conv2d(kernel, stride, padding):
    rng = np.random.default_rng(kernel)
    for size, channels in product(sizes(kernel, padding), (1, 3)):
        x, weights = make(rng, (2, *size, channels)), make(rng, (kernel, kernel, channels, 1))
        got = kernels.depthwise_conv2d(x, weights, (stride, stride), padding)
        wanted = loop_conv2d(whole(x), whole(weights), (stride, stride), padding, depthwise=True)
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(("kernel", "stride", "padding"), CASES)
def test_transposed_convolutions(kernel, stride, padding):
    rng = np.random.default_rng(kernel)
    for size, channels in product([(1, 2), (4, 3)], (1, 3)):
        x, strides = make(rng, (2, *size, channels)), (stride, stride)
        weights = make(rng, (kernel, kernel, channels, 2))
        got = kernels.conv2d_transpose(x, weights, strides, padding)
        wanted = loop_transpose(whole(x), whole(weights), strides, padding)
        np.testing.assert_array_equal(got, wanted)
        weights = weights[..., :1]
        got = kernels.depthwise_conv2d_transpose(x, weights, strides, padding)
        wanted = loop_transpose(whole(x), whole(weights), strides, padding, depthwise=True)
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(("kernel", "stride", "padding"), CASES)
def test_the_transposed_convolution_is_the_transpose(kernel, stride, padding):
    """<conv(x), y> equals <x, transpose(y)> for every x and y: the definition of a transpose."""
    rng = np.random.default_rng(kernel)
    y = make(rng, (1, 3, 4, 2))
    back = make(rng, (kernel, kernel, 3, 2))
    up = kernels.conv2d_transpose(y, back.transpose(0, 1, 3, 2), (stride, stride), padding)
    x = make(rng, up.shape)
    down = kernels.conv2d(x, back, (stride, stride), padding)
    assert int((down * y).sum()) == int((x * up).sum())


@pytest.mark.parametrize(("kernel", "stride", "padding"), CASES)
def test_max_pool(kernel, stride, padding):
    rng = np.random.default_rng(kernel)
    for size in sizes(kernel, padding):
        # All below zero: a border of zeros would win.
        x = make(rng, (2, *size, 3)) - 200
        got = kernels.max_pool(x, (kernel, kernel), (stride, stride), padding)
        pixels = {
            (row, column): np.max([x[:, y, x_] for _, _, y, x_ in window], axis=0)
            for row, column, window in windows(size, (kernel, kernel), (stride, stride), padding)
        }
        np.testing.assert_array_equal(got, assemble(pixels).astype(int))


def test_global_sum_keeps_axes_and_does_not_overflow():
    x = np.full((2, 3, 5, 1), (1 << 31) - 1, np.int32)
    x[1] = -(1 << 31)
    got = kernels.global_sum(x)
    np.testing.assert_array_equal(got, [[[[15 * ((1 << 31) - 1)]]], [[[-15 * (1 << 31)]]]])


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize("kernel", range(1, 8))
@pytest.mark.parametrize("stride", range(1, 5))
def test_window_geometry(size, kernel, stride):
    before, after = same_padding(size, kernel, stride)
    assert 0 <= after - before <= 1
    assert output_length(size, kernel, stride, "same") == len(range(0, size, stride))
    padded = size + before + after
    assert len(range(0, padded - kernel + 1, stride)) == len(range(0, size, stride))
    if size >= kernel:
        wanted = len(range(0, size - kernel + 1, stride))
        assert output_length(size, kernel, stride, "valid") == wanted


# Sums of odd terms around 2**24 and 2**53, above which floats do not hold every integer.
@pytest.mark.parametrize("bits", [20, 24, 25, 30, 44, 52])
def test_sums_are_exact_up_to_53_bits(bits):
    x = np.full((1, 3), (1 << (bits - 2)) - 1, np.int64)
    x[0, 0] += 2
    weights = np.array([[1, -1], [1, 1], [1, 1]], np.int8)
    wanted = whole(x) @ whole(weights)
    np.testing.assert_array_equal(kernels.matmul(x, weights), wanted)
    image, kernel = x.reshape(1, 1, 3, 1), weights.reshape(1, 3, 1, 2)
    np.testing.assert_array_equal(
        kernels.conv2d(image, kernel, (1, 1), "valid"), wanted.reshape(1, 1, 1, 2)
    )
    np.testing.assert_array_equal(
        kernels.depthwise_conv2d(image, kernel[..., :1], (1, 1), "valid").ravel(), wanted[0, :1]
    )
    pixel, kernel = x.reshape(1, 1, 1, 3), weights.reshape(1, 1, 3, 2)
    np.testing.assert_array_equal(
        kernels.conv2d_transpose(pixel, kernel, (1, 1), "same").ravel(), wanted[0]
    )


def test_float64_is_used_if_a_float32_sum_would_be_wrong():
    x, weights = np.array([[1 << 24, 1]]), np.array([[1], [1]], np.int8)
    assert int((x.astype(np.float32) @ weights.astype(np.float32))[0, 0]) != (1 << 24) + 1
    assert kernels.matmul(x, weights)[0, 0] == (1 << 24) + 1


def test_an_input_beyond_float32_is_not_rounded_although_its_weight_is_zero():
    x, weights = np.array([[(1 << 24) + 1, 3]]), np.array([[0], [1]], np.int8)
    assert kernels.matmul(x, weights)[0, 0] == 3


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_that_may_exceed_53_bits_are_refused(sign):
    x = np.full((1, 1, 2, 1), sign << 46, np.int64)
    weights = np.full((1, 2, 1, 1), 127, np.int8)
    message = r"accumulators may reach 17873661021126656, beyond 2\*\*53"
    for kernel in (kernels.conv2d, kernels.depthwise_conv2d, kernels.conv2d_transpose):
        with pytest.raises(OverflowError, match=message):
            kernel(x, weights, (1, 1), "valid")
    with pytest.raises(OverflowError, match=message):
        kernels.matmul(x.reshape(1, 2), weights.reshape(2, 1))
    # Half of that still fits, and is exact.
    assert kernels.matmul(x.reshape(1, 2) // 4, weights.reshape(2, 1))[0, 0] == sign * 127 << 45


def test_an_empty_batch_has_empty_sums():
    got = kernels.matmul(np.zeros((0, 3), np.int32), np.ones((3, 2), np.int8))
    assert got.shape == (0, 2)

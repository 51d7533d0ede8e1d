"""Akida 2.0 in plain Python integers and loops: an independent implementation of the arithmetic.

Written from the published definition of QuantizeML's integer layers, independently of the
simulator: no NumPy, no shared code, unbounded integers, exact fractions. A layer is its kind and
a mapping of its registers, arrays as nested lists; a missing register is absent or None. An image
is a nested list ``[row][column][channel]``.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from itertools import product


def run(kind: str, registers: dict, *images: list) -> list:
    """Return a layer's output for one image per input."""
    if kind == "InputData":
        return images[0]
    if kind == "Quantizer":
        return _quantizer(registers, images[0])
    if kind == "Dequantizer":
        scales = registers["scales"]
        return _map(images[0], lambda v, c: _float32(_float32(v) * scales[c]))
    if kind == "Outputs":
        return [[[v for image in images for row in image for pixel in row for v in pixel]]]
    if kind == "Concatenate":
        return [
            [[v for pixel in pixels for v in pixel] for pixels in zip(*rows, strict=True)]
            for rows in zip(*images, strict=True)
        ]
    if kind == "Add":
        return finish(registers, _add(registers, *images))
    if kind == "Dense1D":
        return finish(registers, _bias(registers, [[_dense(registers, images[0])]]))
    if kind in ("BufferTempConv", "DepthwiseBufferTempConv"):
        return run_stream(kind, registers, [images[0]])[0]
    image = _shift_inputs(registers, images[0])
    return finish(registers, _bias(registers, SUMS[kind](registers, image)))


def run_stream(kind: str, registers: dict, frames: list) -> list:
    """Return a buffered layer's outputs for successive frames after a reset."""
    size, weights = registers["fifo_size"], registers["weights"]
    height, width, channels = len(frames[0]), len(frames[0][0]), len(frames[0][0][0])
    fifo = [[[[0] * channels for _ in range(width)] for _ in range(height)] for _ in range(size)]
    outputs = []
    for frame in frames:
        fifo = [*fifo[1:], frame]
        aligned = [_shift_inputs(registers, held) for held in fifo]
        sums = []
        for y in range(height):
            row = []
            for x in range(width):
                if kind == "DepthwiseBufferTempConv":
                    pixel = [
                        sum(aligned[t][y][x][c] * weights[0][0][t][c] for t in range(size))
                        for c in range(channels)
                    ]
                else:
                    pixel = [
                        sum(
                            aligned[t][y][x][c] * weights[0][0][t * channels + c][f]
                            for t in range(size)
                            for c in range(channels)
                        )
                        for f in range(len(weights[0][0][0]))
                    ]
                row.append(pixel)
            sums.append(row)
        outputs.append(finish(registers, _bias(registers, sums)))
    return outputs


def saturate(value: int, value_bits: int) -> int:
    """Clip to the two's complement range with `value_bits` bits besides the sign."""
    return min(max(value, -(2**value_bits)), 2**value_bits - 1)


def scale_by_power(value: int, shift: int) -> int:
    """Return ``floor(value * 2**shift + 1/2)``."""
    if shift >= 0:
        return value * 2**shift
    divisor = 2**-shift
    return (2 * value + divisor) // (2 * divisor)


def requantize(value: int, scale: int, shift: int, value_bits: int, product_bits: int) -> int:
    """Scale, saturate the product, shift with rounding, saturate the output."""
    return saturate(scale_by_power(saturate(value * scale, product_bits), shift), value_bits)


def finish(registers: dict, image: list) -> list:
    """Max pool, activate, average, requantize."""
    get = registers.get
    if get("pool_size") is not None:
        image = _max_pool(image, get("pool_size"), get("pool_stride"), get("pool_padding"))
    product_bits = registers["post_op_buffer_bits"]
    if get("activation") == "relu":
        if get("max_value") is None:
            image = _map(image, lambda v, c: max(v, 0))
        else:
            tops, shifts = get("max_value"), get("max_value_shift")
            bounds = [saturate(m * 2**s, 32) for m, s in zip(tops, shifts, strict=True)]
            image = _map(image, lambda v, c: min(max(v, 0), bounds[c]))
    elif get("activation") == "lut":
        bits, table = registers["activation_bits"], registers["lut_values"]
        scales, shifts = get("activation_scales"), get("activation_shift")

        def index(v, c):
            scale = 1 if scales is None else scales[c]
            return requantize(v, scale, shifts[c], bits - 1, product_bits)

        image = _map(image, lambda v, c: table[index(v, c) + 2 ** (bits - 1)])
    if get("global_pool"):
        shifts = get("global_pool_shift")
        if shifts is not None:
            image = _map(image, lambda v, c: saturate(v * 2 ** shifts[c], 32))
        pixels = [pixel for row in image for pixel in row]
        image = [[[saturate(sum(column), 32) for column in zip(*pixels, strict=True)]]]
    if get("output_shift") is None:
        return image
    value_bits = registers["output_bits"] - (1 if registers["output_signed"] else 0)
    scales, shifts = get("output_scales"), registers["output_shift"]
    if scales is None:
        return _map(image, lambda v, c: saturate(scale_by_power(v, shifts[c]), value_bits))
    return _map(image, lambda v, c: requantize(v, scales[c], shifts[c], value_bits, product_bits))


def padding_before(size: int, kernel: int, stride: int, padding: str) -> tuple[int, int]:
    """Return the output length of one axis and the pixels added before it."""
    if padding == "valid":
        return len(range(0, size - kernel + 1, stride)), 0
    length = (size + stride - 1) // stride
    return length, max((length - 1) * stride + kernel - size, 0) // 2


def _map(image, function):
    return [
        [[function(value, c) for c, value in enumerate(pixel)] for pixel in row] for row in image
    ]


def _shift_inputs(registers, image):
    shifts = registers.get("input_shift")
    if shifts is None:
        return image
    bits = registers["buffer_bits"] - 1
    return _map(image, lambda v, c: saturate(v * 2 ** shifts[c], bits))


def _bias(registers, image):
    bits, bias = registers["buffer_bits"] - 1, registers.get("bias")
    image = _map(image, lambda v, c: saturate(v, bits))
    if bias is None:
        return image
    shifts = registers.get("bias_shift") or [0] * len(bias)
    added = [saturate(b * 2**s, bits) for b, s in zip(bias, shifts, strict=True)]
    return _map(image, lambda v, c: saturate(v + added[c], bits))


def _dense(registers, image):
    flat = [value for row in image for pixel in row for value in pixel]
    shifts = registers.get("input_shift")
    if shifts is not None:
        bits = registers["buffer_bits"] - 1
        flat = [saturate(v * 2**s, bits) for v, s in zip(flat, shifts, strict=True)]
    if registers.get("input_value_bits") is not None:
        flat = [saturate(v, registers["input_value_bits"]) for v in flat]
    weights = registers["weights"]
    return [
        sum(v * w[u] for v, w in zip(flat, weights, strict=True)) for u in range(len(weights[0]))
    ]


def _add(registers, a, b):
    bits = registers["buffer_bits"] - 1
    aligned = []
    for image, shifts in ((a, registers.get("a_shift")), (b, registers.get("b_shift"))):
        shifts = shifts or [0] * len(image[0][0])
        aligned.append(_map(image, lambda v, c, s=shifts: saturate(v * 2 ** s[c], bits)))
    a, b = aligned
    return [
        [
            [saturate(u + v, bits) for u, v in zip(p, q, strict=True)]
            for p, q in zip(rows[0], rows[1], strict=True)
        ]
        for rows in zip(a, b, strict=True)
    ]


def _max_pool(image, size, stride, padding):
    height, top = padding_before(len(image), size[0], stride[0], padding)
    width, left = padding_before(len(image[0]), size[1], stride[1], padding)
    return [
        [
            [
                max(
                    image[y * stride[0] - top + i][x * stride[1] - left + j][c]
                    for i, j in product(range(size[0]), range(size[1]))
                    if 0 <= y * stride[0] - top + i < len(image)
                    and 0 <= x * stride[1] - left + j < len(image[0])
                )
                for c in range(len(image[0][0]))
            ]
            for x in range(width)
        ]
        for y in range(height)
    ]


def _convolution(registers, image, *, flipped, depthwise):
    weights, (sy, sx) = registers["weights"], registers["kernel_stride"]
    kh, kw, channels = len(weights), len(weights[0]), len(image[0][0])
    height, top = padding_before(len(image), kh, sy, registers["padding"])
    width, left = padding_before(len(image[0]), kw, sx, registers["padding"])
    border = registers.get("padding_value") or [0] * channels

    def pixel(y, x):
        inside = 0 <= y < len(image) and 0 <= x < len(image[0])
        return image[y][x] if inside else border

    def tap(i, j):
        return weights[kh - 1 - i][kw - 1 - j] if flipped else weights[i][j]

    def sums(y, x):
        window = [
            (pixel(y * sy - top + i, x * sx - left + j), tap(i, j))
            for i, j in product(range(kh), range(kw))
        ]
        if depthwise:
            return [sum(p[c] * w[c][0] for p, w in window) for c in range(channels)]
        return [
            sum(p[c] * w[c][f] for p, w in window for c in range(channels))
            for f in range(len(weights[0][0][0]))
        ]

    return [[sums(y, x) for x in range(width)] for y in range(height)]


def _transposed(registers, image, *, depthwise):
    weights, (sy, sx) = registers["weights"], registers["kernel_stride"]
    kh, kw, channels = len(weights), len(weights[0]), len(image[0][0])

    def length(size, kernel, stride):
        if registers["padding"] == "same":
            return size * stride
        return size * stride + max(kernel - stride, 0)

    height, width = length(len(image), kh, sy), length(len(image[0]), kw, sx)
    # The transpose reads the padding of the convolution that maps its output to its input.
    top = padding_before(height, kh, sy, registers["padding"])[1]
    left = padding_before(width, kw, sx, registers["padding"])[1]

    def sums(out_y, out_x):
        window = []
        for i, j in product(range(kh), range(kw)):
            y, y_rest = divmod(out_y + top - i, sy)
            x, x_rest = divmod(out_x + left - j, sx)
            if y_rest == x_rest == 0 and 0 <= y < len(image) and 0 <= x < len(image[0]):
                window.append((image[y][x], weights[i][j]))
        if depthwise:
            return [sum(p[c] * w[c][0] for p, w in window) for c in range(channels)]
        return [
            sum(p[c] * w[c][f] for p, w in window for c in range(channels))
            for f in range(len(weights[0][0][0]))
        ]

    return [[sums(y, x) for x in range(width)] for y in range(height)]


SUMS = {
    "InputConv2D": lambda r, x: _convolution(r, x, flipped=False, depthwise=False),
    "Conv2D": lambda r, x: _convolution(r, x, flipped=True, depthwise=False),
    "DepthwiseConv2D": lambda r, x: _convolution(r, x, flipped=True, depthwise=True),
    "Conv2DTranspose": lambda r, x: _transposed(r, x, depthwise=False),
    "DepthwiseConv2DTranspose": lambda r, x: _transposed(r, x, depthwise=True),
}


def _quantizer(registers, image):
    signed = registers["output_signed"]
    bits = registers["output_bits"] - (1 if signed else 0)
    points = registers.get("zero_points") or [0] * len(image[0][0])

    def quantize(value, c):
        # round() of a fraction rounds half to even.
        rounded = round(Fraction(value) * Fraction(registers["scales"][c]))
        result = saturate(saturate(rounded, bits) + points[c], bits)
        return max(result, 0) if registers["clip_at_zero"] and not signed else result

    return _map(image, quantize)


def _float32(value) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]

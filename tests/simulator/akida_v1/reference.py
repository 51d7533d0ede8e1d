"""Akida 1.0 in plain Python integers, fractions and loops: an independent implementation.

Written from the published definition of the neuron and the layers, independently of the
simulator: no NumPy, no shared code. Images are nested lists ``[row][column][channel]``; kernels
are in the chip's order.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor


def level(potential, threshold, act_step, act_bits):
    """Return the level of one potential by counting the intervals below it.

    The level is n + 1 for ``threshold + n * s < potential <= threshold + (n + 1) * s``, at most the
    highest level, and 0 at or below the threshold. `act_step` is the step for 4-bit activations;
    with fewer bits steps are larger.
    """
    step = Fraction(act_step) * 16 / 2**act_bits
    highest, count = 2**act_bits - 1, 0
    while count < highest and potential > threshold + count * step:
        count += 1
    return count


def windows(size, kernel, stride, padding):
    """Yield for every output position the input positions of its window; None is outside."""
    if padding == "same":
        outputs = ceil(Fraction(size, stride))
        before = max((outputs - 1) * stride + kernel - size, 0) // 2
    else:
        outputs, before = floor(Fraction(size - kernel, stride)) + 1, 0
    for position in range(outputs):
        start = position * stride - before
        yield [n if 0 <= n < size else None for n in range(start, start + kernel)]


def _at(image, row, column, channel, outside):
    return outside if row is None or column is None else image[row][column][channel]


def correlate(image, kernel, strides, padding, outside=0):
    """Slide a ``[row][column][channel][filter]`` kernel over an image."""
    filters = len(kernel[0][0][0])
    return [
        [
            [
                sum(
                    _at(image, row, column, channel, outside) * kernel[i][j][channel][f]
                    for i, row in enumerate(rows)
                    for j, column in enumerate(columns)
                    for channel in range(len(image[0][0]))
                )
                for f in range(filters)
            ]
            for columns in windows(len(image[0]), len(kernel[0]), strides[1], padding)
        ]
        for rows in windows(len(image), len(kernel), strides[0], padding)
    ]


def rotated(kernel):
    """Return a kernel rotated by 180 degrees, as a true convolution uses it."""
    return [row[::-1] for row in kernel[::-1]]


def depthwise(image, kernel, strides, padding):
    """Correlate each channel with its own kernel."""
    planes = []
    for channel in range(len(image[0][0])):
        plane = [[[pixel[channel]] for pixel in row] for row in image]
        weights = [[[column[channel]] for column in row] for row in kernel]
        planes.append(correlate(plane, weights, strides, padding))
    return [
        [[plane[r][c][0] for plane in planes] for c in range(len(planes[0][0]))]
        for r in range(len(planes[0]))
    ]


def fully(image, weights):
    """Multiply inputs flattened column-major: rows vary fastest, then columns, then channels."""
    inputs = [
        image[row][column][channel]
        for channel in range(len(image[0][0]))
        for column in range(len(image[0]))
        for row in range(len(image))
    ]
    units = len(weights[0][0][0])
    return [
        [[sum(x * w[u] for x, w in zip(inputs, weights[0][0], strict=True)) for u in range(units)]]
    ]


def pooled(potentials, size, strides, padding):
    """Return the largest potential of each window, inside the image only."""
    return [
        [
            [
                max(
                    potentials[row][column][f]
                    for row in rows
                    for column in columns
                    if row is not None and column is not None
                )
                for f in range(len(potentials[0][0]))
            ]
            for columns in windows(len(potentials[0]), size[1], strides[1], padding)
        ]
        for rows in windows(len(potentials), size[0], strides[0], padding)
    ]


def summed(potentials):
    """Return the sum over all positions."""
    return [[[sum(p[f] for row in potentials for p in row) for f in range(len(potentials[0][0]))]]]


def run(kind, r, image):
    """Return the output of a layer of class `kind` with registers `r` (a mapping)."""
    if kind == "InputData":
        return image
    if kind == "InputConvolutional":
        p = correlate(image, r["weights"], r["kernel_stride"], r["padding"], r["padding_value"])
    elif kind == "Convolutional":
        p = correlate(image, rotated(r["weights"]), r["kernel_stride"], r["padding"])
    elif kind == "SeparableConvolutional":
        p = depthwise(image, rotated(r["weights"]), r["kernel_stride"], r["padding"])
        p = correlate(p, r["weights_pw"], (1, 1), "valid")
    else:
        p = fully(image, r["weights"])
    if r["pool_type"] == "max":
        p = pooled(p, r["pool_size"], r["pool_stride"], r["padding"])
    elif r["pool_type"] == "average":
        p = summed(p)
    return [[[_neuron(r, f, value) for f, value in enumerate(pixel)] for pixel in row] for row in p]


def _neuron(r, f, potential):
    threshold, step = r["threshold"][f], r["act_step"][f]
    if not r["activation"]:
        return Fraction(potential - threshold) / Fraction(step)
    return level(potential, threshold, step, r["act_bits"])

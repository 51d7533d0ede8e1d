"""Builders of random, valid layers and programs, for every layer type of every target."""

from __future__ import annotations

import numpy as np

from simulator import Program, akida_v2
from tests import builders_akida_v1

CONVOLUTIONS = ("InputConv2D", "Conv2D", "DepthwiseConv2D")
TRANSPOSED = ("Conv2DTranspose", "DepthwiseConv2DTranspose")
BUFFERED = ("BufferTempConv", "DepthwiseBufferTempConv")
NEURAL = (*CONVOLUTIONS, *TRANSPOSED, "Dense1D", *BUFFERED)


def integers(rng, bits, shape, *, signed=True, dtype=np.int32):
    """Return uniform random integers over the full range of a width."""
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
    return rng.integers(low, high, shape, dtype=dtype)


def output_stage(
    rng,
    channels,
    *,
    pool=None,
    pool_stride=None,
    pool_padding="same",
    activation="none",
    bounded=True,
    activation_bits=11,
    global_pool=False,
    align_pool=False,
    requantize=True,
    scales=True,
    output_bits=8,
    output_signed=True,
    shifts=(-24, 3),
):
    """Return random registers of an output stage."""
    fields = {"activation": activation}
    if pool is not None:
        fields |= {"pool_size": pool, "pool_stride": pool_stride or pool}
        fields["pool_padding"] = pool_padding
    if activation == "relu" and bounded:
        fields["max_value"] = rng.integers(0, 256, channels, dtype=np.uint8)
        fields["max_value_shift"] = rng.integers(0, 20, channels, dtype=np.uint8)
    if activation == "lut":
        fields |= {
            "activation_bits": activation_bits,
            "activation_scales": rng.integers(128, 256, channels, dtype=np.uint8),
            "activation_shift": rng.integers(-18, 1, channels, dtype=np.int8),
            "lut_values": integers(rng, 14, 1 << activation_bits, dtype=np.int16),
        }
    if global_pool:
        fields["global_pool"] = True
        if align_pool:
            fields["global_pool_shift"] = rng.integers(0, 4, channels, dtype=np.uint8)
    if requantize:
        fields["output_shift"] = rng.integers(*shifts, channels, dtype=np.int8)
        fields |= {"output_bits": output_bits, "output_signed": output_signed}
        if scales:
            fields["output_scales"] = rng.integers(0, 256, channels, dtype=np.uint8)
    return fields


def neural_layer(
    kind,
    rng,
    *,
    name="layer",
    inputs=(),
    input_shape=(5, 6, 3),
    filters=4,
    kernel=(3, 3),
    stride=(1, 1),
    padding="same",
    fifo_size=3,
    weight_bits=8,
    buffer_bits=28,
    bias=True,
    input_shift=True,
    **stage,
):
    """Return a random layer with weights; `stage` is passed to `output_stage`."""
    height, width, channels = input_shape
    depthwise = kind.startswith("Depthwise")
    flat = height * width * channels
    fields = {
        "name": name,
        "inputs": inputs,
        "input_shapes": (input_shape,),
        "weight_bits": weight_bits,
        "buffer_bits": buffer_bits,
    }
    if kind in BUFFERED:
        fields["fifo_size"] = fifo_size
        shape = (1, 1, fifo_size, channels) if depthwise else (1, 1, fifo_size * channels, filters)
    elif kind == "Dense1D":
        shape = (flat, filters)
    else:
        fields |= {"kernel_stride": stride, "padding": padding}
        shape = (*kernel, channels, 1 if depthwise else filters)
    filters = channels if depthwise else filters
    fields["weights"] = integers(rng, weight_bits, shape, dtype=np.int8)
    if bias:
        fields["bias"] = integers(rng, 8, filters, dtype=np.int8)
        fields["bias_shift"] = rng.integers(0, 16, filters, dtype=np.uint8)
    if kind == "InputConv2D":
        fields["padding_value"] = rng.integers(0, 256, channels, dtype=np.uint8)
    if input_shift and kind not in ("DepthwiseConv2D",):
        size = flat if kind == "Dense1D" else channels
        fields["input_shift"] = rng.integers(0, 5, size, dtype=np.uint8)
    return getattr(akida_v2, kind)(**fields, **output_stage(rng, filters, **stage))


def add_layer(rng, *, name="add", inputs=("a", "b"), input_shape=(5, 6, 3), **stage):
    """Return a random Add."""
    shifts = rng.integers(0, 5, (2, input_shape[2]), dtype=np.uint8)
    stage = {"scales": False, "shifts": (-6, 2)} | stage
    return akida_v2.Add(
        name=name,
        inputs=inputs,
        input_shapes=(input_shape, input_shape),
        a_shift=shifts[0],
        b_shift=shifts[1],
        **output_stage(rng, input_shape[2], **stage),
    )


def concatenate_layer(*, name="concatenate", inputs=("a", "b"), input_shapes):
    """Return a Concatenate."""
    return akida_v2.Concatenate(name=name, inputs=inputs, input_shapes=input_shapes)


def quantizer_layer(
    rng,
    *,
    name="quantizer",
    input_shape=(5, 6, 3),
    output_signed=False,
    clip_at_zero=True,
    output_bits=8,
):
    """Return a random Quantizer."""
    channels = input_shape[2]
    highest = min(256, 1 << output_bits)
    points = None if output_signed else rng.integers(0, highest, channels, dtype=np.uint8)
    return akida_v2.Quantizer(
        name=name,
        inputs=(),
        input_shapes=(input_shape,),
        scales=np.exp2(rng.integers(-2, 8, channels)).astype(np.float32),
        zero_points=points,
        output_bits=output_bits,
        output_signed=output_signed,
        clip_at_zero=clip_at_zero,
    )


def input_data(*, name="data", input_shape=(5, 6, 3), bits=8, signed=True):
    """Return an InputData."""
    return akida_v2.InputData(
        name=name, inputs=(), input_shapes=(input_shape,), input_bits=bits, input_signed=signed
    )


def dequantizer_layer(rng, *, name="dequantizer", inputs=("dense",), input_shape=(1, 1, 4)):
    """Return a random Dequantizer."""
    scales = rng.uniform(1e-6, 1e-2, input_shape[2]).astype(np.float32)
    return akida_v2.Dequantizer(
        name=name, inputs=inputs, input_shapes=(input_shape,), scales=scales
    )


def outputs_layer(floats):
    """Return an Outputs of several Dequantizers."""
    return akida_v2.Outputs(
        name="outputs",
        inputs=tuple(layer.name for layer in floats),
        input_shapes=tuple(layer.output_shape for layer in floats),
        names=tuple(layer.inputs[0] for layer in floats),
    )


def program(layers, *, name="model", input_dtype="int8", notes=("a note",)):
    """Return the Akida 2.0 program of a chain or graph of layers."""
    return Program(
        name=name,
        target="akida_v2",
        input_shape=layers[0].input_shapes[0],
        input_dtype=input_dtype,
        output_shape=layers[-1].output_shape,
        layers=tuple(layers),
        notes=notes,
    )


def image_program(rng, *, buffered=False, heads=False):
    """Return an Akida 2.0 program with every layer type of image models."""
    relu = {"activation": "relu", "output_bits": 4, "output_signed": False, "shifts": (-20, -10)}
    shape = (8, 9, 3)
    quantizer = quantizer_layer(rng, input_shape=shape)
    layers = [quantizer]

    def follow(kind, name, source, **options):
        layer = neural_layer(
            kind, rng, name=name, inputs=(source.name,), input_shape=source.output_shape, **options
        )
        layers.append(layer)
        return layer

    first = follow("InputConv2D", "first", quantizer, stride=(2, 2), **relu)
    depthwise = follow("DepthwiseConv2D", "depthwise", first, shifts=(-20, -10))
    pointwise = follow(
        "Conv2D", "pointwise", depthwise, kernel=(1, 1), activation="lut", shifts=(-14, -8)
    )
    total = add_layer(rng, inputs=("depthwise", "pointwise"), input_shape=pointwise.output_shape)
    side = concatenate_layer(inputs=("add", "first"), input_shapes=(total.output_shape,) * 2)
    layers += [total, side]
    last = side
    if buffered:
        last = follow("BufferTempConv", "buffered", last, shifts=(-20, -10), buffer_bits=32)
        last = follow("DepthwiseBufferTempConv", "depthwise_buffered", last, shifts=(-20, -10))
    up = follow("Conv2DTranspose", "up", last, stride=(2, 2), filters=3, shifts=(-20, -12))
    up = follow("DepthwiseConv2DTranspose", "depthwise_up", up, stride=(2, 2), shifts=(-20, -12))
    pooled = follow("Conv2D", "pooled", up, pool=(2, 2), weight_bits=4, **relu)
    mean = follow("Conv2D", "mean", pooled, **(relu | {"global_pool": True, "shifts": (-24, -16)}))
    dense = follow("Dense1D", "dense", mean, requantize=False)
    ends = [dense, pooled, first] if heads else [dense]
    floats = [
        dequantizer_layer(
            rng,
            name="dequantizer" if end is dense else f"{end.name}_dequantizer",
            inputs=(end.name,),
            input_shape=end.output_shape,
        )
        for end in ends
    ]
    layers += floats
    if heads:
        layers.append(outputs_layer(floats))
    return program(layers, input_dtype="float32")


def integer_program(rng):
    """Return a small Akida 2.0 program on int8 inputs that ends in accumulators."""
    data = input_data(input_shape=(5, 6, 2))
    conv = neural_layer("Conv2D", rng, name="conv", inputs=("data",), input_shape=(5, 6, 2))
    dense = neural_layer(
        "Dense1D", rng, name="dense", inputs=("conv",), input_shape=(5, 6, 4), requantize=False
    )
    return program([data, conv, dense])


PROGRAMS = {
    "akida_v1": (builders_akida_v1.levels_program, builders_akida_v1.image_program),
    "akida_v2": (
        integer_program,
        image_program,
        lambda rng: image_program(rng, buffered=True),
        lambda rng: image_program(rng, heads=True),
    ),
}
"""Builders of programs by target, which together contain every layer type."""


def images(rng, program, count):
    """Return random inputs in a program's input dtype."""
    shape = (count, *program.input_shape)
    if program.input_dtype == "float32":
        return rng.normal(0, 40, shape).astype(np.float32)
    info = np.iinfo(program.input_dtype)
    return rng.integers(info.min, info.max, shape, dtype=program.input_dtype, endpoint=True)

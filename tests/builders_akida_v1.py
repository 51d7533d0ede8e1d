"""Builders of random, valid Akida 1.0 programs."""

from __future__ import annotations

import numpy as np

from simulator import Program, akida_v1


def _weights(rng, bits, shape):
    high = 1 << (bits - 1)
    return rng.integers(-high, high, shape, dtype=np.int8)


def image_program(rng, *, activation=False):
    """Return an Akida 1.0 program with every layer type of an image model."""

    def neuron(filters, act_bits=4):
        return {
            "threshold": rng.integers(-300, 300, filters, dtype=np.int32),
            "act_step": rng.uniform(1, 300, filters).astype(np.float32),
            "act_bits": act_bits,
        }

    image = akida_v1.InputConvolutional(
        name="first",
        inputs=(),
        input_shapes=((8, 9, 3),),
        weights=_weights(rng, 8, (3, 3, 3, 4)),
        weights_bits=8,
        kernel_stride=(2, 2),
        padding_value=7,
        **neuron(4),
    )
    conv = akida_v1.Convolutional(
        name="conv",
        inputs=("first",),
        input_shapes=(image.output_shape,),
        weights=_weights(rng, 4, (3, 3, 4, 5)),
        weights_bits=4,
        pool_type="max",
        pool_size=(2, 2),
        pool_stride=(2, 2),
        **neuron(5, 2),
    )
    separable = akida_v1.SeparableConvolutional(
        name="separable",
        inputs=("conv",),
        input_shapes=(conv.output_shape,),
        weights=_weights(rng, 4, (3, 3, 5, 1)),
        weights_pw=_weights(rng, 4, (1, 1, 5, 6)),
        weights_bits=4,
        **neuron(6),
    )
    dense = akida_v1.FullyConnected(
        name="dense",
        inputs=("separable",),
        input_shapes=(separable.output_shape,),
        weights=_weights(rng, 4, (1, 1, int(np.prod(separable.output_shape)), 3)),
        weights_bits=4,
        activation=activation,
        **neuron(3),
    )
    return Program(
        name="model",
        target="akida_v1",
        input_shape=(8, 9, 3),
        input_dtype="uint8",
        output_shape=(3,),
        layers=(image, conv, separable, dense),
    )


def levels_program(rng):
    """Return an Akida 1.0 program whose inputs and outputs are levels."""
    data = akida_v1.InputData(name="data", inputs=(), input_shapes=((2, 3, 4),), input_bits=8)
    dense = akida_v1.FullyConnected(
        name="dense",
        inputs=("data",),
        input_shapes=((2, 3, 4),),
        weights=_weights(rng, 4, (1, 1, 24, 5)),
        weights_bits=4,
        threshold=rng.integers(-300, 300, 5, dtype=np.int32),
        act_step=rng.uniform(1, 300, 5).astype(np.float32),
    )
    return Program(
        name="levels",
        target="akida_v1",
        input_shape=(2, 3, 4),
        input_dtype="uint8",
        output_shape=(5,),
        layers=(data, dense),
    )

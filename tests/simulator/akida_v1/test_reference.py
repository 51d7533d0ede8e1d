"""The Akida 1.0 emulator compared with plain Python loops, exhaustively for small ranges."""

import dataclasses
import itertools
from fractions import Fraction

import numpy as np
import pytest

from simulator import akida_v1
from tests.simulator.akida_v1 import reference

BITS = (1, 2, 4)


def neuron(threshold, step, bits, *, weights=1):
    """Return a layer whose potential is its single integer input."""
    return akida_v1.FullyConnected(
        name="neuron",
        inputs=(),
        input_shapes=((1, 1, 1),),
        weights=np.full((1, 1, 1, 1), weights, np.int8),
        weights_bits=8,
        threshold=np.array([threshold], np.int32),
        act_step=np.array([step], np.float32),
        act_bits=bits,
    )


def levels_of(layer, potentials):
    """Return the levels of many potentials at once."""
    inputs = np.asarray(potentials, np.int32).reshape(-1, 1, 1, 1)
    return layer.run(inputs).ravel().tolist()


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("step", [0.25, 1.0, 1.5, 0.1, 40.7])
def test_every_level_of_every_threshold(bits, step):
    step = float(np.float32(step))
    for threshold in (-40, -1, 0, 33):
        layer = neuron(threshold, step, bits)
        potentials = range(-60, 661)
        expected = [reference.level(p, threshold, step, bits) for p in potentials]
        assert levels_of(layer, potentials) == expected


@pytest.mark.parametrize("bits", BITS)
def test_a_potential_on_an_edge_stays_in_the_lower_level(bits):
    layer = neuron(-10, 4.0, bits)
    apart = 4 * 2 ** (4 - bits)
    for lower in range(2**bits - 1):
        edge = -10 + lower * apart
        assert levels_of(layer, [edge - 1, edge, edge + 1]) == [
            max(lower - (edge - 1 <= edge - apart), 0),
            lower,
            lower + 1,
        ]
    assert levels_of(layer, [-(2**20), 2**20]) == [0, 2**bits - 1]


@pytest.mark.parametrize("bits", BITS)
def test_steps_that_floats_cannot_hold_exactly(bits):
    rng = np.random.default_rng(bits)
    for step in rng.uniform(1e-3, 2**20, 60).astype(np.float32):
        apart = Fraction(float(step)) * 2 ** (4 - bits)
        edges = {int(n * apart) + near for n in range(2**bits) for near in (-1, 0, 1, 2)}
        potentials = sorted(edge for edge in edges if abs(edge) < 2**26)
        expected = [reference.level(p, 0, float(step), bits) for p in potentials]
        assert levels_of(neuron(0, step, bits), potentials) == expected


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("step", [1.0, 65537.0, float(2**24), 2.0**-20, np.float32(0.1)])
def test_the_largest_potentials_that_are_computed(bits, step):
    layer = neuron(0, step, bits)
    potentials = [-(2**28) + 1, -1, 0, 1, 2**27 - 1, 2**28 - 1]
    assert levels_of(layer, potentials) == [
        reference.level(p, 0, float(step), bits) for p in potentials
    ]
    with pytest.raises(OverflowError, match="2\\*\\*28"):
        layer.run(np.full((1, 1, 1, 1), 2**28, np.int32))


@pytest.mark.parametrize("bits", BITS)
def test_negative_potentials_and_negative_thresholds(bits):
    layer = neuron(-3, 1.0, bits, weights=-1)
    potentials = range(0, 40)
    assert levels_of(layer, potentials) == [reference.level(-p, -3, 1.0, bits) for p in potentials]


WINDOWS = [
    dict(input_shapes=((5, 6, 2),), kernel=(3, 3), padding="same"),
    dict(input_shapes=((5, 6, 2),), kernel=(3, 3), padding="valid"),
    dict(input_shapes=((5, 6, 2),), kernel=(3, 3), padding="same", kernel_stride=(2, 2)),
    dict(input_shapes=((6, 5, 2),), kernel=(5, 3), padding="same", kernel_stride=(1, 2)),
    dict(input_shapes=((4, 4, 1),), kernel=(2, 2), padding="same"),
    dict(input_shapes=((3, 3, 3),), kernel=(1, 1), padding="same"),
]
POOLS = [
    {},
    dict(pool_type="average"),
    dict(pool_type="max", pool_size=(2, 2), pool_stride=(2, 2)),
    dict(pool_type="max", pool_size=(2, 2), pool_stride=(1, 1)),
    dict(pool_type="max", pool_size=(2, 1), pool_stride=(2, 1)),
    dict(pool_type="max", pool_size=(3, 3), pool_stride=(2, 2)),
]
CONVOLUTIONS = ("InputConvolutional", "Convolutional", "SeparableConvolutional")


def integers(rng, shape, bits=4):
    return rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), shape, dtype=np.int8)


def random_neuron(rng, filters, bits, *, activation=True, sums=60):
    return {
        "threshold": rng.integers(-sums, sums, filters, dtype=np.int32),
        "act_step": rng.uniform(0.4, 12, filters).astype(np.float32),
        "act_bits": bits,
        "activation": activation,
    }


def convolution(kind, rng, window, **settings):
    window = dict(window)
    kernel, channels = window.pop("kernel"), window["input_shapes"][0][2]
    fields = {"name": "layer", "inputs": (), "weights_bits": 4, **window, **settings}
    if kind == "SeparableConvolutional":
        fields["weights"] = integers(rng, (*kernel, channels, 1))
        fields["weights_pw"] = integers(rng, (1, 1, channels, 3))
    else:
        fields["weights"] = integers(rng, (*kernel, channels, 3))
    if kind == "InputConvolutional":
        fields["padding_value"] = int(rng.integers(0, 16))
    return getattr(akida_v1, kind)(**fields)


def registers(layer):
    values = {field.name: getattr(layer, field.name) for field in dataclasses.fields(layer)}
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in values.items()
    }


def assert_equal(layer, images):
    assert list(layer.check()) == []
    found = layer.run(images)
    expected = np.array(
        [reference.run(type(layer).__name__, registers(layer), image.tolist()) for image in images]
    )
    assert found.shape[1:] == layer.output_shape
    if layer.activation:
        np.testing.assert_array_equal(found, expected)
    else:
        # One float32 division: half a unit in the last place.
        np.testing.assert_allclose(found, expected.astype(np.float64), rtol=2**-24)


@pytest.mark.parametrize("kind", CONVOLUTIONS)
@pytest.mark.parametrize("activation", [True, False])
def test_every_window_with_every_pool(kind, activation):
    rng = np.random.default_rng(0)
    for number, (window, pool) in enumerate(itertools.product(WINDOWS, POOLS)):
        bits = BITS[number % 3]
        layer = convolution(
            kind, rng, window, **pool, **random_neuron(rng, 3, bits, activation=activation)
        )
        images = rng.integers(0, 16, (1, *layer.input_shapes[0]), dtype=np.int32)
        assert_equal(layer, images)


@pytest.mark.parametrize("shape", [(1, 1, 7), (2, 3, 4), (3, 1, 2)])
@pytest.mark.parametrize("activation", [True, False])
def test_fully_connected(shape, activation):
    rng = np.random.default_rng(0)
    layer = akida_v1.FullyConnected(
        name="layer",
        inputs=(),
        input_shapes=(shape,),
        weights=integers(rng, (1, 1, int(np.prod(shape)), 5)),
        weights_bits=4,
        **random_neuron(rng, 5, 4, activation=activation),
    )
    assert_equal(layer, rng.integers(0, 16, (3, *shape), dtype=np.int32))


@pytest.mark.parametrize("weights_bits", [1, 2, 4, 8])
def test_all_weights_of_a_width_times_all_inputs(weights_bits):
    low, high = (
        (-(2 ** (weights_bits - 1)), 2 ** (weights_bits - 1) - 1) if weights_bits > 1 else (0, 1)
    )
    weights = np.arange(low, high + 1, dtype=np.int8)
    layer = akida_v1.FullyConnected(
        name="layer",
        inputs=(),
        input_shapes=((1, 1, 1),),
        weights=weights.reshape(1, 1, 1, -1),
        weights_bits=weights_bits,
        threshold=np.full(len(weights), 1, np.int32),
        act_step=np.full(len(weights), 1.25, np.float32),
    )
    assert_equal(layer, np.arange(16, dtype=np.int32).reshape(-1, 1, 1, 1))

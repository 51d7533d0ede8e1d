"""Every layer type equals an implementation in plain Python integers."""

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simulator.engine import simulate
from simulator.targets import layer_types
from tests import builders
from tests.simulator import reference

QUICK = settings(max_examples=100, deadline=None, derandomize=True)


def registers(layer):
    """Return a layer's registers as plain Python values."""
    values = {field.name: getattr(layer, field.name) for field in dataclasses.fields(layer)}
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in values.items()
    }


def assert_same(layer, *inputs):
    """Compare one layer with the reference on a batch."""
    kind, held = type(layer).__name__, registers(layer)
    got = layer.run(*inputs)
    wanted = [
        reference.run(kind, held, *(image.tolist() for image in images))
        for images in zip(*inputs, strict=True)
    ]
    np.testing.assert_array_equal(got, np.array(wanted))
    assert got.shape[1:] == layer.output_shape


STAGES = st.fixed_dictionaries(
    {
        "pool": st.sampled_from([None, None, (1, 2), (2, 2), (3, 3), (3, 2)]),
        "pool_stride": st.sampled_from([None, (1, 1), (2, 2), (1, 3)]),
        "pool_padding": st.sampled_from(["same", "valid"]),
        "activation": st.sampled_from(["none", "relu", "lut"]),
        "bounded": st.booleans(),
        "activation_bits": st.sampled_from([3, 8, 11]),
        "global_pool": st.booleans(),
        "align_pool": st.booleans(),
        "requantize": st.sampled_from([True, True, True, False]),
        "scales": st.booleans(),
        "output_bits": st.sampled_from([1, 2, 3, 4, 8, 11, 16, 32]),
        "output_signed": st.booleans(),
        "shifts": st.sampled_from([(-20, -8), (-24, 3), (-60, -30), (0, 12), (-128, 127)]),
    }
)
LAYERS = st.fixed_dictionaries(
    {
        "input_shape": st.tuples(*[st.integers(1, 7)] * 2, st.integers(1, 3)),
        "filters": st.integers(1, 3),
        "kernel": st.tuples(*[st.sampled_from([1, 2, 3, 4, 5, 7])] * 2),
        "stride": st.tuples(*[st.integers(1, 3)] * 2),
        "padding": st.sampled_from(["same", "valid"]),
        "fifo_size": st.integers(1, 4),
        "weight_bits": st.sampled_from([2, 3, 4, 5, 6, 7, 8]),
        "buffer_bits": st.sampled_from([9, 14, 20, 28, 32, 33]),
        "bias": st.booleans(),
        "input_shift": st.booleans(),
    }
)
STAGES = STAGES.filter(lambda stage: stage["output_bits"] - stage["output_signed"] <= 31)
SEEDS = st.integers(0, 2**32 - 1)
INPUT_BITS = st.sampled_from([1, 4, 8, 16])


def fits(kind, options):
    """Return True if valid windows fit the input, so that outputs have pixels."""
    size = np.array(options["input_shape"][:2])
    if kind in builders.CONVOLUTIONS:
        if options["padding"] == "valid":
            if (size < options["kernel"]).any():
                return False
            size = size - options["kernel"] + 1
        size = -(-size // options["stride"])
    elif kind in builders.TRANSPOSED:
        overhang = np.maximum(np.subtract(options["kernel"], options["stride"]), 0)
        size = size * options["stride"] + overhang * (options["padding"] == "valid")
    elif kind == "Dense1D":
        size = np.array([1, 1])
    return (
        options["pool"] is None
        or options["pool_padding"] == "same"
        or ((size >= options["pool"]).all())
    )


@pytest.mark.parametrize("kind", builders.NEURAL)
@QUICK
@given(seed=SEEDS, options=LAYERS, stage=STAGES, bits=INPUT_BITS, signed=st.booleans())
def test_layers_with_weights(kind, seed, options, stage, bits, signed):
    assume(fits(kind, options | stage))
    rng = np.random.default_rng(seed)
    layer = builders.neural_layer(kind, rng, **options, **stage)
    x = builders.integers(rng, bits, (2, *options["input_shape"]), signed=signed)
    if kind in builders.BUFFERED:
        x = np.concatenate([x, x[::-1], -x])
        wanted = reference.run_stream(kind, registers(layer), x.tolist())
        np.testing.assert_array_equal(layer.run(x), np.array(wanted))
    else:
        assert_same(layer, x)


@QUICK
@given(seed=SEEDS, bits=st.integers(1, 11))
def test_flatten_saturates_inside_its_container(seed, bits):
    rng = np.random.default_rng(seed)
    layer = builders.neural_layer("Dense1D", rng, input_shape=(2, 3, 2))
    layer = dataclasses.replace(layer, input_value_bits=bits)
    assert_same(layer, builders.integers(rng, 8, (3, 2, 3, 2)))


@QUICK
@given(
    seed=SEEDS,
    shape=st.tuples(*[st.integers(1, 4)] * 3),
    stage=STAGES,
    bits=st.sampled_from([4, 8, 16, 31]),
)
def test_add(seed, shape, stage, bits):
    assume(fits("Add", stage | {"input_shape": shape}))
    rng = np.random.default_rng(seed)
    layer = builders.add_layer(rng, input_shape=shape, **stage)
    a, b = builders.integers(rng, bits, (2, 2, *shape))
    assert_same(layer, a, b)


@QUICK
@given(
    seed=SEEDS, shape=st.tuples(*[st.integers(1, 4)] * 3), signed=st.booleans(), clip=st.booleans()
)
def test_quantizer(seed, shape, signed, clip):
    rng = np.random.default_rng(seed)
    layer = builders.quantizer_layer(
        rng, input_shape=shape, output_signed=signed, clip_at_zero=clip
    )
    # Multiples of an eighth land on halves for many of the scales.
    x = (rng.integers(-3000, 3000, (3, *shape)) / 8).astype(np.float32)
    assert_same(layer, x)


@QUICK
@given(seed=SEEDS, bits=st.sampled_from([8, 24, 28, 31]))
def test_dequantizer(seed, bits):
    rng = np.random.default_rng(seed)
    layer = builders.dequantizer_layer(rng, input_shape=(1, 1, 4))
    assert_same(layer, builders.integers(rng, bits, (3, 1, 1, 4)))


@QUICK
@given(seed=SEEDS, channels=st.tuples(*[st.integers(1, 4)] * 2))
def test_concatenate_and_input_data(seed, channels):
    rng = np.random.default_rng(seed)
    shapes = tuple((2, 3, c) for c in channels)
    inputs = [builders.integers(rng, 8, (2, *shape)) for shape in shapes]
    assert_same(builders.concatenate_layer(input_shapes=shapes), *inputs)
    assert_same(builders.input_data(input_shape=shapes[0]), inputs[0])


def test_every_layer_type_is_compared():
    ends = {"Quantizer", "Dequantizer", "InputData", "Outputs"}
    compared = {*builders.NEURAL, "Add", "Concatenate", *ends}
    assert compared == set(layer_types("akida_v2"))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("options", [{}, {"buffered": True}, {"heads": True}])
def test_whole_programs(seed, options):
    """Each layer of a program with every layer type, on inputs computed by the reference."""
    rng = np.random.default_rng(seed)
    program = builders.image_program(rng, **options)
    images = builders.images(rng, program, 3)
    seen = {}
    simulate(
        program,
        images,
        batch_size=2,
        probe=lambda layer, y: seen.setdefault(layer.name, []).append(y),
    )
    outputs = {}
    for layer in program.layers:
        held, kind = registers(layer), type(layer).__name__
        sources = [outputs[name] for name in layer.inputs] or [images.tolist()]
        if kind in builders.BUFFERED:
            outputs[layer.name] = reference.run_stream(kind, held, sources[0])
        else:
            outputs[layer.name] = [
                reference.run(kind, held, *each) for each in zip(*sources, strict=True)
            ]
        np.testing.assert_array_equal(np.concatenate(seen[layer.name]), outputs[layer.name])

"""Compiled plans give the integers and saturation counts of the layers' own arithmetic."""

from dataclasses import replace

import numpy as np
import pytest

from simulator import ProgramError, simulate
from simulator.akida_v2 import Quantizer
from simulator.plan import compile_program
from tests import builders
from tests.simulator.plan.comparison import BACKENDS, FAST, assert_same, compiled


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("target", "make"), [(t, make) for t, makers in builders.PROGRAMS.items() for make in makers]
)
def test_whole_programs(backend, target, make, seed):
    rng = np.random.default_rng(seed)
    program = make(rng)
    assert_same(program, builders.images(rng, program, 5), backend, batch_size=2)


def test_most_layers_of_a_plain_network_are_fast():
    rng = np.random.default_rng(0)
    first = builders.neural_layer(
        "InputConv2D", rng, name="a", input_shape=(12, 12, 3), filters=8, activation="relu",
        shifts=(-18, -10), input_shift=False,
    )  # fmt: skip
    second = builders.neural_layer(
        "Conv2D", rng, name="b", inputs=("a",), input_shape=(12, 12, 8), shifts=(-18, -10)
    )
    plan = compile_program(builders.program([first, second], input_dtype="uint8"))
    assert [proof.path.startswith("numpy float") for proof in plan.proofs] == [True, True]
    assert all(proof.accumulator_bits <= 24 for proof in plan.proofs)
    assert "a" in plan.describe() and "b" in plan.describe()


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("pool", [None, (2, 2)])
def test_winograd_gives_the_same_integers(backend, padding, pool):
    """Extreme weights and images give the largest transformed values."""
    rng = np.random.default_rng(0)
    data = builders.input_data(input_shape=(8, 10, 32), bits=8, signed=False)
    stage = {} if pool is None else {"pool": pool, "pool_stride": (2, 2), "pool_padding": "same"}
    layer = builders.neural_layer(
        "Conv2D", rng, name="conv", inputs=("data",), input_shape=(8, 10, 32), filters=32,
        padding=padding, shifts=(-18, -10), input_shift=False, **stage,
    )  # fmt: skip
    extreme = np.where(layer.weights < 0, -127, 127).astype(layer.weights.dtype)
    layer = replace(layer, weights=extreme)
    program = builders.program([data, layer], input_dtype="uint8")
    path = "bytes" if "vnni" in backend else "winograd"
    assert f"fast {path}" in compiled(program, backend).describe()
    images = rng.choice(np.array([0, 1, 254, 255], np.uint8), (4, 8, 10, 32))
    images[0], images[1] = 255, 0
    assert_same(program, images, backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("weight", "dots"), [(-64, True), (63, True), (64, False), (-65, False)])
def test_shifted_weights_at_the_ends_of_a_byte(backend, weight, dots):
    """A shift by 1 doubles the weights: -128 and 126 fit a byte, 128 and -130 do not."""
    rng = np.random.default_rng(0)
    data = builders.input_data(input_shape=(5, 6, 8), bits=8, signed=False)
    layer = builders.neural_layer(
        "Conv2D", rng, name="conv", inputs=("data",), input_shape=(5, 6, 8), filters=4,
        shifts=(-18, -10), input_shift=False,
    )  # fmt: skip
    weights = np.full_like(layer.weights, weight)
    layer = replace(layer, weights=weights, input_shift=np.ones(8, np.uint8))
    program = builders.program([data, layer], input_dtype="uint8")
    path = compiled(program, backend).proofs[1].path
    if backend.startswith("fast"):
        assert ("bytes" in path) == (dots and "vnni" in backend)
    images = rng.choice(np.array([0, 1, 254, 255], np.uint8), (3, 5, 6, 8))
    assert_same(program, images, backend)


def test_accumulators_beyond_float32_are_summed_in_float64():
    rng = np.random.default_rng(0)
    data = builders.input_data(input_shape=(1, 1, 4096))
    dense = builders.neural_layer(
        "Dense1D", rng, name="dense", inputs=("data",), input_shape=(1, 1, 4096)
    )
    (_, proof) = compile_program(builders.program([data, dense])).proofs
    assert proof.path == "sums float64"
    assert proof.accumulator_bits > 24


def shifted_border(shift, value, **registers):
    """Return a program of floats: channels of different scales before a 'same' convolution."""
    rng = np.random.default_rng(0)
    first = Quantizer(
        name="quantizer", inputs=(), input_shapes=((5, 6, 3),), output_signed=False,
        scales=np.array([1, 2, 8], np.float32), zero_points=np.array([3, 100, 255], np.uint8),
    )  # fmt: skip
    layer = builders.neural_layer(
        "InputConv2D", rng, name="conv", inputs=("quantizer",), input_shape=(5, 6, 3),
        shifts=(-18, -10), weight_bits=4, activation="relu", bounded=False,
    )  # fmt: skip
    border = {"input_shift": np.array(shift, np.uint8), "padding_value": np.array(value, np.int32)}
    program = builders.program(
        [first, replace(layer, **border, **registers)], input_dtype="float32"
    )
    return program, rng.uniform(-30, 30, (4, 5, 6, 3)).astype(np.float32)


@pytest.mark.parametrize("backend", [*BACKENDS, "auto"])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_padding_value_in_units_of_the_shifted_input(backend, padding):
    program, images = shifted_border((0, 1, 3), (3, 100 << 1, 255 << 3), padding=padding)
    assert "reference" not in [proof.path for proof in compile_program(program).proofs[1:]]
    assert_same(program, images, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_padding_value_that_no_shift_gives_is_left_to_the_layer(backend):
    program, images = shifted_border((0, 1, 3), (3, 201, 255 << 3))
    (_, proof) = compiled(program, backend).proofs
    assert (proof.path, proof.reason) == (
        "reference", "the padding value is not a multiple of 2**input_shift",
    )  # fmt: skip
    assert_same(program, images, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_shifts_that_saturate_are_left_to_the_layer(backend):
    program, images = shifted_border((0, 1, 24), (0, 0, 0))
    (_, proof) = compiled(program, backend).proofs
    assert (proof.path, proof.reason) == ("reference", "shifted inputs may saturate")
    assert_same(program, images, backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bits", [12, 16, 31])
def test_outputs_with_too_many_steps_to_tabulate(backend, bits):
    program, images = shifted_border((0, 1, 3), (3, 200, 8), output_bits=bits)
    (_, proof) = compiled(program, backend).proofs
    assert proof.path.startswith("sums") == (bits > 12)
    assert_same(program, images, backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shift", [-128, -49, 25, 127])
def test_shifts_at_the_ends_of_their_register(backend, shift):
    program, images = shifted_border((0, 1, 3), (3, 200, 8))
    layer = program.layers[1]
    far = replace(layer, output_shift=np.where(np.arange(4) == 1, shift, layer.output_shift))
    far = replace(far, output_shift=far.output_shift.astype(np.int8))
    assert_same(replace(program, layers=(program.layers[0], far)), images, backend)


def test_a_plan_runs_its_own_program_only():
    rng = np.random.default_rng(0)
    one, other = builders.integer_program(rng), builders.integer_program(rng)
    with pytest.raises(ProgramError, match="the plan belongs to"):
        simulate(one, builders.images(rng, one, 1), backend=compile_program(other))


def test_unknown_backend():
    rng = np.random.default_rng(0)
    program = builders.integer_program(rng)
    with pytest.raises(ProgramError, match="backend is 'gpu'; allowed"):
        simulate(program, builders.images(rng, program, 1), backend="gpu")

"""Compiled plans against the layers' own arithmetic: equal integers, equal saturation counts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import ProgramError, simulate
from simulator.plan import compile_program, fast_is_available
from simulator.plan.numpy_levels import RecheckedLevels
from simulator.plan.proofs import NEVER, Staircase, staircase
from simulator.plan.workspace import Workspace
from tests import builders

BACKENDS = ("numpy", "fast") if fast_is_available() else ("numpy",)


def run(program, images, backend, **options):
    """Return the outputs, every layer's integers and the saturation counts."""
    traces, counts = {}, {}

    def probe(layer, values):
        traces.setdefault(layer.name, []).append(values.copy())

    def tally(layer, stage, count):
        counts[layer.name, stage] = counts.get((layer.name, stage), 0) + count

    outputs = simulate(program, images, backend=backend, probe=probe, tally=tally, **options)
    return outputs, {name: np.concatenate(parts) for name, parts in traces.items()}, counts


def assert_same(program, images, backend, **options):
    expected, traces, counts = run(program, images, "reference")
    found, found_traces, found_counts = run(program, images, backend, **options)
    for name, values in traces.items():
        np.testing.assert_array_equal(found_traces[name], values, err_msg=name)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    assert found_counts == counts


@st.composite
def layers(draw):
    """Draw one layer with weights behind integer inputs, most of them within the proofs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["Conv2D", "DepthwiseConv2D", "Dense1D", "Conv2DTranspose"]))
    shape = (
        draw(st.integers(3, 9)),
        draw(st.integers(3, 9)),
        draw(st.sampled_from([1, 2, 3, 8, 16, 35])),
    )
    kernel = draw(st.sampled_from([(1, 1), (2, 2), (3, 3), (3, 1), (3, 2)]))
    signed = draw(st.booleans())
    stage = {
        "activation": draw(st.sampled_from(["none", "relu"])),
        "bounded": draw(st.booleans()),
        "requantize": draw(st.sampled_from([True, True, True, False])),
        "output_bits": draw(st.sampled_from([1, 2, 4, 8, 11])),
        "output_signed": draw(st.booleans()),
        "global_pool": draw(st.sampled_from([False, False, False, True])),
        "shifts": draw(st.sampled_from([(-24, 3), (-18, -8), (-12, -6)])),
    }
    padding = draw(st.sampled_from(["same", "valid"]))
    if kind not in ("Dense1D",) and draw(st.booleans()):
        size = draw(st.sampled_from([(1, 2), (2, 2), (3, 3)]))
        stage |= {"pool": size, "pool_stride": draw(st.sampled_from([(1, 1), (2, 2)]))}
        stage["pool_padding"] = "same"
    bits = draw(st.sampled_from([1, 4, 8]))
    data = builders.input_data(input_shape=shape, bits=bits, signed=signed and bits > 1)
    layer = builders.neural_layer(
        kind,
        rng,
        name="layer",
        inputs=("data",),
        input_shape=shape,
        filters=draw(st.sampled_from([1, 3, 8, 16, 40])),
        kernel=kernel,
        stride=draw(st.sampled_from([(1, 1), (2, 2), (1, 2)])),
        padding=padding,
        weight_bits=draw(st.sampled_from([2, 4, 8])),
        buffer_bits=draw(st.sampled_from([16, 28, 28, 28])),
        bias=draw(st.booleans()),
        input_shift=draw(st.booleans()),
        **stage,
    )
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if data.input_signed else (0, 1 << bits)
    dtype = "int8" if data.input_signed else "uint8"
    images = rng.integers(low, high, (draw(st.integers(1, 5)), *shape)).astype(dtype)
    return builders.program([data, layer], input_dtype=dtype), images


@settings(max_examples=300, deadline=None)
@given(case=layers(), batch_size=st.integers(1, 5))
@pytest.mark.parametrize("backend", BACKENDS)
def test_layers_of_akida_v2(backend, case, batch_size):
    program, images = case
    assert_same(program, images, backend, batch_size=batch_size)


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


@pytest.mark.skipif("fast" not in BACKENDS, reason="the extra 'fast' is not installed")
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("pool", [None, (2, 2)])
def test_winograd_gives_the_same_integers(padding, pool):
    """Weights and images at their extremes, so that transformed ones are as large as can be."""
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
    assert "winograd" in compile_program(program, "fast").describe()
    images = rng.choice(np.array([0, 1, 254, 255], np.uint8), (4, 8, 10, 32))
    images[0], images[1] = 255, 0
    assert_same(program, images, "fast")


def test_accumulators_beyond_float32_are_summed_in_float64():
    rng = np.random.default_rng(0)
    data = builders.input_data(input_shape=(1, 1, 4096))
    dense = builders.neural_layer(
        "Dense1D", rng, name="dense", inputs=("data",), input_shape=(1, 1, 4096)
    )
    (_, proof) = compile_program(builders.program([data, dense])).proofs
    assert proof.path == "sums float64"
    assert proof.accumulator_bits > 24


def test_a_plan_serves_its_own_program_only():
    rng = np.random.default_rng(0)
    one, other = builders.integer_program(rng), builders.integer_program(rng)
    with pytest.raises(ProgramError, match="the plan belongs to"):
        simulate(one, builders.images(rng, one, 1), backend=compile_program(other))


def test_unknown_backend():
    rng = np.random.default_rng(0)
    program = builders.integer_program(rng)
    with pytest.raises(ProgramError, match="backend is 'gpu'; allowed"):
        simulate(program, builders.images(rng, program, 1), backend="gpu")


def unsaturated(low, high, first, slope):
    never = np.full(len(slope), NEVER)
    return Staircase(low=low, high=high, first=first, slope=slope, under=-never, over=never)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_proven_floats_equal_the_staircase_everywhere(data):
    """What the proof accepts is compared at every accumulator in reach."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    bound = data.draw(st.integers(1, 4000))
    levels = data.draw(st.sampled_from([1, 3, 15, 127, 255]))
    slope = np.exp2(rng.uniform(-12, 2, 6))
    low = data.draw(st.sampled_from([0, -8, -128]))
    offset = rng.uniform(-2000, 2000, 6)
    rows = np.arange(1, levels + 1)[:, None]
    first = np.ceil((low + rows - 0.5) / slope - offset).astype(np.int64)
    high = low + rng.integers(0, levels + 1, 6)
    first = np.where(low + rows <= high, first, NEVER)
    stairs = unsaturated(low, high, first, slope)
    everywhere = np.arange(-bound, bound + 1)[:, None].repeat(6, axis=1)
    for dtype in (np.float32, np.float64):
        floats = stairs.floats(bound, dtype)
        if floats is None:
            continue
        fast = staircase(everywhere.astype(dtype), *floats, dtype(low), high.astype(dtype))
        np.testing.assert_array_equal(fast, stairs.at(everywhere))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_whole_numbers_and_rechecked_floats_equal_the_staircase_everywhere(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    bound = data.draw(st.integers(1, 3000))
    centre = data.draw(st.sampled_from([0, 1 << 16, -(1 << 23)]))
    levels = data.draw(st.sampled_from([1, 3, 15, 127, 255]))
    slope = np.exp2(rng.uniform(-22, -1.1, 6))
    low = data.draw(st.sampled_from([0, -8, -128]))
    offset = rng.uniform(-2000, 2000, 6) - centre
    rows = np.arange(1, levels + 1)[:, None]
    first = np.ceil((low + rows - 0.5) / slope - offset).astype(np.int64)
    stairs = unsaturated(low, np.full(6, low + levels), first, slope)
    reach = abs(centre) + bound
    integers = stairs.integers(reach)
    if integers is None:
        return
    everywhere = np.arange(centre - bound, centre + bound + 1)[:, None].repeat(6, axis=1)
    expected = stairs.at(everywhere)
    scale, shift = integers
    found = np.clip((everywhere * scale + shift) >> 32, low, low + levels)
    np.testing.assert_array_equal(found, expected)
    rechecked = RecheckedLevels(stairs, integers)
    if rechecked.usable and reach < 1 << 24:
        sums = everywhere.astype(np.float32)
        out = np.empty_like(sums)
        rechecked.tiled(1).write(sums, out, Workspace(), None)
        np.testing.assert_array_equal(out, expected)


def test_float32_is_refused_where_it_cannot_tell_neighbours_apart():
    """Steps every 2**20 accumulators plus one: float32 sees no difference at the step."""
    slope = np.array([2.0**-22])
    first = (np.arange(1, 256)[:, None] << 15) + 1
    stairs = unsaturated(0, np.array([255]), first, slope)
    assert stairs.floats(1 << 23, np.float32) is None

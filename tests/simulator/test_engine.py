"""Running programs: batches, streams, probes, refusals."""

import dataclasses

import numpy as np
import pytest

from simulator import ProgramError, simulate
from simulator.engine import BATCH_VALUES, NUMPY_BATCH_VALUES, default_batch_size
from simulator.statistics import Statistics
from simulator.targets import known_targets
from tests import builders

CASES = [(target, make) for target in known_targets() for make in builders.PROGRAMS[target]]


@pytest.fixture
def program():
    return builders.integer_program(np.random.default_rng(0))


@pytest.mark.parametrize(("target", "make"), CASES)
def test_results_do_not_depend_on_the_batch_size(target, make):
    rng = np.random.default_rng(1)
    program = make(rng)
    images = builders.images(rng, program, 7)
    runs, figures = [], []
    for size in (None, 1, 2, 3, 7, 100):
        statistics = Statistics(program)
        runs.append(simulate(program, images, batch_size=size, statistics=statistics))
        figures.append(statistics.layers())
    for run in runs:
        assert run.dtype == runs[0].dtype
        np.testing.assert_array_equal(run, runs[0])
    assert all(figure == figures[0] for figure in figures)


def test_a_stream_continues_in_the_next_call_and_starts_over_without_memory():
    rng = np.random.default_rng(2)
    program = builders.image_program(rng, buffered=True)
    frames = builders.images(rng, program, 6)
    whole = simulate(program, frames)
    memory = {}
    parts = [simulate(program, part, memory=memory) for part in (frames[:1], frames[1:4])]
    parts.append(simulate(program, frames[4:], memory=memory, batch_size=1))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert set(memory) == {"buffered", "depthwise_buffered"}
    np.testing.assert_array_equal(simulate(program, frames), whole)


def test_a_reset_clears_the_state_and_a_memory_keeps_it():
    rng = np.random.default_rng(2)
    layer = builders.neural_layer("BufferTempConv", rng, inputs=("data",), requantize=False)
    program = builders.program([builders.input_data(), layer])
    frames = builders.images(rng, program, 3)
    whole = simulate(program, frames)
    np.testing.assert_array_equal(simulate(program, frames), whole)
    memory = {}
    np.testing.assert_array_equal(simulate(program, frames, memory=memory), whole)
    assert not np.array_equal(simulate(program, frames, memory=memory), whole)
    memory.clear()
    np.testing.assert_array_equal(simulate(program, frames, memory=memory), whole)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 6, 9])
@pytest.mark.parametrize("batch_size", [None, 1, 2, 4])
def test_streams_of_equal_length_start_from_a_reset(length, batch_size):
    rng = np.random.default_rng(2)
    layer = builders.neural_layer("BufferTempConv", rng, inputs=("data",), requantize=False)
    program = builders.program([builders.input_data(), layer])
    frames = builders.images(rng, program, 6)
    streams = [frames[start : start + length] for start in range(0, len(frames), length)]
    expected = np.concatenate([simulate(program, stream) for stream in streams])
    found = simulate(program, frames, reset_every=length, batch_size=batch_size)
    np.testing.assert_array_equal(found, expected)
    assert np.array_equal(found, simulate(program, frames)) == (length >= len(frames))


def test_a_stream_has_at_least_one_image(program):
    images = builders.images(np.random.default_rng(1), program, 2)
    with pytest.raises(ProgramError, match="reset_every is 0; it must be at least 1"):
        simulate(program, images, reset_every=0)


def test_images_of_a_program_without_memory_are_independent(program):
    rng = np.random.default_rng(3)
    images = builders.images(rng, program, 5)
    order = rng.permutation(5)
    np.testing.assert_array_equal(
        simulate(program, images[order]), simulate(program, images)[order]
    )


def test_a_layer_may_read_one_tensor_twice():
    rng = np.random.default_rng(4)
    data = builders.input_data()
    add = builders.add_layer(rng, inputs=("data", "data"), requantize=False)
    program = builders.program([data, add])
    x = builders.images(rng, program, 2).astype(np.int64)
    wanted = (x << add.a_shift) + (x << add.b_shift)
    np.testing.assert_array_equal(simulate(program, x.astype(np.int8)), wanted)


def test_probe_sees_layers_in_order_and_progress_counts_images(program):
    images = builders.images(np.random.default_rng(5), program, 5)
    seen, counted = [], []
    simulate(
        program,
        images,
        batch_size=2,
        probe=lambda layer, output: seen.append((layer.name, len(output))),
        progress=counted.append,
    )
    assert counted == [2, 2, 1]
    assert seen == [(name, size) for size in (2, 2, 1) for name in ("data", "conv", "dense")]


def test_outputs_without_a_dequantizer_are_accumulators(program):
    images = builders.images(np.random.default_rng(6), program, 2)
    assert simulate(program, images).dtype == np.int64


@pytest.mark.parametrize("values", [BATCH_VALUES, NUMPY_BATCH_VALUES])
def test_the_default_batch_keeps_memory_small(program, values):
    rng = np.random.default_rng(0)
    assert default_batch_size(program, values) > 1
    for side, filters in ((64, 4), (512, 8), (2048, 4)):
        shape = (side, side, 1)
        layer = builders.neural_layer("Conv2D", rng, input_shape=shape, filters=filters)
        size = default_batch_size(builders.program([layer]), values)
        assert size == 1 or size * side * side * filters <= values


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((2, 5, 6, 2), 0.5), "model: images are float64, with values that int8 does not"),
        (np.full((2, 5, 6, 2), 128, np.uint8), "images are uint8, .*the program takes int8 of sh"),
        (np.full((2, 5, 6, 2), -129), "images are int64, .*; the program takes int8 of shape"),
        (np.zeros((5, 6, 2), np.int8), r"\(5, 6, 2\); the program takes int8 of shape \(n, 5,"),
        (np.zeros((2, 6, 5, 2), np.int8), r"have shape \(2, 6, 5, 2\); the program takes"),
        (np.zeros((2, 60), np.int8), r"have shape \(2, 60\); the program takes"),
        (np.zeros((0, 5, 6, 2), np.int8), "there are no images; the program takes .* n at least 1"),
        (np.int8(3), r"have shape \(\); the program takes"),
        ([], r"have shape \(0,\)"),
        (np.full((2, 5, 6, 2), "a"), "images are <U1"),
        (np.full((2, 5, 6, 2), None), "images are object"),
    ],
)
def test_images_that_do_not_fit_are_refused(program, images, message):
    with pytest.raises(ProgramError, match=message):
        simulate(program, images)


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.float32, np.float64])
def test_images_of_another_dtype_with_the_same_values_are_taken(program, dtype):
    images = builders.images(np.random.default_rng(0), program, 3)
    expected = simulate(program, images)
    np.testing.assert_array_equal(simulate(program, images.astype(dtype)), expected)


def test_scaled_images_are_refused_with_a_hint():
    program = builders.PROGRAMS["akida_v1"][1](np.random.default_rng(0))
    images = np.full((1, *program.input_shape), 0.5, np.float32)
    with pytest.raises(ProgramError, match=r"give raw pixels 0\.\.255, scaling is part of"):
        simulate(program, images)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_is_refused(value):
    rng = np.random.default_rng(0)
    program = builders.image_program(rng)
    images = builders.images(rng, program, 2)
    images[1, 2, 3, 0] = value
    with pytest.raises(ProgramError, match="images hold NaN or infinite values; remove them"):
        simulate(program, images)


@pytest.mark.parametrize("size", [0, -1])
def test_batches_contain_at_least_one_image(program, size):
    images = builders.images(np.random.default_rng(0), program, 2)
    with pytest.raises(ProgramError, match=f"batch_size is {size}; it must be at least 1"):
        simulate(program, images, batch_size=size)


def test_a_sum_beyond_53_bits_names_its_layer():
    rng = np.random.default_rng(0)
    options = {"bias": False, "requantize": False, "buffer_bits": 33}
    first = builders.neural_layer(
        "Dense1D", rng, name="first", input_shape=(1, 1, 1), filters=1 << 14, **options
    )
    ones = np.ones_like(first.weights)
    first = dataclasses.replace(first, weights=ones, input_shift=np.array([32], np.uint8))
    shape = first.output_shape
    last = builders.neural_layer(
        "Dense1D", rng, name="last", inputs=("first",), input_shape=shape, filters=1, **options
    )
    last = dataclasses.replace(last, weights=np.full_like(last.weights, -128), input_shift=None)
    program = builders.program([first, last])
    # 2**14 inputs of -2**32 by weights of -2**7: 2**53 exactly.
    with pytest.raises(ProgramError, match=r"model: last: accumulators may reach 9007199254740992"):
        simulate(program, np.full((1, 1, 1, 1), -128, np.int8))
    halved = [first, dataclasses.replace(last, weights=last.weights // 2)]
    outputs = simulate(builders.program(halved), np.full((1, 1, 1, 1), -128, np.int8))
    assert outputs.ravel().tolist() == [(1 << 32) - 1]

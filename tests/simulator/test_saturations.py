"""Saturated values by layer and kind, as a share of all values."""

import dataclasses

import numpy as np
import pytest

from simulator import simulate
from simulator.akida_v2 import Add, Dense1D, InputData, Quantizer
from simulator.plan import fast_is_available
from simulator.statistics import KINDS, Saturation, Statistics
from tests import builders
from tests.simulator.plan import cases_akida_v1, cases_akida_v2
from tests.simulator.plan.covering import Cover

BACKENDS = ("reference", "numpy", "fast") if fast_is_available() else ("reference", "numpy")


def saturations(program, images, **options):
    statistics = Statistics(program)
    simulate(program, images, statistics=statistics, **options)
    return statistics.saturations()


def biased(**registers):
    """Return a Dense1D of 4 inputs and 2 units that sums its inputs."""
    data = InputData(name="data", inputs=(), input_shapes=((1, 1, 4),), input_signed=True)
    dense = Dense1D(
        name="dense", inputs=("data",), input_shapes=((1, 1, 4),),
        weights=np.ones((4, 2), np.int8), **registers,
    )  # fmt: skip
    return builders.program([data, dense])


IMAGES = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [100, 27, 0, 0]], np.int8).reshape(3, 1, 1, 4)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_an_accumulator_counts_once(backend, batch_size):
    """The second unit's bias fills its accumulator; the third image fills it before the bias."""
    program = biased(
        bias=np.array([0, 127], np.int8), bias_shift=np.array([0, 0], np.uint8), buffer_bits=8,
    )  # fmt: skip
    found = saturations(program, IMAGES + np.int8(0), backend=backend, batch_size=batch_size)
    assert found == (Saturation(layer="dense", kind="accumulator", count=2, total=6),)
    assert found[0].share == 2 / 6
    # 200 saturates in both units before the bias, and in one again after it.
    images = np.full_like(IMAGES, 50)
    (every,) = saturations(program, images, backend=backend, batch_size=batch_size)
    assert (every.count, every.total, every.share) == (6, 6, 1.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_bias_beyond_the_accumulator_is_a_share_of_the_filters(backend):
    program = biased(bias=np.array([1, 127], np.int8), bias_shift=np.array([0, 30], np.uint8))
    found = {each.kind: each for each in saturations(program, IMAGES, backend=backend)}
    assert (found["bias"].count, found["bias"].total, found["bias"].share) == (3, 6, 0.5)
    # Sums of 1 and 127 on top of a full accumulator.
    assert (found["accumulator"].count, found["accumulator"].total) == (2, 6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bound", [3, None])
def test_the_clip_of_a_relu_is_not_saturation(backend, bound):
    relu = {"activation": "relu", "output_bits": 4, "output_signed": False}
    relu["output_shift"] = np.zeros(2, np.int8)
    if bound is not None:
        relu |= {"max_value": np.full(2, bound, np.uint8), "max_value_shift": np.zeros(2, np.uint8)}
    found = saturations(biased(**relu), IMAGES, backend=backend)
    assert [(each.kind, each.count, each.total) for each in found] == (
        [] if bound else [("output", 2, 6)]
    )


def test_quantizers_count_both_ends_once():
    layer = Quantizer(
        name="quantizer", inputs=(), input_shapes=((1, 1, 1),), scales=np.ones(1, np.float32),
        zero_points=np.array([100], np.uint8), output_signed=False,
    )  # fmt: skip
    program = builders.program([layer], input_dtype="float32")
    # 1e9 and 300 saturate before the zero point, 200 after it, -1e9 and -300 before, -101 after.
    images = np.array([1e9, 300, 200, 155, 0, -100, -101, -300, -1e9], np.float32)
    input_, below = saturations(program, images.reshape(-1, 1, 1, 1))
    assert (input_.kind, input_.count, input_.total) == ("input", 5, 9)
    assert (below.kind, below.count, below.total) == ("input below zero", 3, 9)


def test_shifts_of_a_join_count_their_inputs():
    layer = Add(
        name="add", inputs=("data", "data"), input_shapes=((1, 1, 4),) * 2, buffer_bits=8,
        a_shift=np.array([0, 1, 0, 0], np.uint8), b_shift=np.zeros(4, np.uint8),
    )  # fmt: skip
    data = builders.input_data(input_shape=(1, 1, 4))
    images = np.array([[100, 100, 10, 0]], np.int8).reshape(1, 1, 1, 4)
    found = saturations(builders.program([data, layer]), images)
    assert [(each.kind, each.count, each.total) for each in found] == [
        ("input", 1, 8), ("accumulator", 2, 4),
    ]  # fmt: skip


def test_counts_of_other_images_are_added():
    program = biased(bias=np.array([0, 127], np.int8), buffer_bits=8)
    whole = Statistics(program)
    for image in np.split(IMAGES, 3):
        part = Statistics(program)
        simulate(program, image, statistics=part)
        whole.add(part.counts())
    assert whole.saturations() == saturations(program, IMAGES)


def test_frames_count_once_for_any_batch_size():
    """Past frames of a buffered layer have been counted when they were new."""
    rng = np.random.default_rng(0)
    layer = builders.neural_layer("BufferTempConv", rng, name="conv", inputs=("data",))
    layer = dataclasses.replace(layer, input_shift=np.array([24, 0, 0], np.uint8))
    program = builders.program([builders.input_data(), layer])
    images = builders.images(rng, program, 5)
    assert "input" in {each.kind for each in saturations(program, images)}
    assert saturations(program, images, batch_size=1) == saturations(program, images)


@pytest.mark.parametrize("chip", [cases_akida_v1, cases_akida_v2], ids=["akida_v1", "akida_v2"])
def test_no_share_of_drawn_layers_is_above_one(chip):
    kinds = set()
    for kind in chip.KINDS:
        cover = Cover(chip, kind)
        for _ in range(15):
            case = cover.draw()
            for each in saturations(case.program, case.images):
                assert 0 < each.share <= 1, each
                kinds.add(each.kind)
    assert kinds <= set(KINDS)
    assert "output" in kinds
    if chip is cases_akida_v2:
        assert {"input", "input below zero", "accumulator", "bias", "activation"} <= kinds

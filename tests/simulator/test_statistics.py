"""Statistics of a run, computed by hand."""

import dataclasses

import numpy as np
import pytest

from simulator import Program, simulate
from simulator.akida_v2 import Conv2D, Dense1D, InputData
from simulator.statistics import Statistics


@pytest.fixture
def program():
    data = InputData(name="data", inputs=(), input_shapes=((2, 3, 1),), input_signed=True)
    conv = Conv2D(
        name="conv",
        inputs=("data",),
        input_shapes=((2, 3, 1),),
        weights=np.array([[[[1, -1, 7]]]], np.int8),
        weight_bits=4,
        activation="relu",
        output_shift=np.zeros(3, np.int8),
        output_bits=4,
        output_signed=False,
    )
    dense = Dense1D(
        name="dense",
        inputs=("conv",),
        input_shapes=((2, 3, 3),),
        weights=np.ones((18, 2), np.int8),
    )
    return Program(
        name="model",
        target="akida_v2",
        input_shape=(2, 3, 1),
        input_dtype="int8",
        output_shape=(2,),
        layers=(data, conv, dense),
    )


IMAGES = np.array([[0, 1, 2, -3, 0, 20], [0, 0, 0, 0, 0, 1]], np.int8).reshape(2, 2, 3, 1)


def collect(program, images, **options):
    statistics = Statistics(program)
    simulate(program, images, statistics=statistics, **options)
    return {figure.name: figure for figure in statistics.layers()}


def test_figures_of_a_run(program):
    figures = collect(program, IMAGES)
    data, conv, dense = figures["data"], figures["conv"], figures["dense"]
    assert (data.macs, data.weight_bytes, data.output_sparsity) == (0, 0, 7 / 12)
    assert (data.output_min, data.output_max) == (-3, 20)
    # 6 positions by 3 weights; 3 weights of 4 bits fill 2 bytes.
    assert (conv.macs, conv.weight_bytes) == (18, 2)
    assert conv.effective_macs == pytest.approx(18 * 5 / 12)  # the mean share is a rounded float
    # Positives: 1, 2, 20 and 1 in filters 0 and 2, and -3 in filter 1.
    assert conv.output_sparsity == 1 - 9 / 36
    assert (conv.output_min, conv.output_max) == (0, 15)
    # 20 in the first filter, 7 * 20 in the third: both beyond 15.
    assert conv.saturated == {"output": 2}
    assert (dense.macs, dense.weight_bytes) == (36, 36)
    assert dense.effective_macs == pytest.approx(36 * 9 / 36)
    assert dense.saturated == {}
    assert (dense.output_min, dense.output_max) == (8, 57)


def test_figures_do_not_depend_on_batches(program):
    assert collect(program, IMAGES) == collect(program, IMAGES, batch_size=1)


def test_a_saturated_register_counts_once_per_image(program):
    data, conv, dense = program.layers
    biased = {"bias": np.full(3, 127, np.int8), "bias_shift": np.full(3, 21, np.uint8)}
    layers = (data, dataclasses.replace(conv, **biased), dense)
    program = dataclasses.replace(program, layers=layers)
    for size in (None, 1, 2):
        assert collect(program, IMAGES, batch_size=size)["conv"].saturated["bias"] == 6


def test_statistics_without_a_run_are_zero(program):
    figures = Statistics(program).layers()
    assert [figure.output_sparsity for figure in figures] == [0, 0, 0]
    assert [figure.macs for figure in figures] == [0, 18, 36]

"""Integers of hand-made calibrated graphs, with expected registers."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.errors import ModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.quantization.calibrated_graph import (
    CalibratedGraph,
    NodeQuantization,
    OutputQuantizer,
)
from pipeline.quantization.integerize import integerize
from simulator import simulate

# Channel ranges 1 and 4: 7 and 5 fractional bits in a signed byte.
RANGES = np.array([1, 4], np.float32)


def flattened(size, *, saturates):
    """Return conv (identity, two channels) > Flatten > Dense of ones, calibrated by hand."""
    eye = np.eye(2, dtype=np.float32).reshape(1, 1, 2, 2)
    inputs = size * size * 2
    nodes = (
        make_node("input", "Input", (), {"shape": (size, size, 2), "dtype": "int8"}),
        make_node(
            "conv",
            "Conv2D",
            ("input",),
            {"filters": 2, "kernel_size": 1, "use_bias": False},
            {"kernel": eye},
        ),
        make_node("flatten", "Flatten", ("conv",)),
        make_node(
            "dense",
            "Dense",
            ("flatten",),
            {"units": 1, "use_bias": False},
            {"kernel": np.ones((inputs, 1))},
        ),
    )
    output = OutputQuantizer(bits=8, signed=True, per_tensor=False, range_max=RANGES)
    return CalibratedGraph(
        graph=Graph("hand", nodes, "dense"),
        nodes={
            "conv": NodeQuantization(weight_bits=8, buffer_bits=28, output=output),
            "dense": NodeQuantization(weight_bits=8, buffer_bits=28),
        },
        flatten_saturates=saturates,
    )


def test_a_quantizer_without_range_is_refused():
    calibrated = flattened(1, saturates=False)
    output = replace(calibrated.nodes["conv"].output, range_max=None)
    nodes = {**calibrated.nodes, "conv": replace(calibrated.nodes["conv"], output=output)}
    with pytest.raises(ModelError, match="conv: its output quantizer has no range"):
        replace(calibrated, nodes=nodes)


@pytest.mark.parametrize("size", [1, 2])
def test_a_saturating_flatten_shifts_inside_its_container(size):
    """Also on a 1x1 map, which it does not change: QuantizeML aligns there too."""
    nodes = {node.name: node for node in integerize(flattened(size, saturates=True)).nodes}
    shift = nodes["flatten"].registers["input_shift"]
    np.testing.assert_array_equal(shift, [0, 2] * size * size)
    assert nodes["flatten"].bits == {"value_bits": 7}
    assert nodes["flatten"].format.frac_bits == 7
    assert "input_shift" not in nodes["dense"].registers


@pytest.mark.parametrize("size", [1, 2])
def test_an_aligning_flatten_leaves_the_shift_to_the_dense_layer(size):
    nodes = {node.name: node for node in integerize(flattened(size, saturates=False)).nodes}
    assert "input_shift" not in nodes["flatten"].registers
    shift = nodes["dense"].registers["input_shift"]
    np.testing.assert_array_equal(shift, [0, 2] * size * size)


def test_cost_of_saturation():
    """One pixel, channel 1 at 3 units: 3 * 2**5 = 96, shifted by 2 to 384, or saturated at 127."""
    images = np.array([[[[0, 3]]]], np.int8)
    calibrated = flattened(1, saturates=True)
    cut = simulate(convert(integerize(calibrated), "akida_v2"), images)
    whole = integerize(replace(calibrated, flatten_saturates=False))
    np.testing.assert_allclose(simulate(convert(whole, "akida_v2"), images), [[3]], rtol=0.01)
    # 127 * 2**-7, times the dense kernel's 127 * (1 / 127): float32 rounding
    np.testing.assert_allclose(cut, [[127 / 128]], rtol=1e-6)

"""Registers equal QuantizeML's: part of ``python -m conformance.parity``."""

import numpy as np
import pytest

from conformance.parity import compare, compare_registers, parity_options
from conformance.parity_models import MODELS, images
from pipeline.config.load import check_layers


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("model", "bits", "per_tensor"),
    [
        ("tutorial_float", (8, 8, 8), False),
        ("ds_cnn", (8, 4, 4), False),
        ("residual", (4, 4, 4), True),
    ],
)
def test_all_registers_are_equal(model, bits, per_tensor):
    pytest.importorskip("quantizeml")
    graph = MODELS[model]()
    # Not a multiple of the batch size: the last batch is smaller.
    result = compare(graph, images(graph, 35), parity_options(bits, per_tensor=per_tensor))
    assert result.differences == []
    assert result.values > 500
    # float32 sums of a few hundred products in another order than TensorFlow's
    assert result.range_error < 1e-5
    assert result.scale_error < 1e-5


MIXED = {
    "ds_cnn": {
        "DepthwiseConv2D": {"weight_bits": 8},
        "pw_2": {"weight_bits": 2},
        "*/relu": {"activation_bits": 8},
        "conv_0": {"activation_bits": 2},
        "gap": {"activation_bits": 4},
    },
    "residual": {
        "conv_[13]": {"weight_bits": 8, "activation_bits": 8},
        "conv_2": {"output_bits": 4},
        "conv_5/bn": {"weight_bits": 2},
        "dense": {"weight_bits": 8},
    },
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", MIXED)
def test_all_registers_are_equal_with_widths_by_layer(model):
    pytest.importorskip("quantizeml")
    graph = MODELS[model]()
    options = parity_options((8, 4, 4), layers=check_layers(MIXED[model], "layers"))
    result = compare(graph, images(graph, 20), options)
    assert result.differences == []
    assert result.values > 500


def test_differences_are_found():
    kernel, changed = np.zeros((2, 3), np.int8), np.zeros((2, 3))
    changed[1, 2] = 2
    mine = {"conv": {"kernel": kernel, "bias": np.int8([1]), "input_shift": np.uint8([1, 2])}}
    theirs = {"conv": {"kernel": changed, "bias": np.array(1), "output_shift": np.array(0)}}
    values, differences = compare_registers(mine, theirs)
    assert values == 7
    assert [(d.register, d.differing, d.total) for d in differences] == [
        ("input_shift", 1, 0),
        ("kernel", 1, 6),
    ]
    assert str(differences[1]) == "conv/kernel: 1 of 6 values differ, by at most 2"


def test_layers_of_one_side_are_differences():
    values, differences = compare_registers({"conv": {"bias": np.int8([0])}}, {})
    assert values == 0 and len(differences) == 1

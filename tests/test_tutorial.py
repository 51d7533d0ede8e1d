"""The tutorial "Upgrading to Akida 2.0", section by section.

Summaries are compared character for character, except for trailing blanks. The tutorial's page
collapses runs of blanks: `tests.tutorial_page` has the columns of the tool itself, and `collapsed`
converts them to the page's text.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.chips import convert
from pipeline.config.sections import Calibration, Quantization, Transforms
from pipeline.errors import IncompatibleModelError
from pipeline.graph.architecture import build_graph
from pipeline.graph.describe import describe
from pipeline.graph.forward import forward
from pipeline.quantization.quantize import quantize
from pipeline.transforms import apply
from simulator import simulate
from simulator.summary import summary
from tests.tutorial_page import AKIDA_1_0, AKIDA_2_0, PAGE_1_0, PAGE_2_0, PAGE_KERAS, collapsed

MODEL = yaml.safe_load(
    (Path(__file__).parents[1] / "conf/model/tutorial_cnn.yaml").read_text(encoding="utf-8")
)
RANDOM = Calibration(source="random", samples=32, batch_size=16)


def unpadded(text):
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def options(scheme, **changes):
    """Return 8/4/4, as the tutorial asks for, on random samples."""
    return Quantization(
        scheme=scheme, weight_bits=4, activation_bits=4, calibration=RANDOM, **changes
    )


@pytest.fixture(scope="module")
def graph():
    return build_graph(MODEL, seed=0)


@pytest.fixture(scope="module")
def quantized_2_0(graph):
    return quantize(graph, None, options("quantizeml"))


def numbered(program, name):
    """Return a program whose last layer has the number from its Keras session."""
    last = replace(program.layers[-1], name=name)
    return replace(program, layers=(*program.layers[:-1], last))


def test_1_the_model(graph):
    page = PAGE_KERAS.splitlines()
    found = collapsed(re.sub(r"_{5,}|={5,}", "", describe(graph))).splitlines()
    for line in page[1:7]:
        # Our table has one column more, the multiply-accumulates.
        assert any(row == line or row.startswith(f"{line} ") for row in found), line
    for line in page[7:]:
        assert line in found
    assert [node.name for node in graph.nodes[1:]] == [
        "conv2d",
        "batch_normalization",
        "re_lu",
        "flatten",
        "dense",
    ]


@pytest.mark.slow
def test_1_the_model_in_keras(graph):
    from pipeline.graph.keras_io import to_keras

    model = to_keras(graph)

    def count(weights):
        return sum(int(np.prod(weight.shape)) for weight in weights)

    assert model.count_params() == 82954
    assert count(model.trainable_weights) == 82890
    assert count(model.non_trainable_weights) == 64
    counts = {layer.name: layer.count_params() for layer in model.layers}
    assert (counts["conv2d"], counts["batch_normalization"], counts["dense"]) == (896, 128, 81930)
    shapes = {layer.name: tuple(layer.output.shape) for layer in model.layers}
    assert shapes["conv2d"] == shapes["re_lu"] == (None, 16, 16, 32)
    assert (shapes["flatten"], shapes["dense"]) == ((None, 8192), (None, 10))


def test_1_the_akida_1_0_flow(graph):
    quantized = quantize(graph, None, options("cnn2snn"))
    text = summary(convert(quantized, "akida_v1"))
    assert unpadded(text) == AKIDA_1_0
    assert collapsed(text) == PAGE_1_0


def test_1_the_akida_2_0_flow(quantized_2_0):
    program = numbered(convert(quantized_2_0, "akida_v2"), "dequantizer_3")
    text = summary(program)
    assert unpadded(text) == AKIDA_2_0
    assert collapsed(text) == PAGE_2_0
    assert program.input_dtype == "uint8"


def test_1_random_samples_per_axis_are_warned_about(graph, quantized_2_0):
    (warning,) = [note for note in quantized_2_0.notes if "random samples" in note.text]
    assert "per channel on random samples: not accurate" in warning.text and warning.is_warning
    assert "quantization.per_tensor_activations=true" in warning.text
    for quiet in (
        quantize(graph, None, options("quantizeml", per_tensor_activations=True)),
        quantize(graph, None, options("cnn2snn")),
    ):
        assert not [note for note in quiet.notes if "random samples" in note.text]


def test_1_the_width_of_8192_inputs_is_reported(quantized_2_0):
    (limit,) = convert(quantized_2_0, "akida_v2").limits()
    assert limit.startswith("dense: 8192 inputs; allowed: at most 2048")


SEPARABLE = {
    "name": "separable",
    "input": {"shape": [16, 16, 3], "dtype": "uint8"},
    "layers": [
        {"Rescaling": {"scale": "1/255"}},
        {
            "conv_block": {
                "name": "conv",
                "filters": 8,
                "kernel_size": 3,
                "padding": "same",
                "relu_activation": "ReLU6",
            }
        },
        {
            "separable_conv_block": {
                "name": "separable",
                "filters": 12,
                "kernel_size": 3,
                "padding": "same",
                "fused": True,
                "relu_activation": "ReLU6",
            }
        },
        {"Flatten": {}},
        {"Dense": {"units": 10}},
    ],
}


def types(program):
    return [type(layer).__name__ for layer in program.layers]


def images(shape, count=8):
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def test_2_1_separable_convolutions():
    """Fused in 1.0; in 2.0 a depthwise and a pointwise convolution, strictly equivalent."""
    fused = build_graph(SEPARABLE, seed=0)
    both = options("quantizeml", per_tensor_activations=True)
    assert types(convert(quantize(fused, None, both), "akida_v1")) == [
        "InputConvolutional",
        "SeparableConvolutional",
        "FullyConnected",
    ]
    with pytest.raises(IncompatibleModelError, match=r"separable: .*transform unfuse_separable"):
        convert(quantize(fused, None, both), "akida_v2")
    x = images((16, 16, 3))
    unfused, report = apply(fused, Transforms(names=("unfuse_separable",)), x)
    assert report["unfuse_separable"]["equivalent"]
    ops = [node.op for node in unfused.nodes]
    assert "SeparableConv2D" not in ops and "DepthwiseConv2D" in ops
    expected = forward(fused, x)
    # Sums of another order.
    np.testing.assert_allclose(forward(unfused, x), expected, atol=1e-5 * np.abs(expected).max())
    assert types(convert(quantize(unfused, None, both), "akida_v2")) == [
        "InputConv2D",
        "DepthwiseConv2D",
        "Conv2D",
        "Dense1D",
        "Dequantizer",
    ]


def test_2_1_the_summary_shows_both_kernels():
    fused = build_graph(SEPARABLE, seed=0)
    text = summary(convert(quantize(fused, None, options("cnn2snn")), "akida_v1"))
    assert unpadded(text).partition("(Software)")[2].partition("\n")[2] == (
        """
conv (InputConv.)      [16, 16, 8]   (3, 3, 3, 8)
_______________________________________________________
separable (Sep.Conv.)  [16, 16, 12]  (3, 3, 8, 1)
_______________________________________________________
                                     (1, 1, 8, 12)
_______________________________________________________
dense (Fully.)         [1, 1, 10]    (1, 1, 3072, 10)
_______________________________________________________
"""
    )


def average(order):
    return {
        "name": "average",
        "input": {"shape": [16, 16, 3], "dtype": "uint8"},
        "layers": [
            {"Rescaling": {"scale": "1/255"}},
            {
                "Conv2D": {
                    "name": "first",
                    "filters": 6,
                    "kernel_size": 3,
                    "strides": 2,
                    "padding": "same",
                }
            },
            {"ReLU": {"max_value": 6.0}},
            {"Conv2D": {"name": "conv", "filters": 8, "kernel_size": 3, "padding": "same"}},
            *order,
            {"Dense": {"units": 10}},
        ],
    }


GAP = {"GlobalAveragePooling2D": {"name": "gap"}}
BATCHNORM = {"BatchNormalization": {"name": "bn"}}
RELU = {"ReLU": {"name": "relu", "max_value": 6.0}}


def test_2_2_global_average_pooling():
    """Pooling is before the activation in 1.0 and after it in 2.0; nothing else differs."""
    both = options("quantizeml", per_tensor_activations=True)
    old = quantize(build_graph(average([GAP, BATCHNORM, RELU]), seed=0), None, both)
    new = quantize(build_graph(average([BATCHNORM, RELU, GAP]), seed=0), None, both)
    assert types(convert(old, "akida_v1"))[1] == "Convolutional"
    assert types(convert(new, "akida_v2"))[1] == "Conv2D"
    with pytest.raises(IncompatibleModelError) as caught:
        convert(old, "akida_v2")
    assert "gap: before relu; allowed: after the activation" in str(caught.value)
    assert "(transform gap_after_relu)" in str(caught.value)
    with pytest.raises(IncompatibleModelError) as caught:
        convert(new, "akida_v1")
    assert "gap: after relu (ReLU); allowed: after a convolution" in str(caught.value)


def test_2_2_weights_are_kept_but_outputs_are_not_the_same():
    old = build_graph(average([GAP, BATCHNORM, RELU]), seed=0)
    x = images((16, 16, 3))
    moving = Transforms(
        names=("gap_after_relu",),
        gap=replace(Transforms().gap, strategy="relocate", recalibrate="none"),
    )
    moved, report = apply(old, moving, x)
    assert not report["gap_after_relu"]["equivalent"]
    ops = [node.op for node in moved.nodes]
    assert ops.index("GlobalAveragePooling2D") > ops.index("ReLU", ops.index("BatchNormalization"))
    np.testing.assert_array_equal(
        moved.node("conv").weights["kernel"], old.node("conv").weights["kernel"]
    )
    assert moved.parameters == old.parameters
    assert not np.array_equal(forward(moved, x), forward(old, x))


@pytest.mark.parametrize("per_tensor", [False, True])
def test_3_the_2_0_model_converted_to_1_0(graph, per_tensor):
    """The same integers on both chips, quantized per channel or per tensor."""
    settings = options("quantizeml", per_tensor_activations=per_tensor)
    quantized = quantize(graph, None, settings)
    program = convert(quantized, "akida_v1")
    assert unpadded(summary(program)) == AKIDA_1_0
    assert collapsed(summary(program)) == PAGE_1_0
    again = numbered(convert(quantized, "akida_v2"), "dequantizer_3")
    assert unpadded(summary(again)) == AKIDA_2_0
    x = images((32, 32, 3), 16)
    outputs = [simulate(made, x) for made in (program, again)]
    np.testing.assert_array_equal(*(output.argmax(axis=-1) for output in outputs))


def test_3_one_scale_per_tensor_is_measured(quantized_2_0):
    (note,) = convert(quantized_2_0, "akida_v1").notes[len(quantized_2_0.notes) :]
    assert "re_lu took the coarsest" in note
    assert "quantization.per_tensor_activations=true" in note

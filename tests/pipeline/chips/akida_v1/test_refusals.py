"""Models that do not fit Akida 1.0 are refused with all reasons at once."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.config import LayerWidths
from pipeline.errors import IncompatibleModelError
from pipeline.quantization.quantize import quantize
from tests.pipeline.chips.quantized_models import (
    FLATTEN,
    GAP,
    MAXPOOL,
    RELU,
    SCALED,
    UNIT,
    chain,
    conv,
    dense,
    images,
    options,
    quantized,
    separable,
)

BASE = [conv(4), RELU, FLATTEN, dense()]
DEPTHWISE = ("DepthwiseConv2D", {"kernel_size": 3, "padding": "same"})
SWISH = ("Activation", {"activation": "swish"})
UNBOUNDED = ("ReLU", {"max_value": None})


def refusal(layers, scheme="quantizeml", **settings):
    """Return the reasons for which a model is refused."""
    model = quantized(layers, scheme, **settings)
    with pytest.raises(IncompatibleModelError) as caught:
        convert(model, "akida_v1")
    assert str(caught.value).startswith("net: cannot convert to akida_v1, ")
    return caught.value.reasons


def test_the_base_model_of_the_refusals_converts():
    for scheme in ("cnn2snn", "quantizeml"):
        assert len(convert(quantized(BASE, scheme), "akida_v1").layers) == 2


WIDE_IMAGE = [SCALED, conv(4), RELU, FLATTEN, dense()]

CASES = {
    "padding": (
        WIDE_IMAGE,
        {"shape": (6, 6, 2)},
        "conv2d_2: pads with 12",
    ),
    "reshape": (
        [conv(4), RELU, ("Reshape", {"target_shape": (3, 12, 4)}), conv(3), RELU, FLATTEN, dense()],
        {},
        "reshape_3: 6x6x4 to 3x12x4; allowed: Flatten before Dense, (N) to 1x1xN",
    ),
    "quantized_end": (
        [conv(4), RELU, conv(3), FLATTEN],
        {},
        "conv2d_3: its output is quantized but has no activation",
    ),
    "quantized_logits": (
        BASE,
        {"last_output_bits": 8},
        "dense_4: its output is quantized but has no activation; allowed: unquantized sums at the"
        " end of a model of Akida 1.0; end the model with this layer, and use"
        " quantization.last_output_bits=null",
    ),
    "nothing": ([UNIT], {}, "no layer with a kernel"),
    "unbounded": (
        [conv(4), UNBOUNDED, FLATTEN, dense()],
        {},
        "relu_2: an unbounded ReLU; allowed: a max_value in Akida 1.0; use ReLU6",
    ),
    "unbounded_dense": (
        [conv(4), RELU, FLATTEN, dense(5), UNBOUNDED, dense()],
        {},
        "relu_5: an unbounded ReLU; allowed: a max_value in Akida 1.0; use ReLU6",
    ),
    "wide": (
        BASE,
        {"activation_bits": 8},
        "relu_2: 8-bit activations; allowed: 1, 2 or 4 on Akida 1.0;"
        " quantization.activation_bits=4",
    ),
    "signed": (
        [conv(4), RELU],
        {"last_output_bits": 4},
        "relu_2: signed outputs; allowed: unsigned ones in Akida 1.0; end with a layer that has no"
        " activation (quantization.last_output_bits=null)",
    ),
    "last_relu": (
        [conv(4), RELU],
        {},
        "relu_2: its output is not quantized; allowed: no activation in the last layer",
    ),
    "no_activation": (
        [conv(4), conv(4), RELU, FLATTEN, dense()],
        {},
        "conv2d_1: no ReLU before conv2d_2; allowed: a ReLU between them",
    ),
    "add": (
        [
            conv(4),
            RELU,
            conv(4),
            RELU,
            ("Add", {}, ("relu_2", "relu_4")),
            FLATTEN,
            dense(),
        ],
        {},
        "add_5: Add of 2 inputs; allowed: 1; use a model without branches",
    ),
    "concatenate": (
        [
            conv(4),
            RELU,
            conv(4),
            RELU,
            ("Concatenate", {}, ("relu_2", "relu_4")),
            FLATTEN,
            dense(),
        ],
        {},
        "concatenate_5: Concatenate of 2 inputs; allowed: 1; use a model without branches",
    ),
    "depthwise": (
        [conv(4), RELU, DEPTHWISE, RELU, FLATTEN, dense()],
        {},
        "depthwiseconv2d_3: DepthwiseConv2D; allowed: Conv2D, SeparableConv2D, Dense",
    ),
    "swish": (
        [UNIT, conv(4), SWISH, FLATTEN, dense()],
        {},
        "activation_3: swish; allowed: Conv2D, SeparableConv2D, Dense, ReLU",
    ),
    "transposed": (
        [
            conv(4),
            RELU,
            ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"}),
            RELU,
            FLATTEN,
            dense(),
        ],
        {},
        "conv2dtranspose_3: Conv2DTranspose; allowed: Conv2D",
    ),
    "pool_padding": (
        [conv(4), ("MaxPooling2D", {"pool_size": 3, "strides": 2}), RELU, FLATTEN, dense()],
        {},
        "maxpooling2d_2: padding 'valid' after conv2d_1, 'same'; allowed: 'same'",
    ),
    "large_average": (
        [conv(2), RELU, conv(2, 1), GAP, RELU, dense()],
        {"shape": (17, 16, 1)},
        "globalaveragepooling2d_4: global average of 17x16 pixels; allowed: at most 256",
    ),
    "average_last": (
        [conv(4), RELU, conv(4), RELU, GAP, dense()],
        {},
        "globalaveragepooling2d_5: after relu_4 (ReLU); allowed: after a convolution; put an"
        " identity 1x1 Conv2D before it (transform gap_before_activation)",
    ),
    "floats": (
        BASE,
        {"dtype": "float32"},
        "float32 inputs of unknown scale; allowed: uint8 pixels",
    ),
    "dense_on_a_map": (
        [conv(4), RELU, dense()],
        {},
        "dense_3: input 6x6x4; allowed: (N) or 1x1xN; put a Flatten before it",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_refusals_name_the_layer(name):
    layers, settings, sentence = CASES[name]
    reasons = refusal(layers, **settings)
    assert any(sentence in reason for reason in reasons), reasons


LEGACY = {
    "padding": "conv2d_2: pads with 127.5, as the image has an offset",
    "reshape": "reshape_3: 6x6x4 to 3x12x4",
    "wide": "relu_2: 8-bit activations",
    "pool_padding": "maxpooling2d_2: padding 'valid' after conv2d_1, 'same'",
    "large_average": "globalaveragepooling2d_4: global average of 17x16 pixels",
    "average_last": "globalaveragepooling2d_5: after relu_4 (ReLU)",
    "dense_on_a_map": "dense_3: input 6x6x4",
}


@pytest.mark.parametrize("name", LEGACY)
def test_refusals_of_the_other_scheme_name_the_layer(name):
    layers, settings, _ = CASES[name]
    reasons = refusal(layers, "cnn2snn", **settings)
    assert any(LEGACY[name] in reason for reason in reasons), reasons


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("add", "add_5: Add"),
        ("concatenate", "concatenate_5: Concatenate"),
        ("depthwise", "depthwiseconv2d_3: DepthwiseConv2D"),
        ("swish", "activation_3: Activation"),
        ("transposed", "conv2dtranspose_3: Conv2DTranspose"),
    ],
)
def test_layers_that_the_scheme_does_not_support(name, layer):
    with pytest.raises(IncompatibleModelError) as caught:
        quantized(CASES[name][0], "cnn2snn")
    assert f"{layer} has no Akida 1.0 form" in str(caught.value)


def test_an_offset_without_padding_is_accepted():
    for first in (conv(4, padding="valid"), separable(4, padding="valid")):
        layers = [("Rescaling", {"scale": 1 / 255, "offset": 0.0}), *WIDE_IMAGE[2:]]
        layers.insert(1, first)
        assert convert(quantized(layers, "cnn2snn", shape=(6, 6, 2)), "akida_v1").layers
    layers = [SCALED, conv(4, padding="valid"), *WIDE_IMAGE[2:]]
    assert convert(quantized(layers, "cnn2snn", shape=(6, 6, 2)), "akida_v1").layers


def test_the_scheme_itself_needs_activations():
    layers = [conv(4), MAXPOOL, conv(3), FLATTEN, dense()]
    with pytest.raises(IncompatibleModelError) as caught:
        quantized(layers, "cnn2snn")
    assert [refusal.layers for refusal in caught.value.refusals] == [("conv2d_1",), ("conv2d_3",)]
    assert (
        "conv2d_1: no activation before conv2d_3; conv2d_3: no activation before dense_5; allowed:"
        " a ReLU between them on Akida 1.0"
    ) in str(caught.value)


def test_the_other_scheme_bounds_an_unbounded_relu():
    program = convert(quantized(CASES["unbounded"][0], "cnn2snn"), "akida_v1")
    assert program.layers[0].activation


def test_256_pixels_are_averaged():
    layers = CASES["large_average"][0]
    assert convert(quantized(layers, "quantizeml", shape=(16, 16, 1)), "akida_v1").layers


def test_a_pool_without_padding_needs_no_agreement():
    layers = [conv(4), ("MaxPooling2D", {"padding": "valid"}), RELU, FLATTEN, dense()]
    assert convert(quantized(layers, "quantizeml"), "akida_v1").layers[0].padding == "same"


def test_every_reason_is_listed():
    layers = [conv(4), DEPTHWISE, RELU, conv(4), RELU, GAP, dense()]
    with pytest.raises(IncompatibleModelError) as caught:
        convert(quantized(layers, "quantizeml"), "akida_v1")
    assert [(refusal.layers, refusal.rule) for refusal in caught.value.refusals] == [
        (("depthwiseconv2d_2",), "supported_layer"),
        (("globalaveragepooling2d_6",), "pooling_behind_layer"),
    ]


def test_padding_values_that_differ_by_channel():
    layers = [("Rescaling", {"scale": 1 / 100, "offset": -1.0}), conv(4), RELU, FLATTEN, dense()]
    model = quantized(layers, "quantizeml")
    nodes = list(model.nodes)
    index = next(n for n, node in enumerate(nodes) if "padding_value" in node.registers)
    values = {**nodes[index].registers, "padding_value": np.array([100, 100, 99], np.int32)}
    nodes[index] = replace(nodes[index], registers=values)
    with pytest.raises(IncompatibleModelError, match="conv2d_2: padding values differ by channel"):
        convert(replace(model, nodes=tuple(nodes)), "akida_v1")


def test_two_widths_in_one_separable_layer():
    model = quantized([conv(4), RELU, separable(3), RELU, FLATTEN, dense()], "cnn2snn")
    nodes = [
        replace(node, bits={**node.bits, "depthwise_weights": 2})
        if node.op == "SeparableConv2D"
        else node
        for node in model.nodes
    ]
    with pytest.raises(IncompatibleModelError, match="its two kernels have different widths"):
        convert(replace(model, nodes=tuple(nodes)), "akida_v1")


def test_another_scheme_is_named():
    model = replace(quantized(BASE, "cnn2snn"), scheme="other")
    with pytest.raises(IncompatibleModelError) as caught:
        convert(model, "akida_v1")
    assert caught.value.reasons == [
        "scheme 'other'; akida_v1 takes cnn2snn, quantizeml (quantization.scheme)"
    ]


def test_widths_are_refused_together_with_the_layers():
    layers = [conv(4), DEPTHWISE, RELU, conv(4), RELU, FLATTEN, dense()]
    reasons = refusal(layers, activation_bits=8)
    assert any("DepthwiseConv2D" in reason for reason in reasons)
    assert any("8-bit activations" in reason for reason in reasons)


def test_a_width_of_single_layers_is_named_as_theirs():
    chosen = {"relu_4": LayerWidths(activation_bits=8)}
    graph = chain(conv(4), RELU, conv(4), RELU, FLATTEN, dense(), shape=(6, 6, 3))
    model = quantize(graph, images(), options("quantizeml", layers=chosen))
    with pytest.raises(IncompatibleModelError) as caught:
        convert(model, "akida_v1")
    assert str(caught.value).endswith("Akida 1.0; quantization.layers.relu_4.activation_bits=4")


def test_an_applied_transform_is_not_advised():
    model = quantized([conv(4), DEPTHWISE, RELU, conv(4), RELU, GAP, dense()], "quantizeml")
    for applied, count in (((), 1), (("gap_before_activation", "fuse_separable"), 0)):
        with pytest.raises(IncompatibleModelError) as caught:
            convert(model, "akida_v1", applied=applied)
        assert str(caught.value).count("transform ") == count

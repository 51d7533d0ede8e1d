import numpy as np
import pytest

from pipeline.errors import IncompatibleModelError
from pipeline.graph.build import make_node
from pipeline.graph.forward import forward
from pipeline.messages.notes import texts
from pipeline.preparation import prepare, unsupported
from pipeline.preparation.head import cut_head
from tests.pipeline.graph.chains import chain

CONV = {"filters": 4, "kernel_size": 3, "padding": "same"}


def test_a_classifier_keeps_its_logits():
    graph = chain(
        (8, 8, 3),
        ("Rescaling", {"scale": 1 / 127.5, "offset": -1.0}),
        ("Conv2D", {**CONV, "strides": 2}),
        ("BatchNormalization", {}),
        ("Activation", {"activation": "relu"}),
        ("MaxPooling2D", {}),
        ("DepthwiseConv2D", {"kernel_size": 5, "strides": 2, "padding": "same"}),
        ("BatchNormalization", {}),
        ("LeakyReLU", {}),
        ("Flatten", {}),
        ("Dropout", {}),
        ("Dense", {"units": 5}),
        ("Dropout", {}),
        ("BatchNormalization", {}),
        ("Softmax", {}),
        dtype="uint8",
    )
    prepared, notes = prepare(graph)
    assert [(node.name, node.op) for node in prepared.nodes] == [
        ("input", "Input"),
        ("n0", "Rescaling"),
        ("n1", "Conv2D"),
        ("n4", "MaxPooling2D"),
        ("n3", "ReLU"),
        ("n5", "DepthwiseConv2D"),
        ("n5_identity_dw_conv", "DepthwiseConv2D"),
        ("n7", "Activation"),
        ("n8", "Flatten"),
        ("n10", "Dense"),
    ]
    images = np.random.default_rng(1).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
    logits = forward(graph.with_nodes(graph.nodes, "n12"), images)
    np.testing.assert_allclose(forward(prepared, images), logits, rtol=1e-4, atol=1e-4)
    assert notes[0].text == (
        "n13: the final softmax is left out, outputs are logits; apply it to them"
    )
    assert "fold batchnorm: removed n2, n6, n12" in texts(notes)
    again, none = prepare(prepared)
    assert (again, none) == (prepared, [])


def test_heads():
    for kind in ("softmax", "sigmoid"):
        graph = chain((4,), ("Dense", {"units": 2}), ("Activation", {"activation": kind}))
        cut, notes = cut_head(graph)
        assert (cut.output, len(cut.nodes), len(notes)) == ("n0", 2, 1)
    graph = chain((4,), ("Dense", {"units": 2}), ("Activation", {"activation": "tanh"}))
    assert cut_head(graph)[0] is graph


REFUSALS = [
    (("Conv2D", {**CONV, "groups": 2}), "n0: Conv2D has groups 2; allowed: 1"),
    (("Conv2D", {**CONV, "dilation_rate": 2}), "n0: Conv2D has dilation_rate (2, 2); allowed"),
    (("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2}), "has depth_multiplier 2"),
    (("SeparableConv2D", {**CONV, "depth_multiplier": 2}), "has depth_multiplier 2"),
    (("Conv2DTranspose", {**CONV, "dilation_rate": 2}), "has dilation_rate (2, 2)"),
    (("DepthwiseConv2DTranspose", {"kernel_size": 3, "strides": 1}), "has strides (1, 1)"),
    (("DepthwiseConv2DTranspose", {"kernel_size": 3, "padding": "valid"}), "has padding valid"),
    (("Softmax", {}), "n0: Softmax has no counterpart; a softmax may only end"),
    (("Activation", {"activation": "sigmoid"}), "n0: activation 'sigmoid' inside the model"),
    (("Activation", {"activation": "tanh"}), "n0: activation 'tanh' inside the model"),
    (("ReLU", {"threshold": 1.0}), "n0: ReLU has threshold 1; allowed: 0"),
    (("ReLU", {"negative_slope": 0.5, "max_value": 6.0}), "n0: ReLU has negative_slope 0.5"),
    (("PReLU", {}), "n0: PReLU has no counterpart; only a PReLU whose slopes"),
    (("BatchNormalization", {}), "n0: BatchNormalization follows input (Input); allowed"),
    (("BatchNormalization", {"axis": 1}), "n0: BatchNormalization normalises axis 1"),
    (("Rescaling", {"scale": 1.0, "offset": 1.0}), "n0: Rescaling with an offset, a scale per"),
    (("ZeroPadding2D", {}), "n0: ZeroPadding2D: before n1 (Flatten); allowed: a convolution or"),
    (("AveragePooling2D", {}), "n0: AveragePooling2D has no counterpart; use MaxPooling2D"),
    (("UpSampling2D", {"interpolation": "bilinear"}), "n0: UpSampling2D has no counterpart"),
]


@pytest.mark.parametrize("layer, message", REFUSALS, ids=lambda value: str(value)[:40])
def test_refusals_name_layer_found_and_allowed(layer, message):
    graph = chain((4, 4, 4), layer, ("Flatten", {}), dtype="uint8")
    with pytest.raises(IncompatibleModelError) as error:
        prepare(graph)
    assert len(error.value.reasons) == 1
    assert message in error.value.reasons[0]


def test_all_refusals_come_at_once():
    layers = [
        layer for layer, _ in REFUSALS if layer[0] in ("AveragePooling2D", "Softmax", "PReLU")
    ]
    with pytest.raises(IncompatibleModelError, match=r"cannot quantize for Akida 2\.0, 3 reasons"):
        prepare(chain((4, 4, 4), *layers, ("Flatten", {})))


def test_batchnorm_after_a_max_pool_is_refused_with_the_reason():
    graph = chain((4, 4, 8), ("Conv2D", CONV), ("MaxPooling2D", {}), ("BatchNormalization", {}))
    negative = graph.nodes[-1].with_weights(gamma=np.float32([1, -1, -2, 1]))
    graph = graph.with_nodes([*graph.nodes[:-1], negative])
    with pytest.raises(IncompatibleModelError, match="max pool n1 and has 2 negative gammas"):
        prepare(graph)


def test_a_constant_channel_is_refused_with_the_reason():
    graph = chain((4, 4, 3), ("Conv2D", CONV), ("BatchNormalization", {}))
    gamma, beta = np.float32([1, 0, 1, 0]), np.float32([0, 2, 0, 0])
    last = graph.nodes[-1].with_weights(gamma=gamma, beta=beta)
    with pytest.raises(
        IncompatibleModelError, match=r"n1: .* gamma 0 and a beta beyond 0\.05 in 1 of"
    ):
        prepare(graph.with_nodes([*graph.nodes[:-1], last]))


def test_rescaling_in_the_middle_and_joins():
    graph = chain((4, 4, 3), ("Conv2D", CONV), ("Rescaling", {"scale": 2.0}))
    nodes = [
        *graph.nodes,
        make_node("mean", "Add", ["n0", "n1", "n0"], {"average": True}),
        make_node("wide", "Concatenate", ["mean", "n0"], {"axis": 1}),
    ]
    reasons = unsupported(graph.with_nodes(nodes, "wide"))
    assert [str(reason).split(";")[0] for reason in reasons] == [
        "n1: Rescaling follows n0",
        "mean: Add averages 3 inputs",
        "wide: Concatenate joins axis 1",
    ]

"""The passes give the same layers, connections and weights as QuantizeML's ``sanitize``."""

import numpy as np
import pytest

pytest.importorskip("quantizeml")

from conformance.parity_models import MODELS, Chain
from conformance.quantizeml_model import to_tf_keras
from pipeline.preparation import prepare

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SAME = {"kernel_size": 3, "padding": "same"}


def everything():
    """Return a model that every pass shared with QuantizeML changes."""
    net = Chain("everything", (32, 32, 3), "uint8", 0)
    net.add("rescaling", "Rescaling", {"scale": (0.01, 0.02, 0.03), "offset": (-1.0, 0.5, 0.25)})
    net.block("conv_0", "Conv2D", filters=8)
    net.add("conv_0/pool", "MaxPooling2D")
    net.add("pad", "ZeroPadding2D", {"padding": ((0, 1), (0, 1))})
    net.add("conv_1", "Conv2D", {"filters": 8, "kernel_size": 3, "strides": 2})
    net.add("conv_1/bn", "BatchNormalization").add("conv_1/pool", "MaxPooling2D")
    net.add("conv_1/leaky", "LeakyReLU", {"negative_slope": 0.2})
    net.add("grouped", "Conv2D", {"filters": 8, "groups": 8, **SAME})
    net.add("grouped/relu", "ReLU", {"max_value": 6.0})
    net.add("side", "Conv2D", {"filters": 8, **SAME, "strides": 2}, ("conv_0/pool",))
    net.add("side/relu", "ReLU").add("side/pool", "MaxPooling2D")
    net.add("even", "Conv2D", {"filters": 8, **SAME, "kernel_size": 2})
    net.add("add", "Add", None, ("even", "grouped/relu"))
    net.add("add/relu", "ReLU")
    net.add("up", "Conv2DTranspose", {"filters": 4, **SAME, "strides": 2, "use_bias": False})
    net.add("up/bn", "BatchNormalization").add("up/relu", "ReLU")
    net.add("down", "DepthwiseConv2D", {**SAME, "kernel_size": 5, "strides": 2})
    net.add("down/bn", "BatchNormalization")
    net.add("concat", "Concatenate", None, ("down/bn", "add/relu", "even", "add/relu"))
    net.add("concat/drop", "Dropout", {"rate": 0.1})
    net.add("sep", "SeparableConv2D", {"filters": 12, **SAME}).add("sep/bn", "BatchNormalization")
    net.add("gap", "GlobalAveragePooling2D")
    net.add("reshape", "Reshape", {"target_shape": (1, 1, 12)}).add("flatten", "Flatten")
    net.add("dense", "Dense", {"units": 6, "use_bias": False})
    return net.add("dense/bn", "BatchNormalization").graph


def pooled():
    """Return a chain with batch norms after pools, which QuantizeML keeps in branched models."""
    net = Chain("pooled", (12, 12, 1), "float32", 2)
    for number, pool in enumerate(("MaxPooling2D", "GlobalAveragePooling2D")):
        net.add(f"conv_{number}", "Conv2D", {"filters": 6, **SAME})
        net.add(f"pool_{number}", pool).add(f"bn_{number}", "BatchNormalization")
    return net.add("dense", "Dense", {"units": 3}).graph


def add_relu_gap():
    """Return a residual model with a pool after its Add, and tensors with several consumers."""
    net = Chain("add_relu_gap", (12, 12, 1), "float32", 1)
    net.block("conv_0", "Conv2D", filters=6, pool=True, kernel_size=5)
    for number in range(1, 5):
        net.add(f"conv_{number}", "Conv2D", {"filters": 6, **SAME}, ("conv_0/relu",))
    net.add("add_1", "Add", None, ("conv_1", "conv_2")).add("add_1/relu", "ReLU")
    net.add("add_2", "Add", None, ("conv_3", "conv_4"))
    net.add("concat", "Concatenate", None, ("add_1/relu", "add_2"))
    net.add("conv_5", "Conv2D", {"filters": 6, "kernel_size": 1})
    net.add("add_3", "Add", None, ("conv_5", "add_2")).add("add_3/relu", "ReLU")
    net.add("gap", "GlobalAveragePooling2D")
    return net.add("dense", "Dense", {"units": 3}).graph


GRAPHS = {
    "everything": everything,
    "pooled": pooled,
    "add_relu_gap": add_relu_gap,
    "miscellaneous": MODELS["miscellaneous"],
    "temporal": MODELS["temporal"],
}
NAMES = {"PaddedConv2D": "Conv2D", "QuantizeML>Activation": "Activation"}


def described(layer, node):
    """Return the attributes of `node` as a Keras layer has them."""
    config = layer.get_config()
    found = {key: config[key] for key in node.attrs if key in config}
    if config.get("padding_value") is not None:
        found |= {"padding": "same", "padding_value": node.attrs["padding_value"]}
    return {key: tuple(v) if isinstance(v, list) else v for key, v in found.items()}


def expected(node):
    """Return the attributes of `node` with Keras' way of writing defaults."""
    attrs = dict(node.attrs)
    if node.op == "MaxPooling2D":
        attrs["strides"] = attrs["strides"] or attrs["pool_size"]
    if node.op == "Activation" and attrs["activation"] != "leaky_relu":
        del attrs["alpha"]
    if "alpha" in attrs:
        attrs["alpha"] = float(np.float32(attrs["alpha"]))
    return attrs


@pytest.mark.parametrize("name", GRAPHS)
def test_same_graph_as_sanitize(name):
    from quantizeml.models.transforms import sanitize

    graph = GRAPHS[name]()
    own, _ = prepare(graph)
    model = sanitize(to_tf_keras(graph))
    # Dropouts do nothing; QuantizeML keeps them.
    theirs = {layer.name: layer for layer in model.layers if type(layer).__name__ != "Dropout"}

    def sources(layer):
        inputs = layer.inbound_nodes[0].inbound_layers
        for source in inputs if isinstance(inputs, list) else [inputs]:
            yield from sources(source) if type(source).__name__ == "Dropout" else [source.name]

    assert {node.name for node in own.nodes} == set(theirs)
    for node in own.nodes[1:]:
        layer = theirs[node.name]
        kind = type(layer).__name__
        assert NAMES.get(kind, kind) == node.op, node.name
        assert tuple(sources(layer)) == node.inputs, node.name
        attrs = expected(node)
        for key, value in described(layer, node).items():
            if key in attrs:
                assert attrs[key] == value, (node.name, key)
        if "padding_value" in node.attrs:
            assert kind == ("Conv2D" if node.attrs["padding_value"] is None else "PaddedConv2D")
        for key, variable in zip(node.weights, layer.get_weights(), strict=True):
            # One rounding (6e-8) of float32 where TensorFlow multiplies in another order.
            np.testing.assert_allclose(
                node.weights[key], variable, rtol=2e-7, atol=1e-7, err_msg=f"{node.name}/{key}"
            )


def test_padding_values_are_equal():
    from quantizeml.models.transforms import sanitize

    graph = everything()
    own = prepare(graph)[0].node("conv_0").attrs["padding_value"]
    np.testing.assert_allclose(
        own, sanitize(to_tf_keras(graph)).get_layer("conv_0").padding_value, rtol=1e-6
    )

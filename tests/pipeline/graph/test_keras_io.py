import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.graph.architecture import build_graph
from pipeline.graph.build import make_node
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.graph.keras_io import from_keras_weights, keras_names, to_keras

MODEL = {
    "name": "every layer/1",
    "input": {"shape": [11, 10, 3], "dtype": "uint8"},
    "layers": [
        {"Rescaling": {"scale": "1/128", "offset": -1}},
        {"ZeroPadding2D": {"padding": [[1, 0], [0, 1]]}},
        {"conv_block": {"name": "c", "filters": 8, "kernel_size": 3, "add_batchnorm": True}},
        {"DepthwiseConv2D": {"kernel_size": 3, "depth_multiplier": 2, "padding": "same"}},
        {"LeakyReLU": {"negative_slope": 0.1}},
        {
            "separable_conv_block": {
                "name": "s",
                "filters": 8,
                "kernel_size": 3,
                "strides": 2,
                "pooling": "max",
                "add_batchnorm": True,
            }
        },
        {"DepthwiseConv2DTranspose": {"kernel_size": 3}},
        {"Conv2DTranspose": {"filters": 8, "kernel_size": 3, "strides": 2, "padding": "same"}},
        {"PReLU": {"name": "p", "shared_axes": [1, 2]}},
        {"Activation": {"name": "t", "activation": "tanh", "input": "p"}},
        {"Activation": {"name": "l", "activation": "leaky_relu", "alpha": 0.2, "input": "p"}},
        {"Add": {"inputs": ["t", "l"]}},
        {"Add": {"name": "mean", "average": True, "inputs": ["t", "l"]}},
        {"Concatenate": {"inputs": ["add", "mean"]}},
        {"Conv2D": {"filters": 4, "kernel_size": 3, "groups": 2, "padding": "same"}},
        {"UpSampling2D": {"size": 2}},
        {"AveragePooling2D": {"pool_size": 3, "strides": 2, "padding": "same"}},
        {"Permute": {"dims": [2, 1, 3]}},
        {"GlobalAveragePooling2D": {"keepdims": True}},
        {"Reshape": {"target_shape": [4]}},
        {"Dropout": {"rate": 0.5}},
        {"dense_block": {"name": "d", "units": 6, "add_batchnorm": True}},
        "Softmax",
    ],
}


def randomised(graph):
    rng = np.random.default_rng(3)
    return graph.with_nodes(
        node.with_weights(
            **{
                key: array + rng.uniform(0, 0.5, array.shape).astype(np.float32)
                for key, array in node.weights.items()
            }
        )
        for node in graph.nodes
    )


def test_names_are_accepted_by_keras_and_distinct():
    nodes = [make_node("input", "Input", (), {"shape": (4,)})]
    for name in ("a/b", "a__b", "a__b_1"):
        nodes.append(make_node(name, "ReLU", (nodes[-1].name,)))
    names = keras_names(Graph("g", tuple(nodes), "a__b_1"))
    assert len(set(names.values())) == 4
    assert not any("/" in name for name in names.values())
    assert names["a__b"] == "a__b"


def test_layers_that_keras_lacks_are_refused():
    nodes = (
        make_node("input", "Input", (), {"shape": (4, 4, 2)}),
        make_node(
            "up", "DepthwiseConv2DTranspose", ("input",), {"kernel_size": 3, "strides": (1, 2)}
        ),
    )
    with pytest.raises(ModelError, match=r"no such layer: up \(DepthwiseConv2DTranspose\)"):
        to_keras(Graph("g", nodes, "up"))


@pytest.mark.slow
def test_every_layer_computes_the_same_in_keras_and_numpy():
    graph = randomised(build_graph(MODEL))
    images = np.random.default_rng(0).integers(0, 256, (5, 11, 10, 3), dtype=np.uint8)
    model = to_keras(graph)
    assert model.count_params() == graph.parameters
    assert model.output_shape[1:] == graph.shapes[graph.output]
    # Both sides sum in float32, in different orders.
    np.testing.assert_allclose(
        np.asarray(model(images, training=False)), forward(graph, images), rtol=1e-4, atol=1e-6
    )
    again = from_keras_weights(build_graph(MODEL, seed=9), model)
    for old, new in zip(graph.nodes, again.nodes, strict=True):
        for key in old.weights:
            np.testing.assert_array_equal(old.weights[key], new.weights[key])

"""Graphs that together contain every layer of Keras files."""

import numpy as np

from pipeline.graph.architecture import build_graph

BLOCK = {"kernel_size": 3, "padding": "same", "add_batchnorm": True}


def build(*layers, shape=(8, 8, 3), dtype="uint8", name="net"):
    description = {"name": name, "input": {"shape": list(shape), "dtype": dtype}, "layers": layers}
    graph = build_graph(description)
    rng = np.random.default_rng(0)

    def draw(key, array):
        if key.endswith("kernel"):
            return array
        if key == "moving_variance":
            return rng.uniform(0.5, 2, array.shape).astype(np.float32)
        return rng.normal(size=array.shape).astype(np.float32) * np.float32(0.3)

    return graph.with_nodes(
        node.with_weights(**{key: draw(key, array) for key, array in node.weights.items()})
        for node in graph.nodes
    )


def images(graph, count=5):
    shape = (count, *graph.input.attrs["shape"])
    return np.random.default_rng(1).integers(0, 100, shape).astype(graph.input.attrs["dtype"])


RESCALING = {"Rescaling": {"name": "rescaling", "scale": "1/64", "offset": -0.5}}
NETWORKS = {
    "blocks": lambda: build(
        RESCALING,
        {"conv_block": {"name": "conv_0", "filters": 4, "pooling": "max", **BLOCK}},
        {"separable_conv_block": {"name": "s/1", "filters": 6, "pooling": "global_avg", **BLOCK}},
        {"Dropout": {"rate": 0.3}},
        {"dense_block": {"name": "s/1/dense", "units": 5, "add_batchnorm": True}},
        {"Dense": {"name": "s__1", "units": 4}},
        "Softmax",
    ),
    "windows": lambda: build(
        {"Rescaling": {"scale": [0.01, 0.02, 0.03], "offset": [0, 1, 2]}},
        {"Conv2D": {"filters": 4, "kernel_size": [3, 2], "dilation_rate": 2, "groups": 1}},
        {"DepthwiseConv2D": {"kernel_size": 2, "depth_multiplier": 2, "padding": "same"}},
        {
            "SeparableConv2D": {
                **{"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"},
                **{"depth_multiplier": 3, "use_bias": False},
            }
        },
        {"ZeroPadding2D": {"padding": [[1, 0], [0, 2]]}},
        {"Conv2DTranspose": {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"}},
        {"Conv2D": {"filters": 4, "kernel_size": 1, "groups": 2}},
        {"AveragePooling2D": {"pool_size": 2, "padding": "same"}},
        {"UpSampling2D": {"size": [1, 2]}},
        {"Permute": {"dims": [2, 1, 3]}},
        {"Reshape": {"target_shape": [-1, 4]}},
        "Flatten",
        {"Dense": {"units": 3, "use_bias": False}},
    ),
    "activations": lambda: build(
        {"Rescaling": {"scale": 0.02, "offset": -1}},
        {"ReLU": {"name": "r", "max_value": 6, "negative_slope": 0.1, "threshold": 0.05}},
        {"LeakyReLU": {"name": "l", "negative_slope": 0.2, "input": "rescaling"}},
        {"PReLU": {"name": "p", "shared_axes": [1, 2], "input": "rescaling"}},
        {"Activation": {"name": "t", "activation": "tanh", "input": "rescaling"}},
        {"Activation": {"name": "y", "activation": "leaky_relu", "alpha": 0.3, "input": "l"}},
        {"Activation": {"name": "g", "activation": "gelu", "input": "rescaling"}},
        {"Activation": {"name": "s", "activation": "swish", "input": "rescaling"}},
        {"Add": {"name": "add", "inputs": ["r", "p", "t"]}},
        {"Add": {"name": "mean", "inputs": ["y", "g", "s"], "average": True}},
        {"BatchNormalization": {"scale": False, "epsilon": 0.01}},
        {"Concatenate": {"inputs": ["add", "batch_normalization"]}},
        {"GlobalAveragePooling2D": {"keepdims": True}},
        {"Activation": {"activation": "sigmoid"}},
    ),
    "integers": lambda: build(
        {"Conv2D": {"name": "c", "filters": 2, "kernel_size": 3}},
        {"Flatten": {"input": "input"}},
        {"Dense": {"name": "d", "units": 2}},
        {"GlobalAveragePooling2D": {"name": "gap", "input": "c"}},
        {"Add": {"inputs": ["d", "gap"]}},
        dtype="int8",
    ),
}

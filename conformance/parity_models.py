"""Small float graphs in the style of published models, with random weights and statistics."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.operations import OPERATIONS


class Chain:
    """Builder of a graph, with random weights of the magnitude of trained ones."""

    def __init__(self, name: str, shape, dtype: str, seed: int):
        self.rng = np.random.default_rng(seed)
        first = make_node("input", "Input", (), {"shape": shape, "dtype": dtype})
        self.graph = Graph(name, (first,), "input")

    def add(self, name: str, op: str, attrs=None, inputs=None) -> Chain:
        """Append a layer after `inputs`, by default after the last one."""
        inputs = inputs or (self.graph.output,)
        bare = make_node(name, op, inputs, attrs)
        shapes = OPERATIONS[op].weights(bare.attrs, self.graph.shapes[inputs[0]])
        weights = {key: self._weight(key, shape) for key, shape in shapes.items()}
        node = make_node(name, op, inputs, attrs, weights)
        self.graph = self.graph.with_nodes((*self.graph.nodes, node), name)
        return self

    def block(self, name: str, op: str, relu: float | None = 6.0, pool=False, **attrs) -> Chain:
        """Append a convolution without bias, batch norm, optional pooling, and ReLU."""
        attrs = {"kernel_size": 3, "padding": "same", "use_bias": False, **attrs}
        self.add(name, op, attrs)
        if pool:
            self.add(f"{name}/maxpool", "MaxPooling2D")
        self.add(f"{name}/bn", "BatchNormalization")
        return self.add(f"{name}/relu", "ReLU", {"max_value": relu})

    def _weight(self, key, shape):
        rng = self.rng
        if key in ("gamma", "moving_variance", "alpha"):
            return rng.uniform(0.3, 2, shape)
        if "kernel" not in key:
            return rng.normal(0, 0.3, shape)
        fan = np.prod(shape[:-1]) if shape[-1] > 1 else np.prod(shape[:2])
        return rng.normal(0, (2 / fan) ** 0.5, shape)


def tutorial(size=12, filters=8, dtype="uint8", seed=0) -> Graph:
    """Return the tutorial's model: convolution, batch norm, ReLU, flatten, dense."""
    chain = Chain("tutorial", (size, size, 3), dtype, seed)
    if dtype == "uint8":
        chain.add("rescaling", "Rescaling", {"scale": 1 / 255})
    chain.add("conv2d", "Conv2D", {"filters": filters, "kernel_size": 3, "strides": 2})
    chain.add("batch_normalization", "BatchNormalization")
    chain.add("relu", "ReLU", {"max_value": 6.0})
    return chain.add("flatten", "Flatten").add("dense", "Dense", {"units": 10}).graph


def ds_cnn(filters=8, seed=1) -> Graph:
    """Return a keyword-spotting model: one convolution, separable blocks, pooling, dense."""
    chain = Chain("ds_cnn", (13, 10, 1), "uint8", seed)
    chain.add("rescaling", "Rescaling", {"scale": 1 / 255})
    chain.block("conv_0", "Conv2D", filters=filters, kernel_size=5, strides=2)
    for number in (1, 2):
        chain.block(f"dw_{number}", "DepthwiseConv2D")
        chain.block(f"pw_{number}", "Conv2D", relu=None, filters=filters, kernel_size=1)
    return chain.add("gap", "GlobalAveragePooling2D").add("dense", "Dense", {"units": 12}).graph


def akidanet(width=8, size=24, seed=2) -> Graph:
    """Return an image model: strided convolutions, pooling, separable blocks, pooling, dense."""
    chain = Chain("akidanet", (size, size, 3), "uint8", seed)
    chain.add("rescaling", "Rescaling", {"scale": 1 / 127.5, "offset": -1.0})
    chain.block("conv_0", "Conv2D", filters=width, strides=2)
    chain.block("conv_1", "Conv2D", filters=2 * width)
    chain.block("conv_2", "Conv2D", filters=2 * width, pool=True)
    for number, (factor, stride) in enumerate(((3, 2), (4, 1)), 3):
        chain.block(f"dw_{number}", "DepthwiseConv2D", strides=stride)
        chain.block(f"pw_{number}", "Conv2D", filters=factor * width, kernel_size=1)
    chain.add("gap", "GlobalAveragePooling2D").add("dropout", "Dropout", {"rate": 0.1})
    return chain.add("classifier", "Dense", {"units": 10}).graph


def residual(seed=3) -> Graph:
    """Return a model with a skip connection and a concatenation."""
    chain = Chain("residual", (12, 12, 3), "uint8", seed)
    chain.add("rescaling", "Rescaling", {"scale": 1 / 127.5, "offset": -1.0})
    chain.block("conv_0", "Conv2D", filters=8, strides=2)
    chain.block("conv_1", "Conv2D", filters=8)
    chain.add("conv_2", "Conv2D", {"filters": 8, "kernel_size": 3, "padding": "same"})
    chain.add("add", "Add", None, ("conv_0/relu", "conv_2"))
    chain.block("conv_3", "Conv2D", filters=8)
    chain.block("conv_4", "Conv2D", filters=6)
    chain.add("concat", "Concatenate", None, ("conv_4/relu", "conv_3/relu"))
    chain.block("conv_5", "Conv2D", filters=8)
    return chain.add("gap", "GlobalAveragePooling2D").add("dense", "Dense", {"units": 10}).graph


def miscellaneous(seed=4) -> Graph:
    """Return a model with look-up table, fused separable, linear and transposed layers."""
    chain = Chain("miscellaneous", (10, 10, 3), "float32", seed)
    chain.add("conv_0", "Conv2D", {"filters": 8, "kernel_size": 3, "padding": "same"})
    chain.add("leaky", "LeakyReLU", {"negative_slope": 0.1})
    chain.block("separable", "SeparableConv2D", filters=8)
    chain.add("transposed", "Conv2DTranspose", {"filters": 6, "kernel_size": 3, "strides": 2})
    chain.add("transposed/relu", "ReLU", {"max_value": 6.0})
    chain.add("conv_2", "Conv2D", {"filters": 4, "kernel_size": 3})
    return chain.add("flatten", "Flatten").add("dense", "Dense", {"units": 10}).graph


def temporal(seed=5) -> Graph:
    """Return a video model: buffered temporal convolutions, one frame at a time."""
    chain = Chain("temporal", (10, 10, 3), "uint8", seed)
    chain.add("rescaling", "Rescaling", {"scale": 1 / 255})
    chain.block("conv_0", "Conv2D", filters=8, strides=2)
    chain.add("depthwise", "DepthwiseBufferTempConv", {"fifo_size": 3})
    chain.add("depthwise/relu", "ReLU", {"max_value": 6.0})
    chain.add("temporal", "BufferTempConv", {"filters": 6, "fifo_size": 2})
    chain.add("temporal/relu", "ReLU")
    return chain.add("gap", "GlobalAveragePooling2D").add("dense", "Dense", {"units": 10}).graph


MODELS = {
    "tutorial": tutorial,
    "tutorial_float": lambda: tutorial(dtype="float32"),
    "ds_cnn": ds_cnn,
    "akidanet": akidanet,
    "residual": residual,
    "miscellaneous": miscellaneous,
    "temporal": temporal,
}


def images(graph: Graph, count: int, seed: int = 0) -> np.ndarray:
    """Return smooth random images of varying brightness, in the graph's input dtype."""
    rng = np.random.default_rng(seed)
    shape, dtype = graph.input.attrs["shape"], graph.input.attrs["dtype"]
    values = rng.uniform(0, 1, (count, *shape)) * rng.uniform(0.2, 1, (count, 1, 1, 1))
    if dtype == "uint8":
        return (255 * values).astype(np.uint8)
    return (2.6 * values - 1).astype(dtype)

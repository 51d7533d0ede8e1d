"""Base class of operations with a kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.graph.attributes import COUNT, FLAG, PADDING, PAIR, Attribute
from pipeline.graph.float_kernels import shifted
from pipeline.graph.operation import Operation, Shape

FILTERS = {"filters": Attribute(COUNT)}
USE_BIAS = {"use_bias": Attribute(FLAG, True)}
WINDOW = {
    "kernel_size": Attribute(PAIR),
    "strides": Attribute(PAIR, (1, 1)),
    "padding": Attribute(PADDING, "valid"),
    "dilation_rate": Attribute(PAIR, (1, 1)),
    **USE_BIAS,
}
WINDOW_PAIRS = ("kernel_size", "strides", "dilation_rate")


class Neural(Operation):
    """An operation with a kernel, called a neural layer in the vendor's documents.

    Attributes
    ----------
    input_kernel, output_kernel : str
        Names of the kernels that multiply the input channels and that produce the output channels.
    """

    neural = True
    input_kernel = output_kernel = "kernel"

    @property
    def kernels(self) -> tuple[str, ...]:
        """The input kernel, and the output kernel if it is a different one."""
        return tuple(dict.fromkeys((self.input_kernel, self.output_kernel)))

    def per_input(self, kernel: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return one value per input channel, shaped to broadcast over the input kernel."""
        return values[:, None]

    def per_output(self, kernel: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return one value per output channel, shaped to broadcast over the output kernel."""
        return values

    def macs(self, node, source: Shape, shape: Shape) -> int:
        """Count each kernel once per output position."""
        return math.prod(shape[:-1]) * sum(node.weights[key].size for key in self.kernels)


def bias(attrs: Mapping[str, Any], size: int) -> dict[str, Shape]:
    """Return the shape of the weight ``bias``, if the attributes have one."""
    return {"bias": (size,)} if attrs["use_bias"] else {}


def biased(node, y: np.ndarray) -> np.ndarray:
    """Return `y`, new products of the node that may be changed in place, plus its bias, if any."""
    return shifted(y, node.weights["bias"]) if node.attrs["use_bias"] else y

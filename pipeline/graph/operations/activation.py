"""Activations."""

from __future__ import annotations

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.activations import ACTIVATIONS, softmax
from pipeline.graph.attributes import AXES, AXIS, BITS, MAXIMUM, NUMBER, TEXT, Attribute
from pipeline.graph.axes import axis_without_batch
from pipeline.graph.operation import Operation


class Pointwise(Operation):
    """What activations share."""

    activation = pointwise = True


class ReLU(Pointwise):
    """0 below 0, up to a maximum; a slope below a threshold is possible."""

    attributes = {
        "max_value": Attribute(MAXIMUM, None),
        "negative_slope": Attribute(NUMBER, 0.0),
        "threshold": Attribute(NUMBER, 0.0),
    }

    def forward(self, node, x):
        top, slope, threshold = (node.attrs[key] for key in self.attributes)
        if slope or threshold:
            y = np.where(x >= threshold, x, np.float32(slope) * (x - np.float32(threshold)))
            return y if top is None else np.minimum(y, np.float32(top))
        # One pass, and a faster one than a maximum with a number.
        return np.clip(x, np.float32(0), None if top is None else np.float32(top))


class QuantizedReLU(Pointwise):
    """The discrete ReLU of Akida 1.0 training: 2**bits - 1 equal steps up to the maximum."""

    attributes = {"bits": Attribute(BITS), "max_value": Attribute(MAXIMUM, 6.0)}

    def forward(self, node, x):  # ties go down
        highest = 2 ** node.attrs["bits"] - 1
        step = np.float32(node.attrs["max_value"] / highest)
        return step * np.clip(np.ceil((x - step / 2) / step), 0, highest)


class LeakyReLU(Pointwise):
    """x above 0, and x times a slope below."""

    attributes = {"negative_slope": Attribute(NUMBER, 0.3)}

    def forward(self, node, x):
        return ACTIVATIONS["leaky_relu"](x, np.float32(node.attrs["negative_slope"]))


class PReLU(Pointwise):
    """x above 0, and x times a learned slope below."""

    attributes = {"shared_axes": Attribute(AXES, None)}

    def weights(self, attrs, shape):
        shared = {axis - 1 for axis in attrs["shared_axes"] or ()}
        return {"alpha": tuple(1 if axis in shared else n for axis, n in enumerate(shape))}

    def forward(self, node, x):
        return np.maximum(x, 0) + node.weights["alpha"] * np.minimum(x, 0)


class Activation(Pointwise):
    """A function by its Keras name.

    One of softmax, sigmoid, tanh, gelu, swish (silu), hard_silu, relu, relu6, leaky_relu and
    linear; ``alpha`` is the slope of leaky_relu.
    """

    attributes = {"activation": Attribute(TEXT), "alpha": Attribute(NUMBER, 0.0)}

    def forward(self, node, x):
        name = node.attrs["activation"]
        if name not in ACTIVATIONS:
            raise ModelError(
                f"{node.name}: activation '{name}' is not known; known: {', '.join(ACTIVATIONS)}"
            )
        return ACTIVATIONS[name](x, np.float32(node.attrs["alpha"]))


class Softmax(Operation):
    """exp(x), divided by its sum along an axis."""

    attributes = {"axis": Attribute(AXIS, -1)}

    def output_shape(self, node, shape):
        axis_without_batch(node, shape)
        return shape

    def forward(self, node, x):
        return softmax(x, node.attrs["axis"])


OPERATIONS = (ReLU(), QuantizedReLU(), LeakyReLU(), PReLU(), Activation(), Softmax())

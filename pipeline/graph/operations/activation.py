"""Activations."""

from __future__ import annotations

import numpy as np

from pipeline.errors import LayerError
from pipeline.graph.activations import ACTIVATIONS, softmax
from pipeline.graph.attributes import AXES, AXIS, BITS, MAXIMUM, NUMBER, TEXT, Attribute
from pipeline.graph.axes import axis_without_batch
from pipeline.graph.keras_form import KerasRule
from pipeline.graph.keras_values import scalar
from pipeline.graph.operation import Operation


def relu_attrs(max_value, slope, threshold):
    """Return the attributes of a ``ReLU``; None for missing ones."""
    # Early versions of Keras 2 wrote null instead of 0 for `negative_slope` and `threshold`.
    return {
        "max_value": scalar(max_value),
        "negative_slope": scalar(slope) or 0.0,
        "threshold": scalar(threshold) or 0.0,
    }


def read_relu(config):
    """Return the attributes of a ``ReLU``."""
    return relu_attrs(*(config.get(key) for key in ReLU.attributes))


def read_leaky_relu(config):
    """Return the slope of a ``LeakyReLU``; Keras 2 calls it alpha."""
    return {"negative_slope": scalar(config.get("negative_slope", config.get("alpha", 0.3)))}


def read_softmax(config):
    """Return the axis of a ``Softmax``."""
    axis = config.get("axis", -1)
    return {"axis": axis[0] if isinstance(axis, list) and len(axis) == 1 else axis}


class Pointwise(Operation):
    """Base class of activations."""

    activation = pointwise = True


class ReLU(Pointwise):
    """max(x, 0), optionally with a maximum, and with a slope below a threshold."""

    attributes = {
        "max_value": Attribute(MAXIMUM, None),
        "negative_slope": Attribute(NUMBER, 0.0),
        "threshold": Attribute(NUMBER, 0.0),
    }
    keras = {"ReLU": KerasRule(attrs=(), convert=read_relu, reads=tuple(attributes))}
    keras_activations = {"relu": {}, "relu6": {"max_value": 6.0}}

    def forward(self, node, x):
        top, slope, threshold = (node.attrs[key] for key in self.attributes)
        if slope or threshold:
            y = np.where(x > threshold, x, np.float32(slope) * (x - np.float32(threshold)))
            return y if top is None else np.minimum(y, np.float32(top))
        # One pass, which is faster than np.maximum with a scalar.
        return np.clip(x, np.float32(0), None if top is None else np.float32(top))


class QuantizedReLU(Pointwise):
    """The discrete ReLU of Akida 1.0 training: ``2**bits - 1`` equal steps."""

    attributes = {"bits": Attribute(BITS), "max_value": Attribute(MAXIMUM, 6.0)}
    in_keras = False

    def forward(self, node, x):  # ties go down
        highest = 2 ** node.attrs["bits"] - 1
        step = np.float32(node.attrs["max_value"] / highest)
        return step * np.clip(np.ceil((x - step / 2) / step), 0, highest)


class LeakyReLU(Pointwise):
    """x above 0, and x times a slope below 0."""

    attributes = {"negative_slope": Attribute(NUMBER, 0.3)}
    keras = {
        "LeakyReLU": KerasRule(attrs=(), convert=read_leaky_relu, reads=("negative_slope", "alpha"))
    }

    def forward(self, node, x):
        return ACTIVATIONS["leaky_relu"](x, np.float32(node.attrs["negative_slope"]))

    def write_keras(self, attrs, generation):
        return _leaky_relu(attrs["negative_slope"], generation)


class PReLU(Pointwise):
    """x above 0, and x times a learned slope below 0."""

    attributes = {"shared_axes": Attribute(AXES, None)}
    keras = {"PReLU": KerasRule()}

    def weights(self, attrs, shape):
        shared = {axis - 1 for axis in attrs["shared_axes"] or ()}
        return {"alpha": tuple(1 if axis in shared else n for axis, n in enumerate(shape))}

    def forward(self, node, x):
        return np.maximum(x, 0) + node.weights["alpha"] * np.minimum(x, 0)


class Activation(Pointwise):
    """A function by its Keras name.

    One of softmax, sigmoid, tanh, gelu, swish (silu), hard_silu, relu, relu6, leaky_relu and
    linear; ``alpha`` is the slope of leaky_relu. The traits do not hold for softmax.
    """

    attributes = {"activation": Attribute(TEXT), "alpha": Attribute(NUMBER, 0.0)}
    keras_activations = {
        "leaky_relu": {"activation": "leaky_relu", "alpha": 0.2},
        "silu": {"activation": "swish"},
        "swish": {"activation": "swish"},
        "hard_silu": {"activation": "hard_silu"},
        "hard_swish": {"activation": "hard_silu"},
        "gelu": {"activation": "gelu"},
        "sigmoid": {"activation": "sigmoid"},
        "tanh": {"activation": "tanh"},
        "linear": {"activation": "linear"},
    }

    def forward(self, node, x):
        name = node.attrs["activation"]
        if name not in ACTIVATIONS:
            raise LayerError(
                node.name, f"activation '{name}' is not known; known: {', '.join(ACTIVATIONS)}"
            )
        return ACTIVATIONS[name](x, np.float32(node.attrs["alpha"]))

    def keras_obstacle(self, attrs, generation):
        if generation == 2 and attrs["activation"] == "hard_silu":
            return "Keras 2 has no activation 'hard_silu'; write a .keras file"
        return None

    def write_keras(self, attrs, generation):
        if attrs["activation"] == "leaky_relu":
            return _leaky_relu(attrs["alpha"], generation)
        return "Activation", {"activation": attrs["activation"]}


class Softmax(Operation):
    """exp(x) divided by its sum along an axis."""

    attributes = {"axis": Attribute(AXIS, -1)}
    keras = {"Softmax": KerasRule(attrs=(), convert=read_softmax, reads=("axis",))}
    keras_activations = {"softmax": {}}

    def output_shape(self, node, shape):
        axis_without_batch(node, shape)
        return shape

    def forward(self, node, x):
        return softmax(x, node.attrs["axis"])


def _leaky_relu(slope, generation):
    return "LeakyReLU", {"alpha" if generation == 2 else "negative_slope": slope}


OPERATIONS = (ReLU(), QuantizedReLU(), LeakyReLU(), PReLU(), Activation(), Softmax())

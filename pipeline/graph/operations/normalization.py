"""Normalization."""

from __future__ import annotations

import numpy as np

from pipeline.errors import LayerError
from pipeline.graph.attributes import AXIS, FLAG, NUMBER, NUMBERS, Attribute
from pipeline.graph.float_kernels import scale_and_shift
from pipeline.graph.keras_form import KerasRule
from pipeline.graph.keras_values import numbers, scalar
from pipeline.graph.operation import Operation

NO_RENORM = {"renorm": (False, None), "renorm_clipping": (None,), "virtual_batch_size": (None,)}


def read_batchnorm(config):
    """Return the attributes of a batch norm."""
    return {
        "epsilon": scalar(config.get("epsilon", 1e-3)),
        "momentum": scalar(config.get("momentum", 0.99)),
    }


def read_rescaling(config):
    """Return scale and offset of a rescaling."""
    return {
        "scale": numbers(config.get("scale", 1.0)),
        "offset": numbers(config.get("offset", 0.0)),
    }


class BatchNormalization(Operation):
    """Batch normalization with moving statistics: a scale and an offset per channel."""

    attributes = {
        "axis": Attribute(AXIS, -1),
        "epsilon": Attribute(NUMBER, 1e-3),
        "momentum": Attribute(NUMBER, 0.99),
        "center": Attribute(FLAG, True),
        "scale": Attribute(FLAG, True),
    }
    ones = ("gamma", "moving_variance")
    measured = ("moving_mean", "moving_variance")
    pointwise = True
    keras = {
        "BatchNormalization": KerasRule(
            attrs=("center", "scale"),
            fixed=NO_RENORM,
            convert=read_batchnorm,
            # The axis is checked once the shape is known.
            reads=("epsilon", "momentum", "axis"),
            ignored=("synchronized", "fused", "renorm_momentum"),
            aliases=("BatchNormalizationV1", "BatchNormalizationV2"),
        )
    }

    def weights(self, attrs, shape):
        names = ("gamma",) * attrs["scale"] + ("beta",) * attrs["center"]
        return {name: (shape[-1],) for name in (*names, "moving_mean", "moving_variance")}

    def forward(self, node, x):
        if node.attrs["axis"] not in (-1, x.ndim - 1):
            raise LayerError(
                node.name,
                f"BatchNormalization over axis {node.attrs['axis']}; only the last"
                " one (channels) is supported",
            )
        scale, mean, beta = batchnorm_factors(node)
        return scale_and_shift(x, scale, beta - mean * scale)


class Rescaling(Operation):
    """A scale and an offset, one for all values or one per channel."""

    attributes = {"scale": Attribute(NUMBERS), "offset": Attribute(NUMBERS, 0.0)}
    pointwise = True
    keras = {"Rescaling": KerasRule(attrs=(), convert=read_rescaling, reads=("scale", "offset"))}

    def output_shape(self, node, shape):
        for key in ("scale", "offset"):
            value = node.attrs[key]
            if isinstance(value, tuple) and len(value) not in (1, shape[-1]):
                raise LayerError(
                    node.name, f"{key} has {len(value)} values; its input has {shape[-1]} channels"
                )
        return shape

    def forward(self, node, x):
        return x * np.float32(node.attrs["scale"]) + np.float32(node.attrs["offset"])


def batchnorm_factors(node) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (scale, mean, beta) of a batch norm in inference: y = (x - mean) * scale + beta.

    float32, one value per channel.
    """
    weights, attrs = node.weights, node.attrs
    spread = np.sqrt(weights["moving_variance"] + np.float32(attrs["epsilon"]))
    gamma = weights["gamma"] if attrs["scale"] else np.float32(1)
    beta = weights["beta"] if attrs["center"] else np.zeros_like(spread)
    return gamma / spread, weights["moving_mean"], beta


OPERATIONS = (BatchNormalization(), Rescaling())

"""Shapes."""

from __future__ import annotations

import math

from pipeline.errors import LayerError
from pipeline.graph.attributes import DIMS, NUMBER, PAIR, SIDES, TARGET_SHAPE, TEXT, Attribute
from pipeline.graph.float_kernels import interpolated, pad
from pipeline.graph.keras_form import CHANNELS_LAST, KerasRule, along_steps
from pipeline.graph.operation import Operation


def read_zero_padding(config):
    """Return the four sides of a padding given as one number, or as one or two per axis."""
    padding = config["padding"]
    if isinstance(padding, int):
        padding = ((padding, padding), (padding, padding))
    return {
        "padding": tuple((side, side) if isinstance(side, int) else tuple(side) for side in padding)
    }


def read_step_padding(config):
    """Return the four sides of a padding of steps, given as one or two numbers."""
    padding = config["padding"]
    padding = [padding, padding] if isinstance(padding, int) else padding
    return {"padding": (tuple(padding), (0, 0))}


class ZeroPadding2D(Operation):
    """Zeros around a map: ((top, bottom), (left, right))."""

    attributes = {"padding": Attribute(SIDES, ((1, 1), (1, 1)))}
    on_maps = data_format = moves_only = True
    keras = {
        "ZeroPadding2D": KerasRule(attrs=(), convert=read_zero_padding, reads=("padding",)),
        "ZeroPadding1D": KerasRule(attrs=(), convert=read_step_padding, reads=("padding",)),
    }

    def output_shape(self, node, shape):
        (top, bottom), (left, right) = node.attrs["padding"]
        return (shape[0] + top + bottom, shape[1] + left + right, shape[2])

    def forward(self, node, x):
        return pad(x, *node.attrs["padding"])


def read_step_cropping(config):
    """Return the four sides of a cropping of steps, given as one or two numbers."""
    return {"cropping": read_step_padding({"padding": config["cropping"]})["padding"]}


class Cropping2D(Operation):
    """A map without rows and columns at its edges: ((top, bottom), (left, right))."""

    attributes = {"cropping": Attribute(SIDES)}
    on_maps = data_format = moves_only = True
    keras = {
        "Cropping2D": KerasRule(
            attrs=(),
            convert=lambda config: {
                "cropping": read_zero_padding({"padding": config["cropping"]})["padding"]
            },
            reads=("cropping",),
        ),
        "Cropping1D": KerasRule(attrs=(), convert=read_step_cropping, reads=("cropping",)),
    }

    def output_shape(self, node, shape):
        rows, columns = (
            n - sum(sides) for n, sides in zip(shape, node.attrs["cropping"], strict=False)
        )
        if min(rows, columns) < 1:
            raise LayerError(node.name, f"it cuts {node.attrs['cropping']} off a map of {shape}")
        return rows, columns, shape[2]

    def forward(self, node, x):
        (top, bottom), (left, right) = node.attrs["cropping"]
        return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]


class UpSampling2D(Operation):
    """Upsampling: each pixel is repeated (nearest), or the map is interpolated (bilinear)."""

    attributes = {"size": Attribute(PAIR, (2, 2)), "interpolation": Attribute(TEXT, "nearest")}
    on_maps = data_format = moves_only = True
    keras = {
        "UpSampling2D": KerasRule(),
        "UpSampling1D": KerasRule(attrs=("size",), convert=along_steps("size")),
    }

    def output_shape(self, node, shape):
        rows, columns = node.attrs["size"]
        return (shape[0] * rows, shape[1] * columns, shape[2])

    def forward(self, node, x):
        rows, columns = node.attrs["size"]
        if node.attrs["interpolation"] == "bilinear":
            return interpolated(interpolated(x, rows, 1), columns, 2)
        if node.attrs["interpolation"] != "nearest":
            raise LayerError(
                node.name,
                f"interpolation '{node.attrs['interpolation']}' is not known; use 'nearest'"
                " or 'bilinear'",
            )
        return x.repeat(rows, 1).repeat(columns, 2)


class Flatten(Operation):
    """All values of an image as one vector, in row-major order."""

    keeps_values = moves_only = reshapes = True
    keras = {"Flatten": KerasRule()}
    data_format = True

    def output_shape(self, node, shape):
        return (math.prod(shape),)

    def forward(self, node, x):
        return x.reshape(len(x), -1)


class Reshape(Operation):
    """The same values in another shape; one dimension may be -1."""

    attributes = {"target_shape": Attribute(TARGET_SHAPE)}
    keeps_values = moves_only = reshapes = True
    keras = {"Reshape": KerasRule()}

    def output_shape(self, node, shape):
        target, size = list(node.attrs["target_shape"]), math.prod(shape)
        if -1 in target:
            known = -math.prod(target)
            target[target.index(-1)] = size // known if known else 0
        if math.prod(target) != size:
            raise LayerError(
                node.name,
                f"cannot reshape {shape} ({size} values) to {tuple(target)}"
                f" ({math.prod(target)} values)",
            )
        return tuple(target)

    def forward(self, node, x):
        return x.reshape(len(x), *node.attrs["target_shape"])


class Permute(Operation):
    """Permutation of the axes, counted from 1."""

    attributes = {"dims": Attribute(DIMS)}
    moves_only = True
    keras = {"Permute": KerasRule()}

    def output_shape(self, node, shape):
        dims = node.attrs["dims"]
        if len(dims) != len(shape):
            raise LayerError(node.name, f"dims are {dims}; its input has {len(shape)} axes")
        return tuple(shape[axis - 1] for axis in dims)

    def forward(self, node, x):
        return x.transpose(0, *node.attrs["dims"])


class Dropout(Operation):
    """Random zeros in training; the identity in inference."""

    attributes = {"rate": Attribute(NUMBER, 0.0)}
    keeps_values = moves_only = pointwise = True
    keras = {
        "Dropout": KerasRule(ignored=("seed", "noise_shape")),
        "SpatialDropout2D": KerasRule(ignored=("seed", "noise_shape", *CHANNELS_LAST)),
    }


OPERATIONS = (
    ZeroPadding2D(),
    Cropping2D(),
    UpSampling2D(),
    Flatten(),
    Reshape(),
    Permute(),
    Dropout(),
)

"""Enlarged maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pipeline.errors import ModelError
from pipeline.importers.onnx.call import Call, Rule
from pipeline.importers.onnx.constants import Constant
from pipeline.importers.onnx.tensor import Tensor

PLACES: Mapping[str, Callable] = {
    "asymmetric": lambda x, factor, size: x / factor,
    "half_pixel": lambda x, factor, size: (x + 0.5) / factor - 0.5,
    "half_pixel_symmetric": lambda x, factor, size: (x + 0.5) / factor - 0.5,
    "pytorch_half_pixel": lambda x, factor, size: (
        (x + 0.5) / factor - 0.5 if size * factor > 1 else 0 * x
    ),
    "tf_half_pixel_for_nn": lambda x, factor, size: (x + 0.5) / factor,
    "align_corners": lambda x, factor, size: x * ((size - 1) / max(1, size * factor - 1)),
}
"""Where a row of the enlarged map lies in the map, by ``coordinate_transformation_mode``."""
ROUNDED: Mapping[str, Callable] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
}
"""Which row that is, by ``nearest_mode``."""


def resize(call: Call) -> Tensor:
    """Read a Resize that repeats each pixel as often, whatever it is written as."""
    if call.attr("mode", "nearest") != "nearest":
        raise ModelError(f"its mode is {call.attr('mode')}; allowed: nearest")
    for key, value in (("antialias", 0), ("keep_aspect_ratio_policy", "stretch"), ("axes", None)):
        if call.attr(key, value) != value:
            raise ModelError(f"its {key} is {call.attr(key)}; allowed: {value or 'none'}")
    tensor = call.map()
    old = call.node.op == "Upsample" or call.opset < 11
    if call.opset < 9:
        scales, sizes = np.array(call.attr("scales")), None
    else:
        scales = call.constant(1 if old else 2)
        sizes = None if old else _sizes(call)
    factors = _factors(tensor, scales, sizes)
    place = "asymmetric" if old else call.attr("coordinate_transformation_mode", "half_pixel")
    rounded = "floor" if old else call.attr("nearest_mode", "round_prefer_floor")
    if place not in PLACES or rounded not in ROUNDED:
        raise ModelError(
            f"its coordinate_transformation_mode is {place} and its nearest_mode {rounded};"
            f" allowed: {', '.join(PLACES)}; {', '.join(ROUNDED)}"
        )
    for factor, size in zip(factors, tensor.own_shape[:2], strict=True):
        rows = np.arange(factor * size)
        found = np.clip(ROUNDED[rounded](PLACES[place](rows, factor, size)), 0, size - 1)
        if not np.array_equal(found, rows // factor):
            raise ModelError(
                f"with coordinate_transformation_mode {place} and nearest_mode {rounded} it repeats"
                " some pixels more often than others; allowed: all as often (asymmetric, floor)"
            )
    return call.builder.tensor(call.emit("UpSampling2D", (tensor.node,), {"size": factors}))


def _sizes(call) -> list[int] | None:
    """Return the sizes of one image that the node makes; None where it has scales instead."""
    given = call.value(3)
    if not isinstance(given, Constant) or not given.first.size:
        return None
    tried = [array.ravel().tolist() for array in (given.first, given.second)]
    if tuple(sizes[0] for sizes in tried) != call.batch or tried[0][1:] != tried[1][1:]:
        raise ModelError(f"its sizes are {tried[0]}; allowed: the batch first, as it was")
    return tried[0][1:]


def _factors(tensor, scales, sizes) -> tuple[int, int]:
    if scales is not None and scales.size:
        found = scales.ravel().tolist()
    elif sizes is not None:
        found = [1, *(new / old for new, old in zip(sizes, tensor.shape, strict=True))]
    else:
        raise ModelError("it has neither scales nor sizes")
    whole = len(found) == 4 and all(n == int(n) and 1 <= n <= 1024 for n in found)
    if not whole or found[:2] != [1, 1]:
        raise ModelError(f"it scales by {found}; allowed: rows and columns by whole numbers")
    return int(found[2]), int(found[3])


RULES = {
    "Resize": Rule(
        read=resize,
        attributes=(
            "mode",
            "coordinate_transformation_mode",
            "nearest_mode",
            "antialias",
            "axes",
            "keep_aspect_ratio_policy",
            # Of modes that are refused.
            "cubic_coeff_a",
            "exclude_outside",
            "extrapolation_value",
        ),
    ),
    "Upsample": Rule(read=resize, attributes=("mode", "scales")),
}

"""Table of what each Akida 2.0 layer supports, from the constants of its limits."""

from __future__ import annotations

from simulator.akida_v2 import limits
from simulator.limit import numbers

_MAP = f"up to {limits.MAP_SIDE}x{limits.MAP_SIDE}x{limits.CHANNELS}"
_WINDOW = {
    "input": _MAP,
    "stride": f"1; {limits.STRIDE} with {limits.STRIDED_TEXT}",
    "padding": "same",
    "max pooling": f"{limits.POOLS_TEXT}, before a convolution",
}
_AVERAGE = f"up to {limits.AVERAGE_SIDE} high, up to {limits.AVERAGE_PIXELS} pixels"
SUPPORTED = {
    "InputConv2D": {
        "input": f"{limits.INPUT_TEXT}, channels {numbers(limits.INPUT_CHANNELS)}",
        "kernel": numbers(limits.INPUT_STRIDES),
        "stride": "; ".join(f"1 to {most} ({k}x{k})" for k, most in limits.INPUT_STRIDES.items()),
        "padding": "same, valid",
        "filters": f"up to {limits.INPUT_FILTERS}",
        "max pooling": limits.INPUT_POOLS_TEXT,
    },
    "Conv2D": {"kernel": numbers(limits.KERNELS["Conv2D"]), **_WINDOW, "global average": _AVERAGE},
    "DepthwiseConv2D": {
        "kernel": numbers(limits.KERNELS["DepthwiseConv2D"]),
        **_WINDOW,
        "global average": "no",
    },
    **{
        kind: {
            "input": _MAP,
            "kernel": numbers(limits.TRANSPOSED_KERNELS),
            "stride": str(limits.TRANSPOSED_STRIDE),
            "padding": "same",
        }
        for kind in limits.TRANSPOSED
    },
    "Dense1D": {"input": f"up to {limits.INPUTS} values"},
    **{
        kind: {
            "input": _MAP,
            "kernel": f"{limits.FIFO_TEXT} frames",
            "filters": f"up to {limits.BUFFERED_FILTERS}",
        }
        for kind in limits.BUFFERED
    },
}
"""Layer class to property to supported values, in words; properties it lacks are missing."""
for _kind, _row in SUPPORTED.items():
    _input = (8,) if _kind == "InputConv2D" else limits.OUTPUT_BITS[_kind]
    SUPPORTED[_kind] = _row | {
        "input bits": numbers(_input),
        "weight bits": numbers(limits.WEIGHT_BITS[_kind]),
        "output bits": numbers(limits.OUTPUT_BITS[_kind]),
    }

NOTES = (
    "Windows and strides are square.",
    "Look-up table activations cannot be combined with max pooling or Dense1D.",
    "The vendor's page does not say which side of a map is the height of a global average: a map"
    " that only one reading excludes gets a remark.",
)

"""Table of what each Akida 1.0 layer supports, from the constants of its limits."""

from __future__ import annotations

from simulator.akida_v1 import limits
from simulator.limit import numbers, size


def _filters(channels: int) -> str:
    pairs = (f"{most} of {k}x{k}" for k, most in limits.INPUT_FILTERS[channels].items())
    return f"{', '.join(pairs)} ({channels} channel{'s' * (channels > 1)})"


_LEVELS = {"input bits": numbers(limits.DATA_BITS), "output bits": numbers(limits.DATA_BITS)}
_WINDOW = {
    "stride": f"1; {limits.STRIDE} with {size(limits.STRIDED_KERNEL)}",
    "padding": "same",
    "max pooling": f"{size(limits.POOL)}, stride {limits.STRIDES_TEXT}, before a convolution",
    "global average": limits.AVERAGE_TEXT,
    **_LEVELS,
}
_MAP = f"up to {limits.MAP_SIDE}x{limits.MAP_SIDE}x{limits.CHANNELS}"
SUPPORTED = {
    "InputData": {"input bits": numbers(limits.DATA_BITS)},
    "InputConvolutional": {
        "input": f"{limits.INPUT_TEXT}, channels {numbers(limits.INPUT_CHANNELS)}",
        "kernel": numbers(limits.INPUT_KERNELS),
        "stride": f"1 to {limits.INPUT_STRIDE}",
        "padding": "same, valid",
        "max pooling": f"{limits.POOLS_TEXT}, stride = size",
        "filters": "; ".join(map(_filters, limits.INPUT_FILTERS)),
        "input bits": "8",
        "weight bits": numbers(limits.WEIGHT_BITS["InputConvolutional"]),
        "output bits": numbers(limits.DATA_BITS),
    },
    **{
        kind: {
            "input": _MAP + ", not 1x1" * (kind == "SeparableConvolutional"),
            "kernel": numbers(sides),
            **_WINDOW,
            "weight bits": numbers(limits.WEIGHT_BITS[kind]),
        }
        for kind, sides in limits.KERNELS.items()
    },
    "FullyConnected": {
        "input": f"up to {limits.INPUTS} values",
        **_LEVELS,
        "weight bits": numbers(limits.WEIGHT_BITS["FullyConnected"]),
    },
}
"""Layer class to property to supported values, in words; properties it lacks are missing."""

NOTES = (
    *(
        f"Registers of {where}: act_step of {step} bits, threshold of {threshold} bits and a sign."
        for where, (step, threshold) in zip(
            ("the input layer", "the other layers but the last"),
            limits.REGISTERS.values(),
            strict=True,
        )
    ),
    "Global average pooling sums the potentials, before the activation. The vendor's page does not"
    " say which side of the map is the height: a map that only one reading excludes gets a remark.",
    "All channels of a tensor share one scale; models quantized per channel are converted to the"
    " coarsest scale, and a note of `crossgrade convert` reports the loss.",
)

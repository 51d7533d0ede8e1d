"""The quantizers of a QuantizeML layer, to and from the ``quant_config`` of its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.errors import ModelError
from pipeline.formats.bit_widths import bit_width
from pipeline.graph.traits import NEURAL
from pipeline.quantization.calibrated_graph import (
    InputQuantizer,
    NodeQuantization,
    OutputQuantizer,
)
from pipeline.quantization.kernel_rules import kernel_axis

KERNELS = {"SeparableConv2D": {"dw_weight_quantizer": None, "pw_weight_quantizer": -1}}
"""Keys of the quantizers of a layer's two kernels, with the axes over which they have scales."""
NARROW = ("Conv2D", "DepthwiseConv2D", "Conv2DTranspose", "DepthwiseConv2DTranspose", "Dense")
"""Layers whose accumulator has at most `NARROW_BITS`."""
NARROW_BITS, BUFFER_BITS = 28, 32
CONSTANT_BITS = 8
"""Width of the mantissas of biases and upper bounds; files may state no other."""
COMPUTING = (*NEURAL, "ReLU", "Activation", "GlobalAveragePooling2D", "Add")
"""Operations with quantizers."""
PER_TENSOR, PER_AXIS = "per-tensor", "per-axis"
RANGES = ("range_max", "rescaling_rate")
"""Variables of an output quantizer."""
OUTPUT = "output_quantizer"

Settings = Mapping[str, Any]


def kernel_quantizers(op: str) -> dict[str, int | None]:
    """Return the keys of the quantizers of an operation's kernels, with their axes."""
    return KERNELS.get(op, {"weight_quantizer": kernel_axis(op)})


def read_quantization(
    op: str, settings: Settings, ranges: Mapping, padding_value: np.ndarray | None
) -> NodeQuantization:
    """Return the quantizers of a layer.

    Parameters
    ----------
    op : str
        One of `COMPUTING`.
    settings : mapping
        The layer's ``quant_config``.
    ranges : mapping of str to float32 array or None
        The variables `RANGES`.
    padding_value : float32 array or None

    Raises
    ------
    ModelError
        If a setting has no counterpart here.
    """
    return NodeQuantization(
        weight_bits=_weight_bits(op, settings) if op in NEURAL else None,
        buffer_bits=_buffer_bits(op, settings),
        output=_output(settings.get(OUTPUT), ranges),
        lut_bits=_lut_bits(settings) if op == "Activation" else None,
        padding_value=padding_value,
    )


def write_quantization(op: str, node: NodeQuantization) -> dict[str, Any]:
    """Return the ``quant_config`` of a layer; the opposite of `read_quantization`."""
    settings: dict[str, Any] = {}
    if node.output is not None:
        settings[OUTPUT] = _written_output(node.output)
    if op == "Activation":
        return {**settings, "lut_bitwidth": node.lut_bits}
    if op in NEURAL:
        for key, axis in kernel_quantizers(op).items():
            own = {} if axis == -1 else {"axis": axis}
            settings[key] = {"bitwidth": node.weight_bits, **own}
    return {**settings, "buffer_bitwidth": node.buffer_bits}


def read_input_quantizer(
    config: Settings, variables: Mapping, clip_at_zero: bool
) -> InputQuantizer:
    """Return the quantizer of float inputs from its layer's configuration and variables."""
    return InputQuantizer(
        bits=bit_width(config, default=8),
        signed=bool(config.get("signed", True)),
        per_tensor=_per_tensor(config.get("axis", PER_TENSOR)),
        range_min=variables["range_min"],
        range_max=variables["range_max"],
        clip_at_zero=clip_at_zero,
    )


def write_input_quantizer(quantizer: InputQuantizer) -> tuple[dict[str, Any], dict]:
    """Return configuration and variables; the opposite of `read_input_quantizer`."""
    config = {
        "quant_config": {},
        "bitwidth": quantizer.bits,
        "signed": quantizer.signed,
        "axis": _axis(quantizer.per_tensor),
    }
    return config, {"range_min": quantizer.range_min, "range_max": quantizer.range_max}


def _weight_bits(op, settings):
    """Return the kernel's bit width; refuse unknown quantizer settings."""
    widths = []
    for name, axis in kernel_quantizers(op).items():
        quantizer = settings.get(name) or {}
        _require(quantizer, name, "signed", True)
        _require(quantizer, name, "fp_quantizer", False)
        _require(quantizer, name, "axis", axis)
        widths.append(bit_width(quantizer))
    if len(set(widths)) > 1:
        raise ModelError(f"its two kernels have {widths} bits; both need the same width")
    _require(settings.get("bias_quantizer") or {}, "bias_quantizer", "bitwidth", CONSTANT_BITS)
    return widths[-1]


def _lut_bits(settings):
    bits = bit_width(settings, "lut_bitwidth", 14)
    if not 2 <= bits <= 16:
        raise ModelError(f"lut_bitwidth is {bits}; allowed: 2 to 16, the values are int16")
    return bits


def _buffer_bits(op, settings):
    if op == "ReLU":
        limit = settings.get("max_value_quantizer") or {}
        _require(limit, "max_value_quantizer", "bitwidth", CONSTANT_BITS)
    bits = bit_width(settings, "buffer_bitwidth", BUFFER_BITS)
    return min(NARROW_BITS, bits) if op in NARROW else bits


def _require(settings, where, key, wanted):
    found = settings.get(key, wanted)
    if found != wanted:
        raise ModelError(f"{where}.{key} is {found}; only {wanted} is supported here")


def _output(settings, ranges):
    if not settings:
        return None
    if ranges["range_max"] is None:
        raise ModelError("its output quantizer has no range in the file; calibrate the model")
    per_tensor = _per_tensor(settings.get("axis", PER_TENSOR))
    if (np.ndim(ranges["range_max"]) == 0) != per_tensor:
        found = f"{np.size(ranges['range_max'])} ranges, and the axis {_axis(per_tensor)}"
        raise ModelError(f"its output quantizer has {found}; allowed: one range for {PER_TENSOR}")
    rate = ranges["rescaling_rate"]
    return OutputQuantizer(
        bits=bit_width(settings, default=8),
        signed=bool(settings.get("signed", True)),
        per_tensor=per_tensor,
        range_max=ranges["range_max"],
        rescaling_rate=np.float32(1) if rate is None else rate,
        scale_bits=bit_width(settings, "scale_bits", 8),
        buffer_bits=bit_width(settings, "buffer_bitwidth", BUFFER_BITS),
    )


def _written_output(quantizer: OutputQuantizer):
    own_scale = {} if quantizer.scale_bits == 8 else {"scale_bits": quantizer.scale_bits}
    return {
        "bitwidth": quantizer.bits,
        "signed": quantizer.signed,
        "axis": _axis(quantizer.per_tensor),
        **own_scale,
        "buffer_bitwidth": quantizer.buffer_bits,
    }


def _per_tensor(axis):
    if axis not in (PER_TENSOR, PER_AXIS):
        raise ModelError(f"its quantizer's axis is {axis!r}; allowed: {PER_TENSOR}, {PER_AXIS}")
    return axis == PER_TENSOR


def _axis(per_tensor: bool) -> str:
    return PER_TENSOR if per_tensor else PER_AXIS

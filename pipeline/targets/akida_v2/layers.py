"""Each kind of block as its Akida 2.0 layer: which register comes from which node."""

from __future__ import annotations

import math

import numpy as np

from pipeline.targets.blocks import Block, pool_padding
from simulator.akida_v2 import (
    Add,
    BufferTempConv,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Dense1D,
    DepthwiseBufferTempConv,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
    Dequantizer,
    InputConv2D,
    Quantizer,
)


class Refused(Exception):
    """One block has no layer."""


def _output_stage(block: Block) -> dict:
    """Return the registers of pooling, activation, averaging and requantization."""
    fields: dict = {}
    if pool := block.tail_node("MaxPooling2D"):
        fields |= {
            "pool_size": pool.attrs["pool_size"],
            "pool_stride": pool.attrs["strides"] or pool.attrs["pool_size"],
            "pool_padding": pool_padding(block, pool),
        }
    if relu := block.tail_node("ReLU"):
        fields["activation"] = "relu"
        for name in ("max_value", "max_value_shift"):
            fields[name] = relu.registers.get(name)
    elif table := block.tail_node("Activation"):
        fields |= {
            "activation": "lut",
            "activation_scales": block.head.registers.get("output_scales"),
            "activation_shift": block.head.registers["output_shift"],
            "activation_bits": table.bits["index"],
            "lut_values": table.registers["lut_values"],
        }
    if pool := block.tail_node("GlobalAveragePooling2D"):
        fields["global_pool"] = True
        fields["global_pool_shift"] = pool.registers.get("global_pool_shift")
    # A look-up table's index is the head's requantization; every other block has one at most.
    nodes = block.tail if "lut_values" in fields else [block.head, *block.tail]
    last = next((node for node in nodes if "output_shift" in node.registers), None)
    if last is not None:
        fields |= {
            "output_scales": last.registers.get("output_scales"),
            "output_shift": last.registers["output_shift"],
            "output_bits": last.bits["output"],
            "output_signed": bool(last.bits["output_signed"]),
            "post_op_buffer_bits": last.bits["post_op_buffer"],
        }
    return fields


def _neural(block: Block) -> dict:
    registers, bits = block.head.registers, block.head.bits
    return {
        "weights": registers["kernel"],
        "weight_bits": bits["weights"],
        "bias": registers.get("bias"),
        "bias_shift": registers.get("bias_shift"),
        "input_shift": registers.get("input_shift"),
        "buffer_bits": bits["buffer"],
        **_output_stage(block),
    }


def _window(block: Block) -> dict:
    head = block.head
    reasons = []
    if head.attrs["dilation_rate"] != (1, 1):
        reasons.append(f"dilation {head.attrs['dilation_rate']}; only 1")
    if head.attrs.get("groups", 1) != 1:
        reasons.append(f"{head.attrs['groups']} groups; only 1")
    if head.attrs.get("depth_multiplier", 1) != 1:
        reasons.append(f"depth_multiplier {head.attrs['depth_multiplier']}; only 1")
    if reasons:
        raise Refused(f"{head.name}: {head.op} with {', '.join(reasons)}")
    return {"kernel_stride": head.attrs["strides"], "padding": head.attrs["padding"]}


def _flipped(fields: dict) -> dict:
    """Turn a cross-correlation kernel into the true convolution kernel that the chip holds."""
    return fields | {"weights": np.ascontiguousarray(fields["weights"][::-1, ::-1])}


def _conv2d(block: Block, common: dict) -> Conv2D:
    return Conv2D(**common, **_flipped(_neural(block)), **_window(block))


def input_conv2d(block: Block, common: dict) -> InputConv2D:
    """Return the first convolution of an image."""
    padding = block.head.registers.get("padding_value")
    return InputConv2D(**common, **_neural(block), **_window(block), padding_value=padding)


def _depthwise_conv2d(block: Block, common: dict) -> DepthwiseConv2D:
    return DepthwiseConv2D(**common, **_flipped(_neural(block)), **_window(block))


def _conv2d_transpose(block: Block, common: dict) -> Conv2DTranspose:
    return Conv2DTranspose(**common, **_neural(block), **_window(block))


def _depthwise_transpose(block: Block, common: dict) -> DepthwiseConv2DTranspose:
    return DepthwiseConv2DTranspose(**common, **_neural(block), **_window(block))


def _dense1d(block: Block, common: dict) -> Dense1D:
    fields, head = _neural(block), block.head
    inputs = head.registers["kernel"].shape[0]
    if math.prod(common["input_shapes"][0]) != inputs:
        raise Refused(
            f"{head.name}: Dense on a map of {common['input_shapes'][0]}; put a Flatten before it"
        )
    for step in block.sources[0][1]:
        if "input_shift" in step.registers:
            fields["input_shift"] = step.registers["input_shift"]
            fields["input_value_bits"] = step.bits["value_bits"]
    return Dense1D(**common, **fields)


def _buffer_temp_conv(block: Block, common: dict) -> BufferTempConv:
    fifo = block.head.attrs["fifo_size"]
    return BufferTempConv(**common, **_neural(block), fifo_size=fifo)


def _depthwise_buffer(block: Block, common: dict) -> DepthwiseBufferTempConv:
    fields = _neural(block)
    fields["weights"] = fields["weights"][None, None]
    return DepthwiseBufferTempConv(**common, **fields, fifo_size=block.head.attrs["fifo_size"])


def _add(block: Block, common: dict) -> Add:
    if len(common["input_shapes"]) != 2:
        raise Refused(f"{block.head.name}: Add of {len(common['input_shapes'])} inputs; two each")
    registers = block.head.registers
    return Add(
        **common,
        a_shift=registers["a_shift"],
        b_shift=registers["b_shift"],
        buffer_bits=block.head.bits["buffer"],
        **_output_stage(block),
    )


def _concatenate(block: Block, common: dict) -> Concatenate:
    return Concatenate(**common)


def _quantizer(block: Block, common: dict) -> Quantizer:
    head = block.head
    return Quantizer(
        **common,
        scales=head.registers["scales"],
        zero_points=head.registers.get("zero_points"),
        output_bits=head.bits["output"],
        output_signed=bool(head.bits["output_signed"]),
        clip_at_zero=head.attrs["clip_at_zero"],
    )


def _dequantizer(block: Block, common: dict) -> Dequantizer:
    if any("input_shift" in step.registers for _, between in block.sources for step in between):
        raise Refused(
            f"{block.head.name}: a Flatten that shifts ends the model; end it with a Dense"
        )
    return Dequantizer(**common, scales=block.head.registers["scales"])


MAKERS = {
    "Quantizer": _quantizer,
    "Conv2D": _conv2d,
    "DepthwiseConv2D": _depthwise_conv2d,
    "Conv2DTranspose": _conv2d_transpose,
    "DepthwiseConv2DTranspose": _depthwise_transpose,
    "Dense": _dense1d,
    "BufferTempConv": _buffer_temp_conv,
    "DepthwiseBufferTempConv": _depthwise_buffer,
    "Add": _add,
    "Concatenate": _concatenate,
    "Dequantizer": _dequantizer,
}
"""Operation at the head of a block to the function that makes its layer."""

"""Build an Akida 2.0 layer from each kind of block: which node fills which register."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.chips.blocks import Block, pool_padding
from pipeline.quantization.quantized_graph import QuantizedNode
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
    Outputs,
    Quantizer,
)


def _output_stage(block: Block) -> dict:
    """Return the registers of pooling, activation, averaging and requantization."""
    fields: dict = {}
    if pool := block.member("MaxPooling2D"):
        fields |= {
            "pool_size": pool.attrs["pool_size"],
            "pool_stride": pool.attrs["strides"] or pool.attrs["pool_size"],
            "pool_padding": pool_padding(block, block.shape, pool),
        }
    if relu := block.member("ReLU"):
        fields["activation"] = "relu"
        for name in ("max_value", "max_value_shift"):
            fields[name] = relu.registers.get(name)
    elif table := block.member("Activation"):
        fields |= {
            "activation": "lut",
            "activation_scales": block.head.registers.get("output_scales"),
            "activation_shift": block.head.registers["output_shift"],
            "activation_bits": table.bits["index"],
            "lut_values": table.registers["lut_values"],
            # Of the index; the output's is the same, as the rule `one_product_width` says.
            "post_op_buffer_bits": block.head.bits["post_op_buffer"],
        }
    if pool := block.member("GlobalAveragePooling2D"):
        fields["global_pool"] = True
        fields["global_pool_shift"] = pool.registers.get("global_pool_shift")
    # The index of a look-up table is requantized in the head; other blocks requantize at most once.
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
    return {"kernel_stride": block.head.attrs["strides"], "padding": block.head.attrs["padding"]}


def _flipped(fields: dict) -> dict:
    """Flip a cross-correlation kernel into the convolution kernel that the chip holds."""
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
    return Dense1D(**common, **_neural(block))


def dense_with_shifts(layer: Dense1D, between) -> Dense1D:
    """Return a Dense with the shifts of the Flatten before it, one of the nodes `between`."""
    for step in between:
        if "input_shift" in step.registers:
            shift = step.registers["input_shift"]
            # Without a shift nothing saturates, wherever channels are aligned.
            bits = step.bits["value_bits"] if shift.any() else None
            return replace(layer, input_shift=shift, input_value_bits=bits)
    return layer


def _buffer_temp_conv(block: Block, common: dict) -> BufferTempConv:
    fifo = block.head.attrs["fifo_size"]
    return BufferTempConv(**common, **_neural(block), fifo_size=fifo)


def _depthwise_buffer(block: Block, common: dict) -> DepthwiseBufferTempConv:
    fields = _neural(block)
    fields["weights"] = fields["weights"][None, None]
    return DepthwiseBufferTempConv(**common, **fields, fifo_size=block.head.attrs["fifo_size"])


def _add(block: Block, common: dict) -> Add:
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


def quantizer(node: QuantizedNode, common: dict) -> Quantizer:
    """Return the layer that quantizes float inputs."""
    return Quantizer(
        **common,
        scales=node.registers["scales"],
        zero_points=node.registers.get("zero_points"),
        output_bits=node.bits["output"],
        output_signed=bool(node.bits["output_signed"]),
        clip_at_zero=node.attrs["clip_at_zero"],
    )


def dequantizer(node: QuantizedNode, common: dict) -> Dequantizer:
    """Return the layer that dequantizes the last layer's sums to floats."""
    return Dequantizer(**common, scales=node.registers["scales"])


def outputs(node: QuantizedNode, made: list[Dequantizer]) -> Outputs:
    """Return the layer that joins the outputs of a program with several."""
    by_name = {layer.name: layer for layer in made}
    shapes = tuple(by_name[name].output_shape for name in node.inputs)
    names = tuple(node.attrs["names"])
    return Outputs(name=node.name, inputs=node.inputs, input_shapes=shapes, names=names)


LAYER_BUILDERS = {
    "Conv2D": _conv2d,
    "DepthwiseConv2D": _depthwise_conv2d,
    "Conv2DTranspose": _conv2d_transpose,
    "DepthwiseConv2DTranspose": _depthwise_transpose,
    "Dense": _dense1d,
    "BufferTempConv": _buffer_temp_conv,
    "DepthwiseBufferTempConv": _depthwise_buffer,
    "Add": _add,
    "Concatenate": _concatenate,
}
"""The function that builds a block's layer, by the operation at its head."""

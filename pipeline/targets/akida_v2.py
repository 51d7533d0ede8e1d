"""Cut an integer model into Akida 2.0 layers.

Sequences follow the vendor's converter (cnn2snn, Apache-2.0): a neural node, then max pooling, an
activation and a global average, becomes one layer. What the chip cannot hold but the arithmetic
defines is converted and reported by `Program.limits`.
"""

from __future__ import annotations

import math

import numpy as np

from pipeline.errors import IncompatibleModelError
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode
from pipeline.targets.blocks import Block, blocks, pool_padding
from pipeline.targets.target import Target
from simulator import Program
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
    InputData,
    Quantizer,
)

NAME = "akida_v2"
ORDER = {"MaxPooling2D": 0, "ReLU": 1, "Activation": 1, "GlobalAveragePooling2D": 2}


def lower(graph: QuantizedGraph) -> Program:
    """Return the Akida 2.0 program of an integer model.

    Raises
    ------
    IncompatibleModelError
        Listing every node that no layer can hold.
    """
    found, reasons = blocks(graph, ORDER)
    image = graph.nodes[0]
    layers, names = [], {}
    for block in found:
        try:
            layers.extend(_layers(block, image, names))
        except _Refused as refusal:
            reasons.append(str(refusal))
        names[block] = block.head.name
    output = graph.nodes[-1]
    if reasons:
        raise IncompatibleModelError(graph.name, reasons, f"convert to {NAME}")
    return Program(
        name=graph.name,
        target=NAME,
        input_shape=image.shape,
        input_dtype=image.attrs["dtype"],
        output_shape=output.shape,
        layers=tuple(layers),
        notes=graph.notes,
    )


class _Refused(Exception):
    """One block has no layer."""


def _layers(block: Block, image: QuantizedNode, names) -> list:
    """Return the layer of a block, after an InputData where the model's input needs one."""
    head = block.head
    if head.op not in MAKERS:
        raise _Refused(
            f"{head.name}: {head.op} has no Akida 2.0 layer"
            + (f"; {CURES[head.op]}" if head.op in CURES else "")
        )
    feeds, shapes, made = [], [], []
    for source, between in block.sources:
        shapes.append(_shape3d(between[-1].shape if between else _fed_shape(source, image)))
        if source is not None:
            feeds.append(names.get(source, source.head.name))
            if head.op == "Dense":
                shapes[-1] = _shape3d(source.last.shape)
            elif any("input_shift" in step.registers for step in between):
                raise _Refused(
                    f"{head.name}: {head.op} after a Flatten that shifts; only Dense takes one"
                )
    common = {
        "name": head.name,
        "inputs": tuple(feeds),
        "input_shapes": tuple(shapes),
    }
    first = not feeds or all(source.head.op == "Quantizer" for source, _ in block.sources)
    maker = MAKERS[head.op]
    if head.op == "Conv2D" and first and _input_convolution(block, image, shapes[0][2]):
        maker = _input_conv2d
    elif not feeds and head.op != "Quantizer":
        name = f"{image.name}/data" if image.name == head.name else image.name
        made.append(_input_data(name, image, shapes[0]))
        common["inputs"] = (name,) * len(shapes)
    made.append(maker(block, common))
    return made


def _fed_shape(source: Block | None, image: QuantizedNode):
    return image.shape if source is None else source.last.shape


def _shape3d(shape) -> tuple[int, int, int]:
    """Pad a shape to (height, width, channels) with leading ones."""
    if len(shape) > 3:
        raise _Refused(f"tensors of shape {tuple(shape)}; at most height, width, channels")
    return (*(1,) * (3 - len(shape)), *(int(n) for n in shape))


def _input_convolution(block: Block, image: QuantizedNode, channels: int) -> bool:
    """Say whether the first convolution is an InputConv2D."""
    padding = block.head.registers.get("padding_value")
    if padding is not None and padding.any():
        return True  # no other layer has a padding value
    source = block.sources[0][0]
    unsigned = image.attrs["dtype"] == "uint8"
    if source is not None:
        unsigned = not source.head.bits["output_signed"]
    activated = block.tail_node("ReLU") or block.tail_node("Activation")
    pooled = block.tail_node("GlobalAveragePooling2D")
    return channels in (1, 3) and unsigned and activated is not None and pooled is None


def _input_data(name: str, image: QuantizedNode, shape) -> InputData:
    dtype = np.dtype(image.attrs["dtype"])
    return InputData(
        name=name,
        inputs=(),
        input_shapes=(shape,),
        input_bits=dtype.itemsize * 8,
        input_signed=dtype.kind == "i",
    )


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
        raise _Refused(f"{head.name}: {head.op} with {', '.join(reasons)}")
    return {"kernel_stride": head.attrs["strides"], "padding": head.attrs["padding"]}


def _flipped(fields: dict) -> dict:
    """Turn a cross-correlation kernel into the true convolution kernel that the chip holds."""
    return fields | {"weights": np.ascontiguousarray(fields["weights"][::-1, ::-1])}


def _conv2d(block: Block, common: dict) -> Conv2D:
    return Conv2D(**common, **_flipped(_neural(block)), **_window(block))


def _input_conv2d(block: Block, common: dict) -> InputConv2D:
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
        raise _Refused(
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
        raise _Refused(f"{block.head.name}: Add of {len(common['input_shapes'])} inputs; two each")
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
        raise _Refused(
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

CURES = {"SeparableConv2D": "apply transform unfuse_separable before quantizing"}

TARGET = Target(name=NAME, schemes=("quantizeml",), lower=lower)

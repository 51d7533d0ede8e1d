"""Run single nodes of an integer model, whichever chip it is for.

The integers are those of the chips' emulator (`simulator.kernels`, `simulator.integer`); a test
compares them by equality.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pipeline.graph.traits import DEPTHWISE, NEURAL, TEMPORAL, TRANSPOSED
from pipeline.quantization.quantized_graph import QuantizedNode
from pipeline.quantization.refine.frames import remembered, span
from simulator.akida_v2 import Dequantizer, Quantizer
from simulator.integer import Tally, requantize, saturate, shift_left
from simulator.kernels import (
    conv2d,
    conv2d_transpose,
    depthwise_conv2d,
    depthwise_conv2d_transpose,
    global_sum,
    matmul,
    max_pool,
)

WIDE = 32
"""Value bits of the sums that no register narrows."""


def run_node(node: QuantizedNode, *inputs: np.ndarray) -> np.ndarray:
    """Return the integers of one node.

    Parameters
    ----------
    node : QuantizedNode
        Of a ``Dequantizer`` the result is float32.
    *inputs : integer arrays with a batch axis; of a ``Quantizer`` float32
        A temporal layer reads what `pipeline.quantization.refine.frames.remembered` returns.
    """
    if node.op in ("Quantizer", "Dequantizer"):
        return _border(node).run(inputs[0])
    if node.op in NEURAL:
        sums = _with_bias(node, weighted(node, _aligned(node, inputs[0])))
    elif node.op in RULES:
        sums = RULES[node.op](node, *inputs)
    else:
        sums = inputs[0]
    return with_output_stage(node, sums)


def with_output_stage(
    node: QuantizedNode, sums: np.ndarray, tally: Tally | None = None
) -> np.ndarray:
    """Return the sums of a node as its output quantizer gives them; as they are without one."""
    if "output_shift" not in node.registers:
        return sums
    bits = node.bits
    return requantize(
        sums,
        node.registers.get("output_scales"),
        node.registers["output_shift"],
        value_bits=bits["output"] - bits["output_signed"],
        buffer_bits=bits["post_op_buffer"],
        tally=tally,
    )


def run_nodes(
    nodes: Sequence[QuantizedNode],
    values: Mapping[str, np.ndarray],
    ages: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return the integers of `nodes`, in order, given those of the nodes before.

    With the `ages` of frames, temporal layers remember those before; else `values` hold them.
    """
    made: dict[str, np.ndarray] = {}
    for node in nodes:
        given = [made[name] if name in made else values[name] for name in node.inputs]
        if ages is not None and span(node) > 1:
            given = [remembered(given[0], span(node), ages)]
        made[node.name] = run_node(node, *given)
    return made


def without_output_stage(node: QuantizedNode) -> QuantizedNode:
    """Return a node that gives its sums instead of its quantized output."""
    registers = dict(node.registers)
    registers.pop("output_shift", None)
    return replace(node, registers=registers)


def _border(node: QuantizedNode):
    registers, common = node.registers, {"name": node.name, "inputs": (), "input_shapes": ()}
    if node.op == "Dequantizer":
        return Dequantizer(**common, scales=registers["scales"])
    return Quantizer(
        **common,
        scales=registers["scales"],
        zero_points=registers.get("zero_points"),
        output_bits=node.bits["output"],
        output_signed=bool(node.bits["output_signed"]),
        clip_at_zero=node.attrs["clip_at_zero"],
    )


def _aligned(node, x):
    shift = node.registers.get("input_shift")
    if shift is None:
        return x
    # A temporal layer shifts each frame that it remembers alike.
    return saturate(shift_left(x, np.resize(shift, x.shape[-1])), node.bits["buffer"] - 1)


def weighted(node: QuantizedNode, x: np.ndarray) -> np.ndarray:
    """Return the integer sums of a layer with kernels, before its bias."""
    registers, attrs = node.registers, node.attrs
    if node.op == "SeparableConv2D":
        x = depthwise_conv2d(x, registers["depthwise_kernel"], attrs["strides"], attrs["padding"])
        return conv2d(x, registers["pointwise_kernel"], (1, 1), "valid")
    kernel = registers["kernel"]
    if node.op == "Dense":
        return matmul(x.reshape(-1, x.shape[-1]), kernel).reshape(*x.shape[:-1], -1)
    if node.op in TEMPORAL:
        return _over_time(node, x)
    window = attrs["strides"], attrs["padding"]
    if node.op in TRANSPOSED:
        product = depthwise_conv2d_transpose if node.op in DEPTHWISE else conv2d_transpose
        return product(x, kernel, *window)
    if node.op in DEPTHWISE:
        return depthwise_conv2d(x, kernel, *window)
    return conv2d(x, kernel, *window, registers.get("padding_value", 0))


def _over_time(node, x):
    kernel = node.registers["kernel"]
    if node.op not in DEPTHWISE:
        return conv2d(x, kernel, (1, 1), "valid")
    # Products of 33-bit frames and 8-bit weights, summed over the frames, fit int64.
    frames = x.astype(np.int64).reshape(*x.shape[:-1], *kernel.shape)
    return (frames * kernel.astype(np.int64)).sum(axis=-2)


def _with_bias(node, sums):
    value_bits = node.bits["buffer"] - 1
    sums = saturate(sums, value_bits)
    if "bias" not in node.registers:
        return sums
    bias = shift_left(node.registers["bias"].astype(np.int64), node.registers["bias_shift"])
    return saturate(sums + saturate(bias, value_bits), value_bits)


def _relu(node, x):
    if "max_value" not in node.registers:
        return np.maximum(x, 0)
    mantissa = node.registers["max_value"].astype(np.int64)
    bound = shift_left(mantissa, node.registers["max_value_shift"])
    return np.clip(x, 0, saturate(bound, WIDE))


def _look_up(node, x):
    values = node.registers["lut_values"]
    return values[x + len(values) // 2].astype(np.int64)


def _max_pool(node, x):
    size = node.attrs["pool_size"]
    return max_pool(x, size, node.attrs["strides"] or size, node.attrs["padding"])


def _average(node, x):
    shift = node.registers.get("global_pool_shift")
    x = x if shift is None else saturate(shift_left(x, shift), WIDE)
    return saturate(global_sum(x), WIDE).reshape(len(x), *node.shape)


def _add(node, a, b):
    value_bits = node.bits["buffer"] - 1
    both = ((a, node.registers["a_shift"]), (b, node.registers["b_shift"]))
    return saturate(
        sum(saturate(shift_left(x.astype(np.int64), shift), value_bits) for x, shift in both),
        value_bits,
    )


def _concatenate(node, *parts):
    return np.concatenate(parts, axis=-1)


def _reshape(node, x):
    x, shift = x.reshape(len(x), *node.shape), node.registers.get("input_shift")
    return x if shift is None else saturate(shift_left(x, shift), node.bits["value_bits"])


def _outputs(node, *parts):
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


RULES = {
    "ReLU": _relu,
    "Activation": _look_up,
    "MaxPooling2D": _max_pool,
    "GlobalAveragePooling2D": _average,
    "Add": _add,
    "Concatenate": _concatenate,
    "Flatten": _reshape,
    "Reshape": _reshape,
    "Outputs": _outputs,
}
"""Operations without a kernel that compute or move; others pass their input on."""

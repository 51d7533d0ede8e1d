"""The training graph of an integer model of Akida 2.0: its nodes, computed from latents.

Arithmetic as in `simulator.akida_v2`; a test compares the outputs with the emulator's by equality.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import tensorflow as tf

from pipeline.graph.traits import DEPTHWISE, NEURAL, TRANSPOSED
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode
from pipeline.training.registers import exact
from pipeline.training.registers.exact import Integers
from pipeline.training.registers.latents import Latent
from pipeline.training.registers.quantizeml_latents import KERNELS, latents_of, terms
from pipeline.training.registers.tables import look_up

WIDE = 32
"""Value bits of the sums that no register narrows."""


class QuantizemlModel:
    """An integer model whose registers are trained.

    Parameters
    ----------
    graph : QuantizedGraph
        Of scheme ``quantizeml``, without temporal layers.

    Attributes
    ----------
    entry : QuantizedNode
        The node whose output `outputs` takes: the input, or the quantizer of float inputs.
    latents : dict of (node name, register name) to Latent
    """

    def __init__(self, graph: QuantizedGraph):
        self.graph = graph
        self.entry = next((n for n in graph.nodes if n.op == "Quantizer"), graph.input)
        self.latents: dict[tuple[str, str], Latent] = dict(latents_of(graph))

    def outputs(self, x: tf.Tensor) -> tf.Tensor:
        """Return the float outputs, float32, for the output of `entry`."""
        values = {self.entry.name: Integers(x, 2.0**self.entry.format.value_bits)}
        for node in self.graph.nodes:
            if node.inputs and node is not self.entry:
                values[node.name] = self._run(node, *(values[name] for name in node.inputs))
        return values[self.graph.output].values

    def exported(self) -> QuantizedGraph:
        """Return the integer model with the registers as they are now."""
        nodes = (replace(node, registers=self._registers(node)) for node in self.graph.nodes)
        return replace(self.graph, nodes=tuple(nodes))

    def _registers(self, node: QuantizedNode) -> dict[str, np.ndarray]:
        found = dict(node.registers)
        for name in found.keys() & {"scales", *KERNELS}:
            if latent := self.latents.get((node.name, name)):
                found[name] = latent.register()
        for name, second in (("bias", "bias_shift"), ("output_scales", "output_shift")):
            if latent := self.latents.get((node.name, name)):
                found[name], found[second] = latent.registers()
        return found

    def _run(self, node: QuantizedNode, *inputs: Integers) -> Integers:
        """Return the output of one node."""
        if node.op == "Dequantizer":
            return self._dequantized(node, *inputs)
        if node.op in NEURAL:
            sums = self._with_bias(node, self._weighted(node, *inputs))
        else:
            sums = RULES.get(node.op, _same)(node, *inputs)
        return self._requantized(node, sums) if "output_shift" in node.registers else sums

    def _weighted(self, node: QuantizedNode, x: Integers) -> Integers:
        shift = node.registers.get("input_shift")
        bounds = x.largest * np.exp2(np.float64(0) if shift is None else shift.astype(np.float64))
        x = exact.shifted(x, shift, node.bits["buffer"] - 1)
        for name in KERNELS:
            if name in node.registers:
                latent = self.latents[node.name, name]
                bounds = latent.largest * terms(node, name, bounds)
                dtype = exact.product_dtype(bounds)
                product = _product(node, name, tf.cast(x.values, dtype), latent.value(dtype))
                x = Integers(product, bounds)
        return x

    def _with_bias(self, node: QuantizedNode, sums: Integers) -> Integers:
        value_bits = node.bits["buffer"] - 1
        sums = exact.saturated(sums, value_bits)
        latent = self.latents.get((node.name, "bias"))
        if latent is None:
            return sums
        bias = exact.saturated(Integers(latent.value(), latent.largest), value_bits)
        largest = sums.largest + bias.largest
        both = (tf.cast(x.values, exact.product_dtype(largest)) for x in (sums, bias))
        return exact.saturated(Integers(sum(both), largest), value_bits)

    def _requantized(self, node: QuantizedNode, sums: Integers) -> Integers:
        """Return ``saturate(floor(sums * scales * 2**shift + 1/2))``."""
        bits, power = node.bits, np.exp2(node.registers["output_shift"].astype(np.float64))
        value_bits = bits["output"] - bits["output_signed"]
        scale, widest = node.registers.get("output_scales", np.ones(1)) * power, None
        if latent := self.latents.get((node.name, "output_scales")):
            scale, power = latent.value(), latent.power()
        # The product saturates before its shift, which only matters where it then is in range.
        if bits["post_op_buffer"] + node.registers["output_shift"].min() - 3 < value_bits:
            limit = 2.0 ** bits["post_op_buffer"]
            widest = -limit * power, (limit - 1) * power
        scale = tf.broadcast_to(tf.cast(scale, tf.float64), (node.shape[-1],))
        return Integers(exact.requantized(sums.values, scale, widest, value_bits), 2.0**value_bits)

    def _dequantized(self, node: QuantizedNode, x: Integers) -> Integers:
        latent = self.latents.get((node.name, "scales"))
        scales = node.registers["scales"] if latent is None else latent.value()
        return x._replace(values=tf.cast(x.values, tf.float32) * scales)


def _product(node: QuantizedNode, name: str, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    if node.op == "Dense":
        return exact.dense(x, kernel)
    if name == "pointwise_kernel":
        return exact.convolution(x, kernel, (1, 1), "valid")
    window = node.attrs["strides"], node.attrs["padding"]
    if node.op in TRANSPOSED:
        transposed = exact.depthwise_transposed if node.op in DEPTHWISE else exact.transposed
        return transposed(x, kernel, *window)
    if node.op in DEPTHWISE or name == "depthwise_kernel":
        return exact.depthwise(x, kernel, *window)
    return exact.convolution(x, kernel, *window, node.registers.get("padding_value", 0))


def _same(node: QuantizedNode, x: Integers) -> Integers:
    return x


def _relu(node: QuantizedNode, x: Integers) -> Integers:
    if "max_value" not in node.registers:
        return x._replace(values=tf.nn.relu(x.values))
    mantissa = node.registers["max_value"].astype(np.float64)
    bound = mantissa * np.exp2(node.registers["max_value_shift"].astype(np.float64))
    bound = tf.constant(np.minimum(bound, min(2.0**WIDE - 1, x.largest)), x.values.dtype)
    return x._replace(values=tf.clip_by_value(x.values, tf.zeros_like(bound), bound))


def _look_up(node: QuantizedNode, x: Integers) -> Integers:
    return Integers(look_up(x.values, node.registers["lut_values"]), 2.0**15)


def _max_pool(node: QuantizedNode, x: Integers) -> Integers:
    size = node.attrs["pool_size"]
    return exact.max_pool(x, size, node.attrs["strides"] or size, node.attrs["padding"])


def _average(node: QuantizedNode, x: Integers) -> Integers:
    x = exact.shifted(x, node.registers.get("global_pool_shift"), WIDE)
    return exact.saturated(exact.global_sum(x, keepdims=False), WIDE)


def _add(node: QuantizedNode, *inputs: Integers) -> Integers:
    value_bits = node.bits["buffer"] - 1
    a, b = (
        exact.shifted(x, node.registers[name], value_bits)
        for x, name in zip(inputs, ("a_shift", "b_shift"), strict=True)
    )
    total = tf.cast(a.values, tf.float64) + tf.cast(b.values, tf.float64)
    return exact.saturated(Integers(total, a.largest + b.largest), value_bits)


def _concatenate(node: QuantizedNode, *inputs: Integers) -> Integers:
    values = tf.concat([x.values for x in inputs], -1)
    return Integers(values, max(x.largest for x in inputs))


def _reshape(node: QuantizedNode, x: Integers) -> Integers:
    flat = x._replace(values=tf.reshape(x.values, (-1, *node.shape)))
    if "input_shift" not in node.registers:
        return flat
    return exact.shifted(flat, node.registers["input_shift"], node.bits["value_bits"])


def _outputs(node: QuantizedNode, *inputs: Integers) -> Integers:
    """Join the floats of several outputs."""
    parts = [tf.reshape(x.values, (-1, math.prod(x.values.shape[1:]))) for x in inputs]
    return Integers(tf.concat(parts, 1), np.inf)


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

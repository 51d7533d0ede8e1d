"""The training graph of a model of Akida 1.0's own scheme: its layers, computed from latents.

Arithmetic as in `simulator.akida_v1`; a test compares the outputs with the emulator's by equality.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import tensorflow as tf

from pipeline.chips import convert
from pipeline.quantization.floats.legacy import held_factors
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode
from pipeline.training.registers import exact
from pipeline.training.registers.exact import Integers
from pipeline.training.registers.latents import Factor, Kernel, Latent, Shift, Threshold
from pipeline.training.registers.legacy_neuron import LARGEST, units
from simulator.akida_v1.limits import REGISTERS

TARGET = "akida_v1"


class Cnn2snnModel:
    """A model of scheme ``cnn2snn`` whose registers are trained.

    Kernels, thresholds and steps of Akida 1.0 are moved; the model stores them as kernels, float
    biases and float factors, from which conversion computes the same registers again.

    Parameters
    ----------
    graph : QuantizedGraph

    Attributes
    ----------
    entry : QuantizedNode
        The input.
    latents : dict of (node name, register name) to Latent
    """

    def __init__(self, graph: QuantizedGraph):
        self.graph, self.entry = graph, graph.input
        program = convert(graph, TARGET)
        self.layers = [layer for layer in program.layers if hasattr(layer, "threshold")]
        self.units = dict(zip((layer.name for layer in self.layers), units(graph), strict=True))
        self.latents: dict[tuple[str, str], Latent] = {}
        for layer in self.layers:
            self.latents |= self._made(layer)

    def outputs(self, x: tf.Tensor) -> tf.Tensor:
        """Return the float outputs, float32, for pixels."""
        values = Integers(x, 2.0**self.entry.format.value_bits)
        for layer in self.layers:
            values = self._run(layer, values)
        return tf.reshape(values.values, (-1, *self.graph.node(self.graph.output).shape))

    def exported(self) -> QuantizedGraph:
        """Return the integer model with the registers as they are now."""
        nodes = (
            self._exported(node) if node.name in self.units else node for node in self.graph.nodes
        )
        return replace(self.graph, nodes=tuple(nodes))

    def _made(self, layer) -> dict[tuple[str, str], Latent]:
        """Return the latents of one layer."""
        node, unit = self.graph.node(layer.name), self.units[layer.name]
        made: dict[tuple[str, str], Latent] = {
            (node.name, name): _kernel(node, name, layer.weights_bits, unit.factor_name)
            for name in _kernels(node)
        }
        factor = np.resize(node.registers[unit.factor_name], layer.filters)
        held = partial(held_factors, layer.weights_bits)
        made[node.name, unit.factor_name] = Factor(factor, held)
        if layer.activation:
            _, bits = REGISTERS[type(layer).__name__ == "InputConvolutional"]
            step = layer.act_step * np.float32(2.0 ** (4 - layer.act_bits))
            latent = Threshold(layer.threshold, step, min(2**bits - 1, LARGEST))
            made[node.name, "threshold"] = latent
        else:
            bias = node.registers.get("bias", np.zeros(layer.filters, np.float32))
            made[node.name, "bias"] = Shift(bias)
        return made

    def _run(self, layer, x: Integers) -> Integers:
        """Return the levels of one layer, or its float output."""
        sums = self._potentials(layer, x)
        unit, name = self.units[layer.name], layer.name
        factor = self.latents[name, unit.factor_name].value()
        delta = unit.delta(tf.cast(factor, tf.float64))
        step = tf.cast(unit.act_step(delta), tf.float32)
        step = tf.cast(step, tf.float64)
        if not layer.activation:
            bias = tf.cast(self.latents[name, "bias"].value(), tf.float64)
            threshold = unit.threshold(delta, bias, self._filter_sums(name, unit))
            whole = tf.stop_gradient(tf.floor(threshold))
            fraction = tf.cast(tf.cast(threshold - whole, tf.float32), tf.float64)
            above = tf.cast(sums.values, tf.float64) - whole - fraction
            return Integers(tf.cast(above / step, tf.float32), np.inf)
        threshold, highest = self.latents[name, "threshold"].value(), 2.0**layer.act_bits - 1
        step = step * 2.0 ** (4 - layer.act_bits)
        return Integers(exact.activated(sums.values, threshold, step, highest), highest)

    def _filter_sums(self, name, unit):
        """Return the sums of a layer's filters, which an offset of its pixels multiplies."""
        if not unit.given.b:
            return 0.0
        kernel = self.latents[name, unit.kernel].value(tf.float64)
        return tf.reduce_sum(kernel, axis=list(range(len(kernel.shape) - 1)))

    def _potentials(self, layer, x: Integers) -> Integers:
        """Return the pooled sums."""
        node = self.graph.node(layer.name)
        if node.op == "Dense":
            x = x._replace(values=tf.reshape(x.values, (-1, node.registers["kernel"].shape[0])))
        for name in _kernels(node):
            latent = self.latents[node.name, name]
            largest = x.largest * latent.largest * _terms(node, name)
            dtype = exact.product_dtype(largest)
            values, kernel = tf.cast(x.values, dtype), latent.value(dtype)
            x = Integers(_product(node, name, layer, values, kernel), largest)
        if layer.pool_type == "max":
            return exact.max_pool(x, layer.pool_size, layer.pool_stride, layer.padding)
        return exact.global_sum(x, keepdims=True) if layer.pool_type == "average" else x

    def _exported(self, node: QuantizedNode) -> QuantizedNode:
        registers, unit = dict(node.registers), self.units[node.name]
        for name in (*_kernels(node), unit.factor_name):
            registers[name] = self.latents[node.name, name].register()
        factor = registers[unit.factor_name].astype(np.float64)
        if threshold := self.latents.get((node.name, "threshold")):
            registers["bias"] = unit.stored_bias(registers, factor, threshold.register())
        else:
            registers["bias"] = self.latents[node.name, "bias"].register()
        return replace(node, registers=registers)


def _kernels(node: QuantizedNode) -> list[str]:
    """Return the names of a node's kernels, in the order in which they are applied."""
    return [name for name in node.registers if name.endswith("kernel")]


def _kernel(node: QuantizedNode, name: str, bits: int, trained: str) -> Kernel:
    """Return the latent of a kernel, which has a factor per filter if its factor is trained."""
    scalar = np.ndim(node.registers[f"{name}_factor"]) == 0 and trained != f"{name}_factor"
    axis = None if scalar else -1
    return Kernel(node.registers[name], bits, _terms(node, name), axis)


def _terms(node: QuantizedNode, name: str) -> int:
    """Return how many weights of a kernel one output sums."""
    *window, channels, _ = node.registers[name].shape
    return math.prod(window) * (1 if name == "depthwise_kernel" else channels)


def _product(node, name: str, layer, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    if node.op == "Dense":
        return exact.dense(x, kernel)[:, None, None]
    if name == "pointwise_kernel":
        return exact.convolution(x, kernel, (1, 1), "valid")
    window = layer.kernel_stride, layer.padding
    if name == "depthwise_kernel":
        return exact.depthwise(x, kernel, *window)
    return exact.convolution(x, kernel, *window, getattr(layer, "padding_value", 0))

"""Thresholds and steps of models quantized by the scheme quantizeml, as registers.

Channels of different scales are aligned to one: see `shared_scale`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.chips.akida_v1.legacy_neurons import _pooled_positions
from pipeline.chips.akida_v1.neuron import (
    Neuron,
    RefusedQuantizationError,
    held,
    refused,
)
from pipeline.chips.akida_v1.shared_scale import shared_scale
from pipeline.chips.blocks import Block
from pipeline.messages.settings import setting
from pipeline.quantization.quantized_graph import QuantizedNode
from pipeline.quantization.quantizeml_threshold import Unrounded, activated, ended, filter_scales
from pipeline.quantization.reach import reach

IMAGE_HIGHEST = 255


def quantizeml_neurons(chain: Sequence[Block], dequantizer) -> list[Neuron]:
    """Return the neuron of each block of a linear chain that ends in `dequantizer`."""
    neurons, refusals, gain, highest = [], [], 1.0, IMAGE_HIGHEST
    for block, following in zip(chain, [*chain[1:], None], strict=True):
        bound = reach(block.head, highest, pooled(block))
        try:
            neuron, gain = _neuron(block, following, gain, bound, dequantizer)
        except RefusedQuantizationError as refused_one:
            refusals += refused_one.refusals
        else:
            highest = 2**neuron.act_bits - 1
            neurons.append(neuron)
    if refusals:
        raise RefusedQuantizationError(*refusals)
    return neurons


def pooled(block: Block) -> int:
    """Return the number of positions that a block's pooling sums."""
    pool = block.member("GlobalAveragePooling2D")
    return _pooled_positions(block, pool) if pool else 1


def _neuron(
    block: Block, following: Block | None, gain: float, bound: np.ndarray, dequantizer
) -> tuple[Neuron, float]:
    """Return a block's neuron, and the factor by which it scales the next layer's potential."""
    head, relu, pixels = block.head, block.member("ReLU"), pooled(block)
    padding = head.registers.get("padding_value", np.zeros(1, np.int32))
    if np.ptp(padding):
        raise refused(
            head.name, "one_padding_value", "padding values differ by channel", "one in Akida 1.0"
        )
    _refuse_quantized_sums(block)
    if relu is None:
        found = ended(head, pixels, gain, _scales(dequantizer, head))
        return _rounded(head.name, found, padding, activation=False), 1.0
    _refuse_activation(relu)
    shared = shared_scale(relu, following)
    found = activated(head, relu, pixels, gain, bound, shared.steps, shared.frac_bits)
    settings: dict = {"act_bits": relu.bits["output"]}
    settings["coarser"] = np.float64(shared.steps) * found.closer
    if following is None:
        settings["level"] = _scales(dequantizer, head) * settings["coarser"]
    neuron = _rounded(head.name, found, padding, activation=True, **settings)
    return neuron, shared.potential / found.closer


def _scales(dequantizer, head) -> np.ndarray:
    return filter_scales(dequantizer.registers["scales"], head.shape[-1])


def _rounded(layer: str, found: Unrounded, padding, *, activation: bool, **settings) -> Neuron:
    return Neuron(
        threshold=found.exact,
        **held(layer, found.whole, found.act_step, activation=activation),
        activation=activation,
        padding_value=float(padding[0]),
        **settings,
    )


def _refuse_quantized_sums(block: Block) -> None:
    """Raise if sums are quantized before an activation, or at the end, also before a pooling."""
    sums = [node for node in (block.head, *block.tail) if node.op != "ReLU"]
    quantized = [node.name for node in sums if "output_shift" in node.registers]
    if quantized:
        raise refused(
            quantized[0],
            "unquantized_end",
            "its output is quantized but has no activation",
            "unquantized sums at the end of a model of Akida 1.0",
            "end the model with this layer, and use"
            f" {setting('quantization.last_output_bits', None)}",
        )


def _refuse_activation(relu: QuantizedNode) -> None:
    """Raise if Akida 1.0 has no form of an activation."""
    if "output_shift" not in relu.registers:
        raise refused(
            relu.name,
            "last_activation",
            "its output is not quantized",
            "no activation in the last layer of Akida 1.0",
            "end the model with a layer that has none",
        )
    if "max_value" not in relu.registers:
        raise refused(
            relu.name, "bounded_relu", "an unbounded ReLU", "a max_value in Akida 1.0", "use ReLU6"
        )
    if relu.bits["output_signed"]:
        raise refused(
            relu.name,
            "unsigned_output",
            "signed outputs",
            "unsigned ones in Akida 1.0",
            "end with a layer that has no activation"
            f" ({setting('quantization.last_output_bits', None)})",
        )

"""Registers that the float model does not give: quantize it again with the same formats.

The ranges and factors in a quantized model determine every register by `integerize`'s rules. What
differs was changed afterwards: by refinement, which changes kernels, their scales and biases, by
training, or by a fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.quantization.calibrated_graph import (
    CalibratedGraph,
    NodeQuantization,
    OutputQuantizer,
)
from pipeline.quantization.factors import divide_kernels, output_factors
from pipeline.quantization.integerize import integerize
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode

FITTED = (
    *("kernel", "depthwise_kernel", "pointwise_kernel", "bias", "bias_shift"),
    *("weights", "weights_pw", "threshold", "threshold_fraction", "act_step"),
)
"""Registers that refinement changes, of quantized models and of programs."""
SCALED = {"output_scales": "output_shift", "max_value": "max_value_shift"}
"""Registers that follow from the scales of kernels, and their binary exponents."""
REFITTED = 1.4
"""Refinement changes the scale of a filter of 8 bits by less than this factor, a wrong exponent by
two. At fewer bits refitted scales differ by up to 4, and are not examined."""
INSIDE = 0.75
"""A range of this share of a power of two needs exactly that power of two."""


def unexpected(
    graph: Graph, quantized: QuantizedGraph, *, refined: bool = False
) -> dict[str, list[str]]:
    """Return, by node, a sentence for every register that differs from the float model's.

    Models with float images, and files without stored factors (of older versions), are not
    examined.

    Parameters
    ----------
    graph : Graph
        Prepared float graph.
    quantized : QuantizedGraph
    refined : bool
        True leaves out what refinement changes.
    """
    computing = [node for node in quantized.nodes if "output_shift" in node.registers]
    if any(n.op == "Quantizer" for n in quantized.nodes) or any(n.sums is None for n in computing):
        return {}
    try:
        wanted = integerize(_calibrated(graph, quantized))
    except ModelError:
        return {}
    found: dict[str, list[str]] = {}
    fitted = refitted([node.bits.get("weights") for node in quantized.nodes]) if refined else None
    for node in quantized.nodes:
        if node.op not in ("Quantizer", "Dequantizer"):
            sentences = list(differences(node, wanted.node(node.name), fitted))
            if sentences:
                found[node.name] = sentences
    return found


def _calibrated(graph: Graph, quantized: QuantizedGraph) -> CalibratedGraph:
    """Return the float graph with the formats of its integers, equalized by their factors."""
    settings = {
        node.name: _settings(node, graph.node(node.name)) for node in quantized.nodes if node.bits
    }
    scaled = {name for name, known in settings.items() if known.output is not None}
    rates = {n.name: n.rate for n in quantized.nodes if n.rate is not None and n.name in scaled}
    graph = divide_kernels(graph, factors_of(graph, rates))
    saturates = any(n.op == "Flatten" and n.bits for n in quantized.nodes)
    return CalibratedGraph(graph=graph, nodes=settings, flatten_saturates=saturates)


def factors_of(graph: Graph, rates: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the factor on every output; see `pipeline.quantization.factors`.

    Raises
    ------
    ModelError
        If no kernel takes a factor back.
    """
    factors, refusals = output_factors(graph, rates)
    if refusals:
        raise ModelError(str(refusals[0]))
    return factors


def _settings(node: QuantizedNode, source: Node) -> NodeQuantization:
    bits, output = node.bits, None
    if "output_shift" in node.registers:
        value_bits = bits["output"] - bits["output_signed"]
        exponent = value_bits - np.asarray(node.format.frac_bits)
        scales = node.registers.get("output_scales")
        output = OutputQuantizer(
            bits=bits["output"],
            signed=bool(bits["output_signed"]),
            per_tensor=node.format.frac_bits.ndim == 0,
            range_max=np.ldexp(np.float32(INSIDE), exponent).astype(np.float32),
            rescaling_rate=np.float32(1) if node.rate is None else node.rate,
            scale_bits=16 if scales is not None and scales.dtype == np.uint16 else 8,
            buffer_bits=bits["post_op_buffer"],
        )
    padding = source.attrs.get("padding_value")
    return NodeQuantization(
        weight_bits=bits.get("weights"),
        buffer_bits=bits.get("buffer", 32),
        output=output,
        padding_value=None if padding is None else np.atleast_1d(np.float32(padding)),
    )


def refitted(weight_bits: Iterable[int | None]) -> float:
    """Return the factor by which scales of a refined model may differ."""
    return np.inf if min((bits or 8 for bits in weight_bits), default=8) < 8 else REFITTED


def differences(node, wanted, fitted: float | None) -> Iterator[str]:
    """Yield a sentence for every register and attribute that differs.

    Parameters
    ----------
    node, wanted
        Objects with ``registers`` and ``attrs``.
    fitted : float or None
        Factor by which scales may differ, and kernels and biases at will; None asks for equality.
    """
    skipped = {*FITTED, *_refitted(node, wanted, fitted)} if fitted else set()
    for key in sorted(node.registers.keys() | wanted.registers.keys()):
        if key in skipped:
            continue
        mine, other = node.registers.get(key), wanted.registers.get(key)
        if mine is None or other is None:
            yield f"{key} is {'missing' if mine is None else 'there'}, unlike in the float model"
        elif mine.shape != other.shape:
            yield f"{key} has shape {mine.shape}, in the float model {other.shape}"
        elif not np.array_equal(mine, other):
            yield _sentence(key, mine, other)
    for key in sorted(wanted.attrs):
        if fitted and key == "use_bias":  # refinement corrects by a bias of its own
            continue
        if node.attrs.get(key) != wanted.attrs[key]:
            yield f"{key} is {node.attrs.get(key)}, in the float model {wanted.attrs[key]}"


def _refitted(node: QuantizedNode, wanted: QuantizedNode, limit: float) -> Iterator[str]:
    """Yield the registers of scales that differ no more than refitted kernels explain."""
    for mantissa, exponent in SCALED.items():
        pair = [_value(one.registers, mantissa, exponent) for one in (node, wanted)]
        if any(value is None for value in pair) or pair[0].shape != pair[1].shape:
            continue
        mine, other = np.abs(pair[0]), np.abs(pair[1])
        if np.isinf(limit) or np.all((mine <= limit * other) & (other <= limit * mine)):
            yield from (mantissa, exponent)


def _value(registers, mantissa: str, exponent: str) -> np.ndarray | None:
    if mantissa not in registers or exponent not in registers:
        return None
    shift = np.asarray(registers[exponent], np.int64)
    return np.ldexp(np.asarray(registers[mantissa], np.float64), shift)


def _sentence(key: str, mine: np.ndarray, other: np.ndarray) -> str:
    wrong = mine != other
    channels = np.flatnonzero(wrong.reshape(-1, wrong.shape[-1]).any(axis=0))
    shown = ", ".join(map(str, channels[:3])) + ", ..." * (len(channels) > 3)
    first = tuple(np.argwhere(wrong)[0])
    return (
        f"{key} differs from the float model's in {int(wrong.sum())} of {wrong.size} values,"
        f" channels {shown}: {mine[first]} instead of {other[first]}"
    )

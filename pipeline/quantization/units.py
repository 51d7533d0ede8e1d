"""The float value of one integer, for every tensor of an integer model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.messages.notes import REFINED, TRAINED
from pipeline.quantization.factors import output_factors
from pipeline.quantization.quantized_graph import Format, QuantizedGraph
from simulator.origin import Origin


@dataclass(frozen=True, eq=False, kw_only=True)
class Units:
    """Units of the tensors of an integer model, in those of the float model it was made from.

    Attributes
    ----------
    outputs, sums : dict of str to float64 array of shape () or (channels,)
        Float value of one integer of a node's output, and of its sums before they are quantized.
    zeros : dict of str to int array
        Integer of 0, where it is not 0.
    """

    outputs: dict[str, np.ndarray]
    sums: dict[str, np.ndarray]
    zeros: dict[str, np.ndarray]


def tensor_units(quantized: QuantizedGraph) -> Units:
    """Return the units of all tensors."""
    units, sums, zeros = {}, {}, {}
    rates = {node.name: node.rate for node in quantized.nodes if node.rate is not None}
    factors, _ = output_factors(quantized, rates)
    for node in quantized.nodes:
        factor = np.asarray(factors[node.name], np.float64)
        units[node.name] = _unit(node.format) / factor
        own = np.float64(1) if node.rate is None else node.rate.astype(np.float64)
        sums[node.name] = units[node.name]
        if node.sums is not None:
            sums[node.name] = _unit(node.sums) * (own / factor)
        if node.op == "Quantizer":
            # The next kernel reads the integers with their offset, which its bias takes back.
            zero = node.registers.get("zero_points")
            if zero is not None:
                zeros[node.name] = zero
    return Units(outputs=units, sums=sums, zeros=zeros)


def _unit(given: Format) -> np.ndarray:
    unit = np.exp2(-np.asarray(given.frac_bits, np.float64))
    return unit if given.scales is None else unit * np.asarray(given.scales, np.float64)


def refined(quantized: QuantizedGraph) -> bool:
    """Return whether kernels and biases were fitted to the layers' inputs."""
    return _says(quantized, REFINED, "refined")


def trained(quantized: QuantizedGraph) -> bool:
    """Return whether registers were trained."""
    return _says(quantized, TRAINED, "trained")


def _says(quantized: QuantizedGraph, kind: str, first: str) -> bool:
    return any(n.kind == kind and n.text.startswith(first) for n in quantized.notes)


def origin(quantized: QuantizedGraph, ends: Mapping[str, str], coarser=None) -> Origin:
    """Return what a program says of the model that it was made from.

    Parameters
    ----------
    quantized : QuantizedGraph
    ends : mapping of str to str
        By layer of the program: the node whose output is the layer's.
    coarser : mapping of str to float64 array, optional
        By layer: what one of its integers is in those of the model, where it is not one.
    """
    units, coarser = tensor_units(quantized).outputs, coarser or {}
    rates = {layer: quantized.node(name).rate for layer, name in ends.items()}
    return Origin(
        units={
            layer: np.asarray(units[name] * coarser.get(layer, 1.0), np.float64)
            for layer, name in ends.items()
        },
        rates={layer: np.asarray(r, np.float32) for layer, r in rates.items() if r is not None},
        scheme=quantized.scheme,
        refined=refined(quantized),
        trained=trained(quantized),
    )

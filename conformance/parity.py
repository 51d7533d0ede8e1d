"""Quantize the same float models with QuantizeML and crossgrade; compare all integer registers.

``python -m conformance.parity [MODEL...]`` runs every model at 8/8/8, 8/4/4 and 4/4/4 bits, per
channel and per tensor, and prints one line for each and for every register that differs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from conformance import quantizeml_model
from conformance.parity_models import MODELS, images
from pipeline.config.sections import Calibration, Quantization
from pipeline.graph.graph import Graph
from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.integerize import integerize
from pipeline.quantization.quantized_graph import QuantizedGraph
from pipeline.quantization.schemes.quantizeml import calibrated

BITS = ((8, 8, 8), (8, 4, 4), (4, 4, 4))
"""Bits of the first layer's weights, of other weights, and of activations."""

Registers = dict[str, dict[str, np.ndarray]]
"""Integers by layer and register."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Register with differing integers.

    Attributes
    ----------
    layer, register : str
    differing, total : int
        Number of values.
    largest : float
        Largest absolute difference.
    """

    layer: str
    register: str
    differing: int
    total: int
    largest: float

    def __str__(self):
        return (
            f"{self.layer}/{self.register}: {self.differing} of {self.total} values differ,"
            f" by at most {self.largest:g}"
        )


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Result of one comparison.

    Attributes
    ----------
    values : int
        Number of compared register values.
    differences : list of Difference
        Registers that differ, or exist on one side only (``total`` is 0 then).
    range_error : float
        Largest relative difference of a calibrated range; nonzero if the two sides add float32
        products in different orders.
    scale_error : float
        Largest relative difference of the Dequantizer's float scales, which depend on the ranges.
    """

    values: int
    differences: list[Difference]
    range_error: float
    scale_error: float


def parity_options(bits=(8, 8, 8), *, per_tensor=False, batch_size=10, **others) -> Quantization:
    """Return options under which both sides quantize by the same rules."""
    return Quantization(
        input_weight_bits=bits[0],
        weight_bits=bits[1],
        activation_bits=bits[2],
        per_tensor_activations=per_tensor,
        flatten="saturate",
        calibration=Calibration(batch_size=batch_size),
        **others,
    )


def compare(graph: Graph, samples: np.ndarray, options: Quantization) -> Parity:
    """Quantize `graph` on both sides with options from `parity_options`, and compare."""
    reference = quantizeml_model.quantize(graph, samples, options)
    own = calibrated(graph, samples, options)
    mine = own_registers(integerize(own))
    theirs = quantizeml_model.registers(reference)
    last = mine.pop("Dequantizer")["scales"], theirs.pop("Dequantizer")["scales"]
    values, differences = compare_registers(mine, theirs)
    return Parity(
        values=values,
        differences=differences,
        range_error=_range_error(own, reference),
        scale_error=float(np.abs(last[0] / last[1] - 1).max()),
    )


def compare_registers(mine: Registers, theirs: Registers) -> tuple[int, list[Difference]]:
    """Return the number of compared values, and the registers that differ."""
    values, differences = 0, []
    for layer in sorted(mine.keys() | theirs.keys()):
        left, right = mine.get(layer, {}), theirs.get(layer, {})
        for register in sorted(left.keys() | right.keys()):
            if register in left and register in right:
                values += left[register].size
                differences += _difference(layer, register, left[register], right[register])
            elif "shift" not in register or np.any(left.get(register, right.get(register))):
                # Only a shift by 0 may be absent.
                differences.append(
                    Difference(layer=layer, register=register, differing=1, total=0, largest=np.inf)
                )
    return values, differences


def own_registers(quantized: QuantizedGraph) -> Registers:
    """Return registers by layer and name, under QuantizeML's layer names."""
    names = {"Quantizer": "InputQuantizer", "Dequantizer": "Dequantizer"}
    return {
        names.get(node.op, node.name): {
            key.replace("global_pool_shift", "input_shift"): value
            for key, value in node.registers.items()
        }
        for node in quantized.nodes
        if node.registers
    }


def _difference(layer, register, mine, other) -> Iterator[Difference]:
    # A scalar, or one value per channel of a flattened tensor, is broadcast.
    other = np.resize(other, mine.shape) if mine.size % other.size == 0 else np.full_like(mine, -1)
    wrong = mine != other
    if wrong.any():
        largest = np.abs(mine.astype(np.float64) - other).max()
        yield Difference(
            layer=layer,
            register=register,
            differing=int(wrong.sum()),
            total=mine.size,
            largest=float(largest),
        )


def _range_error(own: CalibratedGraph, reference) -> float:
    errors = [0.0]
    for name, node in own.nodes.items():
        if node.output:
            theirs = reference.get_layer(name).out_quantizer.range_max.numpy()
            theirs = theirs / reference.get_layer(name).out_quantizer.rescaling_rate.numpy()
            mine = node.output.range_max / node.output.rescaling_rate
            errors.append(float((np.abs(mine - theirs) / np.maximum(theirs, 1e-30)).max()))
    return max(errors)


def main(names: list[str]) -> int:
    """Compare the named models, all by default; return the number of differing values."""
    values = differing = 0
    for name in names or MODELS:
        graph = MODELS[name]()
        samples = images(graph, 40)
        for bits in BITS:
            for per_tensor in (False, True):
                result = compare(graph, samples, parity_options(bits, per_tensor=per_tensor))
                wrong = sum(difference.differing for difference in result.differences)
                axis = "per tensor" if per_tensor else "per channel"
                print(
                    f"{name:16} {'/'.join(map(str, bits))} {axis:11} {result.values:7} values,"
                    f" {wrong} differ; ranges agree to {result.range_error:.1e},"
                    f" final scales to {result.scale_error:.1e}",
                    flush=True,
                )
                for difference in result.differences:
                    print(f"    {difference}")
                values, differing = values + result.values, differing + wrong
    print(f"{values} register values compared, {differing} differ")
    return differing


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)

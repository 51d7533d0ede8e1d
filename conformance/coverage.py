"""Coverage of registers by networks: by layer, register present or not, input kind and width."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import product
from typing import NamedTuple

import numpy as np

from conformance.networks import Network
from pipeline.chips.akida_v2.lowering import lower
from pipeline.config.sections import Calibration, Quantization
from pipeline.quantization.integerize import integerize
from pipeline.quantization.schemes.quantizeml import calibrated
from simulator import Program

REGISTERS = (
    *("bias", "input_shift", "padding_value", "pool_size", "max_value", "lut_values"),
    *("global_pool", "output_shift", "a_shift", "b_shift", "zero_points"),
)
"""Optional fields of layers. Shifts by 0 and paddings with 0 count as absent."""

KINDS = ("uint8", "int8", "float_unsigned", "float_signed")
KERNELS = ("w4", "w8")


class Combination(NamedTuple):
    """Combination that a network may contain.

    Attributes
    ----------
    layer, register : str
    present : bool
    kind : str
        Kind of the model's input, one of `KINDS`.
    width : str
        Width of the weights, such as ``w4``; of the output without weights, such as ``o8``.
    """

    layer: str
    register: str
    present: bool
    kind: str
    width: str

    def __str__(self):
        word = "with" if self.present else "without"
        return f"{self.layer} {word} {self.register}, {self.width}, input {self.kind}"


def _combine(layer, registers, present=(True, False), kinds=KINDS, widths=KERNELS):
    return {
        Combination(layer, *rest) for rest in product(registers.split(), present, kinds, widths)
    }


def _required():
    """Yield sets of combinations that random networks must contain.

    Excludes those that no network can contain, such as a global average after a Dense, or a first
    convolution of signed inputs that is an InputConv2D without a padding value.
    """
    tail = "max_value lut_values"
    yield _combine("Conv2D", f"bias input_shift pool_size global_pool output_shift {tail}")
    yield _combine("Conv2DTranspose", f"bias input_shift global_pool {tail}")
    yield _combine("DepthwiseConv2DTranspose", f"bias input_shift global_pool {tail}")
    # Every channel of a depthwise convolution has its own scale: nothing to align.
    yield _combine("DepthwiseConv2D", f"bias pool_size {tail}")
    yield _combine("Dense1D", f"bias input_shift output_shift {tail}")
    for layer in ("BufferTempConv", "DepthwiseBufferTempConv"):
        yield _combine(layer, f"bias input_shift {tail}")
    first = "padding_value pool_size"
    yield _combine("InputConv2D", f"{first} {tail}", kinds=("uint8", "float_unsigned"))
    yield _combine("InputConv2D", "bias", kinds=("uint8",))
    yield _combine("InputConv2D", "bias", (True,))
    # Other inputs use an InputConv2D only for its padding value.
    yield _combine("InputConv2D", "padding_value", (True,), ("int8", "float_signed"))
    yield _combine("InputConv2D", "input_shift", kinds=("float_unsigned",))
    yield _combine("InputConv2D", "input_shift", (True,), ("float_signed",))
    yield _combine("Add", "a_shift b_shift", widths=("o4", "o8"))
    yield _combine("Quantizer", "zero_points", (True, False), ("float_unsigned",), ("o8",))
    yield _combine("Quantizer", "zero_points", (False,), ("float_signed",), ("o8",))


REQUIRED = frozenset().union(*_required())
"""Combinations that all random networks together must contain."""


def combinations(program: Program) -> set[Combination]:
    """Return the combinations in a program."""
    kind = _kind(program)
    return {
        Combination(type(layer).__name__, register, present, kind, _width(layer))
        for layer in program.layers
        for register, present in _registers(layer)
    }


def drawn(network: Network) -> set[Combination]:
    """Return the combinations in a network, quantized by our quantizer instead of QuantizeML.

    Raises
    ------
    ModelError
        If our quantizer refuses the network.
    """
    settings = dict(network.settings)
    images = network.samples
    signed = settings.pop("input_dtype") == "int8" and images.dtype.kind == "f"
    options = Quantization(
        **settings, flatten="saturate", calibration=Calibration(batch_size=len(images) // 2)
    )
    # Our quantizer has no signed float inputs; magnitudes give zero points of 0.
    found = calibrated(network.graph, np.abs(images) if signed else images, options)
    if signed:
        found = replace(found, input=replace(found.input, signed=True))
    return combinations(lower(integerize(found)))


def _kind(program):
    quantizer = next(
        (layer for layer in program.layers if type(layer).__name__ == "Quantizer"), None
    )
    if quantizer is None:
        return str(program.input_dtype)
    return "float_signed" if quantizer.output_signed else "float_unsigned"


def _width(layer):
    if hasattr(layer, "weight_bits"):
        return f"w{layer.weight_bits}"
    bits = layer.output_bits if getattr(layer, "output_shift", True) is not None else 32
    return f"o{bits}"


def _registers(layer) -> Iterator[tuple[str, bool]]:
    known = {field.name for field in fields(layer)}
    for name in REGISTERS:
        if name in known:
            value = getattr(layer, name)
            yield name, value is not None and (name == "bias" or bool(np.any(value)))

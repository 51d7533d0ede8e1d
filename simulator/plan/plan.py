"""A program compiled into steps: which path each layer takes, and the proof that it may."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import numpy as np

from simulator.plan.numpy_step import NumpyStep
from simulator.plan.proofs import LIMITS, Proof
from simulator.program import Program

INPUT_RANGES = {"uint8": (0, 255), "int8": (-128, 127), "int16": (-32768, 32767)}


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """The steps of one program on one backend.

    Attributes
    ----------
    program : Program
    steps : dict of str to step
        Layers with a fast form, by name; all others run their own arithmetic.
    proofs : tuple of Proof
        One for each layer, in order.
    """

    program: Program
    steps: dict[str, NumpyStep]
    proofs: tuple[Proof, ...]

    def describe(self) -> str:
        """Return the proofs as a table for people."""
        rows = [("Layer", "Path", "Bits", "Reason")]
        for proof in self.proofs:
            bits = "" if proof.accumulator_bits is None else str(proof.accumulator_bits)
            rows.append((proof.layer, proof.path, bits, proof.reason))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True))
            for row in rows
        ).rstrip()


def compile_program(program: Program) -> Plan:
    """Return the fastest exact plan of a program on NumPy.

    Each layer's accumulator bound and requantization are proven from its registers and from what
    the layers before it can put out; a layer without proof keeps its own arithmetic.
    """
    forms = _forms(program.target)
    steps, proofs = {}, []
    ranges: dict[str, tuple[int, int] | None] = {}
    for layer in program.layers:
        sources = [ranges[name] for name in layer.inputs]
        if not sources:
            sources = [INPUT_RANGES.get(program.input_dtype)]
        step, proof, output = _step(layer, sources, forms)
        ranges[layer.name] = output
        proofs.append(proof)
        if step is not None:
            steps[layer.name] = step
    return Plan(program=program, steps=steps, proofs=tuple(proofs))


def _forms(target: str):
    """Return the module with a chip's fast forms; None when the chip has none."""
    try:
        return importlib.import_module(f"simulator.plan.{target}")
    except ModuleNotFoundError as error:
        if error.name != f"simulator.plan.{target}":
            raise
        return None


def _step(layer, sources, forms):
    """Return (step or None, proof, output range) of one layer."""
    output = _output_range(layer, sources)
    if forms is None:
        return None, _kept(layer, "this chip has no fast forms"), output
    linear = forms.linear(layer)
    if isinstance(linear, str):
        return None, _kept(layer, linear), output
    if sources[0] is None:
        return None, _kept(layer, "its input has no known range"), output
    low, high = sources[0]
    if linear.padding_value is not None:
        low = min(low, int(np.min(linear.padding_value)))
        high = max(high, int(np.max(linear.padding_value)))
    bound = int(linear.weight_sums.max(initial=0)) * max(abs(low), abs(high))
    bits = bound.bit_length()
    if bound >= LIMITS[np.dtype(np.float32)]:
        return None, _kept(layer, "products may leave float32's whole numbers", bits), output
    stairs = forms.staircase(layer, bound)
    if isinstance(stairs, str):
        return None, _kept(layer, stairs, bits), output
    output = (stairs.low, int(stairs.high.max()))
    for dtype in (np.float32, np.float64):
        floats = stairs.floats(bound, dtype)
        if floats is not None:
            step = NumpyStep(linear, stairs, floats, layer.input_shapes[0], layer.output_shape)
            name = np.dtype(dtype).name
            steps = int((stairs.first < 1 << 60).sum())
            reason = f"{steps} steps of {len(stairs.high)} channels checked"
            return (
                step,
                Proof(layer=layer.name, path=name, accumulator_bits=bits, reason=reason),
                output,
            )
    return None, _kept(layer, "no float type computes its staircase", bits), output


def _kept(layer, reason: str, bits: int | None = None) -> Proof:
    return Proof(layer=layer.name, path="reference", accumulator_bits=bits, reason=reason)


def _output_range(layer, sources) -> tuple[int, int] | None:
    """Return what a layer can put out, if it is known to be narrow."""
    width = layer.output_width(*(_width(source) for source in sources))
    if width is None:
        return None
    bits, signed = width
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def _width(source):
    """Return (bits, signed) of a range."""
    if source is None:
        return None
    low, high = source
    bits = max((-low - 1 if low < 0 else 0).bit_length(), high.bit_length())
    return (bits + 1, True) if low < 0 else (bits, False)

"""Program compiled into steps: the method for each layer, and the proof that it is exact."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from simulator.errors import ProgramError
from simulator.integer import integer_range
from simulator.plan.buffer import short_buffers
from simulator.plan.case import Case
from simulator.plan.numpy_backend import NumpyBackend, Step
from simulator.plan.proofs import LIMITS, NEVER, Proof
from simulator.plan.workspace import Workspace
from simulator.program import Program

BACKENDS = ("numpy", "fast")
INPUT_RANGES = {"uint8": (0, 255), "int8": (-128, 127), "int16": (-32768, 32767)}


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """Steps of one program on one backend.

    Attributes
    ----------
    program : Program
    steps : dict of str to Step
        Steps by layer name; layers without one run their own arithmetic.
    proofs : tuple of Proof
        One for each layer, in order.
    kernels : simulator.plan.fast.kernels.Kernels or None
        Machine code that runs several steps in one call; None if the steps run one by one.
    """

    program: Program
    steps: dict[str, Step]
    proofs: tuple[Proof, ...]
    kernels: object | None = None
    _spare: list[Workspace] = field(default_factory=list, repr=False)

    @contextmanager
    def workspace(self) -> Iterator[Workspace]:
        """Provide the memory of a run, reused by later runs."""
        work = self._spare.pop() if self._spare else Workspace()
        with short_buffers():
            yield work
        # Not reached if the run failed: its arrays may still be in use.
        self._spare.append(work)

    def describe(self) -> str:
        """Return the proofs as a table for users."""
        rows = [("Layer", "Path", "Bits", "Reason")]
        for proof in self.proofs:
            bits = "" if proof.accumulator_bits is None else str(proof.accumulator_bits)
            rows.append((proof.layer, proof.path, bits, proof.reason))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True))
            for row in rows
        ).rstrip()


def compile_program(program: Program, backend: str = "numpy") -> Plan:
    """Compile a program into exact steps.

    Each layer's accumulator bound and requantization are proven from its registers and the output
    ranges of the layers before it; a layer without proof runs its own arithmetic.

    Parameters
    ----------
    program : Program
    backend : {"numpy", "fast"}
        ``fast`` needs the packages of the extra ``fast``.

    Raises
    ------
    ProgramError
        If the backend is unknown, not installed, or not exact on this processor.
    """
    if backend not in BACKENDS:
        raise ProgramError(f"backend is '{backend}'; allowed: {', '.join(BACKENDS)}")
    if backend == "fast" and not fast_is_available():
        raise ProgramError(
            "backend 'fast' is not installed, or not exact on this processor; pip"
            " install 'crossgrade[fast]', or use backend 'numpy'"
        )
    forms, made_by = _forms(program.target), _backend(backend)
    steps, proofs = {}, []
    ranges: dict[str, tuple[int, int] | None] = {}
    for layer in program.layers:
        sources = [ranges[name] for name in layer.inputs]
        if not sources:
            sources = [INPUT_RANGES.get(program.input_dtype)]
        step, proof, output = _step(layer, sources, forms, made_by)
        ranges[layer.name] = output
        proofs.append(proof)
        if step is not None:
            steps[layer.name] = step
    made_by.link(program.layers, steps)
    return Plan(program=program, steps=steps, proofs=tuple(proofs), kernels=made_by.kernels)


def _forms(target: str):
    """Return the module of a chip's fast forms; None if the chip has none."""
    try:
        return importlib.import_module(f"simulator.plan.{target}")
    except ModuleNotFoundError as error:
        if error.name != f"simulator.plan.{target}":
            raise
        return None


def _step(layer, sources, forms, backend):
    """Return (step or None, proof, output range) of one layer."""
    output = _output_range(layer, sources)
    if forms is None:
        return None, _fallback(layer, "this chip has no fast forms"), output
    if (scales := forms.scales(layer)) is not None:
        step, reason = (
            backend.scaled(scales, layer.output_shape),
            "no fast form for this layer type",
        )
        path = "reference" if step is None else step.path
        reason = reason if step is None else f"float32 products of {len(scales)} channels"
        return step, _proven(layer, path, None, reason), output
    linear = forms.linear(layer)
    if isinstance(linear, str):
        return None, _fallback(layer, linear), output
    if sources[0] is None:
        return None, _fallback(layer, "its input has no known range"), output
    low, high = sources[0]
    if linear.largest_input is not None and max(-low, high) > linear.largest_input:
        return None, _fallback(layer, "shifted inputs may saturate"), output
    if linear.padding_value is not None:
        low = min(low, int(np.min(linear.padding_value)))
        high = max(high, int(np.max(linear.padding_value)))
    bound = int(linear.weight_sums.max(initial=0)) * max(abs(low), abs(high))
    bits = bound.bit_length()
    most = LIMITS[np.dtype(np.float64)]
    if bound >= most:
        return None, _fallback(layer, "sums may exceed the exact integers of float64", bits), output
    case = Case(
        linear=linear,
        input_shape=layer.input_shapes[0],
        output_shape=layer.output_shape,
        bound=bound,
        input_range=(low, high),
    )
    finish = partial(forms.finish, layer)
    if not backend.narrow(case):
        step, reason = backend.sums(case, finish), "sums may exceed the exact integers of float32"
        return step, _proven(layer, step.path, bits, reason), output
    pool = forms.global_sum(layer, bound)
    if pool is not None and pool.largest < most:
        step = backend.pooled(case, pool)
        return step, _proven(layer, step.path, bits, "a global sum follows"), output
    stairs = forms.staircase(layer, bound)
    if isinstance(stairs, str):
        bias = forms.accumulators(layer, bound)
        step = (
            backend.sums(case, finish) if bias is None else backend.accumulators(case, finish, bias)
        )
        return step, _proven(layer, step.path, bits, stairs), output
    if (step := backend.step(case, stairs)) is not None:
        reason = f"{int((stairs.first < NEVER).sum())} steps of {linear.filters} channels"
        proof = _proven(layer, step.path, bits, reason)
        return step, proof, (stairs.low, int(stairs.high.max()))
    step, reason = backend.sums(case, finish), "no number type computes its staircase exactly"
    return step, _proven(layer, step.path, bits, reason), output


def _backend(name: str):
    if name == "fast":
        from simulator.plan.fast.backend import FastBackend

        return FastBackend()
    return NumpyBackend()


def fast_is_available() -> bool:
    """Return True if the ``fast`` backend is installed and exact on this processor."""
    try:
        from simulator.plan.fast import selftest
    except ImportError:
        return False
    return selftest.works()


def _proven(layer, path: str, bits: int, reason: str) -> Proof:
    return Proof(layer=layer.name, path=path, accumulator_bits=bits, reason=reason)


def _fallback(layer, reason: str, bits: int | None = None) -> Proof:
    return Proof(layer=layer.name, path="reference", accumulator_bits=bits, reason=reason)


def _output_range(layer, sources) -> tuple[int, int] | None:
    """Return the (smallest, largest) output of a layer by its width; None if unknown."""
    width = layer.output_width(*(_width(source) for source in sources))
    if width is None:
        return None
    return integer_range(*width)


def _width(source):
    """Return (bits, signed) that hold a range; None if it is unknown."""
    if source is None:
        return None
    low, high = source
    bits = max((-low - 1 if low < 0 else 0).bit_length(), high.bit_length())
    return (bits + 1, True) if low < 0 else (bits, False)

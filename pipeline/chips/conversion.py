"""Cut an integer model into a chip's layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pipeline.chips.blocks import View
from pipeline.chips.chip import Samples, chip
from pipeline.errors import IncompatibleModelError
from pipeline.messages.settings import setting
from pipeline.quantization.quantized_graph import QuantizedGraph
from simulator import Program
from simulator.refusal import Refusal


def convert(
    graph: QuantizedGraph,
    name: str,
    *,
    strict: bool = False,
    fit_registers: bool = False,
    samples: Samples | None = None,
) -> Program:
    """Cut an integer model into a chip's layers.

    Parameters
    ----------
    graph : QuantizedGraph
    name : str
        Name of the target.
    strict : bool
        Refuse programs that run on the emulator only: those beyond the chip's published limits,
        and those that the vendor's converter refuses.
    fit_registers : bool
        Bring registers inside their widths even where that changes outputs.
    samples : function without arguments to array (n, *input shape) or None, optional
        Inputs on which the notes measure what the conversion changes; by default random ones.

    Raises
    ------
    IncompatibleModelError
        When a layer has no counterpart on the chip, or with `strict` exceeds a limit.
    """
    chosen = chip(name)
    if graph.scheme not in chosen.schemes:
        refusal = Refusal(
            found=f"it was quantized by scheme '{graph.scheme}'; {name} takes"
            f" {', '.join(chosen.schemes)} ({setting('quantization.scheme')})",
        )
        raise IncompatibleModelError(graph.name, [refusal], f"convert to {name}")
    if refusals := list(_broken(graph, name, emulated=False)):
        raise IncompatibleModelError(graph.name, refusals, f"convert to {name}")
    program = chosen.lower(graph)
    if chosen.measure is not None:
        measured = tuple(chosen.measure(graph, program, samples))
        program = replace(program, notes=(*program.notes, *measured))
    if fit_registers and chosen.fit is not None:
        program = chosen.fit(program)
    if strict and (refusals := emulated_only(graph, program)):
        raise IncompatibleModelError(graph.name, refusals, f"fit the limits of {name}")
    return program


def emulated_only(graph: QuantizedGraph, program: Program) -> list[Refusal]:
    """Return why a program runs on the emulator only: limits, and rules of the vendor's converter.

    Parameters
    ----------
    graph : QuantizedGraph
    program : Program
        What `convert` made of it.
    """
    return [*_broken(graph, program.target, emulated=True), *program.exceeded()]


def _broken(graph: QuantizedGraph, name: str, *, emulated: bool) -> Iterator[Refusal]:
    """Yield the places that break a rule of the chip's converter."""
    view = View(graph, graph)
    for rule in chip(name).rules:
        if rule.emulated == emulated:
            yield from rule.findings(view)

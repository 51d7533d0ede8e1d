"""Convert an integer model to a chip's program."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from pipeline.chips.blocks import View
from pipeline.chips.chip import Samples, chip
from pipeline.chips.rule import Finding
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
    applied: Collection[str] = (),
) -> Program:
    """Convert an integer model to a chip's program.

    Parameters
    ----------
    graph : QuantizedGraph
    name : str
        Name of the target.
    strict : bool
        Refuse programs that only run on the emulator: those that exceed the chip's published
        limits, and those that the vendor's converter refuses.
    fit_registers : bool
        Fit registers into their bit widths even where that changes outputs.
    samples : function without arguments to array (n, *input shape) or None, optional
        Inputs on which conversion notes measure changes; random by default.
    applied : collection of str
        Transforms that the model has been through, which refusals do not advise.

    Raises
    ------
    IncompatibleModelError
        If a layer has no counterpart on the chip, or exceeds a limit and `strict` is set.
    """
    chosen = chip(name)
    check_scheme(graph.name, graph.scheme, name)
    if broken := list(_broken(graph, name, emulated=False)):
        refusals = [replace(f, transform=None) if f.transform in applied else f for f in broken]
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


def check_scheme(model: str, scheme: str, name: str) -> None:
    """Refuse a quantization scheme that the target called `name` does not take.

    Raises
    ------
    IncompatibleModelError
    """
    taken = chip(name).schemes
    if scheme not in taken:
        refusal = Refusal(
            found=f"scheme '{scheme}'; {name} takes {', '.join(taken)}"
            f" ({setting('quantization.scheme')})",
        )
        raise IncompatibleModelError(model, [refusal], f"convert to {name}")


def emulated_only(graph: QuantizedGraph, program: Program) -> list[Refusal]:
    """Return the limits and converter rules that a program breaks: it only runs on the emulator.

    Parameters
    ----------
    graph : QuantizedGraph
    program : Program
        The result of `convert`.
    """
    return [*_broken(graph, program.target, emulated=True), *program.exceeded()]


def _broken(graph: QuantizedGraph, name: str, *, emulated: bool) -> Iterator[Finding]:
    """Yield the findings of the chip's conversion rules."""
    view = View(graph, graph)
    for rule in chip(name).rules:
        if rule.emulated == emulated:
            yield from rule.findings(view)

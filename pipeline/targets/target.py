"""A target: the compiler's face of a chip, whose layers are in ``simulator/<name>``."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.errors import ConfigError, IncompatibleModelError
from pipeline.messages.settings import setting
from pipeline.quantization.quantized_graph import QuantizedGraph
from simulator import Program


@dataclass(frozen=True, kw_only=True)
class Target:
    """One chip.

    Attributes
    ----------
    name : str
        Also the name of the chip's package in `simulator`.
    schemes : tuple of str
        Quantization schemes whose models it takes.
    lower : function of QuantizedGraph to Program
        Raises `IncompatibleModelError` with every reason at once.
    fit : function of Program to Program, or None
        Brings registers inside their widths where that changes outputs, with a note for each.
    """

    name: str
    schemes: tuple[str, ...]
    lower: Callable[[QuantizedGraph], Program]
    fit: Callable[[Program], Program] | None = None


def known_targets() -> tuple[str, ...]:
    """Return the names of all targets, in order."""
    import pipeline.targets as package

    return tuple(
        sorted(
            module.name
            for module in pkgutil.iter_modules(package.__path__)
            if module.name.startswith("akida_")
        )
    )


def target(name: str) -> Target:
    """Return the target called `name`.

    Raises
    ------
    ConfigError
        For an unknown name; known ones are listed.
    """
    if name not in known_targets():
        raise ConfigError(
            f"{setting('target.name')}: unknown target '{name}'; known targets:"
            f" {', '.join(known_targets())}"
        )
    return importlib.import_module(f"pipeline.targets.{name}").TARGET


def newest_for(scheme: str) -> str:
    """Return the newest target that takes models of a quantization scheme."""
    return next(name for name in reversed(known_targets()) if scheme in target(name).schemes)


def convert(
    graph: QuantizedGraph, name: str, *, strict: bool = False, fit_registers: bool = False
) -> Program:
    """Cut an integer model into a chip's layers.

    Parameters
    ----------
    graph : QuantizedGraph
    name : str
        Name of the target.
    strict : bool
        Refuse programs beyond the chip's published limits, which run on the emulator only.
    fit_registers : bool
        Bring registers inside their widths even where that changes outputs.

    Raises
    ------
    IncompatibleModelError
        When a layer has no counterpart on the chip, or with `strict` exceeds a limit.
    """
    chosen = target(name)
    if graph.scheme not in chosen.schemes:
        raise IncompatibleModelError(
            graph.name,
            [
                f"it was quantized by scheme '{graph.scheme}'; {name} takes"
                f" {', '.join(chosen.schemes)} ({setting('quantization.scheme')})"
            ],
            f"convert to {name}",
        )
    program = chosen.lower(graph)
    if fit_registers and chosen.fit is not None:
        program = chosen.fit(program)
    if strict and (reasons := list(program.limits())):
        raise IncompatibleModelError(graph.name, reasons, f"fit the limits of {name}")
    return program

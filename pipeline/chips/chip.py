"""A chip: the rules of its converter, and the functions that repair, lower and fit models."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from pipeline.chips.blocks import View
from pipeline.chips.rule import Rule
from pipeline.errors import ConfigError
from pipeline.graph.graph import Graph
from pipeline.quantization.quantized_graph import QuantizedGraph
from simulator import Program
from simulator.facts import LayerFacts
from simulator.targets import limits_of

Samples = Callable[[], "np.ndarray | None"]
"""Loads inputs of a model to measure on, or returns None; called only if a measurement needs them.
"""


@dataclass(frozen=True, kw_only=True)
class Chip:
    """One chip, the ``CHIP`` of the package in `pipeline.chips` that has the target's name.

    Attributes
    ----------
    name, title : str
        The target's name, which is also that of the chip's package in `simulator`; the name shown
        to users.
    schemes : tuple of str
        Quantization schemes whose models it converts.
    rules : tuple of Rule
        Rules of its converter, for float and for integer models.
    repairs : tuple of str
        Transforms that `migrate` applies automatically, in order.
    normalize : function of Graph to (Graph, notes)
        Reorders and folds as the converter does itself; the notes report the changes.
    facts : function of View to LayerFacts
        Yields the facts of every layer that the model becomes, for the chip's limits.
    limit_repairs : function of (limit's name, LayerFacts) to transform or None
    refused_limits : tuple of str
        Limits that the converter already refuses: `check` counts them as conversion rules.
    several_outputs : bool
        Whether its programs may have several outputs.
    emulated_limits : tuple of str
        Limits that `check` counts as conversion rules only where `migrate` repairs them, else as
        limits of the chip: the emulator runs such models.
    notes : function of View to str
        Remarks that need no action.
    lower : function of QuantizedGraph to Program
        Called for models that break no rule except emulated ones.
    measure : function of (QuantizedGraph, Program, Samples or None) to notes, or None
        Measures how the chip's arithmetic differs from the quantized model's.
    fit : function of Program to Program, or None
        Fits registers into their bit widths although outputs change, with a note for each.
    """

    name: str
    title: str
    schemes: tuple[str, ...]
    rules: tuple[Rule, ...]
    normalize: Callable[[Graph], tuple[Graph, Iterable[str]]]
    facts: Callable[[View], Iterable[LayerFacts]]
    lower: Callable[[QuantizedGraph], Program]
    repairs: tuple[str, ...] = ()
    limit_repairs: Callable[[str, LayerFacts], str | None] = lambda limit, facts: None
    refused_limits: tuple[str, ...] = ()
    several_outputs: bool = False
    emulated_limits: tuple[str, ...] = ()
    notes: Callable[[View], Iterable[str]] = lambda view: ()
    measure: Callable[[QuantizedGraph, Program, Samples | None], Iterable[str]] | None = None
    fit: Callable[[Program], Program] | None = None

    @property
    def limits(self) -> ModuleType:
        """The module of published limits in the chip's package in `simulator`."""
        return limits_of(self.name)


def known_targets() -> tuple[str, ...]:
    """Return the names of all chips, in order: the packages in `pipeline.chips`."""
    packages = pkgutil.iter_modules([str(Path(__file__).parent)])
    return tuple(sorted(package.name for package in packages if package.ispkg))


def chip(name: str) -> Chip:
    """Return the chip called `name`.

    Raises
    ------
    ConfigError
        If the name is unknown; the message lists the known ones.
    """
    if name not in known_targets():
        raise ConfigError(f"unknown target '{name}'; known targets: {', '.join(known_targets())}")
    return importlib.import_module(f"pipeline.chips.{name}").CHIP


def newest_for(scheme: str) -> str:
    """Return the newest target that converts models of a quantization scheme."""
    return next(name for name in reversed(known_targets()) if scheme in chip(name).schemes)


def only_for(scheme: str) -> str | None:
    """Return the only target that converts models of a quantization scheme; None of several."""
    names = [name for name in known_targets() if scheme in chip(name).schemes]
    return names[0] if len(names) == 1 else None

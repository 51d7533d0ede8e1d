"""A chip: what its converter asks of models, how it repairs, lowers and fits them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
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
"""Loads inputs of a model to measure on, or None; called only where there is something to measure.
"""


@dataclass(frozen=True, kw_only=True)
class Chip:
    """One chip. It is the ``CHIP`` of a package in `pipeline.chips`, whose name is the target's.

    Attributes
    ----------
    name, title : str
        The target's name, also that of the chip's package in `simulator`; the name for users.
    schemes : tuple of str
        Quantization schemes whose models it takes.
    rules : tuple of Rule
        What its converter asks, of float models and of integer models.
    repairs : tuple of str
        Transforms that `migrate` applies on its own, in order.
    normalize : function of Graph to (Graph, notes)
        Reorders and folds what the converter does by itself; notes say what.
    facts : function of View to LayerFacts
        Of every layer that the model becomes, for the chip's limits.
    limit_repairs : function of (limit's name, LayerFacts) to transform or None
    refused_limits : tuple of str
        Limits that the converter refuses already: `check` counts them as conversion rules.
    notes : function of View to str
        Remarks that need no action.
    lower : function of QuantizedGraph to Program
        Called for models that break no rule but emulated ones.
    measure : function of (QuantizedGraph, Program, Samples or None) to notes, or None
        Measures what the chip's arithmetic changes against the quantized model's.
    fit : function of Program to Program, or None
        Brings registers inside their widths where that changes outputs, with a note for each.
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
    notes: Callable[[View], Iterable[str]] = lambda view: ()
    measure: Callable[[QuantizedGraph, Program, Samples | None], Iterable[str]] | None = None
    fit: Callable[[Program], Program] | None = None

    @property
    def limits(self) -> ModuleType:
        """The published limits: `simulator`'s module of this chip."""
        return limits_of(self.name)


def known_targets() -> tuple[str, ...]:
    """Return the names of all chips, in order: the packages in `pipeline.chips`."""
    import pipeline.chips as package

    return tuple(
        sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.ispkg)
    )


def chip(name: str) -> Chip:
    """Return the chip called `name`.

    Raises
    ------
    ConfigError
        For an unknown name; known ones are listed.
    """
    if name not in known_targets():
        raise ConfigError(f"unknown target '{name}'; known targets: {', '.join(known_targets())}")
    return importlib.import_module(f"pipeline.chips.{name}").CHIP


def newest_for(scheme: str) -> str:
    """Return the newest target that takes models of a quantization scheme."""
    return next(name for name in reversed(known_targets()) if scheme in chip(name).schemes)

"""Programs of one model that differ in the widths of single layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from pipeline.analysis.widths import (
    ACTIVATION,
    OUTPUT,
    WEIGHTS,
    Choice,
    Site,
    allowed_widths,
    layer_widths,
    widest,
)
from pipeline.chips import chip, convert
from pipeline.chips.blocks import View
from pipeline.graph.graph import Graph
from pipeline.preparation import prepare
from pipeline.quantization.assignment import LUT_INPUT_BITS, assign
from pipeline.quantization.calibration import observe, with_ranges
from pipeline.quantization.integerize import integerize
from pipeline.quantization.integerize_legacy import integerize_legacy
from pipeline.quantization.quantize import quantize
from pipeline.quantization.quantized_graph import QuantizedGraph
from pipeline.quantization.samples import check_samples
from pipeline.quantization.schemes import cnn2snn
from simulator import Program


class Variants(ABC):
    """Programs of one model, from one calibration; without refinement except `refined`.

    Attributes
    ----------
    graph : Graph
        Prepared float graph.
    samples : array of shape (n, *input shape)
        Calibration images.
    target : str
        Name of the chip.
    sites : dict of (node, key) to tuple of int
        Widths that the chip's layer takes, where there are several; ascending.
    ends : dict of str to (node, key)
        By layer of a program, the site of its output's width, where there is one.
    base : Program
        With the widest of them everywhere.
    """

    def __init__(self, graph: Graph, source: Graph, samples: np.ndarray, options, target: str):
        self.graph, self.source, self.target = graph, source, target
        self.samples = samples
        self.options = replace(options, **widest(target), layers={}, scheme=chip(target).schemes[0])
        self.widest: tuple[Choice, ...] = ()
        self.sites: dict[Site, tuple[int, ...]] = {}
        self.ends: dict[str, Site] = {}
        self._find_sites(self.program(()))
        self.base = self.program(())

    def program(self, choices: Iterable[Choice]) -> Program:
        """Return the program with some widths changed.

        Raises
        ------
        IncompatibleModelError
            If a register of the chip cannot hold them.
        """
        return convert(self.quantized(self._options(choices)), self.target)

    def refined(self, choices: Iterable[Choice]) -> Program:
        """Return the program that quantizing by these widths gives, refined on the samples.

        Raises
        ------
        IncompatibleModelError
            If a register of the chip cannot hold them.
        """
        options = replace(self._options(choices), refine="layers")
        return convert(quantize(self.source, self.samples, options), self.target)

    def _options(self, choices: Iterable[Choice]):
        chosen = {choice.site: choice for choice in (*self.widest, *choices)}
        return replace(self.options, layers=layer_widths(chosen.values()))

    @abstractmethod
    def quantized(self, options) -> QuantizedGraph:
        """Return the integer model by the widths in `options`."""

    @abstractmethod
    def widths(self, options) -> dict[Site, int]:
        """Return the width of each kernel and output, in the model's order."""

    def choices(self) -> list[Choice]:
        """Return every width of every site but the widest."""
        return [
            Choice(layer=layer, key=key, bits=bits)
            for (layer, key), allowed in self.sites.items()
            for bits in allowed[:-1]
        ]

    def _find_sites(self, program: Program) -> None:
        """Find the sites; where a layer takes less than others, its widest width is chosen."""
        view, narrower = View(self.graph, self.graph), []
        for site, bits in self.widths(self.options).items():
            layer, key = site
            owner = view.owner(self.graph.node(layer))
            if owner is None or owner.name not in program.by_name:
                continue
            kind = type(program.by_name[owner.name]).__name__
            allowed = allowed_widths(self.target, kind, key)
            if key != WEIGHTS:
                self.ends[owner.name] = site
            if len(allowed) > 1:
                self.sites[site] = tuple(sorted(allowed))
            if allowed and max(allowed) != bits:
                narrower.append(Choice(layer=layer, key=key, bits=max(allowed)))
        self.widest = tuple(narrower)


class CalibratedVariants(Variants):
    """Variants by the scheme quantizeml, whose ranges do not depend on widths."""

    def __init__(self, graph: Graph, samples: np.ndarray, options, target: str):
        samples = check_samples(graph, samples)
        prepared, _ = prepare(graph)
        assignment = assign(prepared, options, graph)
        self.observed = observe(prepared, assignment, samples, options)
        super().__init__(prepared, graph, samples, options, target)

    def quantized(self, options) -> QuantizedGraph:
        """Return the integer model by the widths in `options`."""
        assignment = assign(self.graph, options, self.source)
        return integerize(with_ranges(self.graph, assignment, self.observed, options))

    def widths(self, options) -> dict[Site, int]:
        """Return the width of each kernel and output, in the model's order."""
        found: dict[Site, int] = {}
        for name, node in assign(self.graph, options, self.source).nodes.items():
            if node.weight_bits is not None:
                found[name, WEIGHTS] = node.weight_bits
            if node.output is not None and node.output.bits != LUT_INPUT_BITS:
                key = ACTIVATION if _activated(self.graph, name) else OUTPUT
                found[name, key] = node.output.bits
        return found


class LegacyVariants(Variants):
    """Variants by the scheme cnn2snn, which needs no calibration."""

    def __init__(self, graph: Graph, samples: np.ndarray, options, target: str):
        samples = check_samples(graph, samples)
        prepared, self.notes = cnn2snn.prepared(graph)
        super().__init__(prepared, graph, samples, options, target)

    def _legacy(self, options):
        return cnn2snn.discrete(self.graph, options, self.notes, self.source)

    def quantized(self, options) -> QuantizedGraph:
        """Return the integer model by the widths in `options`."""
        return integerize_legacy(self._legacy(options))

    def widths(self, options) -> dict[Site, int]:
        """Return the width of each kernel and output, in the model's order."""
        legacy = self._legacy(options)
        found = {(owner, WEIGHTS): each.bits for (owner, _), each in legacy.quantizers.items()}
        for node in legacy.graph.nodes:
            if node.op == "QuantizedReLU":
                found[node.name, ACTIVATION] = node.attrs["bits"]
        return found


CLASSES = {"quantizeml": CalibratedVariants, "cnn2snn": LegacyVariants}


def variants(graph: Graph, samples: np.ndarray, options, target: str) -> Variants:
    """Return the variants of a model, by the scheme of the chip.

    Parameters
    ----------
    graph : Graph
        Float model.
    samples : array of shape (n, *input shape)
        Calibration images.
    options : Quantization
        All but its widths, its scheme and its refinement counts.
    target : str
        Name of the chip.
    """
    return CLASSES[chip(target).schemes[0]](graph, samples, options, target)


def _activated(graph: Graph, name: str) -> bool:
    node = graph.node(name)
    if node.op == "GlobalAveragePooling2D":
        node = graph.skip_back(node, ("GlobalAveragePooling2D", "MaxPooling2D"))
    return node.op in ("ReLU", "Activation")

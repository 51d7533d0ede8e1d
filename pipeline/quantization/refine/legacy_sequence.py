"""Refine a model of the scheme cnn2snn layer by layer, on the levels of the layers before."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pipeline.graph.forward import run_node as run_float
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.quantization.equalization import divide_kernel, next_layer, scale_filters
from pipeline.quantization.integerize_legacy import LAYERS
from pipeline.quantization.legacy_graph import LegacyGraph
from pipeline.quantization.legacy_threshold import Scaling
from pipeline.quantization.refine import rows
from pipeline.quantization.refine.cost import cost
from pipeline.quantization.refine.frames import Frames
from pipeline.quantization.refine.frontier import Frontier, run_step
from pipeline.quantization.refine.kernels import refine_kernels
from pipeline.quantization.refine.layer import Rows, rows_wanted
from pipeline.quantization.refine.legacy_forward import AVERAGE, run_block, values
from pipeline.quantization.refine.legacy_ranges import Steps, refine_step
from pipeline.quantization.refine.legacy_registers import (
    coarser,
    computing,
    refusals,
    registers,
    rescaled,
    step_nodes,
    widths_by_layer,
)
from pipeline.quantization.refine.ranges import BLOCKS, IMAGES, Values, drawn, takes_factors
from pipeline.quantization.refine.steps import Step, relu_bounds, steps

QUANTILES = (0.25, 0.5, 0.75, 1.0)
"""Of how many times the filters' registers are too large: by so much finer levels are tried."""


class LegacySequence:
    """A 1.0 model that is being refined.

    Parameters
    ----------
    graph : Graph
        Prepared float graph: the targets.
    legacy : LegacyGraph
        The same graph by today's rule: a linear chain.
    fit, held : Frames
        Images to fit on, and others to choose by.
    seed : int
        Draws rows and places.
    """

    def __init__(self, graph: Graph, legacy: LegacyGraph, fit: Frames, held: Frames, seed: int):
        self.float_graph, self.legacy = graph, legacy
        self.fit, self.held = Frontier(graph, fit), Frontier(graph, held)
        self.rng = np.random.default_rng(seed)
        self.steps = steps(graph, computing(graph))
        self.widths = widths_by_layer(graph, legacy, self.steps)
        self.beyond_registers = any(refusals(legacy))
        self.scalings: dict[str, Scaling] = {}
        self.formats: dict = {}
        self.changed: list[str] = []

    def run(self, progress: Callable[[float], None]) -> LegacyGraph:
        """Refine every step, and return the refined model; report the cost of each when done."""
        for step in self.steps:
            for frontier in (self.fit, self.held):
                frontier.prepare(step)
            if step[0].op in LAYERS:
                before = self.legacy
                self._refine_sums(step)
                self._refine_step(step)
                self._fit_registers(step, before)
            self._settle(step)
            progress(cost(self.float_graph, step, len(self.fit.images)))
        return self.legacy

    def _refine_sums(self, step: Step) -> None:
        head, target = self.legacy.graph.node(step[0].name), step[0]
        if not rows.covered(head):
            return
        pooled = any(node.op == AVERAGE for node in step)
        bounds = relu_bounds(tuple(node for node in step if node.op != AVERAGE))
        bits = self._weight_bits(head)

        def draw(node, wanted):
            whole = node.op == head.op
            return tuple(
                self._rows(frontier, node, wanted, bounds if whole else (), pooled and whole)
                for frontier in (self.fit, self.held)
            )

        changed = refine_kernels(head, target, bits, draw)
        if changed is not head:
            self.changed.append(head.name)
            self._replace(changed)
        if self.changed:
            self._keep_integers(changed)

    def _keep_integers(self, head: Node) -> None:
        """Give explicit factors to a refined layer whose small weights the rule would not scale."""
        quantizers = dict(self.legacy.quantizers)
        for name in head.operation.kernels:
            quantizer = replace(quantizers[head.name, name], given=None)
            quantizers[head.name, name] = quantizer.unlimited(head.weights[name])
        self.legacy = replace(self.legacy, quantizers=quantizers)

    def _rows(self, frontier: Frontier, head: Node, target: Node, bounds, pooled: bool) -> Rows:
        """Return rows of a layer, in units of the float model."""
        source = head.inputs[0]
        a, b = self.scalings[source]
        if b:
            padding = np.full(self.float_graph.shapes[source][-1], (int(b) - b) / a, np.float32)
            head = head.with_attrs(padding_value=tuple(padding.tolist()))
        wanted = rows_wanted(head, held=frontier is self.held)

        def batches():
            for floats, integers in frontier.batches(head):
                yield (
                    np.asarray((integers[source] - b) / a, np.float32),
                    run_float(target, floats[source]),
                )

        per_image = max(wanted // frontier.count, 1)
        return Rows(*rows.draw(head, batches(), per_image, self.rng, pooled=pooled), *bounds)

    def _refine_step(self, step: Step) -> None:
        """Choose the step of the levels; a factor per channel moves into the next kernel."""
        relu, head = self.legacy.graph.node(step[-1].name), step[0].name
        if relu.op != "QuantizedReLU":
            return
        bits = relu.attrs["bits"]
        highest = 2**bits - 1
        fit, held = (self._values(frontier, step) for frontier in (self.fit, self.held))
        following = next_layer(self.legacy.graph, relu.name, per_tensor=False)
        by_channel = following is not None and takes_factors(
            following[0], self._weight_bits(following[0]), bits
        )
        now = Steps(bits, np.float64(relu.attrs["max_value"] / highest))
        found, ratio = refine_step(now, fit, held, by_channel=by_channel)
        if found is now:
            return
        self.changed.append(relu.name)
        self._replace(relu.with_attrs(max_value=float(found.step * highest)))
        if by_channel:
            ratio = np.asarray(ratio, np.float32)
            self._replace(scaled := scale_filters(self.legacy.graph.node(head), 1 / ratio))
            if head in self.changed:
                self._keep_integers(scaled)
            self._replace(divide_kernel(following[0], 1 / ratio, following[1]))
            self.legacy = replace(self.legacy, rates={**self.legacy.rates, relu.name: 1 / ratio})

    def _values(self, frontier: Frontier, step: Step, rng=None) -> Values:
        """Return sums before the activation, and their targets after it."""
        nodes, given = self._integer_nodes(step), self.scalings[step[0].inputs[0]]
        source = step[0].inputs[0]
        batches = (
            (values(nodes, integers[source], given), run_step(step, floats))
            for floats, integers in frontier.batches(step[0], IMAGES)
        )
        return drawn(batches, rng or self.rng, frontier.blocks(BLOCKS, IMAGES))

    def _fit_registers(self, step: Step, before: LegacyGraph) -> None:
        """Keep a layer's thresholds and steps inside the registers.

        Levels become finer, which a layer that never reaches them does not lose by, or weights
        coarser: of the refined layer and the one before, each in several ways, the one that is
        closest on held-out images is taken; of equal ones, that of the finest weights.
        """
        excess = self._excess(step)
        if excess.max() <= 1:
            return
        candidates = []
        finer = (1.0, *np.quantile(excess[excess > 1], QUANTILES))
        for start, times in itertools.product((self.legacy, before), finer):
            self.legacy = start
            self._make_finer(step, times)
            left = self._excess(step)
            while (excess := self._excess(step)).max() > 1:
                self.legacy = coarser(self.legacy, self._integer_nodes(step)[0], excess)
            rank = self._error(step), np.log(np.maximum(left, 1)).sum(), len(candidates)
            candidates.append((*rank, self.legacy))
        self.legacy = min(candidates)[-1]

    def _make_finer(self, step: Step, times: float) -> None:
        """Give a layer finer levels; without an activation it has none."""
        relu = self.legacy.graph.node(step[-1].name)
        if relu.op == "QuantizedReLU":
            self._replace(relu.with_attrs(max_value=relu.attrs["max_value"] / float(times)))

    def _excess(self, step: Step) -> np.ndarray:
        """Return how many times the registers of each filter are too large."""
        found = registers(self._integer_nodes(step), self.scalings[step[0].inputs[0]])
        return self.widths[step[0].name].excess(*found)

    def _error(self, step: Step) -> float:
        """Return the error of a layer's output on held-out images, at the same places each time."""
        found = self._values(self.held, step, np.random.default_rng(0))
        relu = self.legacy.graph.node(step[-1].name)
        if relu.op != "QuantizedReLU":
            return float(np.square(found.sums - found.targets).sum())
        bits = relu.attrs["bits"]
        level = np.float64(relu.attrs["max_value"] / (2**bits - 1))
        return float(Steps(bits, level).errors(found).sum())

    def _settle(self, step: Step) -> None:
        """Fix a step's integers, and bring the images up to its output."""
        nodes, name = self._integer_nodes(step), step[-1].name
        self.formats[name] = nodes[-1].format
        if not step[0].inputs:
            given, forward = Scaling(), None
        else:
            source = step[0].inputs[0]
            given = self.scalings[source]

            def forward(integers):
                return run_block(nodes, integers[source], given)

        for frontier in (self.fit, self.held):
            frontier.advance(step, forward)
        self.scalings[name] = rescaled(step, nodes, given)

    def _weight_bits(self, node: Node) -> int:
        return self.legacy.quantizers[node.name, node.operation.output_kernel].bits

    def _integer_nodes(self, step: Step) -> list:
        """Return the integers of a step as refined so far."""
        given = self.formats[step[0].inputs[0]] if step[0].inputs else None
        return step_nodes(self.legacy, step, given)

    def _replace(self, node: Node) -> None:
        """Take a changed node, and an explicit factor where the scheme's rule limits it."""
        graph = self.legacy.graph
        graph = graph.with_nodes(node if old.name == node.name else old for old in graph.nodes)
        self.legacy = replace(self.legacy, graph=graph)

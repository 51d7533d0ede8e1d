"""Refine a calibrated model layer by layer, each on the actual outputs of the layers before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import NEURAL
from pipeline.quantization.calibrated_graph import CalibratedGraph, NodeQuantization
from pipeline.quantization.integerize import RULES
from pipeline.quantization.refine import rows
from pipeline.quantization.refine.cost import cost
from pipeline.quantization.refine.frames import Frames, run_float
from pipeline.quantization.refine.frontier import Forward, Frontier, run_step
from pipeline.quantization.refine.inputs import refine_input
from pipeline.quantization.refine.integer_forward import run_nodes, without_output_stage
from pipeline.quantization.refine.joins import scale_joins
from pipeline.quantization.refine.kernels import refine_kernels
from pipeline.quantization.refine.layer import Rows, rows_wanted
from pipeline.quantization.refine.ranges import BLOCKS, IMAGES, Values, drawn, refine_range
from pipeline.quantization.refine.steps import Step, relu_bounds, steps
from pipeline.quantization.walk import Walk


class Sequence:
    """A model that is being refined.

    Parameters
    ----------
    graph : Graph
        Prepared float graph, before equalization: the targets.
    calibrated : CalibratedGraph
        Of the same graph, by today's rule.
    fit, held : Frames
        Images to fit on, and others to choose by.
    seed : int
        Draws rows and places.
    """

    def __init__(
        self, graph: Graph, calibrated: CalibratedGraph, fit: Frames, held: Frames, seed: int
    ):
        self.float_graph = graph
        placed = refine_input(calibrated, fit.images, held.images)
        self.calibrated, self.changed = scale_joins(placed)
        self.fit, self.held = Frontier(graph, fit), Frontier(graph, held)
        self.rng = np.random.default_rng(seed)
        self.formats: dict = {}
        self.feeds: dict[str, str] = {}
        self.factors: dict[str, np.ndarray] = {}

    def run(self, progress: Callable[[float], None]) -> CalibratedGraph:
        """Refine every step, and return the refined model; report the cost of each when done."""
        for step in steps(self.calibrated.graph, self.calibrated.nodes):
            step = tuple(self.float_graph.node(node.name) for node in step)
            for frontier in (self.fit, self.held):
                frontier.prepare(step)
            self._refine(step)
            self._settle(step)
            progress(cost(self.float_graph, step, len(self.fit.images)))
        return self.calibrated

    def _refine(self, step: Step) -> None:
        """Change one step where held-out images say that it becomes better."""
        if step[0].op in NEURAL:
            self._refine_sums(step)
        output = self._settings(step[-1].name).output
        if output is not None and not self._feeds_table(step[-1].name):
            self._refine_range(step)

    def _refine_sums(self, step: Step) -> None:
        head = self.calibrated.graph.node(step[0].name)
        if not rows.covered(head):
            self._refine_bias(step)
            return
        bits = self._settings(head.name).weight_bits
        target = self.float_graph.node(head.name)
        bounds = relu_bounds(step)

        def draw(node, wanted):
            plain = node.op == head.op
            return tuple(
                self._rows(frontier, node, wanted, bounds if plain else ())
                for frontier in (self.fit, self.held)
            )

        changed = refine_kernels(head, target, bits, draw)
        if changed is not head:
            self.changed.append(head.name)
            self._replace(changed)

    def _refine_bias(self, step: Step) -> None:
        """Correct the mean of each output channel, with the kernel as it is."""
        head = self.calibrated.graph.node(step[0].name)
        fit, held = (self._values(frontier, step[:1]) for frontier in (self.fit, self.held))
        shift = (fit.targets - fit.sums).mean(axis=0)
        before = np.square(held.targets - held.sums).sum()
        if np.square(held.targets - held.sums - shift).sum() < before:
            bias = head.weights.get("bias", 0) + shift
            self.changed.append(head.name)
            changed = head.with_weights(bias=np.asarray(bias, np.float32))
            self._replace(changed.with_attrs(use_bias=True))

    def _refine_range(self, step: Step) -> None:
        name = step[-1].name
        fit, held = (self._values(frontier, step) for frontier in (self.fit, self.held))
        quantizer = self._settings(name).output
        graph, found = refine_range(self.calibrated, name, fit, held)
        if found is not quantizer:
            self.changed.append(name)
            self.calibrated = replace(self.calibrated, graph=graph)
            self._set(name, output=found)

    def _settle(self, step: Step) -> None:
        """Fix a step's integers, and bring the images up to its output."""
        walk = self._walk(step)
        self.formats, self.feeds = walk.formats, walk.feeds
        forward = _forward(step, tuple(walk.nodes), self.feeds)
        for frontier in (self.fit, self.held):
            frontier.advance(step, forward)
        factor = self._input_factor(step)
        output = self._settings(step[-1].name).output
        rate = np.float32(1) if output is None else output.rescaling_rate
        shape = self.float_graph.shapes[step[-1].name]
        factor = np.resize(factor, shape[-1]) if np.ndim(factor) else factor
        self.factors[step[-1].name] = factor * rate

    def _input_factor(self, step: Step) -> np.ndarray:
        """Return what the step's sums are multiplied by, compared with the float model.

        Equalization scales an output up to the next kernel, which takes the factor back.
        """
        if step[0].op in NEURAL or not step[0].inputs:
            return np.float32(1)
        factors = [self.factors[name] for name in step[0].inputs]
        if step[0].op != "Concatenate":
            return factors[0]
        sizes = (self.float_graph.shapes[name][-1] for name in step[0].inputs)
        return np.concatenate(
            [np.full(size, f, np.float32) for f, size in zip(factors, sizes, strict=True)]
        )

    def _rows(self, frontier: Frontier, head: Node, target: Node, bounds: tuple) -> Rows:
        """Return rows of a layer, in units of the float model."""
        source = head.inputs[0]
        given = self.formats[source]
        unit = np.exp2(-np.asarray(given.frac_bits, np.float64))
        unit = np.asarray(unit * (1 if given.scales is None else given.scales), np.float32)
        wanted = rows_wanted(head, held=frontier is self.held)

        def batches():
            for floats, integers in frontier.batches(head):
                x = integers[source]
                yield x * np.resize(unit, x.shape[-1]), run_float(target, floats[source])

        x, y = rows.draw(head, batches(), max(wanted // frontier.count, 1), self.rng)
        return Rows(x, y, *bounds)

    def _values(self, frontier: Frontier, step: Step) -> Values:
        """Return sums of the step's last node, before it is quantized, and their targets."""
        walk = self._walk(step)
        nodes = (*walk.nodes[:-1], without_output_stage(walk.nodes[-1]))
        unit = walk.accumulators.sums[step[-1].name].unit

        def batches():
            for floats, integers in frontier.batches(step[0], IMAGES):
                given = {self.feeds.get(name, name): integers[name] for name in step[0].inputs}
                found = run_nodes(nodes, given)[nodes[-1].name] * unit
                yield found, run_step(step, floats) * self._input_factor(step)

        return drawn(batches(), self.rng, frontier.blocks(BLOCKS, IMAGES))

    def _walk(self, step: Step) -> Walk:
        walk = Walk(self.calibrated, RULES)
        walk.formats, walk.feeds = dict(self.formats), dict(self.feeds)
        for node in step:
            walk.add(self.calibrated.graph.node(node.name))
        return walk

    def _feeds_table(self, name: str) -> bool:
        """Return whether a look-up table reads the output: its index has a fixed width."""
        return any(node.op == "Activation" for node in self.float_graph.consumers(name))

    def _settings(self, name: str):
        return self.calibrated.nodes.get(name) or NodeQuantization()

    def _set(self, name: str, **changes) -> None:
        nodes = dict(self.calibrated.nodes)
        nodes[name] = replace(nodes[name], **changes)
        self.calibrated = replace(self.calibrated, nodes=nodes)

    def _replace(self, node) -> None:
        graph = self.calibrated.graph
        nodes = (node if old.name == node.name else old for old in graph.nodes)
        self.calibrated = replace(self.calibrated, graph=graph.with_nodes(nodes))


def _forward(step: Step, nodes, feeds) -> Forward | None:
    """Return what computes the integers of a step from its inputs', or from the images."""
    if not step[0].inputs:
        nodes = nodes[1:]
        if not nodes:
            return None

    def forward(integers):
        given = {feeds.get(name, name): integers[name] for name in step[0].inputs}
        return _narrow(run_nodes(nodes, given or integers)[nodes[-1].name], nodes[-1])

    return forward


def _narrow(values, node):
    if values.dtype.kind == "f":
        return values
    bits = node.format.value_bits
    return values.astype(np.int8 if bits < 8 else np.int16 if bits < 16 else np.int64, copy=False)

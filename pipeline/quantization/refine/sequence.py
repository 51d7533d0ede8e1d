"""Refine a calibrated model layer by layer, each on the actual outputs of the layers before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import KEEPS_VALUES, NEURAL
from pipeline.quantization.calibrated_graph import CalibratedGraph, NodeQuantization
from pipeline.quantization.factors import ONE, passed_on
from pipeline.quantization.fixed_point import weight_scales
from pipeline.quantization.integerize import RULES
from pipeline.quantization.kernel_rules import kernel_axis
from pipeline.quantization.refine import rows
from pipeline.quantization.refine.cost import cost
from pipeline.quantization.refine.frames import Frames, run_float
from pipeline.quantization.refine.frontier import Forward, Frontier, run_step
from pipeline.quantization.refine.inputs import refine_input
from pipeline.quantization.refine.integer_forward import run_nodes, without_output_stage
from pipeline.quantization.refine.joins import scale_joins
from pipeline.quantization.refine.kernels import refine_kernels
from pipeline.quantization.refine.layer import Rows, rows_wanted
from pipeline.quantization.refine.older_chip import OlderChip, older_chip
from pipeline.quantization.refine.ranges import BLOCKS, FEW, IMAGES, Values, drawn, refine_range
from pipeline.quantization.refine.steps import Step, relu_bounds, steps
from pipeline.quantization.walk import Walk

ROOM = 1.01
"""Headroom for the 8 bits of an output scale."""


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
        self.steps = steps(self.calibrated.graph, self.calibrated.nodes)
        self.older: OlderChip | None = older_chip(calibrated, self.steps)
        self.beyond_registers = self.older is not None and self.older.exceeded
        self.fit, self.held = Frontier(graph, fit), Frontier(graph, held)
        self.few = len(fit) + len(held) < FEW
        self.rng = np.random.default_rng(seed)
        self.formats: dict = {}
        self.feeds: dict[str, str] = {}
        self.factors: dict[str, np.ndarray] = {}

    def run(self, progress: Callable[[float], None]) -> CalibratedGraph:
        """Refine every step, and return the refined model; report the cost of each when done."""
        for step in self.steps:
            step = tuple(self.float_graph.node(node.name) for node in step)
            for frontier in (self.fit, self.held):
                frontier.prepare(step)
            self._refine(step)
            self._settle(step)
            progress(cost(self.float_graph, step, len(self.fit.images)))
        return self.calibrated

    def _refine(self, step: Step) -> None:
        """Change one step where held-out images say that it becomes better."""
        before = self.calibrated
        if step[0].op in NEURAL:
            self._refine_sums(step)
        output = self._settings(step[-1].name).output
        if output is not None and not self._feeds_table(step[-1].name):
            self._refine_range(step)
        if self.older is not None and step[0].op in NEURAL:
            self._fit_registers(step, before)

    def _fit_registers(self, step: Step, before: CalibratedGraph) -> None:
        """Keep a layer inside the registers of Akida 1.0, which runs the model, too.

        Of the refined layer and the one before, each with weights as coarse as the registers need,
        the closer one is taken.
        """
        if self._excess(step).max() <= 1:
            return
        candidates = []
        for start in (self.calibrated, before):
            self.calibrated = start
            while (excess := self._excess(step)).max() > 1:
                self._coarsen(step[0].name, np.maximum(excess * ROOM, 1))
            candidates.append((self._error(step), len(candidates), self.calibrated))
        self.calibrated = min(candidates)[-1]

    def _excess(self, step: Step) -> np.ndarray:
        """Return how many times the registers of each filter would be too large."""
        walk = self._walk(step)
        return self.older.excess(walk.nodes, _unit(walk))

    def _coarsen(self, name: str, factors: np.ndarray) -> None:
        """Make the steps of each filter's weights larger; the weights themselves stay."""
        node, settings = self.calibrated.graph.node(name), self._settings(name)
        scales = settings.weight_scales
        if scales is None:
            kernel = node.weights[node.operation.output_kernel]
            scales = weight_scales(kernel, settings.weight_bits, kernel_axis(node.op))
        self._set(name, weight_scales=np.asarray(scales * factors, np.float32))

    def _error(self, step: Step) -> float:
        """Return the error of a step's output on held-out images, at the same places each time."""
        output = self._settings(step[-1].name).output
        if output is None:
            step = _summing(step)
        values = self._values(self.held, step, np.random.default_rng(0))
        if output is not None:
            return float(values.errors(output).sum())
        return float(np.square(values.sums - values.targets).sum())

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
        graph, found = refine_range(self.calibrated, name, fit, held, few=self.few)
        if found is not quantizer:
            self.changed.append(name)
            self.calibrated = replace(self.calibrated, graph=graph)
            self._set(name, output=found)

    def _settle(self, step: Step) -> None:
        """Fix a step's integers, and bring the images up to its output."""
        walk = self._walk(step)
        self.formats, self.feeds = walk.formats, walk.feeds
        if self.older is not None and step[0].op in NEURAL:
            self.older.settle(walk.nodes, _unit(walk))
        forward = _forward(step, tuple(walk.nodes), self.feeds)
        for frontier in (self.fit, self.held):
            frontier.advance(step, forward)
        factor = self._input_factor(step)
        output = self._settings(step[-1].name).output
        rate = ONE if output is None else output.rescaling_rate
        shape = self.float_graph.shapes[step[-1].name]
        factor = np.resize(factor, shape[-1]) if np.ndim(factor) else factor
        self.factors[step[-1].name] = factor * rate

    def _input_factor(self, step: Step) -> np.ndarray:
        """Return what the step's sums are multiplied by, compared with the float model.

        Equalization scales an output up to the next kernel, which takes the factor back.
        """
        head = step[0]
        if head.op in NEURAL or not head.inputs:
            return ONE
        return passed_on(self.float_graph, head, [self.factors[name] for name in head.inputs])

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

    def _values(self, frontier: Frontier, step: Step, rng=None) -> Values:
        """Return sums of the step's last node, before it is quantized, and their targets."""
        walk = self._walk(step)
        nodes = (*walk.nodes[:-1], without_output_stage(walk.nodes[-1]))
        unit = walk.accumulators.sums[step[-1].name].unit

        def batches():
            for floats, integers in frontier.batches(step[0], IMAGES):
                given = {self.feeds.get(name, name): integers[name] for name in step[0].inputs}
                found = run_nodes(nodes, given)[nodes[-1].name] * unit
                yield found, run_step(step, floats) * self._input_factor(step)

        return drawn(batches(), rng or self.rng, frontier.blocks(BLOCKS, IMAGES))

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


def _unit(walk: Walk) -> np.ndarray:
    """Return the value of one unit of a step's sums, float64 of shape (channels,)."""
    sums = walk.accumulators.sums
    last = [n for n in walk.nodes if n.name in sums and n.op not in KEEPS_VALUES][-1]
    return np.resize(sums[last.name].unit, last.shape[-1])


def _summing(step: Step) -> Step:
    """Return a step without what only moves its sums at the end of a model, such as a Reshape."""
    moves = (*KEEPS_VALUES, "MaxPooling2D")
    while len(step) > 1 and step[-1].op in moves:
        step = step[:-1]
    return step


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

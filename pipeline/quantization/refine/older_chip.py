"""Registers of Akida 1.0 of a model of the scheme quantizeml that both chips run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.graph.traits import KEEPS_VALUES
from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.integerize import integerize
from pipeline.quantization.integerize_legacy import LAYERS, SAME_UNIT
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode
from pipeline.quantization.quantizeml_threshold import Unrounded, activated, ended
from pipeline.quantization.reach import beyond, reach
from pipeline.quantization.refine.legacy_registers import pixels, reads_image
from pipeline.quantization.refine.steps import Step
from pipeline.quantization.refine.widths import Widths, chosen_widths

HIGHEST = 255
"""Of an image's pixels."""


class OlderChip:
    """What Akida 1.0's registers hold of a model that is being refined, layer by layer.

    Parameters
    ----------
    widths : mapping of str to Widths
        By layer.
    exceeded : bool
        No register holds the model by today's rule.
    """

    def __init__(self, widths: Mapping[str, Widths], *, exceeded: bool = False):
        self.widths, self.exceeded = widths, exceeded
        self._gain, self._highest = 1.0, HIGHEST

    def excess(self, nodes: Sequence[QuantizedNode], unit: np.ndarray) -> np.ndarray:
        """Return how many times the registers of each filter of the next layer are too large.

        Parameters
        ----------
        nodes : sequence of QuantizedNode
            The layer, and what continues its sums.
        unit : float64 array of shape (filters,)
            Value of one unit of the sums.
        """
        found = self.registers(nodes, unit)
        return self.widths[nodes[0].name].excess(found.whole, found.act_step)

    def settle(self, nodes: Sequence[QuantizedNode], unit: np.ndarray) -> None:
        """Go on to the layer after this one."""
        self._gain = 1 / self.registers(nodes, unit).closer
        self._highest = 2 ** nodes[-1].bits.get("output", 4) - 1

    def registers(self, nodes: Sequence[QuantizedNode], unit: np.ndarray) -> Unrounded:
        """Return the thresholds and steps of the next layer; arguments as in `excess`."""
        head, last, summed = nodes[0], nodes[-1], pixels(nodes)
        if last.op != "ReLU":
            return ended(head, summed, self._gain, unit)
        bound = reach(head, self._highest, summed)
        return activated(head, last, summed, self._gain, bound)


def older_chip(calibrated: CalibratedGraph, steps: Sequence[Step]) -> OlderChip | None:
    """Return the registers of a model; None if it is not one for Akida 1.0.

    Models with a scale per channel are for Akida 2.0, though they may be converted to 1.0, too.
    """
    if not all(_is_older(calibrated, step) for step in steps):
        return None
    model, widths, exceeded = integerize(calibrated), {}, False
    found = OlderChip(widths)
    for step in steps:
        if step[0].op not in LAYERS:
            continue
        nodes = [model.node(node.name) for node in step]
        unit = _last_unit(model, nodes)
        registers = found.registers(nodes, unit)
        name, activation = step[0].name, step[-1].op == "ReLU"
        pair = registers.whole, registers.act_step
        is_input = reads_image(calibrated.graph, step[0])
        widths[name] = chosen_widths(*pair, is_input=is_input, activation=activation)
        exceeded |= any(beyond(name, *pair, activation=activation))
        found.settle(nodes, unit)
    return OlderChip(widths, exceeded=exceeded)


def _last_unit(model: QuantizedGraph, nodes: Sequence[QuantizedNode]) -> np.ndarray:
    """Return the value of one unit of a model's output for each filter of its last layer.

    A Flatten repeats the filters' scales for each position of its map.
    """
    scales = model.node(model.output).registers["scales"].astype(np.float64)
    filters = [node for node in nodes if node.op not in KEEPS_VALUES][-1].shape[-1]
    return scales[:filters]


def _is_older(calibrated: CalibratedGraph, step: Step) -> bool:
    """Return whether a step is one of a chain of Akida 1.0's layers, with its form of output."""
    graph, head, last = calibrated.graph, step[0], step[-1]
    chained = len(head.inputs) < 2 and len(graph.consumers(last)) < 2
    if head.op in ("Input", "Rescaling", *SAME_UNIT):
        return chained and calibrated.input is None
    if head.op not in LAYERS or not chained:
        return False
    if last.op != "ReLU":
        # Sums at the end, and what pools, reshapes or drops them, which has no settings.
        settings = [calibrated.nodes[node.name] for node in step if node.name in calibrated.nodes]
        return last.name == graph.output and all(found.output is None for found in settings)
    output = calibrated.nodes[last.name].output
    bounded = last.attrs["max_value"] is not None
    return bounded and output is not None and output.per_tensor and not output.signed

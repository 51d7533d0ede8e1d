"""Recognise activations that an exporter wrote as several operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from pipeline.importers.onnx.functions import ATTRIBUTES, FUNCTIONS, Found, recognised
from pipeline.importers.onnx.model import OnnxModel, OnnxNode
from simulator.malformed import MALFORMED

RECOGNISED = "crossgrade.Recognised"
"""Operator of the nodes that take the place of several."""
MOST_STEPS, MOST_NODES, MOST_EVALUATIONS = 8, 32, 1 << 14
"""Tensors back to a function's variable, nodes of a function, and of all that are tried."""


def with_activations(model: OnnxModel) -> OnnxModel:
    """Return the model in which chains of pointwise operators are one node, where that is known.

    ``x * Sigmoid(x)``, ``x * Clip(x + 3, 0, 6) / 6``, ``0.5 * x * (1 + Erf(x / 1.414))`` ... are
    not matched as written: their values are compared with those of the activations here.
    """
    search = _Search(model)
    return model.with_nodes(map(search.replaced, model.nodes))


class _Search:
    def __init__(self, model):
        self.producers, self.constants = model.producers, model.constants
        self.chains: dict[str, list[str]] = {}
        self.left = MOST_EVALUATIONS

    def replaced(self, node: OnnxNode) -> OnnxNode:
        """Return the node, or the activation that it is the end of."""
        if node.op not in FUNCTIONS or len(node.outputs) != 1:
            return node
        chain = self.chain(node.outputs[0])
        sources = self._sources(node)
        for root in reversed(chain[1:]):
            if len(sources) < 2 and root in sources:
                break  # One operator by itself.
            try:
                found = recognised(lambda x, root=root: self._values(node.outputs[0], root, x))
            except MALFORMED:  # Attributes or a number of inputs that do not fit.
                return node
            if found is not None and found[0] != "Dropout":
                return _node(node, root, found)
        return node

    def chain(self, name: str) -> list[str]:
        """Return a tensor and those before it, of which it is a function of one number."""
        if name not in self.chains:
            self.chains[name] = [name]
            node = self.producers.get(name)
            if node is not None and self._is_known(node):
                self.chains[name] += self._common(self._sources(node))[:MOST_STEPS]
        return self.chains[name]

    def _common(self, sources):
        first, *rest = sources
        others = [self.chain(name) for name in rest]
        line = self.chain(first)
        for place, name in enumerate(line):
            if all(name in other for other in others):
                return line[place:]
        return []

    def _is_known(self, node):
        """Whether the node has one number for each constant, and depends on something."""
        if node.op not in FUNCTIONS or len(node.outputs) != 1:
            return False
        attributes = set(node.attrs) <= set(ATTRIBUTES.get(node.op, ()))
        given = [self.constants[name] for name in node.inputs if name in self.constants]
        numbers = all(array.size == 1 and array.dtype == np.float32 for array in given)
        return attributes and numbers and bool(self._sources(node))

    def _sources(self, node):
        known = (name for name in node.inputs if name and name not in self.constants)
        return list(dict.fromkeys(known))

    def _values(self, name: str, root: str, x: np.ndarray) -> np.ndarray:
        """Return a tensor for values `x` of the tensor `root`."""
        values: dict[str, np.ndarray | None] = {root: x, "": None}
        most = min(self.left, MOST_NODES)
        self.left -= most

        def value(source):
            if source not in values:
                if source in self.constants:
                    values[source] = self.constants[source].astype(np.float64).reshape(())
                elif len(values) > most:
                    raise ValueError("too many nodes")
                else:
                    node = self.producers[source]
                    values[source] = evaluate(node, [value(each) for each in node.inputs])
            return values[source]

        return value(name)


def evaluate(node: OnnxNode, arrays) -> np.ndarray:
    """Return what a pointwise node computes; None stands for inputs that are left out.

    Raises
    ------
    TypeError
        When the attributes or the number of inputs do not fit.
    """
    function: Callable = FUNCTIONS[node.op]
    return function(node.attrs, *arrays)


def _node(node, root, found: Found) -> OnnxNode:
    attrs: Mapping = {"operation": found[0], "attributes": found[1]}
    return replace(node, op=RECOGNISED, inputs=(root,), attrs=attrs)

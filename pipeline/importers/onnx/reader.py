"""Turn an ONNX model into a `Graph`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.errors import IncompatibleModelError, ModelError
from pipeline.graph.graph import Graph
from pipeline.importers.keras_model import check_name
from pipeline.importers.onnx.builder import Builder
from pipeline.importers.onnx.call import Call, Value
from pipeline.importers.onnx.constants import TRIED, Constant, same
from pipeline.importers.onnx.expressions import with_activations
from pipeline.importers.onnx.first import input_order, only_input
from pipeline.importers.onnx.folding import Folder, folded
from pipeline.importers.onnx.merging import merged
from pipeline.importers.onnx.model import OnnxModel, OnnxNode, plain_name
from pipeline.importers.onnx.operators import RULES
from pipeline.importers.onnx.tensor import Tensor
from pipeline.messages.notes import INPUT, READ, Note
from pipeline.models.wanted import Wanted
from simulator.malformed import MALFORMED
from simulator.refusal import Refusal

QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
QUANTIZED_MARKS = ("QLinear", "Integer")
WITH_GRAPHS = ("If", "Loop", "Scan")
SHAPES = ("Shape", "Size")
"""Operators whose result is a constant whatever they are given."""


def onnx_graph(model: OnnxModel, wanted: Wanted) -> Graph:
    """Return the graph of a float model; raises as `graph_and_ends`."""
    return graph_and_ends(model, wanted)[0]


def graph_and_ends(model: OnnxModel, wanted: Wanted) -> tuple[Graph, dict[str, Tensor]]:
    """Return the graph of a float model, and where it has the values of each output.

    Returns
    -------
    Graph
    dict of str to Tensor
        By tensor of the file: the outputs, or what `wanted` names.

    Raises
    ------
    IncompatibleModelError
        Listing every node that cannot be represented, and why.
    """
    _check_float(model)
    folder = Folder(model.opset)
    model = with_activations(folded(ending(model, wanted).sorted_and_needed(), folder))
    model = model.sorted_and_needed()
    reader = _Reader(model, folder, wanted)
    for node in model.nodes:
        reader.read(node)
    return reader.graph()


def _check_float(model):
    found = [
        f"{node.name} ({node.op})"
        for node in model.nodes
        if node.op in QUANTIZED or any(mark in node.op for mark in QUANTIZED_MARKS)
    ]
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise ModelError(
            f"{model.label}: is quantized: {', '.join(found[:3])}{more}; give the float model that"
            " it was made from"
        )


def ending(model: OnnxModel, wanted: Wanted) -> OnnxModel:
    """Return the model that ends where it is wanted to."""
    if not wanted.until:
        return model
    return replace(model, outputs=tuple(model.tensor(name) for name in wanted.until))


class _Reader:
    """Reads one node after the other.

    Attributes
    ----------
    values : dict of str to Tensor, Constant or None
        By tensor; None for what a refused node computes.
    """

    def __init__(self, model, folder, wanted):
        self.model, self.folder = model, folder
        self.builder, self.refusals = Builder(), []
        self.uses = model.uses
        entry = only_input(model, wanted.input_shape)
        self.batch = TRIED if entry.shape[0] is None else (entry.shape[0],) * 2
        self.input, self.order = entry, input_order(model, entry)
        self.values: dict[str, Value | None] = {
            name: same(array) for name, array in model.constants.items()
        }
        self.values[entry.name] = self._input()

    def _input(self):
        shape = tuple(self.input.shape[axis] for axis in self.order)
        attrs = {"shape": shape, "dtype": self.input.dtype}
        try:
            name = self.builder.emit(plain_name(self.input.name) or "input", "Input", (), attrs)
        except ModelError as error:
            raise ModelError(f"{self.model.label}: {error}") from error
        tensor = self.builder.tensor(name, self.order)
        return replace(tensor, floats=self.input.dtype == "float32")

    def read(self, node: OnnxNode) -> None:
        """Add what a node computes."""
        values = tuple(self.values[name] if name else None for name in node.inputs)
        refused = any(self.values[name] is None for name in node.inputs if name)
        try:
            value = self._value(node, values, refused)
        except MALFORMED as error:
            self._refuse(node, error)
            value = _substitute(node, values)
        self.values.update(dict.fromkeys(node.outputs))
        self.values[node.outputs[0]] = value

    def _value(self, node, values, refused) -> Value | None:
        if node.op in WITH_GRAPHS:
            raise ModelError("it holds graphs of its own, which are run or left out by values")
        computed = refused or any(isinstance(value, Tensor) for value in values)
        if computed and node.op not in (*RULES, *SHAPES):
            raise ModelError("no operation here computes the same")
        if refused:
            return None
        if node.op in SHAPES or not computed:
            return self._folded(node, values)
        rule = RULES[node.op]
        for key in node.attrs:
            if key not in rule.attributes:
                raise ModelError(
                    f"it has the attribute '{key}', whose meaning is not known; known:"
                    f" {', '.join(rule.attributes) or 'none'}"
                )
        call = Call(
            node=node,
            opset=self.model.opset,
            values=values,
            builder=self.builder,
            batch=self.batch,
            uses=self.uses,
        )
        return rule.read(call)

    def _folded(self, node, values) -> Constant:
        if node.op in SHAPES:
            return self._sizes(node, *values)
        pairs = [(None, None) if v is None else (v.first, v.second) for v in values]
        first = self.folder.fold(node, [a for a, _ in pairs])
        if all(a is b for a, b in pairs):
            return same(first)
        return Constant(first, self.folder.fold(node, [b for _, b in pairs]))

    def _sizes(self, node, value) -> Constant:
        """Return the shape of a tensor, or the number of its values, for both batches."""
        if isinstance(value, Tensor):
            shapes = [np.array((batch, *value.shape), np.int64) for batch in self.batch]
        else:
            shapes = [np.array(array.shape, np.int64) for array in (value.first, value.second)]
        if node.op == "Size":
            return Constant(*(np.array(shape.prod()) for shape in shapes))
        start, end = node.attrs.get("start"), node.attrs.get("end")
        return Constant(*(shape[start:end] for shape in shapes))

    def _refuse(self, node, error):
        # A layer that is made names itself; the node is named here.
        found = getattr(error, "found", str(error))
        if not isinstance(error, ModelError):
            found = f"it is malformed ({type(error).__name__}: {found})"
        where = (f"{node.name} ({node.op})",)
        # The finding is the rule, so that nodes with the same one share a line.
        self.refusals.append(Refusal(layers=where, found=found, rule=found))

    def graph(self) -> tuple[Graph, dict[str, Tensor]]:
        """Return the graph, and its outputs by tensor.

        Raises
        ------
        IncompatibleModelError
            When a node was refused, or weights are not finite.
        """
        for node in self.builder.nodes.values():
            for key, array in node.weights.items():
                if not np.isfinite(array).all():
                    found = f"its {key} holds values that are not finite"
                    self.refusals.append(Refusal(layers=(f"{node.name} ({node.op})",), found=found))
        results = [self.values[name] for name in self.model.outputs]
        if not self.refusals:
            self.refusals += [
                Refusal(found=f"its output {name} does not depend on its input")
                for name, result in zip(self.model.outputs, results, strict=True)
                if not isinstance(result, Tensor)
            ]
        if self.refusals:
            raise IncompatibleModelError(self.model.label, self.refusals, "read the model")
        results = [self._unpacked(result) for result in results]
        ends = dict(zip(self.model.outputs, results, strict=True))
        return self._finished(results), ends

    def _unpacked(self, result):
        if result.packed is None:
            return result
        return self.builder.straight(result, self.builder.nodes[result.node].name)

    def _finished(self, results):
        ends = tuple(dict.fromkeys(result.node for result in results))
        graph = Graph(_graph_name(self.model), tuple(self.builder.nodes.values()), ends[0])
        graph = merged(graph.ended(ends), self.builder.shifts)
        # An end may have become part of the layer before it.
        names = dict(zip(ends, (end.name for end in graph.ends), strict=True))
        return replace(graph, notes=tuple(self._notes(results, names)))

    def _notes(self, results, names):
        name = self.builder.nodes[self.values[self.input.name].node].name
        shape = self.builder.shapes[name]
        if self.order != tuple(range(1, len(self.order) + 1)):
            axes = (0, *self.order)
            text = f"{name}: images are (height, width, channels) {shape}; ONNX' axes {axes}"
            yield Note(kind=INPUT, layers=(name,), text=text)
        moved: dict[tuple, list[str]] = {}
        for result in results:
            if not result.straight:
                moved.setdefault((0, *result.order), []).append(names[result.node])
        for axes, nodes in moved.items():
            many = len(nodes) > 1
            text = f"{', '.join(nodes)}: the output{'s have' if many else ' has'} ONNX' axes {axes}"
            if len(axes) == 4:
                text = text.replace("ONNX'", "(height, width, channels); ONNX'")
                text = text.replace("s have", "s are").replace(" has", " is")
            yield Note(kind=READ, layers=tuple(nodes), text=text)


def _substitute(node, values) -> Tensor | None:
    """Return a tensor as large as the output of a refused node, to judge what follows it."""
    if node.op not in RULES or not RULES[node.op].keeps_shape:
        return None
    tensors = [value for value in values if isinstance(value, Tensor)]
    return max(tensors, key=lambda tensor: int(np.prod(tensor.shape)), default=None)


def _graph_name(model):
    try:
        return check_name(model.name, model.label)
    except ModelError:
        return Path(model.label).stem or "model"

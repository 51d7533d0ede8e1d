"""The importers of Keras files: float, or quantized by QuantizeML or by cnn2snn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipeline.errors import ModelError
from pipeline.graph.graph import Graph
from pipeline.importers.cnn2snn_h5 import is_cnn2snn, legacy_graph
from pipeline.importers.float_recovery import recovered_graph
from pipeline.importers.importer import Importer, Loaded
from pipeline.importers.input_shape import with_given_shape
from pipeline.importers.keras_float import float_graph
from pipeline.importers.keras_h5 import open_keras_h5
from pipeline.importers.keras_model import KerasModel, needed_calls
from pipeline.importers.keras_zip import open_keras_zip
from pipeline.importers.outline import Entry, Outline
from pipeline.importers.quantizeml_h5 import calibrated_graph, is_quantizeml
from pipeline.models.wanted import Wanted

FOR_HOST = ("softmax", "sigmoid", "tanh")
"""Activations that no chip computes."""


class KerasFile(Importer):
    """One of the two containers of Keras models.

    Parameters
    ----------
    signature : bytes
        With which such files begin.
    opener : function of path and architecture to context manager of KerasModel
    """

    def __init__(self, signature: bytes, opener: Callable):
        self.signature, self.opener = signature, opener

    def matches(self, head: bytes, suffix: str) -> bool:
        """Return whether a file begins with the signature."""
        return head.startswith(self.signature)

    def load(self, path: Path, wanted: Wanted) -> Loaded:
        """Return a Graph, or what `calibrated_graph` and `legacy_graph` make of a quantized one."""
        with self.opener(path, wanted.architecture) as model:
            if is_quantizeml(model):
                return _whole(calibrated_graph(model), path, wanted)
            if is_cnn2snn(model):
                return _whole(legacy_graph(model), path, wanted)
            part = _as_wanted(model, wanted)
            return _ended(float_graph(part), model, part, path, wanted)

    def load_float(self, path: Path, wanted: Wanted) -> Graph:
        """Return the float model; see `pipeline.importers.float_recovery.recovered_graph`."""
        with self.opener(path, wanted.architecture) as model:
            part = _as_wanted(model, wanted)
            return _ended(recovered_graph(part), model, part, path, wanted)

    def outline(self, path: Path, wanted: Wanted) -> Outline:
        """Return the layers, by their names in the flattened model."""
        with self.opener(path, wanted.architecture) as model:
            model = _as_wanted(model, wanted)
            entries = (
                Entry(name=layer.name, shown=layer.name, inputs=layer.inputs)
                for layer in model.layers
            )
            return Outline(entries=tuple(entries), inputs=model.inputs, outputs=model.outputs)

    def quantized_by(self, path: Path, wanted: Wanted) -> str | None:
        """Return ``cnn2snn``, ``QuantizeML`` or None."""
        with self.opener(path, wanted.architecture) as model:
            if is_quantizeml(model):
                return "QuantizeML"
            return "cnn2snn" if is_cnn2snn(model) else None


def _as_wanted(model: KerasModel, wanted: Wanted) -> KerasModel:
    """Return a model with the given sizes, without the layers that only follow its new end."""
    if wanted.until and set(wanted.until) <= {layer.name for layer in model.layers}:
        layers = needed_calls(model.layers, wanted.until)
        model = replace(model, layers=layers, outputs=wanted.until)
    return with_given_shape(model, wanted.input_shape)


def _ended(graph, model, part, path, wanted):
    """Return the graph of a part that ends where it is wanted.

    Ends may be nodes that are no layers of the file, such as activations. A layer of the file ends
    before a fused activation that no chip computes: that is for the host, like all that follows.
    """
    if part.outputs == wanted.until:
        ends = [_last_node(graph, end) for end in graph.ends]
        whole = model.outputs == wanted.until or ends == [end.name for end in graph.ends]
        return graph if whole else graph.ended(ends)
    layers = {layer.name for layer in part.layers}
    ends = []
    for name in wanted.until:
        fused = graph.by_name.get(f"{name}_activ") if name in layers else None
        is_fused = fused is not None and fused.inputs == (name,)
        ends.append(_last_node(graph, fused) if is_fused else name)
    return replace(wanted, until=tuple(ends)).ended(graph, path)


def _last_node(graph, end):
    """Return the name of an end, or of the node before it if it is an activation for the host."""
    kind = "softmax" if end.op == "Softmax" else end.attrs.get("activation")
    fused = len(end.inputs) == 1 and end.name == f"{end.inputs[0]}_activ"
    return end.inputs[0] if fused and kind in FOR_HOST else end.name


def _whole(loaded, path, wanted):
    """Return a quantized model, which is not cut."""
    if replace(wanted, architecture=None) != Wanted():
        raise ModelError(
            f"{path}: is quantized; its input shape and its end are part of it, give neither"
        )
    return loaded


KERAS_H5 = KerasFile(b"\x89HDF\r\n\x1a\n", open_keras_h5)
KERAS_ZIP = KerasFile(b"PK\x03\x04", open_keras_zip)

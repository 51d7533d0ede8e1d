"""The importer of ONNX files."""

from __future__ import annotations

from pathlib import Path

from pipeline.graph.graph import Graph
from pipeline.importers.importer import Importer
from pipeline.importers.onnx.model import OnnxModel
from pipeline.importers.outline import Entry, Outline
from pipeline.models.wanted import Wanted


class OnnxFile(Importer):
    """ONNX, which has no signature: a protobuf whose first field is a small version number."""

    def matches(self, head: bytes, suffix: str) -> bool:
        """Return whether a file is called ``.onnx``, or begins with the number of a version."""
        return suffix.lower() == ".onnx" or (head[:1] == b"\x08" and 0 < head[1] < 32)

    def load(self, path: Path, wanted: Wanted) -> Graph:
        """Return the graph of a float model."""
        from pipeline.importers.onnx.file import read_onnx
        from pipeline.importers.onnx.reader import onnx_graph

        return onnx_graph(read_onnx(path), wanted)

    load_float = load

    def outline(self, path: Path, wanted: Wanted) -> Outline:
        """Return the nodes that depend on an input."""
        from pipeline.importers.onnx.file import read_onnx
        from pipeline.importers.onnx.reader import ending

        return outline(ending(read_onnx(path), wanted).sorted_and_needed())


def outline(model: OnnxModel) -> Outline:
    """Return the nodes of a model that depend on its inputs, by their names or tensors."""
    made = {entry.name: entry.name for entry in model.inputs}
    entries = [Entry(name=name, shown=name) for name in made]
    for node in model.nodes:
        inputs = tuple(dict.fromkeys(made[name] for name in node.inputs if name in made))
        if inputs:
            own = model.tensor(node.name) == node.outputs[0] and node.name not in made
            name = node.name if own else node.outputs[0]
            made.update(dict.fromkeys(filter(None, node.outputs), name))
            entries.append(Entry(name=name, shown=node.name, inputs=inputs))
    outputs = tuple(made[name] for name in model.outputs if name in made)
    inputs = tuple(entry.name for entry in model.inputs)
    return Outline(entries=tuple(entries), inputs=inputs, outputs=outputs)


ONNX = OnnxFile()

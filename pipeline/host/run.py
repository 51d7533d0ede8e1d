"""Run the host's part of a model on the outputs of a chip's program."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from pipeline.errors import DataError, ModelError
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.models.file import is_onnx, read_float
from simulator.malformed import brief


class HostPart(Protocol):
    """A model that runs after a program.

    Attributes
    ----------
    outputs : tuple of str
        Names of its outputs.
    """

    outputs: tuple[str, ...]

    def run(self, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return all outputs for the float32 outputs of a program, each with a batch axis."""


def load_host(path) -> HostPart:
    """Return the model in a file that ``crossgrade migrate`` wrote for the host, or a like one.

    ONNX files run in onnxruntime where it is installed, else in `onnx.reference`, which is slower;
    all others in NumPy. No code from the file is run.

    Raises
    ------
    ModelError
        When the file is missing, damaged, or has layers that are not known.
    """
    path = Path(path)
    if path.is_file() and is_onnx(path):
        return OnnxPart(path)
    return GraphPart(read_float(path), str(path))


class GraphPart:
    """A graph of float layers, computed in NumPy.

    Parameters
    ----------
    graph : Graph
    label : str
        Name of its file, for messages.
    """

    def __init__(self, graph: Graph, label: str):
        self.graph, self.label = graph, label
        self.outputs = tuple(node.name for node in graph.ends)

    def run(self, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs; several parts are its input one after the other."""
        shape = self.graph.shapes[self.graph.input.name]
        given = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
        _check_size(self.label, given.shape[1], math.prod(shape))
        found = forward(self.graph, given.reshape(-1, *shape))
        if len(self.outputs) == 1:
            return [found]
        shapes = [self.graph.shapes[name] for name in self.outputs]
        ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
        split = np.split(found, ends, axis=1)
        return [values.reshape(-1, *shape) for values, shape in zip(split, shapes, strict=True)]


class OnnxPart:
    """An ONNX model.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path):
        from pipeline.importers.onnx.file import read_with_message

        model, message = read_with_message(path)
        self.label, self.inputs = str(path), model.inputs
        self.outputs = model.outputs
        self._compute = _evaluator(message.SerializeToString(), self.label)

    def run(self, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs; the parts are its inputs, in order."""
        if len(parts) != len(self.inputs):
            names = ", ".join(entry.name for entry in self.inputs)
            raise DataError(
                f"{self.label}: takes {len(self.inputs)} inputs ({names}); the program has"
                f" {len(parts)} outputs"
            )
        feeds = {}
        for entry, part in zip(self.inputs, parts, strict=True):
            sizes = [size for size in entry.shape[1:] if size is not None]
            if len(sizes) == len(entry.shape) - 1:
                _check_size(f"{self.label}: {entry.name}", math.prod(part.shape[1:]), sizes)
                part = part.reshape(len(part), *sizes)
            feeds[entry.name] = part
        return self._batches(feeds, len(parts[0]))

    def _batches(self, feeds, count) -> list[np.ndarray]:
        """Return the outputs, batch by batch where the file has a fixed number of images."""
        size = self.inputs[0].shape[0]
        if size in (None, count):
            return list(map(np.asarray, self._compute(feeds)))
        made = []
        for start in range(0, count, size):
            batch = {
                name: _filled(part[start : start + size], size) for name, part in feeds.items()
            }
            made.append(list(map(np.asarray, self._compute(batch))))
        for name, values in zip(self.outputs, zip(*made, strict=True), strict=True):
            if any(value.shape[:1] != (size,) for value in values):
                raise DataError(
                    f"{self.label}: {name} has no axis of images, and the file takes {size} at a"
                    f" time; found {count} images, give {size}"
                )
        return [np.concatenate(values)[:count] for values in zip(*made, strict=True)]


def _filled(part, size):
    """Return a batch in which the last image is repeated up to a number of images."""
    missing = size - len(part)
    return np.concatenate([part, part[-1:].repeat(missing, 0)]) if missing else part


def _check_size(label, found: int, wanted) -> None:
    wanted = math.prod(wanted) if isinstance(wanted, list) else wanted
    if found != wanted:
        raise DataError(
            f"{label}: takes {wanted} values for each image, and the program gives {found}; give"
            " the part that was cut off the same model"
        )


def _evaluator(content: bytes, label):
    """Return the function of inputs by name to all outputs of an ONNX model."""
    try:
        import onnxruntime
    except ImportError:
        return _reference(content, label)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    # Its exceptions have no common class of their own.
    except Exception as error:
        raise ModelError(f"{label}: onnxruntime does not take it: {brief(error)}") from error
    return lambda feeds: _guarded(lambda: session.run(None, feeds), label)


def _reference(content: bytes, label):
    import onnx
    import onnx.reference

    try:
        session = onnx.reference.ReferenceEvaluator(onnx.load_from_string(content))
    except Exception as error:
        raise ModelError(f"{label}: onnx.reference does not take it: {brief(error)}") from error
    return lambda feeds: _guarded(lambda: session.run(None, feeds), label)


def _guarded(compute, label):
    try:
        # The reference's sigmoid overflows where that has no effect.
        with np.errstate(all="ignore"):
            return compute()
    except Exception as error:
        raise ModelError(f"{label}: cannot be computed: {brief(error)}") from error

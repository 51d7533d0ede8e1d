"""A Keras model file as plain data: one entry per call of a layer, nested models flattened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.errors import LayerError, ModelError, UnknownLayerError
from pipeline.formats.remarks import Remarks
from pipeline.importers.keras_calls import Call
from pipeline.importers.unread_layers import ADVICE
from simulator.malformed import brief
from simulator.refusal import Refusal


@dataclass(frozen=True, eq=False, kw_only=True)
class KerasLayer:
    """One call of one layer.

    Attributes
    ----------
    name : str
        Unique in the flattened model.
    class_name : str
        As `pipeline.importers.keras_classes.class_name` returns it.
    config : mapping
        The layer's configuration as stored.
    inputs : tuple of str
        Names of the producing calls, one for each of ``call.tensors``.
    path : tuple of (str, str)
        (name, key) of each enclosing model and of the layer itself; the key is the name that the
        ``.keras`` format gives to its variables.
    call : Call
        Its arguments.
    """

    name: str
    class_name: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...]
    path: tuple[tuple[str, str], ...]
    call: Call = field(default_factory=Call)


@dataclass(frozen=True, eq=False, kw_only=True)
class Flattened:
    """The calls of a model configuration.

    Attributes
    ----------
    name : str
        Of the model.
    layers : tuple of KerasLayer
        Those that contribute to an output, in topological order.
    outputs : tuple of str
        Names of the calls that compute the outputs.
    calls : tuple of KerasLayer
        All calls, including those that do not contribute to an output.
    """

    name: str
    layers: tuple[KerasLayer, ...]
    outputs: tuple[str, ...]
    calls: tuple[KerasLayer, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class KerasModel:
    """A model file, read but not interpreted.

    Attributes
    ----------
    name, label : str
        Name of the model; name of its file, for messages.
    layers : tuple of KerasLayer
        Topological order.
    outputs : tuple of str
        Names of the calls whose values are the outputs.
    weights : function of KerasLayer to dict of str to float32 array
        Variables by their short names (``kernel``, ``range_max``...).
    remarks : Remarks
        What crossgrade added to the file when it wrote it.
    """

    name: str
    label: str
    layers: tuple[KerasLayer, ...]
    outputs: tuple[str, ...]
    weights: Callable[[KerasLayer], dict[str, np.ndarray]]
    remarks: Remarks = field(default_factory=Remarks)

    @property
    def output(self) -> str:
        """Name of the call whose value is the only output.

        Raises
        ------
        ModelError
            When there are several outputs.
        """
        if len(self.outputs) > 1:
            raise ModelError(
                f"{self.label}: found {len(self.outputs)} outputs ({', '.join(self.outputs)});"
                " quantized models with one can be read"
            )
        return self.outputs[0]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs of the layers in `layers`."""
        return tuple(layer.name for layer in self.layers if layer.class_name == "InputLayer")


def needed_calls(calls: tuple[KerasLayer, ...], outputs: Iterable[str]) -> tuple[KerasLayer, ...]:
    """Return the calls that contribute to some outputs."""
    by_name = {layer.name: layer for layer in calls}
    needed, queue = set(), list(outputs)
    while queue:
        call = queue.pop()
        if call not in needed:
            needed.add(call)
            queue.extend(by_name[call].inputs)
    return tuple(layer for layer in calls if layer.name in needed)


def check_name(name: Any, label: str) -> str:
    """Return `name`; raise if it could be a path or would garble a terminal."""
    good = isinstance(name, str) and name.isprintable() and "\\" not in name
    if not good or not all(part and part != ".." for part in name.split("/")):
        raise ModelError(
            f"{label}: {name!r} is no name; allowed: printable text, without empty parts or '..'"
            " around '/'"
        )
    return name


def refusal(layer: KerasLayer, error: Exception) -> Refusal:
    """Return why a layer was refused; unknown types share one list of the known ones."""
    if isinstance(error, UnknownLayerError) and error.kind in ADVICE:
        found = f"{error.kind} has no counterpart: {ADVICE[error.kind]}"
        return Refusal(layers=(layer.name,), found=found, rule="layer_type")
    if isinstance(error, UnknownLayerError):
        return Refusal(
            layers=(layer.name,),
            found=f"layer type '{error.kind}' is not known",
            allowed=error.known,
            rule="layer_type",
        )
    if isinstance(error, LayerError) and error.layer == layer.name:
        found = error.found
    elif isinstance(error, ModelError):
        found = str(error)
    else:
        kind = type(error).__name__
        found = f"{layer.class_name} has a malformed configuration ({kind}: {brief(error)})"
    return Refusal(layers=(layer.name,), found=found)

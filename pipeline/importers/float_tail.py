"""Layers left in float after the last quantized layer, which the host can compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.errors import LayerError
from pipeline.graph.traits import KEEPS_VALUES
from pipeline.importers.activation_table import activation
from pipeline.importers.keras_model import KerasLayer
from pipeline.importers.layer_table import ALIASES, READ_AS
from pipeline.messages.notes import LEFT_TO_HOST, Note

MOVING = (*KEEPS_VALUES, "Permute")
"""Operations that only move values (in inference)."""
NORMALIZING = ("softmax", "sigmoid", "tanh", "linear")
"""Monotonic activations, which keep the order of the outputs."""

TailLayer = tuple[str, str, Mapping]
"""Name, operation and attributes."""


def tail_layer(layer: KerasLayer) -> TailLayer:
    """Return a float layer after the last quantized layer of a model.

    Raises
    ------
    ModelError
        If the layer cannot be left to the host.
    """
    kind = ALIASES.get(layer.class_name, layer.class_name)
    if kind == "Activation":
        op, attrs = activation(layer.config["activation"])
    elif kind in READ_AS and READ_AS[kind].name in (*MOVING, "Softmax"):
        op, attrs = READ_AS[kind].name, READ_AS[kind].read_keras(kind, layer.config)
    else:
        op, attrs = kind, {}
    if op not in MOVING and attrs.get("activation", op.lower()) not in NORMALIZING:
        found = layer.config["activation"] if kind == "Activation" else kind
        raise LayerError(
            layer.name,
            f"{found} was left in float by the quantizer; after the last quantized"
            f" layer only {', '.join(MOVING)} and the activations {', '.join(NORMALIZING)} may"
            " be: replace the layer and quantize again",
        )
    return layer.name, op, attrs


def tail_notes(tail: Sequence[TailLayer]) -> list[Note]:
    """Return a one-line note on what the host must compute; empty if the layers have no effect."""
    steps = [_step(*layer) for layer in tail if not _has_no_effect(layer)]
    if not steps:
        return []
    names = tuple(name for name, *_ in tail)
    text = (
        f"{', '.join(names)}: the last float layers are not part of the quantized model; on the"
        f" host, apply {', then '.join(steps)} to the outputs"
    )
    return [Note(kind=LEFT_TO_HOST, layers=names, text=text)]


def _has_no_effect(layer):
    _, op, attrs = layer
    return op == "Dropout" or attrs.get("activation") == "linear"


def _step(name, op, attrs):
    if op == "Reshape":
        return f"Reshape to {tuple(attrs['target_shape'])}"
    if op == "Permute":
        return f"Permute {tuple(attrs['dims'])}"
    return attrs.get("activation", "softmax" if op == "Softmax" else op)

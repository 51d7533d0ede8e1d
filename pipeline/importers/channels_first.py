"""Layers on maps whose channels come first, as layers between two Permutes."""

from __future__ import annotations

from dataclasses import replace

from pipeline.graph.build import make_node
from pipeline.graph.node import Node
from pipeline.importers.keras_model import KerasLayer

TO_LAST, TO_FIRST = (2, 3, 1), (3, 1, 2)
FIRST = "channels_first"
"""Keras' name of this order: (channels, height, width)."""


def is_channels_first(layer: KerasLayer) -> bool:
    """Return whether a layer reads maps with channels first, or is a batch norm over axis 1.

    A batch norm over the first of two or more axes is one of such maps.
    """
    if layer.class_name.startswith("BatchNormalization"):
        return _axis(layer) == 1
    known = layer.class_name.endswith(("2D", "Flatten"))
    return known and layer.config.get("data_format") == FIRST


def _axis(layer: KerasLayer):
    axis = layer.config.get("axis", -1)
    return axis[0] if isinstance(axis, list) and len(axis) == 1 else axis


def with_channels_last(layer: KerasLayer) -> KerasLayer:
    """Return the same layer on a map whose channels come last."""
    key = "axis" if "axis" in layer.config else "data_format"
    values = {"axis": -1, "data_format": "channels_last"}
    return replace(layer, config={**layer.config, key: values[key]})


def permute(name: str, source: str, dims: tuple[int, ...]) -> Node:
    """Return a Permute."""
    return make_node(name, "Permute", [source], {"dims": dims})

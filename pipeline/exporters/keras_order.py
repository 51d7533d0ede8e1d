"""The order in which Keras keeps the layers of a functional model."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.exporters.layers import Layer


def in_keras_order(layers: Sequence[Layer], outputs: Sequence[str]) -> list[Layer]:
    """Return layers as Keras 2 and 3 number them when they build a model again.

    Both pair weights with layers by their places, not by names: those furthest from the outputs
    come first, and of the same distance those that a walk back from the outputs meets first.

    Parameters
    ----------
    layers : sequence of Layer
        In topological order; all contribute to an output.
    outputs : sequence of str
        Names of those that compute the outputs.
    """
    by_name = {layer.name: layer for layer in layers}
    depths = dict.fromkeys(by_name, 0)
    for layer in reversed(layers):
        for source in layer.inputs:
            depths[source] = max(depths[source], depths[layer.name] + 1)
    met: dict[str, int] = {}
    pending = [*reversed(outputs)]
    while pending:
        name = pending.pop()
        if name not in met:
            met[name] = len(met)
            pending += reversed(by_name[name].inputs)
    return sorted(layers, key=lambda layer: (-depths[layer.name], met.get(layer.name, 0)))

"""Assign variables to layers where one group of a file holds those of several layers."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.importers.hdf5 import DamagedFileError
from pipeline.importers.keras_model import KerasLayer

Path = tuple[tuple[str, str], ...]


def owners(
    calls: Iterable[KerasLayer], stored: Iterable[str], label: str
) -> dict[Path, dict[str, str]]:
    """Return the variables of every layer of one group.

    Keras stores the variables of a nested model in one group, under names that end in the name of a
    layer and of a variable (``bn/gamma:0``). If one layer's name ends in another's (``fc/bn`` and
    ``bn``), the longer one matches. For layers of the same name, in nested models, the order in
    which Keras stores variables decides.

    Parameters
    ----------
    calls : KerasLayers
        Calls of the group's layers.
    stored : str
        Names of variables in the group, in its order.
    label : str
        Name of the file for messages.

    Returns
    -------
    dict of path to dict of str to str
        For each layer, the stored names by variable name.

    Raises
    ------
    DamagedFileError
        If a layer would have two variables of the same name.
    """
    layers = list({call.path: call for call in calls}.values())
    alone = len(layers) == 1 and len(layers[0].path) == 1
    result: dict[Path, dict[str, str]] = {layer.path: {} for layer in layers}
    for full in stored:
        stem, _, leaf = re.sub(r":\d+$", "", full).rpartition("/")
        stem = stem.removesuffix("/output_quantizer")
        # TensorFlow 1 numbered the variables of a model that was built twice (``kernel_1``).
        leaf = re.sub(r"_\d+$", "", leaf)
        owning = layers if alone else _candidates(layers, stem)
        free = [layer for layer in _in_order(owning, leaf) if leaf not in result[layer.path]]
        if owning and not free:
            name = owning[0].path[-1][0]
            raise DamagedFileError(f"{label}: layer '{name}' has two variables '{leaf}'")
        if free:
            result[free[0].path][leaf] = full
    return result


def _candidates(layers, stem):
    """Return the layers whose name is the longest suffix of `stem`, best path first."""
    ends: dict[int, list[KerasLayer]] = {}
    for layer in layers:
        lengths = [len(name) for name in _names(layer) if f"/{stem}".endswith(f"/{name}")]
        if lengths:
            ends.setdefault(max(lengths), []).append(layer)
    return ends[max(ends)] if ends else []


def _names(layer):
    """Return the possible prefixes of a layer's variables, with more or less of its path."""
    own = {layer.path[-1][0], str(layer.config.get("name", layer.path[-1][0]))}
    outer = [name for name, _ in layer.path[:-1]]
    return {"/".join([*outer[start:], name]) for name in own for start in range(len(outer) + 1)}


def _in_order(layers, leaf):
    """Return layers in the order in which Keras stores them: trainable, then frozen ones."""
    if leaf.startswith("moving_"):
        return layers
    return sorted(layers, key=lambda layer: layer.config.get("trainable", True) is False)

"""A Keras model file as plain data: its layers, one entry a call, nested models flattened."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import ModelError

MODELS = ("Functional", "Model", "Sequential")
MOST_LAYERS, MOST_NESTING = 4096, 16
# What a configuration of the wrong structure raises where it is read; ModelError is a ValueError.
MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError)


@dataclass(frozen=True, eq=False, kw_only=True)
class KerasLayer:
    """One call of one layer.

    Attributes
    ----------
    name : str
        Unique in the flattened model.
    class_name : str
        Keras class, without its registration prefix (``Custom>``).
    config : mapping
        The layer's configuration as stored.
    inputs : tuple of str
        Names of the producing calls.
    path : tuple of (str, str)
        (name, key) of each enclosing model and of the layer itself; the key is the name that the
        ``.keras`` format gives to its variables.
    """

    name: str
    class_name: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...]
    path: tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class KerasModel:
    """A model file, read but not interpreted.

    Attributes
    ----------
    name, label : str
        Name of the model; name of its file, for messages.
    layers : tuple of KerasLayer
        Topological order.
    output : str
        Name of the call whose value is the output.
    weights : function of KerasLayer to dict of str to float32 array
        Variables by their short names (``kernel``, ``range_max``...).
    """

    name: str
    label: str
    layers: tuple[KerasLayer, ...]
    output: str
    weights: Callable[[KerasLayer], dict[str, np.ndarray]]


def check_name(name: Any, label: str) -> str:
    """Return a name, unless it could be taken for a path or would garble a terminal."""
    good = isinstance(name, str) and name.isprintable() and "\\" not in name
    if not good or not all(part and part != ".." for part in name.split("/")):
        raise ModelError(
            f"{label}: {name!r} is no name; allowed: printable text, without empty parts or '..'"
            " around '/'"
        )
    return name


def explain(layer: KerasLayer, error: Exception) -> str:
    """Return why a layer was refused: one line that starts with its name."""
    text = str(error)
    if not isinstance(error, ModelError):
        text = f"{layer.class_name} has a malformed configuration ({type(error).__name__}: {text})"
    return text if text.startswith(f"{layer.name}:") else f"{layer.name}: {text}"


def flatten_config(config: Mapping, label: str) -> tuple[str, tuple[KerasLayer, ...], str]:
    """Return (name, layers, output) of a Keras 2 or 3 model configuration.

    Layers that are called several times appear once per call; calls that do not contribute to
    the output are left out.

    Raises
    ------
    ModelError
        For anything but a Functional or Sequential model with one input and one output.
    """
    try:
        flattened = _Flattener(label)
        output = flattened.model(config, (), None)
        name = check_name(config["config"]["name"], label)
    except MALFORMED as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            f"{label}: its model configuration is malformed ({type(error).__name__}: {error})"
        ) from error
    calls = {layer.name: layer for layer in flattened.layers}
    needed, queue = set(), [output]
    while queue:
        call = queue.pop()
        if call not in needed:
            needed.add(call)
            queue.extend(calls[call].inputs)
    return name, tuple(layer for layer in flattened.layers if layer.name in needed), output


class _Flattener:
    """Walks model configurations and collects calls in topological order."""

    def __init__(self, label):
        self.label = label
        self.layers: list[KerasLayer] = []
        self.names: set[str] = set()

    def model(self, config, path, feed):
        """Add the calls of a model fed by `feed` (None for the outermost); return its output."""
        kind = config["class_name"].rsplit(">", 1)[-1]
        if kind not in MODELS:
            raise ModelError(
                f"{self.label}: the model is a {kind}; only Functional and Sequential models can"
                " be read, since others are Python code"
            )
        if len(path) > MOST_NESTING:
            raise ModelError(f"{self.label}: models are nested more than {MOST_NESTING} deep")
        inner = config["config"]
        layers = inner["layers"] if isinstance(inner, Mapping) else inner
        if len(layers) > MOST_LAYERS:
            raise ModelError(f"{self.label}: the model has more than {MOST_LAYERS} layers")
        keys = variable_keys(layers)
        if kind == "Sequential":
            return self._sequential(inner, layers, keys, path, feed)
        return self._functional(inner, layers, keys, path, feed)

    def _sequential(self, inner, layers, keys, path, feed):
        previous = feed
        if feed is None and layers and _class_name(layers[0]) != "InputLayer":
            # Keras 2 may keep the shape in the first layer, Keras 3 beside the layers.
            first = layers[0]["config"]
            shape = first.get("batch_input_shape") or inner.get("build_input_shape")
            if _class_name(layers[0]) in MODELS:
                shape, dtype = None, None
            else:
                dtype = first.get("dtype", "float32")
            if shape is not None:
                given = {"batch_input_shape": shape, "dtype": dtype, "name": "input"}
                previous = self._add("input", "InputLayer", given, (), path, "input")
        for layer, key in zip(layers, keys, strict=True):
            name = layer["config"]["name"]
            if _class_name(layer) == "InputLayer" and previous is not None:
                continue
            previous = self._call(layer, name, key, path, [previous] if previous else [])
        if previous is None:
            raise ModelError(f"{self.label}: the model has no layers")
        return previous

    def _functional(self, inner, layers, keys, path, feed):
        inputs, outputs = _endpoints(inner["input_layers"]), _endpoints(inner["output_layers"])
        for what, found in (("inputs", inputs), ("outputs", outputs)):
            if len(found) != 1:
                names = ", ".join(name for name, _ in found)
                raise ModelError(
                    f"{self.label}: found {len(found)} {what} ({names}); models with exactly one"
                    " can be read; cut the model with a Keras Model(input, output)"
                )
        values: dict[tuple[str, int], str] = {}
        calls = [node for layer in layers for node in layer.get("inbound_nodes") or ()]
        if any(isinstance(node, Mapping) for node in calls):
            outputs = [_keras3_output(layers, *outputs[0])]
        read = {outputs[0], *(source for call in calls for source in _sources(call))}
        waiting = []
        for layer, key in zip(layers, keys, strict=True):
            name = layer.get("name") or layer["config"]["name"]
            if _class_name(layer) == "InputLayer":
                if (name, 0) == inputs[0]:
                    values[name, 0] = feed or self._call(layer, name, key, path, [])
                continue
            first = _first_call(layer, name, read)
            for number, node in enumerate(layer["inbound_nodes"], first):
                waiting.append((layer, name, key, number, list(_sources(node))))
        while waiting:
            later = []
            for layer, name, key, number, sources in waiting:
                if all(source in values for source in sources):
                    feeds = [values[source] for source in sources]
                    values[name, number] = self._call(layer, name, key, path, feeds)
                else:
                    later.append((layer, name, key, number, sources))
            if len(later) == len(waiting):
                stuck = ", ".join(sorted({call[1] for call in waiting})[:5])
                raise ModelError(
                    f"{self.label}: layers wait for each other or for a missing layer ({stuck});"
                    " the file is damaged"
                )
            waiting = later
        return values[outputs[0]]

    def _call(self, layer, name, key, path, feeds):
        kind = _class_name(layer)
        if kind in MODELS:
            if len(feeds) > 1:
                raise ModelError(f"{self.label}: the nested model '{name}' has several inputs")
            return self.model(layer, (*path, (name, key)), feeds[0] if feeds else None)
        return self._add(name, kind, layer["config"], tuple(feeds), path, key)

    def _add(self, name, kind, config, feeds, path, key):
        if len(self.layers) >= MOST_LAYERS:
            raise ModelError(f"{self.label}: the model has more than {MOST_LAYERS} layers")
        base = unique = "/".join([*(outer for outer, _ in path), check_name(name, self.label)])
        number = 1
        while unique in self.names:
            unique, number = f"{base}_{number}", number + 1
        self.names.add(unique)
        full = (*path, (name, key))
        self.layers.append(
            KerasLayer(name=unique, class_name=kind, config=config, inputs=feeds, path=full)
        )
        return unique


def _class_name(layer):
    return str(layer["class_name"]).rsplit(">", 1)[-1]


def _endpoints(entries):
    """Return [(layer name, call number)] of Keras' input_layers or output_layers."""
    if entries and isinstance(entries[0], str):
        entries = [entries]
    if isinstance(entries, Mapping):
        entries = list(entries.values())
    return [(str(entry[0]), int(entry[1])) for entry in entries]


def _sources(node) -> Iterator[tuple[str, int]]:
    """Yield (layer name, call number) of every tensor that one call reads."""
    if isinstance(node, Mapping):
        if node.get("class_name") == "__keras_tensor__":
            name, number, _ = node["config"]["keras_history"]
            yield str(name), int(number)
            return
        yield from _sources(list(node.values()))
    elif isinstance(node, list):
        if len(node) in (3, 4) and isinstance(node[0], str) and isinstance(node[1], int):
            yield str(node[0]), int(node[1])
            yield from _sources(list(node[3].values()) if len(node) == 4 and node[3] else [])
            return
        for item in node:
            yield from _sources(item)


def _keras3_output(layers, name, number) -> tuple[str, int]:
    """Return the output's call, numbered as calls are.

    Keras 3 counts the making of a nested functional model in ``output_layers`` alone.
    """
    kinds = {layer.get("name") or layer["config"]["name"]: _class_name(layer) for layer in layers}
    return name, number - (kinds.get(name) in ("Functional", "Model") and number > 0)


def _first_call(layer, name, read) -> int:
    """Return the number of a layer's first call.

    Keras 2 counts the making of a nested model as its call 0; `read` says who reads which calls.
    """
    if _class_name(layer) not in MODELS:
        return 0
    return int((name, 0) not in read and (name, len(layer["inbound_nodes"])) in read)


def variable_keys(layers):
    """Return the names that ``.keras`` files give to layers: class names, numbered."""
    keys, used = [], {}
    for layer in layers:
        key = _snake_case(_class_name(layer))
        number = used.get(key, 0)
        used[key] = number + 1
        keys.append(f"{key}_{number}" if number else key)
    return keys


def _snake_case(name):
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()

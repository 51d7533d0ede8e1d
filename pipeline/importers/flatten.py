"""Flatten a model configuration of Keras 2 or 3 to the calls of its layers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pipeline.errors import ModelError
from pipeline.importers.keras_calls import Call, Tensor, check_inference, read_call
from pipeline.importers.keras_classes import KERAS_MODELS, bare_class_name, class_name
from pipeline.importers.keras_model import Flattened, KerasLayer, check_name, needed_calls
from pipeline.importers.tensor_functions import NAMES
from simulator.malformed import MALFORMED, brief

MOST_LAYERS, MOST_NESTING = 4096, 16
MODEL_KEYS = frozenset(
    {"name", "trainable", "layers", "input_layers", "output_layers", "dtype", "build_input_shape"}
)
WRAPPERS = ("PruneLowMagnitude",)
"""Wrappers, which call the layer that they hold."""
SAME_AT_EACH_STEP = (
    *("Dense", "Activation", "ReLU", "LeakyReLU", "Softmax", "BatchNormalization", "Rescaling"),
    *("Dropout", "GaussianNoise", "GaussianDropout", "Identity"),
)
"""Layers that compute each position alike, so that TimeDistributed changes nothing."""


def flatten_config(config: Mapping, label: str) -> Flattened:
    """Return the layers of a Keras 2 or 3 model configuration.

    A layer that is called several times appears once per call.

    Raises
    ------
    ModelError
        If it is not a Functional or Sequential model, or one inside has several inputs or outputs.
    """
    try:
        flattener = _Flattener(label)
        outputs = flattener.model(config, (), None)
        inner = config["config"]
        # Before Keras 2.2.3 a Sequential was a bare list of layers.
        name = inner["name"] if isinstance(inner, Mapping) else "sequential"
        name = check_name(name, label)
    except MALFORMED as error:
        if isinstance(error, ModelError):
            raise
        reason = f"{type(error).__name__}: {brief(error)}"
        raise ModelError(f"{label}: its model configuration is malformed ({reason})") from error
    calls = tuple(flattener.layers)
    return Flattened(name=name, layers=needed_calls(calls, outputs), outputs=outputs, calls=calls)


class _Flattener:
    """Traverses model configurations and collects calls in topological order."""

    def __init__(self, label):
        self.label = label
        self.layers: list[KerasLayer] = []
        self.names: set[str] = set()

    def model(self, config, path, feed):
        """Add the calls of a model fed by `feed` (None for the outermost); return its outputs."""
        kind = class_name(config)
        if kind not in KERAS_MODELS:
            raise ModelError(
                f"{self.label}: the model is a {kind}; only Functional and Sequential models can"
                " be read, since others are Python code"
            )
        if len(path) > MOST_NESTING:
            raise ModelError(f"{self.label}: models are nested more than {MOST_NESTING} deep")
        inner = config["config"]
        if not isinstance(inner, Mapping):
            inner = {"layers": inner}
        self._check_keys(inner)
        layers = inner["layers"]
        if len(layers) > MOST_LAYERS:
            raise ModelError(f"{self.label}: the model has more than {MOST_LAYERS} layers")
        self._check_names(map(layer_name, layers))
        keys = variable_keys(layers)
        if kind == "Sequential":
            return self._sequential(inner, layers, keys, path, feed)
        return self._functional(inner, layers, keys, path, feed)

    def _check_keys(self, inner):
        if unknown := sorted(set(inner) - MODEL_KEYS):
            raise ModelError(
                f"{self.label}: the model has the option '{unknown[0]}', whose meaning is not"
                f" known; known: {', '.join(sorted(MODEL_KEYS))}"
            )

    def _check_names(self, names):
        for name, count in Counter(check_name(name, self.label) for name in names).items():
            if count > 1:
                raise ModelError(
                    f"{self.label}: two layers of one model are named '{name}', so that their"
                    " weights cannot be told apart; the file is damaged: save the model again"
                )

    def _sequential(self, inner, layers, keys, path, feed):
        previous = feed
        if feed is None and layers and class_name(layers[0]) not in ("InputLayer", *KERAS_MODELS):
            given = _first_input(inner, layers[0]["config"])
            previous = self._add("input", "InputLayer", given, (), path, "input", Call())
        for layer, key in zip(layers, keys, strict=True):
            if _is(layer, "InputLayer") and previous is not None:
                continue
            call = Call((Tensor(str(previous), 0),)) if previous else Call()
            previous = self._call(layer, key, path, [previous] if previous else [], call)
        if previous is None:
            raise ModelError(f"{self.label}: the model has no layers")
        return (previous,)

    def _functional(self, inner, layers, keys, path, feed):
        inputs, outputs = _endpoints(inner["input_layers"]), _endpoints(inner["output_layers"])
        for what, found in (("inputs", inputs), ("outputs", outputs)):
            if not found or (path and len(found) != 1):
                where = "/".join(name for name, _ in path) or "the model"
                text = f"{self.label}: {where}: found {len(found)} {what}; allowed: one of a model"
                raise ModelError(f"{text} inside another; put its layers into the outer model")
        names = frozenset(map(layer_name, layers))
        calls = [
            [read_call(node, names) for node in layer.get("inbound_nodes") or ()]
            for layer in layers
        ]
        flat = [call for own in calls for call in own]
        if any(call.generation == 3 for call in flat):
            outputs = [_keras3_output(layers, *output) for output in outputs]
        read = {*outputs, *((t.layer, t.call) for call in flat for t in call.tensors)}
        values: dict[tuple[str, int], str] = {}
        waiting = []
        for layer, key, own in zip(layers, keys, calls, strict=True):
            name = layer_name(layer)
            if _is(layer, "InputLayer"):
                if (name, 0) in inputs:
                    values[name, 0] = feed or self._call(layer, key, path, [], Call())
                continue
            for number, call in enumerate(own, _first_call(layer, name, read)):
                waiting.append((layer, key, number, call))
        self._run(waiting, values, path)
        return tuple(dict.fromkeys(values[output] for output in outputs))

    def _run(self, waiting, values, path):
        """Add each call as soon as its inputs are available."""
        while waiting:
            later = []
            for layer, key, number, call in waiting:
                sources = [(tensor.layer, tensor.call) for tensor in call.tensors]
                if all(source in values for source in sources):
                    feeds = [values[source] for source in sources]
                    values[layer_name(layer), number] = self._call(layer, key, path, feeds, call)
                else:
                    later.append((layer, key, number, call))
            if len(later) == len(waiting):
                stuck = ", ".join(sorted({layer_name(layer) for layer, *_ in waiting})[:5])
                raise ModelError(
                    f"{self.label}: layers wait for each other or for a missing layer ({stuck});"
                    " the file is damaged"
                )
            waiting = later

    def _call(self, layer, key, path, feeds, call):
        kind, name = class_name(layer), layer_name(layer)
        if kind in KERAS_MODELS:
            if len(feeds) > 1:
                raise ModelError(f"{self.label}: the nested model '{name}' has several inputs")
            try:
                check_inference(call)
            except ModelError as error:
                raise ModelError(f"{self.label}: the nested model '{name}': {error}") from error
            return self.model(layer, (*path, (name, key)), feeds[0] if feeds else None)[0]
        config = layer["config"]
        if kind in WRAPPERS or _is_pointwise_in_time(kind, config):
            kind, config, key = (
                class_name(config["layer"]),
                config["layer"]["config"],
                f"{key}/layer",
            )
        if _is_function(layer, call):
            kind = f"ops.{kind}"
        return self._add(name, kind, config, tuple(feeds), path, key, call)

    def _add(self, name, kind, config, feeds, path, key, call):
        if len(self.layers) >= MOST_LAYERS:
            raise ModelError(f"{self.label}: the model has more than {MOST_LAYERS} layers")
        base = unique = "/".join([*(outer for outer, _ in path), check_name(name, self.label)])
        number = 1
        while unique in self.names:
            unique, number = f"{base}_{number}", number + 1
        self.names.add(unique)
        if not isinstance(config, Mapping):
            raise ModelError(f"{self.label}: the configuration of '{unique}' is {config!r}")
        full = (*path, (name, key))
        self.layers.append(
            KerasLayer(
                name=unique, class_name=kind, config=config, inputs=feeds, path=full, call=call
            )
        )
        return unique


def _is_pointwise_in_time(kind, config) -> bool:
    return kind == "TimeDistributed" and class_name(config["layer"]) in SAME_AT_EACH_STEP


def layer_name(layer: Mapping[str, Any]) -> str:
    """Return the name of an entry of a model's layers."""
    config = layer["config"]
    if "name" not in layer and not isinstance(config, Mapping):
        raise ModelError(
            "a Sequential model inside another has no name in this old file; load it with the Keras"
            " that wrote it, and save its layers as one Sequential"
        )
    return layer.get("name") or config["name"]


def _is(layer, kind):
    return class_name(layer) == kind


def _is_function(layer, call):
    """Return True if an entry of a Keras 3 ``.h5``, which names no modules, is a function.

    Configurations of layers have the key ``trainable``, those of functions do not.
    """
    named = layer.get("module") is None and f"ops.{layer['class_name']}" in NAMES
    return named and call.generation == 3 and "trainable" not in layer["config"]


def _first_input(inner, first):
    """Return the input's configuration of a Sequential without an input layer.

    Keras 2 may store its shape in the first layer, Keras 3 stores it beside the layers, old files
    do not store it.
    """
    held = first["layer"]["config"] if isinstance(first.get("layer"), Mapping) else {}
    shape = (
        first.get("batch_input_shape")
        or held.get("batch_input_shape")
        or inner.get("build_input_shape")
    )
    return {"batch_input_shape": shape, "dtype": first.get("dtype", "float32"), "name": "input"}


def _endpoints(entries):
    """Return [(layer name, call number)] of Keras' input_layers or output_layers."""
    if isinstance(entries, Mapping):
        return [end for value in entries.values() for end in _endpoints(value)]
    if entries and isinstance(entries[0], str):
        if len(entries) > 2 and entries[2] != 0:
            raise ModelError(f"{entries[0]}: its output {entries[2]} is used; allowed: the first")
        return [(str(entries[0]), int(entries[1]))]
    return [end for entry in entries for end in _endpoints(entry)]


def _keras3_output(layers, name, number) -> tuple[str, int]:
    """Return the output's call by the number of the call.

    Keras 3 counts the construction of a nested functional model as a call, but only in
    ``output_layers``.
    """
    kinds = {layer_name(layer): class_name(layer) for layer in layers}
    return name, number - (kinds.get(name) in ("Functional", "Model") and number > 0)


def _first_call(layer, name, read) -> int:
    """Return the number of a layer's first call.

    Keras 2 counts the construction of a nested model as its call 0; `read` has the calls that are
    read.
    """
    if class_name(layer) not in KERAS_MODELS:
        return 0
    return int((name, 0) not in read and (name, len(layer["inbound_nodes"])) in read)


def variable_keys(layers) -> list[str]:
    """Return the names of layers in ``.keras`` files: numbered class names."""
    keys, used = [], {}
    for layer in layers:
        key = _snake_case(bare_class_name(layer))
        number = used.get(key, 0)
        used[key] = number + 1
        keys.append(f"{key}_{number}" if number else key)
    return keys


def _snake_case(name):
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()

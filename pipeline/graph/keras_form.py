"""Conversion between operations and Keras layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.attributes import COUNT, FLAG, INTERNAL, PAIR, REQUIRED
from pipeline.graph.keras_values import flag

Config = Mapping[str, Any]

CHANNELS_LAST = {"data_format": ("channels_last", None)}
PLAIN_WEIGHTS = dict.fromkeys(
    ("lora_rank", "lora_alpha", "quantization_mode", "quantization_config"), (None,)
)
"""Configuration keys by which Keras 3 can modify kernels."""
ONE_GROUP = {"groups": (1,)}


@dataclass(frozen=True, kw_only=True)
class KerasRule:
    """How one Keras class is read as an operation.

    Attributes
    ----------
    attrs : tuple of str or None
        Configuration keys that are attributes under the same name; None for all attributes of the
        operation.
    renamed : mapping of str to str
        Attribute to configuration key where the names differ.
    fixed : mapping of str to tuple
        Configuration keys that must have one of these values (or be absent) to be represented.
    convert : function of config to attributes, or None
        For conversions that the fields above cannot express.
    reads : tuple of str
        Configuration keys that `convert` reads.
    ignored : tuple of str
        Configuration keys without influence on inference, beyond those of every layer.
    aliases : tuple of str
        Other names of the class.
    """

    attrs: tuple[str, ...] | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, tuple] = field(default_factory=dict)
    convert: Callable[[Config], dict[str, Any]] | None = None
    reads: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


def along_steps(*pairs: str) -> Callable[[Config], dict[str, Any]]:
    """Return a `KerasRule.convert` of a layer on (steps, channels), as one on a map of one column.

    Parameters
    ----------
    *pairs : str
        Attributes that Keras stores as one number here, and as two for maps. A padding 'causal'
        becomes 'valid', after zeros that `pipeline.importers.steps` adds.
    """

    def convert(config: Config) -> dict[str, Any]:
        found = {key: column(config[key]) for key in pairs if config.get(key) is not None}
        if config.get("padding") == "causal":
            found["padding"] = "valid"
        return found

    return convert


def column(value: Any) -> tuple[Any, int]:
    """Return a number of steps, which Keras may have stored as a list of one, as a pair."""
    return (value[0] if isinstance(value, list | tuple) and len(value) == 1 else value), 1


class KerasForm:
    """An operation's Keras counterpart: the part of `Operation` that importers and exporters use.

    The defaults hold for a Keras layer of the same name, attributes and weights.

    Attributes
    ----------
    keras : mapping of str to KerasRule
        How Keras classes are read as this operation.
    keras_variables : mapping of str to str
        Weight to its name in Keras files, where they differ.
    keras_activations : mapping of str to mapping
        Attributes of the operation by Keras' names of the activation functions that it implements.
    in_keras : bool
        True if Keras has such a layer.
    data_format : bool
        True if Keras' layer has a data format; only channels last is supported.
    """

    keras: ClassVar[Mapping[str, KerasRule]] = {}
    keras_variables: ClassVar[Mapping[str, str]] = {}
    keras_activations: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    in_keras = True
    data_format = False

    @property
    def name(self) -> str:
        """Name of the operation: its class name."""
        return type(self).__name__

    def read_keys(self, kind: str) -> frozenset[str]:
        """Return the configuration keys of the Keras class `kind` whose meaning is known."""
        rule = self.keras[kind]
        known = {*self._same(rule), *rule.renamed.values(), *self._fixed(rule)}
        if "use_bias" in self.attributes:
            known.add("activation")
        return frozenset(known.union(rule.reads, rule.ignored))

    def read_keras(self, kind: str, config: Config) -> dict[str, Any]:
        """Return the attributes of a layer of the Keras class `kind`; defaults are left out.

        Raises
        ------
        ModelError
            If the configuration needs something that the operation cannot represent; the message
            lacks the layer's name.
        """
        rule = self.keras[kind]
        for key, allowed in self._fixed(rule).items():
            if key in config and config[key] not in allowed:
                shown = ", ".join(str(item) for item in allowed if item is not None) or "none"
                raise ModelError(f"{key} is {config[key]!r}; allowed: {shown}")
        attrs = {key: config[key] for key in self._same(rule) if key in config}
        attrs |= {attr: config[key] for attr, key in rule.renamed.items() if key in config}
        if rule.convert:
            attrs |= rule.convert(config)
        flags = (key for key in attrs if self.attributes[key].kind is FLAG)
        return attrs | {key: flag(attrs[key]) for key in flags}

    def _same(self, rule):
        """Return the keys that are attributes under the same name."""
        if rule.attrs is not None:
            return rule.attrs
        return tuple(key for key in self._public() if key not in rule.renamed)

    def _public(self):
        return (key for key, value in self.attributes.items() if value.kind is not INTERNAL)

    def _fixed(self, rule):
        return {**(CHANNELS_LAST if self.data_format else {}), **rule.fixed}

    def read_weights(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """Return the variables of a Keras file by the names of the weights."""
        arrays = dict(arrays)
        for name, stored in self.keras_variables.items():
            if stored in arrays:
                arrays[name] = arrays.pop(stored)
        return arrays

    def stored_variables(self, config: Config) -> tuple[str, ...]:
        """Return the names of a layer's variables in Keras files, in Keras' order."""
        sizes = {COUNT: 1, PAIR: (1, 1)}
        attrs = {}
        for key, attribute in self.attributes.items():
            default = attribute.default
            attrs[key] = sizes.get(attribute.kind) if default is REQUIRED else default
            if attribute.kind is FLAG:
                attrs[key] = bool(config.get(key, default))
        return tuple(self.keras_variables.get(name, name) for name in self._ordered(attrs))

    def _ordered(self, attrs):
        """Return the names of the weights in Keras' order, which does not depend on shapes."""
        return self.weights(attrs, (1, 1, 1))

    def write_weights(
        self, attrs: Mapping[str, Any], weights: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Return the weights by the names of Keras' variables, in Keras' order."""
        return {self.keras_variables.get(key, key): weights[key] for key in self._ordered(attrs)}

    def write_keras(self, attrs: Mapping[str, Any], generation: int) -> tuple[str, dict[str, Any]]:
        """Return class and configuration of the layer of Keras 2 or 3."""
        return self.name, {key: attrs[key] for key in self._public()}

    def keras_obstacle(self, attrs: Mapping[str, Any], generation: int) -> str | None:
        """Return why Keras 2 or 3 cannot represent these attributes; None if it can."""
        return None

    def can_build_keras(self, attrs: Mapping[str, Any]) -> bool:
        """Return True if `build_keras` can make the layer."""
        return self.in_keras and self.keras_obstacle(attrs, 3) is None

    def build_keras(self, keras, attrs: Mapping[str, Any], name: str):
        """Return the layer in memory, for training; `keras` is the module of Keras 3."""
        kind, config = self.write_keras(attrs, 3)
        if self.data_format:
            config["data_format"] = "channels_last"
        return getattr(keras.layers, kind)(name=name, dtype="float32", **config)

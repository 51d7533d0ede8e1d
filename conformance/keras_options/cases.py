"""All models of the enumeration, built one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from conformance.keras_options.alternatives import alternatives
from conformance.keras_options.networks import networks
from conformance.keras_options.recipes import AUGMENTATIONS, RECIPES, UNREAD, Recipe

INPUT_DTYPES = ("uint8", "int32", "float64", "float16", "bfloat16")
ARRAYS = {
    "array": np.array([0.5, 1.0, -2.0], np.float32),
    "column": np.array([[[0.5]], [[1.0]], [[2.0]], [[1.0]], [[1.0]], [[3.0]]], np.float32),
}
"""Values that JSON cannot express, by their names in `alternatives`."""
WITHOUT_SHAPE = (
    *("_initializer", "_regularizer", "_constraint", "name", "trainable", "momentum"),
    *("dtype", "seed", "quantization_config", "renorm", "renorm_clipping", "activation"),
)
"""Endings of options that do not depend on the input's shape."""
FEW_ACTIVATIONS = 6
"""Options that these layers pass on exactly as Conv2D does."""


@dataclass(frozen=True)
class Case:
    """Model of one generation of Keras.

    Attributes
    ----------
    group : str
        Class of the layer, or kind of network.
    what : str
        Option and its value.
    build : function () -> keras.Model
        Raises if this Keras cannot build the model.
    """

    group: str
    what: str
    build: object


def cases(keras) -> Iterator[Case]:
    """Yield every model for one generation of Keras, in a fixed order."""
    for recipes, most in ((RECIPES, None), (AUGMENTATIONS, 1), (UNREAD, 0)):
        for recipe in recipes:
            if hasattr(keras.layers, recipe.name):
                yield from _layer_cases(keras, recipe, most)
    for what, build in networks(keras):
        group, _, rest = what.partition(": ")
        yield Case(group, rest, build)


def _layer_cases(keras, recipe: Recipe, most: int | None):
    """Yield the cases of one recipe, with up to `most` values for each option."""
    kind = getattr(keras.layers, recipe.name)
    shown = ", ".join(f"{key}={value}" for key, value in recipe.options.items())
    where = f"({shown}) on {recipe.shape}"

    def case(what, make, **options):
        return Case(recipe.name, f"{what} {where}", lambda: _model(keras, recipe, make, **options))

    def plain():
        return kind(**recipe.options)

    yield case("default", plain)
    yield case("in a Sequential", plain, sequential=True)
    for dtype in INPUT_DTYPES[: 1 if recipe.brief or most == 0 else None]:
        yield case(f"input {dtype}", plain, dtype=dtype)
    try:
        config = plain().get_config()
    except Exception:
        return
    if recipe.options:
        # Options that configurations omit if they have their defaults.
        config = {**config, **{key: config.get(key, v) for key, v in recipe.options.items()}}
    for key, default in config.items():
        if recipe.brief and key.endswith(WITHOUT_SHAPE):
            continue
        values = alternatives(key, default)[:most]
        if key == "activation" and recipe.name not in ("Conv2D", "Activation"):
            values = values[:FEW_ACTIVATIONS]
        for value in values:
            given = ARRAYS.get(value, value) if isinstance(value, str) else value

            def make(key=key, given=given):
                return kind.from_config({**config, key: given})

            yield case(f"{key}={value!r}", make)


def _model(keras, recipe, make, dtype="float32", sequential=False):
    layer = make()
    if sequential:
        if recipe.inputs > 1:
            raise ValueError("a Sequential has one tensor")
        return keras.Sequential([keras.Input(recipe.shape, dtype=dtype), layer])
    x = entry = keras.Input(recipe.shape, dtype=dtype)
    if recipe.inputs > 1:
        # With the same tensor twice, the order of a subtraction would not show.
        x = [x, *(keras.layers.ReLU()(x) for _ in range(recipe.inputs - 1))]
    return keras.Model(entry, layer(x))

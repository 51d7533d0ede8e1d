"""Run variants of a program from the layers that differ: what they share with it runs once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np

from simulator import Program, simulate
from simulator.engine import BATCH_VALUES, FAST_MACS
from simulator.layer import Layer
from simulator.plan import fast_is_available

DTYPES = (np.uint8, np.int8, np.int16)
RUNS = 20
"""Runs of a whole program that its variants are worth together, at least."""
MEMORY = 1 << 30
"""Bytes of the base program's outputs that are held; what is not held is computed again."""


class SharedPrefix:
    """Outputs of a base program, from which its variants continue.

    A variant runs the layers whose registers differ and those that read them, directly or through
    other layers; all else has the base's integers, also beside a branch that differs. Joins run
    their own arithmetic, everything between them as programs on the emulator's backend.

    Parameters
    ----------
    base : Program
    images : array of shape (n, *input shape)
    backend : str
        Of the emulator.
    memory : int
        Bytes that may be held.
    """

    def __init__(
        self, base: Program, images: np.ndarray, backend: str = "auto", memory: int = MEMORY
    ):
        self.base, self.images = base, images
        self.backend = backend_of_many(backend, base, len(images))
        parts: dict[str, list[np.ndarray]] = {name: [] for name in _kept(base, len(images), memory)}

        def keep(layer, values) -> None:
            if layer.name in parts:
                narrow = _narrow(values)
                if narrow is None:
                    del parts[layer.name]
                else:
                    parts[layer.name].append(narrow)

        self.outputs = simulate(base, images, probe=keep, backend=self.backend)
        self.held = {name: np.concatenate(found) for name, found in parts.items()}

    def run(self, variant: Program) -> tuple[np.ndarray, int]:
        """Return the outputs of a variant, and how many of its layers were run.

        A program of other layers, or one that keeps state, is run as a whole.
        """
        names = [layer.name for layer in variant.layers]
        if names != [layer.name for layer in self.base.layers] or variant.keeps_state:
            return simulate(variant, self.images, backend=self.backend), len(names)
        todo = self._todo(variant)
        if not todo:
            return self.outputs, 0
        values = dict(self.held)
        segments = list(_segments(variant, todo))
        for segment in segments:
            last = segment[-1].name
            values[last] = self._segment(variant, segment, values)
        last = values[names[-1]].reshape(len(self.images), *variant.output_shape)
        return variant.valued(last), sum(map(len, segments))

    def _todo(self, variant: Program) -> set[str]:
        """Return the layers to run: those that differ, and what they need that is not held."""
        differing: set[str] = set()
        for mine, other in zip(self.base.layers, variant.layers, strict=True):
            if not equal_layers(mine, other) or differing & set(other.inputs):
                differing.add(other.name)
        todo = set(differing)
        for layer in reversed(variant.layers):
            if layer.name in todo:
                todo.update(name for name in layer.inputs if name not in self.held)
        return todo

    def _segment(self, variant: Program, segment: list[Layer], values) -> np.ndarray:
        """Return the last output of layers that follow each other."""
        first, *rest = segment
        given = [values[name] for name in first.inputs] or [self.images]
        if len(given) > 1 or (given[0].dtype.kind != "f" and given[0].dtype.itemsize > 2):
            return _compact(_by_layer(segment, given))
        part = replace(
            variant,
            layers=(replace(first, inputs=()), *rest),
            input_shape=first.input_shapes[0],
            input_dtype=given[0].dtype.name,
            output_shape=segment[-1].output_shape,
            output_scale=None,
            origin=None,
        )
        shaped = given[0].reshape(-1, *part.input_shape)
        return _compact(simulate(part, shaped, backend=self.backend))


def backend_of_many(backend: str, program: Program, images: int) -> str:
    """Return the backend for many runs of a program's variants: ``auto`` counts them together."""
    macs = RUNS * images * sum(layer.macs for layer in program.layers)
    return "fast" if backend == "auto" and macs > FAST_MACS and fast_is_available() else backend


def equal_layers(a: Layer, b: Layer) -> bool:
    """Return whether two layers have the same type and registers."""
    return type(a) is type(b) and all(
        _equal(getattr(a, field.name), getattr(b, field.name)) for field in fields(a)
    )


def _equal(a, b) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return a is not None and b is not None and np.array_equal(a, b)
    return a == b


def _kept(program: Program, images: int, memory: int) -> list[str]:
    """Return the layers whose outputs are held: as many as fit, the smallest first."""
    sizes = {
        layer.name: math.prod(layer.output_shape) * images
        for layer in program.layers[:-1]
        if not layer.gives_floats
    }
    found, total = [], 0
    for name in sorted(sizes, key=sizes.__getitem__):
        total += sizes[name]
        if total > memory:
            break
        found.append(name)
    return found


def _segments(program: Program, todo: set[str]) -> Iterator[list[Layer]]:
    """Yield the layers to run in parts, each a chain in which nobody else reads what is between."""
    readers = Counter(name for layer in program.layers for name in layer.inputs)
    done: set[str] = set()
    for layer in program.layers:
        if layer.name not in todo or layer.name in done:
            continue
        chain = [layer]
        while len(layer.inputs) < 2 and readers[chain[-1].name] == 1:
            following = next(other for other in program.layers if chain[-1].name in other.inputs)
            if len(following.inputs) > 1 or following.name not in todo:
                break
            chain.append(following)
        done.update(member.name for member in chain)
        yield chain


def _by_layer(segment: list[Layer], given: list[np.ndarray]) -> np.ndarray:
    """Run layers by their own arithmetic, some images at a time."""
    largest = max(math.prod(shape) for layer in segment for shape in layer.input_shapes)
    size, parts = max(BATCH_VALUES // largest, 1), []
    for start in range(0, len(given[0]), size):
        part = [values[start : start + size] for values in given]
        for layer in segment:
            shapes = zip(part, layer.input_shapes, strict=True)
            part = [layer.run(*(_wide(v).reshape(-1, *shape) for v, shape in shapes))]
        parts.append(part[0])
    return np.concatenate(parts)


def _wide(values: np.ndarray) -> np.ndarray:
    """Return integers as the emulator hands them to a layer."""
    return values.astype(np.int32) if values.dtype.kind in "iu" and values.itemsize < 4 else values


def _compact(values: np.ndarray) -> np.ndarray:
    narrow = None if values.dtype.kind == "f" else _narrow(values)
    return values if narrow is None else narrow


def _narrow(values: np.ndarray) -> np.ndarray | None:
    """Return integers in the narrowest input type of a program; None if none holds them."""
    low, high = int(values.min()), int(values.max())
    for dtype in DTYPES:
        limits = np.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            return values.astype(dtype)
    return None

"""Some images as far as a model has been refined: their float values and their integers.

Only tensors that a later layer takes are kept. Where maps are large, fewer images are held; where
they become small, the others are brought up again through the part that is done, so that memory
is bounded and late layers see every image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.quantization.refine.frames import Frames, reach, remembered, run_float, span
from pipeline.quantization.refine.steps import Step

Forward = Callable[[Mapping[str, np.ndarray]], np.ndarray]
"""Computes a step's integers from those of its inputs, or from the images."""

MEMORY = 400 << 20
"""Bytes of the tensors that one frontier holds."""
GOLDEN = 0.6180339887498949
"""Multiples of it spread evenly between whole numbers, however many are taken."""
BATCH = 48 << 20
"""Bytes of the largest intermediate array of one batch."""


class Frontier:
    """Float values and integers of images, at the outputs of the last steps done.

    Parameters
    ----------
    graph : Graph
        Prepared float graph, not equalized: the targets.
    given : Frames
    """

    def __init__(self, graph: Graph, given: Frames):
        self.graph, self.images, self.count = graph, given.images, len(given)
        self._ages, self._reach = given.ages, reach(graph)
        self._order = spread(len(given)) if given.ages is None else np.arange(len(given))
        self.floats: dict[str, np.ndarray] = {}
        self.integers: dict[str, np.ndarray] = {}
        self._done: list[tuple[Step, Forward | None]] = []
        self._finished: set[str] = set()
        self.batch = image_batch(graph)

    def batches(self, head: Node, limit: int | None = None) -> Iterator[tuple]:
        """Yield the (floats, integers) that a node reads, a batch of images at a time.

        Of a temporal node, these are what `remembered` returns. An input reads itself.
        """
        count = self._limited(limit)
        names = head.inputs or (head.name,)
        for start in range(0, count, self.batch):
            end = min(start + self.batch, count)
            yield tuple(
                {name: self._frames(table, name, start, end, span(head)) for name in names}
                for table in (self.floats, self.integers)
            )

    def blocks(self, number: int, limit: int) -> np.ndarray:
        """Return which of `number` parts each image is in: images of one source are neighbours."""
        return self._order[: self._limited(limit)] * number // max(len(self.images), 1)

    def prepare(self, step: Step) -> None:
        """Hold as many images as memory takes for a step, and no more."""
        held = {*self._live(), step[-1].name}
        per_image = sum(math.prod(self.graph.shapes[name]) for name in held) * 6
        count = min(len(self.images), max(MEMORY // per_image, 8))
        if count < self.count:
            for table in (self.floats, self.integers):
                table.update({name: array[:count].copy() for name, array in table.items()})
            self.count = count
        elif count > self.count and (count >= 2 * self.count or count == len(self.images)):
            self._regrow(count)

    def advance(self, step: Step, forward: Forward | None) -> None:
        """Compute a step that is settled, and drop what no later step takes.

        Parameters
        ----------
        step : Step
        forward : Forward or None
            None for an input whose images are integers already.
        """
        parts = [
            self._computed(step, forward, floats, integers)
            for floats, integers in self.batches(step[0])
        ]
        self._done.append((step, forward))
        self._finished.update(node.name for node in step)
        if forward is not None:
            self._store(step[-1].name, parts)
        live = self._live()
        for table in (self.floats, self.integers):
            for name in set(table) - live:
                del table[name]

    def _regrow(self, count: int) -> None:
        live, kept = self._live(), {}
        for start in range(0, count, self.batch):
            before = min(start, self._reach)
            part = slice(start - before, min(start + self.batch, count))
            images = self._images(part)
            floats = {self.graph.input.name: np.asarray(images, np.float32)}
            integers = {self.graph.input.name: images}
            for step, forward in self._done:
                given = (self._read(step[0], table, part) for table in (floats, integers))
                y, q = self._computed(step, forward, *given)
                floats[step[-1].name], integers[step[-1].name] = y, q
            for name in live - {self.graph.input.name}:
                kept.setdefault(name, []).append((floats[name][before:], integers[name][before:]))
        for name, parts in kept.items():
            self._store(name, parts)
        self.count = count

    def _read(self, head, table, part):
        """Return what a node reads of a part of the images; its first frames may lack earlier ones.

        Before the frames that are kept there are as many as all layers remember.
        """
        if span(head) == 1:
            return table
        (name,) = head.inputs
        return {name: remembered(table[name], span(head), self._ages[part])}

    def _computed(self, step, forward, floats, integers):
        """Return the float and the integer output of one step."""
        value = run_step(step, floats) if step[0].inputs else floats[step[0].name]
        return value, integers[step[0].name] if forward is None else forward(integers)

    def _store(self, name, parts):
        floats, integers = zip(*parts, strict=True)
        self.floats[name] = np.concatenate(floats)
        self.integers[name] = np.concatenate(integers)

    def _frames(self, table, name, start, end, steps):
        before = min(start, steps - 1)
        part = slice(start - before, end)
        x = table[name][part] if name in table else self._images(part)
        if name not in table and table is self.floats:
            x = np.asarray(x, np.float32)
        return x if steps == 1 else remembered(x, steps, self._ages[part])[before:]

    def _images(self, part):
        return self.images[self._order[part]]

    def _limited(self, limit):
        """Return how many images to take; of frames all, since the first ones are of few videos."""
        return self.count if self._ages is not None else min(self.count, limit or self.count)

    def _live(self) -> set[str]:
        return {
            name
            for name in self._finished
            if name == self.graph.output
            or any(user.name not in self._finished for user in self.graph.consumers(name))
        }


def run_step(step: Step, values: dict[str, np.ndarray]) -> np.ndarray:
    """Return the float output of a step, given its inputs."""
    value = run_float(step[0], *(values[name] for name in step[0].inputs))
    for node in step[1:]:
        value = run_float(node, value)
    return np.asarray(value, np.float32)


def spread(count: int) -> np.ndarray:
    """Return an order of images whose every beginning is spread evenly over all of them.

    Images are often in the order of their sources: the first ones are of few.
    """
    return np.argsort(np.arange(count) * GOLDEN % 1)


def image_batch(graph: Graph) -> int:
    """Return how many images at a time keep intermediate arrays small."""
    largest = 1
    for node in graph.nodes:
        size = math.prod(graph.shapes[node.name])
        if node.operation.neural and "kernel_size" in node.attrs and node.op != "SeparableConv2D":
            kernel = node.weights["kernel"]
            size = max(size, math.prod(graph.shapes[node.name][:-1]) * kernel[..., 0].size)
        largest = max(largest, size)
    return int(np.clip(BATCH // (8 * largest), 1, 256))

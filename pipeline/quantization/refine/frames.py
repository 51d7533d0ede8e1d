"""Images to refine on: single ones, or the frames of videos, which temporal layers remember.

Frames are in the order of their videos, so that every beginning of them is complete: a temporal
layer reads no later frame. Videos start with empty buffers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.graph.forward import forward
from pipeline.graph.forward import run_node as run_on_frames
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node


@dataclass(frozen=True, eq=False)
class Frames:
    """Images of a model's input.

    Attributes
    ----------
    images : array of shape (n, *input shape)
    ages : int array of shape (n,), or None
        Number of frames before each one in its video; None where no layer remembers any.
    """

    images: np.ndarray
    ages: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)

    def split(self, count: int) -> tuple[Frames, Frames]:
        """Return the first `count` images and the others, which start with empty buffers."""
        first, rest = Frames(self.images[:count]), Frames(self.images[count:])
        if self.ages is None:
            return first, rest
        ages = np.minimum(self.ages[count:], np.arange(len(rest)))
        return Frames(first.images, self.ages[:count]), Frames(rest.images, ages)

    def batches(self, size: int, reach: int = 0) -> Iterator[tuple[int, Frames]]:
        """Yield batches with up to `reach` frames before each; first how many these are."""
        for start in range(0, len(self), size):
            before = min(start, reach)
            part = slice(start - before, start + size)
            ages = None if self.ages is None else self.ages[part]
            yield before, Frames(self.images[part], ages)

    def forward(self, graph: Graph, batch_size: int) -> np.ndarray:
        """Return the float outputs of a graph, float32 of shape (n, *output shape)."""
        if self.ages is None:
            return forward(graph, self.images, batch_size=batch_size)
        videos = np.split(self.images, np.flatnonzero(self.ages == 0)[1:])
        return np.concatenate([forward(graph, video, batch_size=batch_size) for video in videos])


def by_video(images: np.ndarray, videos: int) -> Frames:
    """Return interleaved frames, one of each video in turn, in the order of their videos."""
    length = len(images) // videos
    order = np.arange(len(images)).reshape(length, videos).T.reshape(-1)
    return Frames(images[order], np.tile(np.arange(length), videos))


def remembers(graph: Graph) -> bool:
    """Return whether a layer of a graph is temporal."""
    return any(node.operation.temporal for node in graph.nodes)


def span(node) -> int:
    """Return how many frames a node of a float or an integer model reads."""
    return node.attrs.get("fifo_size", 1)


def reach(graph: Graph) -> int:
    """Return how many frames before one the outputs of a graph may depend on."""
    return sum(span(node) - 1 for node in graph.nodes)


def remembered(x: np.ndarray, steps: int, ages: np.ndarray) -> np.ndarray:
    """Return each frame's last `steps` frames in its channels, oldest first; zeros before a video.

    Parameters
    ----------
    x : array of shape (n, h, w, c)
    steps : int
    ages : int array of shape (n,)
        As in `Frames`.

    Returns
    -------
    array of shape (n, h, w, steps * c)
        The first ``steps - 1`` are complete only if their videos start here.
    """
    parts = []
    for past in range(steps - 1, -1, -1):
        part = np.zeros_like(x)
        part[past:] = x[: len(x) - past]
        part[ages < past] = 0
        parts.append(part)
    return np.concatenate(parts, axis=-1)


def run_float(node: Node, *inputs: np.ndarray) -> np.ndarray:
    """Return the float output of a node; a temporal one reads what `remembered` returns."""
    if node.operation.temporal:
        inputs = np.split(inputs[0], span(node), axis=-1)
    return run_on_frames(node, *inputs)

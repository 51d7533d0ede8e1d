"""Run parts of many images on all cores, with results that do not depend on their number.

BLAS itself would share single products among the cores, with sums in another order on each machine,
while padding, activations and poolings would use one core.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TypeVar

import numpy as np

from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph

PART_VALUES = 1 << 20
"""Most values that the largest tensor of a part may have: 4 MiB of float32, which caches hold."""

Result = TypeVar("Result")


def forward_in_parts(graph: Graph, images) -> np.ndarray:
    """Return the outputs of a graph, as `pipeline.graph.forward.forward`."""
    return np.concatenate(
        list(run_parts(lambda part: forward(graph, images[part]), parts(graph, len(images))))
    )


def keeps_state(graph: Graph) -> bool:
    """Return True if the outputs of an image depend on those before it."""
    return any(node.operation.temporal for node in graph.nodes)


def parts(graph: Graph, images: int) -> list[slice]:
    """Return the parts of some images that run together, by the size of the graph's tensors.

    Images of a graph that keeps state are one part.
    """
    if keeps_state(graph) or not images:
        return [slice(0, images)]
    largest = max(math.prod(shape) for shape in graph.shapes.values())
    size = max(1, PART_VALUES // max(1, largest))
    return [slice(start, min(start + size, images)) for start in range(0, images, size)]


def run_parts(run: Callable[[slice], Result], ranges: list[slice]) -> Iterator[Result]:
    """Yield the results of parts, in order.

    Parts run in as many threads as BLAS has, and BLAS in one thread for each.
    """
    from threadpoolctl import threadpool_info, threadpool_limits

    found = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    threads = min(max(found, default=1), len(ranges))
    with threadpool_limits(1) if max(found, default=1) > 1 else nullcontext():
        if threads == 1:
            yield from map(run, ranges)
            return
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(run, ranges)

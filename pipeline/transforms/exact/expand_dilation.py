"""Replace dilated convolutions by larger ones with zeros between the taps."""

from __future__ import annotations

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.traits import CONVOLUTIONS
from pipeline.preparation.zero_padding import LARGEST_GROWN
from pipeline.transforms.rewrite import Rewrite


def expand_dilation(graph: Graph) -> Rewrite:
    """Expand dilated kernels to up to 17x17 taps, with zeros; larger ones are kept."""
    changed = []

    def split(node):
        if node.op not in CONVOLUTIONS or node.attrs["dilation_rate"] == (1, 1):
            return None
        key = node.operation.input_kernel
        kernel, rates = node.weights[key], node.attrs["dilation_rate"]
        size = tuple((k - 1) * d + 1 for k, d in zip(kernel.shape[:2], rates, strict=True))
        if max(size) > LARGEST_GROWN:
            return None
        changed.append(node.name)
        spread = np.zeros((*size, *kernel.shape[2:]), np.float32)
        spread[:: rates[0], :: rates[1]] = kernel
        new = node.with_attrs(kernel_size=size, dilation_rate=(1, 1))
        return [new.with_weights(**{key: spread})]

    return Rewrite(graph=graph.rewrite(split), changed=tuple(changed))

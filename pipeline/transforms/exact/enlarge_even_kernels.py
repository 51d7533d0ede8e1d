"""Enlarge even kernels by a row and a column of zeros."""

from __future__ import annotations

from pipeline.graph.graph import Graph
from pipeline.preparation.odd_kernels import odd_kernels
from pipeline.transforms.rewrite import Rewrite


def enlarge_even_kernels(graph: Graph) -> Rewrite:
    """Enlarge even "same" kernels to odd ones.

    Quantization for Akida 2.0 does the same; quantization for Akida 1.0 does not.
    """
    new = odd_kernels(graph)
    pairs = zip(graph.nodes, new.nodes, strict=True)
    changed = tuple(old.name for old, node in pairs if old.attrs != node.attrs)
    return Rewrite(graph=new, changed=changed)

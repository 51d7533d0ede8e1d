"""Fold ZeroPadding2D into the convolution or max pooling after it."""

from __future__ import annotations

from pipeline.graph.graph import Graph
from pipeline.preparation import zero_padding
from pipeline.transforms.rewrite import Rewrite


def fold_zero_padding(graph: Graph) -> Rewrite:
    """Replace ZeroPadding2D by the padding 'same' of the convolution or max pooling after it.

    Quantization does the same. In a file it helps the vendor's tools, which refuse ZeroPadding2D
    before a pooling for both chips, and for Akida 2.0 shift the image by a pixel before a
    convolution of stride 2. See `pipeline.preparation.zero_padding`.
    """
    new = zero_padding.fold_zero_padding(graph)
    gone = (node.name for node in graph.nodes if node.name not in new.by_name)
    return Rewrite(graph=new, changed=tuple(gone))

"""Replace batch norms that fold into no layer by a depthwise convolution."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.operations.normalization import batchnorm_factors
from pipeline.transforms.exact.fold_batchnorm_forward import folds_back
from pipeline.transforms.rewrite import Rewrite


def batchnorm_to_depthwise(graph: Graph) -> Rewrite:
    """Replace batch norms after activations by 3x3 depthwise convolutions.

    Only the kernel's centre is non-zero: the chip has no 1x1 depthwise convolution. A batch norm of
    a vector is kept.
    """
    changed = []

    def split(node):
        shape = graph.shapes[node.name]
        last = node.attrs.get("axis") in (-1, len(shape))
        stays = node.op != "BatchNormalization" or len(shape) != 3 or not last
        if stays or folds_back(graph, node):
            return None
        changed.append(node.name)
        scale, mean, beta = batchnorm_factors(node)
        kernel = np.zeros((3, 3, shape[-1], 1), np.float32)
        kernel[1, 1, :, 0] = scale
        attrs = {"kernel_size": 3, "padding": "same"}
        weights = {"kernel": kernel, "bias": np.broadcast_to(beta - mean * scale, shape[-1:])}
        return [make_node(node.name, "DepthwiseConv2D", node.inputs, attrs, weights)]

    return Rewrite(graph=graph.rewrite(split), changed=tuple(changed))

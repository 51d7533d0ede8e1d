"""Names of the operations that share a trait; `pipeline.graph.operation` defines each trait.

``node.op in (*NEURAL, *JOINS)``, ``graph.skip_back(node, KEEPS_VALUES)``. Their order is fixed, so
that messages may list them.
"""

from pipeline.graph.operations import having

NEURAL = having("neural")
CONVOLUTIONS = having("convolution")
TRANSPOSED = having("transposed")
DEPTHWISE = having("depthwise")
TEMPORAL = having("temporal")
ACTIVATIONS = having("activation")
POINTWISE = having("pointwise")
KEEPS_VALUES = having("keeps_values")
MOVES_ONLY = having("moves_only")
RESHAPES = having("reshapes")
POOLINGS = having("pooling")
JOINS = having("join")

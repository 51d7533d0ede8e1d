"""Put an identity convolution after inputs that no layer can take."""

from __future__ import annotations

from pipeline.graph.graph import Graph
from pipeline.preparation.editing import inserted
from pipeline.preparation.rescaling import TARGETS, is_aligned
from pipeline.preparation.support import ZERO_POINT_OPS
from pipeline.transforms.exact.identity_before_pooling import identity
from pipeline.transforms.rewrite import Rewrite

DEPTHWISE = ("DepthwiseConv2D", "DepthwiseConv2DTranspose")


def identity_after_input(graph: Graph) -> Rewrite:
    """Put a 1x1 identity Conv2D after an input that the first layers cannot take.

    These are float inputs of anything but one Conv2D, Dense or BufferTempConv, whose bias could
    take their zero point; a Rescaling before a depthwise convolution; and one with an offset, or
    a scale per channel, before several layers or one that cannot absorb it.
    """
    source = graph.input
    rescaling = graph.sole_consumer(source)
    if rescaling is not None and rescaling.op == "Rescaling":
        source = rescaling
    if len(graph.shapes[source.name]) != 3 or not _needs_identity(graph, source):
        return Rewrite(graph=graph, changed=())
    # With padding 'same' an offset would ask for a padding value, which 1x1 windows never read.
    first = identity(graph, source.name).with_attrs(padding="valid")
    new = inserted(graph, source.name, first)
    return Rewrite(graph=new, changed=(source.name,))


def _needs_identity(graph, source):
    first = graph.skip_ahead(graph.input, ("Rescaling",))
    floats = graph.input.attrs["dtype"] == "float32"
    if floats and (first is None or first.op not in ZERO_POINT_OPS):
        return True
    if source.op != "Rescaling":
        return False
    consumers = graph.consumers(source)
    absorbs = len(consumers) == 1 and consumers[0].op in (*TARGETS, "ZeroPadding2D")
    return any(consumer.op in DEPTHWISE for consumer in consumers) or not (
        is_aligned(source) or absorbs
    )

"""Transforms of a trained model before quantization: graph to graph, each one verified.

To write a transform, add a file and a row of the table; `exact/dense_on_map.py` is a good template.

1. Put a function in a file of its name: in ``exact/`` if outputs are unchanged up to float
   rounding, in ``approximate/`` if they are not, or are so in a measured range only
   (``calibrated``), in ``gap/`` if it moves global average pooling. It takes a graph and returns a
   `Rewrite`: a new graph, and the names of the changed layers. It never modifies its input, returns
   the same graph and no names if there is nothing to change, and has nothing to change in its own
   result. The first paragraph of its docstring describes it to users.
2. Add a `Transform` to `table.py`, at its position in the order: after those that produce its
   input, before those that use its result. The row states whether outputs are unchanged, what the
   transform needs besides the graph (then the function takes ``(graph, options, images)``), and
   which rules it may repair. If `migrate` is to apply it for a chip, add it to the chip's
   ``repairs`` and to conf/transforms/repair_*.yaml.
3. Run ``make docs``, and add a model to ``EXACT`` in tests/pipeline/transforms/test_rewrites.py.

`apply` compares outputs before and after every transform on images, and refuses the result if an
equivalent transform changes them. Passes that quantization applies to every model are not
transforms but part of `pipeline.preparation`; transforms reuse them.
"""

from __future__ import annotations

from pipeline.transforms.images import Images
from pipeline.transforms.sequence import apply
from pipeline.transforms.table import TRANSFORMS, in_order

__all__ = ["TRANSFORMS", "Images", "apply", "in_order"]

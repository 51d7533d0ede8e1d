"""Transforms of a trained model before quantization: graph to graph, each one verified.

To write a transform, add a file and a row of the table; `exact/dense_on_map.py` is a good template.

1. Put a function in a file of its name: in ``exact/`` if the outputs stay the same up to float
   rounding, in ``approximate/`` if they do not, or do so in a measured range only (`calibrated`),
   in ``gap/`` if it moves global average pooling.
   It takes a graph and returns a `Rewrite`: a new graph, and the names of the layers that it was
   about. It never changes its input, returns the same graph with no names where nothing is to be
   done, and finds nothing to do in its own result. The first paragraph of its docstring
   describes it to users.
2. Add a `Transform` to `table.py`, at the place where it is to be applied: after those that make
   its input, before those that use its result. The row states whether outputs stay the same,
   what the transform needs besides the graph (then the function takes ``(graph, options,
   images)``), and which rules it may repair. A chip that `migrate` is to repair by it names it
   in its ``repairs``, and conf/transforms/repair_*.yaml.
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

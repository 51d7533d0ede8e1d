"""Models whose last layer learns on the chip, which Akida 1.0 supports and 2.0 does not."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.chips.blocks import View
from pipeline.chips.rule import Finding


def edge_learning(view: View) -> Iterator[Finding]:
    """The last layer is not an edge-learning layer: the chip does not learn."""
    last = view.last
    if last.op in ("Reshape", "Flatten"):
        last = view.source(last)
    if last.op != "Dense" or last.attrs["use_bias"]:
        return
    source = view.source(last)
    if source.op == "ReLU" and source.attrs["max_value"] == 1:
        yield Finding(
            layers=(last.name,),
            found=f"edge-learning head: no bias, 1-bit features ({source.name}, max 1)",
            allowed="an ordinary classifier",
            fix="train a Dense classifier with bias on the features before it",
        )

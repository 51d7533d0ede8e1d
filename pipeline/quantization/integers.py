"""The integer model of a quantized model in any phase."""

from __future__ import annotations

from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.integerize import integerize
from pipeline.quantization.integerize_legacy import integerize_legacy
from pipeline.quantization.legacy_graph import LegacyGraph
from pipeline.quantization.quantized_graph import QuantizedGraph


def integers(model: CalibratedGraph | LegacyGraph | QuantizedGraph) -> QuantizedGraph:
    """Return the integer model of `model`, by the scheme that quantized it."""
    if isinstance(model, CalibratedGraph):
        return integerize(model)
    return integerize_legacy(model) if isinstance(model, LegacyGraph) else model

"""The integer model of whatever phase a quantized model is in."""

from __future__ import annotations

from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.integerize import integerize
from pipeline.quantization.integerize_legacy import integerize_legacy
from pipeline.quantization.legacy_graph import LegacyGraph
from pipeline.quantization.quantized_graph import QuantizedGraph


def integers(model: CalibratedGraph | LegacyGraph | QuantizedGraph) -> QuantizedGraph:
    """Return `model` in integers, by the scheme that quantized it."""
    if isinstance(model, CalibratedGraph):
        return integerize(model)
    return integerize_legacy(model) if isinstance(model, LegacyGraph) else model

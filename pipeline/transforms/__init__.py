"""Changes to a trained model before it is quantized: graph to graph, each one checked."""

from __future__ import annotations

from pipeline.transforms.sequence import TRANSFORMS, apply

__all__ = ["TRANSFORMS", "apply"]

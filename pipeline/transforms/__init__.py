"""Changes to a trained model before it is quantized: graph to graph, each one checked."""

from __future__ import annotations

from pipeline.transforms.images import Images
from pipeline.transforms.sequence import TRANSFORMS, apply

__all__ = ["TRANSFORMS", "Images", "apply"]

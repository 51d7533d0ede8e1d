"""Typed configuration: the boundary between YAML and the code."""

from pipeline.config.layer_widths import LayerWidths
from pipeline.config.load import check, load
from pipeline.config.sections import (
    Calibration,
    Config,
    Data,
    Evaluate,
    Gap,
    Quantization,
    RegisterTraining,
    Target,
    Training,
    Transforms,
)

__all__ = [
    "Calibration",
    "Config",
    "Data",
    "Evaluate",
    "Gap",
    "LayerWidths",
    "Quantization",
    "RegisterTraining",
    "Target",
    "Training",
    "Transforms",
    "check",
    "load",
]

"""Write float graphs as model files of other tools, without running these tools."""

from pipeline.exporters.keras2 import save_keras2_h5
from pipeline.exporters.keras3 import save_keras3
from pipeline.exporters.onnx import save_onnx

__all__ = ["save_keras2_h5", "save_keras3", "save_onnx"]

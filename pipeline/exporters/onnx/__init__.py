"""Write float graphs as ONNX: maps with their channels first, names kept."""

from pipeline.exporters.onnx.writer import save_onnx

__all__ = ["save_onnx"]

"""Write programs as ONNX: the chip's integer arithmetic in standard operators."""

from pipeline.exporters.program_onnx.writer import export_program_onnx, program_model

__all__ = ["export_program_onnx", "program_model"]

"""Read model files of other tools without running code from them."""

from pipeline.importers.load import load_float, load_model, outline_of, quantized_by

__all__ = ["load_float", "load_model", "outline_of", "quantized_by"]

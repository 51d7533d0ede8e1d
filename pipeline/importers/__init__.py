"""Read models of other tools without running any code from them."""

from pipeline.importers.load import load_model

__all__ = ["load_model"]

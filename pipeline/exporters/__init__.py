"""Write float graphs as files of other tools, without running them."""

from pipeline.exporters.keras2 import save_keras2_h5
from pipeline.exporters.keras3 import save_keras3

__all__ = ["save_keras2_h5", "save_keras3"]

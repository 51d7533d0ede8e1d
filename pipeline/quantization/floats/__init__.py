"""Find float weights and ranges that give an integer model: the opposite of `integerize`.

Model files of the vendor's tools hold floats, from which the integers are computed again.
"""

from pipeline.quantization.floats.restore import ADDED, restore

__all__ = ["ADDED", "restore"]

"""Carry Keras models from Akida 1.0 to 2.0, quantize them, and run them bit-exactly.

Every function takes paths, arrays, and models of Keras 2 or 3; what it returns has ``summary()``,
``evaluate(x, y)`` and ``save(path)`` where that makes sense. Nothing here needs TensorFlow, unless
it trains. docs/python.md has examples.
"""

from pipeline.steps.analyzing import Analyzed, analyze
from pipeline.steps.checking import Checked, check
from pipeline.steps.chip_program import ChipProgram
from pipeline.steps.comparing import Compared, compare
from pipeline.steps.converting import convert
from pipeline.steps.differing import Differences, diff
from pipeline.steps.exporting import export
from pipeline.steps.float_model import FloatModel
from pipeline.steps.measuring import Sensitivity, sensitivity
from pipeline.steps.migrating import Migrated, migrate
from pipeline.steps.python import CrossgradeWarning
from pipeline.steps.quantized_model import QuantizedModel
from pipeline.steps.quantizing import quantize
from pipeline.steps.reading import read
from pipeline.steps.searching import FoundWidths, search
from pipeline.steps.simulating import simulate
from pipeline.steps.unfusing import unfuse
from pipeline.steps.vectors import vectors
from pipeline.steps.verifying import Verified, verify
from simulator.errors import UserError as CrossgradeError

__all__ = [
    "Analyzed",
    "Checked",
    "ChipProgram",
    "Compared",
    "CrossgradeError",
    "CrossgradeWarning",
    "Differences",
    "FloatModel",
    "FoundWidths",
    "Migrated",
    "QuantizedModel",
    "Sensitivity",
    "Verified",
    "analyze",
    "check",
    "compare",
    "convert",
    "diff",
    "export",
    "migrate",
    "quantize",
    "read",
    "search",
    "sensitivity",
    "simulate",
    "unfuse",
    "vectors",
    "verify",
]

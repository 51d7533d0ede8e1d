"""Refine a quantized model without labels: kernels, biases and ranges, layer by layer.

Each layer is fitted to the float model's sums on the integers that the refined layers before it
actually output, and rounded so that its outputs move least. How strongly it is fitted, and whether
its change is kept at all, is decided on images that were not fitted; so is the model as a whole.
The methods are published ones (ridge regression, OBQ and GPTQ rounding, bias correction).
"""

from pipeline.quantization.refine.refinement import has_run, refine, refine_legacy

__all__ = ["has_run", "refine", "refine_legacy"]

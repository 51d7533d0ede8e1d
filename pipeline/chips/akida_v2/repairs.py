"""Transforms that `migrate` applies for Akida 2.0, and the limits that they repair."""

from __future__ import annotations

from pipeline.chips.akida_v2.rules import MEAN
from simulator.akida_v2.tails import TAILS
from simulator.facts import LayerFacts

REPAIRS = (
    "continuous_activations",
    "sink_reshapes",
    "sink_permutes",
    "shape_input",
    "shift_input",
    "replace_average_pooling",
    "replace_global_max_pooling",
    "replace_cropping",
    "replace_bilinear",
    "replace_upsampling",
    "dense_on_map",
    "expand_dilation",
    "stride_by_selection",
    "fold_zero_padding",
    "expand_groups",
    "unfuse_separable",
    "cut_borders_in_dense",
    "square_windows",
    "enlarge_small_kernels",
    "fold_constant_channels",
    "fold_batchnorm_forward",
    "batchnorm_to_depthwise",
    "identity_after_input",
    "identity_before_tail",
    "match_pool_padding",
    "select_after_pooling",
    "relu_after_max_pooling",
    "gap_after_relu",
    "identity_before_pooling",
)
REFUSED_LIMITS = ("layer_pattern", "pool_padding")
"""Limits that the vendor's layer patterns refuse already, while the emulator runs them."""
WINDOW_LIMITS = ("square_kernel", "square_stride", "square_pool", "transposed_convolution")
"""... and those of windows, which count as limits of the chip where no transform repairs them."""
_REPAIRS = {
    **dict.fromkeys(("square_kernel", "square_stride", "square_pool"), "square_windows"),
    "pool_padding": "match_pool_padding",
    "kernel_and_stride": "enlarge_small_kernels",
    "padding": "cut_borders_in_dense",
    "signed_input": "shift_input",
}
_TAIL_REPAIRS = {("MaxPooling2D",): "relu_after_max_pooling"}


def limit_repair(limit: str, facts: LayerFacts) -> str | None:
    """Return the transform that may bring a layer within a limit."""
    if limit == "layer_pattern":
        pooled = facts.tail[-1:] == (MEAN,) and facts.tail[:-1] in TAILS[facts.kind]
        return "identity_before_pooling" if pooled else _TAIL_REPAIRS.get(facts.tail)
    return _REPAIRS.get(limit)

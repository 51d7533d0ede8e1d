"""Transforms that `migrate` applies for Akida 1.0, and the limits that they repair."""

REPAIRS = (
    "continuous_activations",
    "replace_average_pooling",
    "dense_on_map",
    "expand_dilation",
    "fold_zero_padding",
    "fuse_separable",
    "expand_groups",
    "enlarge_even_kernels",
    "fold_constant_channels",
    "fold_batchnorm_forward",
    "match_pool_padding",
    "gap_before_activation",
)
LIMIT_REPAIRS = dict.fromkeys(("input_kernel", "kernel_and_stride"), "enlarge_even_kernels")
REFUSED_LIMITS = ("image_input",)
"""An image read by a layer other than Conv2D: the converter refuses it, the emulator runs it."""

"""The table of all transforms, in the order in which they are applied.

Configuration, reports, certificates and pages read this table; a chip's repairs are applied in its
order.
"""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.transforms.approximate.continuous_activations import continuous_activations
from pipeline.transforms.approximate.power_of_two_clip import power_of_two_clip
from pipeline.transforms.approximate.relu_after_max_pooling import relu_after_max_pooling
from pipeline.transforms.approximate.replace_bilinear import replace_bilinear
from pipeline.transforms.exact.batchnorm_to_depthwise import batchnorm_to_depthwise
from pipeline.transforms.exact.cut_borders_in_dense import cut_borders_in_dense
from pipeline.transforms.exact.dense_on_map import dense_on_map
from pipeline.transforms.exact.enlarge_even_kernels import enlarge_even_kernels
from pipeline.transforms.exact.enlarge_small_kernels import enlarge_small_kernels
from pipeline.transforms.exact.expand_dilation import expand_dilation
from pipeline.transforms.exact.expand_groups import expand_groups
from pipeline.transforms.exact.fold_batchnorm_forward import fold_batchnorm_forward
from pipeline.transforms.exact.fold_constant_channels import fold_constant_channels
from pipeline.transforms.exact.fold_zero_padding import fold_zero_padding
from pipeline.transforms.exact.fuse_separable import fuse_separable
from pipeline.transforms.exact.gap_before_activation import gap_before_activation
from pipeline.transforms.exact.identity_after_input import identity_after_input
from pipeline.transforms.exact.identity_before_pooling import identity_before_pooling
from pipeline.transforms.exact.identity_before_tail import identity_before_tail
from pipeline.transforms.exact.match_pool_padding import match_pool_padding
from pipeline.transforms.exact.replace_average_pooling import replace_average_pooling
from pipeline.transforms.exact.replace_cropping import replace_cropping
from pipeline.transforms.exact.replace_global_max_pooling import replace_global_max_pooling
from pipeline.transforms.exact.replace_upsampling import replace_upsampling
from pipeline.transforms.exact.select_after_pooling import select_after_pooling
from pipeline.transforms.exact.shape_input import shape_input
from pipeline.transforms.exact.shift_input import shift_input
from pipeline.transforms.exact.sink_permutes import sink_permutes
from pipeline.transforms.exact.sink_reshapes import sink_reshapes
from pipeline.transforms.exact.square_windows import square_windows
from pipeline.transforms.exact.stride_by_selection import stride_by_selection
from pipeline.transforms.exact.unfuse_separable import unfuse_separable
from pipeline.transforms.gap.gap_after_relu import gap_after_relu
from pipeline.transforms.transform import APPROXIMATE, BY_STRATEGY, CALIBRATED, Transform

_ROWS = (
    # Discrete activations first, because the other transforms only know ReLUs.
    Transform(continuous_activations, APPROXIMATE, ("images",), repairs=("discrete_activation",)),
    # What moves values goes first, so that all other transforms see maps.
    Transform(sink_reshapes, repairs=("reshape", "flat_dense")),
    Transform(sink_permutes, repairs=("unknown_layer",)),
    Transform(shape_input, repairs=("reshape", "unknown_layer", "float_input")),
    Transform(shift_input, repairs=("signed_input",)),
    # Poolings, Dense layers and dilations become convolutions before convolutions are rewritten.
    Transform(replace_average_pooling, repairs=("average_pooling",)),
    Transform(replace_global_max_pooling, repairs=("unknown_layer",)),
    Transform(replace_cropping, repairs=("unknown_layer",)),
    Transform(replace_bilinear, APPROXIMATE, repairs=("unknown_layer",)),
    Transform(replace_upsampling, repairs=("unknown_layer",)),
    Transform(dense_on_map, repairs=("flat_dense",)),
    Transform(expand_dilation, repairs=("dilation",)),
    Transform(stride_by_selection, repairs=("zero_padding", "kernel_and_stride", "input_kernel")),
    Transform(fold_zero_padding, repairs=("zero_padding",)),
    # Separable layers with a depth multiplier are expanded, not unfused: 2.0 has no multiplier.
    Transform(fuse_separable, repairs=("supported_layer",)),
    Transform(expand_groups, repairs=("groups",)),
    Transform(unfuse_separable, repairs=("fused_separable",)),
    Transform(
        cut_borders_in_dense,
        repairs=("square_kernel", "padding", "kernel_and_stride", "pool_padding"),
    ),
    Transform(square_windows, repairs=("square_kernel", "square_stride", "square_pool")),
    Transform(enlarge_small_kernels, repairs=("kernel_and_stride", "padding", "max_pooling")),
    Transform(enlarge_even_kernels, repairs=("input_kernel", "kernel_and_stride")),
    # A batch norm becomes a layer of its own only where no layer absorbs it.
    Transform(fold_constant_channels, repairs=("batchnorm_position",)),
    Transform(fold_batchnorm_forward, repairs=("batchnorm_position",)),
    Transform(batchnorm_to_depthwise, repairs=("batchnorm_position",)),
    # Identities come once it is known which layer absorbs what.
    Transform(
        identity_after_input,
        repairs=("float_input", "first_depthwise", "quantizable"),
    ),
    Transform(identity_before_tail, repairs=("orphan_tail", "layer_order", "layer_pattern")),
    Transform(match_pool_padding, repairs=("pool_padding", "pool_padding_name")),
    Transform(select_after_pooling, repairs=("pool_padding", "pool_padding_name")),
    Transform(relu_after_max_pooling, CALIBRATED, ("images",), repairs=("layer_pattern",)),
    # Averages move last, to the convolutions that are there by then.
    Transform(
        gap_after_relu,
        BY_STRATEGY,
        ("images", "labels", "training"),
        repairs=("pooling_before_activation",),
    ),
    Transform(gap_before_activation, repairs=("pooling_behind_layer",)),
    Transform(identity_before_pooling, repairs=("orphan_tail", "layer_pattern")),
    Transform(power_of_two_clip, APPROXIMATE, ("images",)),
)
TRANSFORMS: dict[str, Transform] = {transform.name: transform for transform in _ROWS}
"""Transforms by name, in order."""


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return some transforms in the order in which they are applied."""
    chosen = set(names)
    return tuple(name for name in TRANSFORMS if name in chosen)

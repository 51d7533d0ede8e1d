"""Transforms for what else the two generations allow, besides the two named in every upgrade."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.transforms.batchnorm_to_depthwise import batchnorm_to_depthwise
from pipeline.transforms.continuous_activations import continuous_activations
from pipeline.transforms.dense_on_map import dense_on_map
from pipeline.transforms.enlarge_even_kernels import enlarge_even_kernels
from pipeline.transforms.expand_dilation import expand_dilation
from pipeline.transforms.expand_groups import expand_groups
from pipeline.transforms.fold_batchnorm_forward import fold_batchnorm_forward
from pipeline.transforms.fuse_separable import fuse_separable
from pipeline.transforms.gap_before_activation import gap_before_activation
from pipeline.transforms.identity_before_pooling import identity_before_pooling
from pipeline.transforms.match_pool_padding import match_pool_padding
from pipeline.transforms.power_of_two_clip import power_of_two_clip
from pipeline.transforms.replace_average_pooling import replace_average_pooling
from pipeline.transforms.rewrite import Rewrite
from pipeline.transforms.square_windows import square_windows

DIFFERENCES: dict[str, Callable[..., Rewrite]] = {
    transform.__name__: transform
    for transform in (
        replace_average_pooling,
        dense_on_map,
        expand_dilation,
        expand_groups,
        square_windows,
        match_pool_padding,
        fold_batchnorm_forward,
        batchnorm_to_depthwise,
        identity_before_pooling,
        power_of_two_clip,
        continuous_activations,
        fuse_separable,
        enlarge_even_kernels,
        gap_before_activation,
    )
}
"""Name to function; the last three lead to Akida 1.0, the two before these are approximate."""

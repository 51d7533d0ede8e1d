"""Published matrix of architectures that both converters accept, one row per architecture.

The columns are models quantized for Akida 1.0 (scheme cnn2snn), and models of scheme quantizeml
converted to Akida 1.0 and to 2.0. "yes" converts, "no" is refused with the name of a layer, and
"limits" converts for the emulator only: `Program.limits` names what the chip lacks, and
``target.strict=true`` refuses it. In the published matrix "limits" is a no.

`REMARKS` has the reason for each verdict that differs from the vendor's converters.
"""

import pytest

from pipeline.chips import convert
from pipeline.errors import IncompatibleModelError
from tests.pipeline.chips.quantized_models import (
    BATCHNORM,
    FLATTEN,
    GAP,
    MAXPOOL,
    RELU,
    UNIT,
    conv,
    dense,
    quantized,
    separable,
)

COLUMNS = {
    "legacy": ("cnn2snn", "akida_v1", {}),
    "quantizeml_v1": ("quantizeml", "akida_v1", {}),
    "v2": ("quantizeml", "akida_v2", {}),
}
HEAD = [FLATTEN, dense()]
FIRST = [UNIT, conv(4), RELU]
UNBOUNDED = ("ReLU", {"max_value": None})
DEPTHWISE = ("DepthwiseConv2D", {"kernel_size": 3, "padding": "same"})


def pool(size, strides=None, padding="same"):
    return ("MaxPooling2D", {"pool_size": size, "strides": strides, "padding": padding})


def transposed(strides, padding="same", kernel=3):
    size = {"filters": 3, "kernel_size": kernel, "strides": strides, "padding": padding}
    return ("Conv2DTranspose", size)


def branched(op):
    return [*FIRST, conv(4), RELU, (op, {}, ("relu_3", "relu_5")), conv(3), RELU, *HEAD]


# row: layers, settings, (legacy 1.0, quantizeml to 1.0, quantizeml to 2.0)
YES, NO, LIMITS = "yes", "no", "limits"
WIDE = {"weight_bits": 8, "activation_bits": 8}
ROWS = {
    "conv_relu_flatten_dense": ([*FIRST, *HEAD], {}, (YES, YES, YES)),
    "first_conv_without_relu": ([conv(4), *FIRST[1:], *HEAD], {}, (NO, NO, LIMITS)),
    "inner_conv_without_relu": ([*FIRST, conv(4), conv(3), RELU, *HEAD], {}, (NO, NO, YES)),
    "fused_separable": ([*FIRST, separable(5), RELU, *HEAD], {}, (YES, YES, NO)),
    "unfused_separable": (
        [*FIRST, DEPTHWISE, conv(5, 1), RELU, *HEAD],
        {},
        (NO, NO, YES),
    ),
    "conv_gap_relu": ([*FIRST, conv(4), GAP, RELU, dense()], {}, (YES, YES, NO)),
    "conv_gap_bn_relu": ([*FIRST, conv(4), GAP, BATCHNORM, RELU, dense()], {}, (YES, YES, NO)),
    "conv_relu_gap": ([*FIRST, conv(4), RELU, GAP, dense()], {}, (NO, NO, YES)),
    "first_conv_relu_gap": ([*FIRST, GAP, dense()], {}, (NO, NO, LIMITS)),
    "conv_gap_last": ([*FIRST, conv(4), GAP], {}, (YES, YES, YES)),
    "pool_before_relu": (
        [*FIRST, conv(4), MAXPOOL, RELU, conv(3), RELU, *HEAD],
        {},
        (YES, YES, YES),
    ),
    "pool_after_relu": (
        [*FIRST, conv(4), RELU, MAXPOOL, conv(3), RELU, *HEAD],
        {},
        (YES, YES, YES),
    ),
    "bn_before_relu": ([UNIT, conv(4), BATCHNORM, RELU, *HEAD], {}, (YES, YES, YES)),
    "bn_between_conv_and_pool": (
        [*FIRST, conv(4), BATCHNORM, MAXPOOL, RELU, conv(3), RELU, *HEAD],
        {},
        (YES, YES, YES),
    ),
    "bn_after_pool": (
        [*FIRST, conv(4), MAXPOOL, BATCHNORM, RELU, conv(3), RELU, *HEAD],
        {},
        (YES, YES, YES),
    ),
    "bn_after_relu": ([*FIRST, BATCHNORM, conv(3), RELU, *HEAD], {}, (NO, NO, NO)),
    "pool_of_other_padding": (
        [*FIRST, conv(4), pool(3, 2, "valid"), RELU, conv(3), RELU, *HEAD],
        {},
        (NO, NO, LIMITS),
    ),
    "pool_2_by_1": (
        [UNIT, conv(4), pool((2, 1)), RELU, conv(3), RELU, *HEAD],
        {},
        (YES, YES, LIMITS),
    ),
    "pool_3_by_2_on_the_first_conv": (
        [UNIT, conv(4), pool(3, 2), RELU, conv(3), RELU, *HEAD],
        {},
        (LIMITS, LIMITS, YES),
    ),
    "average_pooling": ([*FIRST, ("AveragePooling2D", {}), *HEAD], {}, (NO, NO, NO)),
    "unbounded_relu": ([UNIT, conv(4), UNBOUNDED, *HEAD], {}, (YES, NO, YES)),
    "unbounded_relu_after_dense": (
        [*FIRST, FLATTEN, dense(5), UNBOUNDED, dense()],
        {},
        (YES, NO, YES),
    ),
    "leaky_relu": ([*FIRST, conv(4), ("LeakyReLU", {}), conv(3), RELU, *HEAD], {}, (NO, NO, YES)),
    "swish": (
        [*FIRST, conv(4), ("Activation", {"activation": "swish"}), conv(3), RELU, *HEAD],
        {},
        (NO, NO, YES),
    ),
    "add": (branched("Add"), {}, (NO, NO, YES)),
    "concatenate": (branched("Concatenate"), {}, (NO, NO, YES)),
    "transposed": ([*FIRST, transposed(2), RELU, conv(3), RELU, *HEAD], WIDE, (NO, NO, YES)),
    "transposed_4": (
        [*FIRST, transposed(2, kernel=4), RELU, conv(3), RELU, *HEAD],
        WIDE,
        (NO, NO, YES),
    ),
    "transposed_stride_1": (
        [*FIRST, transposed(1), RELU, conv(3), RELU, *HEAD],
        WIDE,
        (NO, NO, LIMITS),
    ),
    "rectangular_kernel": (
        [*FIRST, conv(4, (3, 5)), RELU, *HEAD],
        {},
        (YES, YES, LIMITS),
    ),
    "rectangular_stride": (
        [*FIRST, conv(4, strides=(1, 2)), RELU, *HEAD],
        {},
        (YES, YES, LIMITS),
    ),
    "dilation": ([*FIRST, conv(4, dilation_rate=(2, 2)), RELU, *HEAD], {}, (NO, NO, NO)),
    "groups": ([*FIRST, conv(4, groups=2), RELU, *HEAD], {}, (NO, NO, NO)),
    "dense_on_a_map": ([*FIRST, dense()], {}, (NO, NO, NO)),
    "softmax": ([*FIRST, *HEAD, ("Softmax", {})], {}, (YES, YES, YES)),
    "softmax_activation": (
        [*FIRST, *HEAD, ("Activation", {"activation": "softmax"})],
        {},
        (YES, YES, YES),
    ),
    "dense_relu_dropout_dense": (
        [*FIRST, FLATTEN, dense(5), RELU, ("Dropout", {"rate": 0.5}), dense()],
        {},
        (YES, YES, YES),
    ),
    "reshape_after_gap_before_relu": (
        [*FIRST, conv(4), GAP, RELU, ("Reshape", {"target_shape": (1, 1, 4)}), conv(3, 1)],
        {},
        (YES, YES, NO),
    ),
    "reshape_after_gap_after_relu": (
        [*FIRST, conv(4), RELU, GAP, ("Reshape", {"target_shape": (1, 1, 4)}), conv(3, 1)],
        {},
        (NO, NO, YES),
    ),
    "weights_of_2_bits": ([*FIRST, *HEAD], {"weight_bits": 2}, (YES, YES, LIMITS)),
    "activations_of_8_bits": ([*FIRST, *HEAD], {"activation_bits": 8}, (NO, NO, YES)),
    "activations_of_2_bits": ([*FIRST, *HEAD], {"activation_bits": 2}, (YES, YES, LIMITS)),
    "branch_to_two_layers": (
        [
            *FIRST,
            conv(4),
            RELU,
            conv(4, 1, use_bias=False),
            ("Add", {}, ("relu_3", "conv2d_6")),
            conv(3),
            RELU,
            *HEAD,
        ],
        {},
        (NO, NO, YES),
    ),
}
REMARKS = {
    "first_conv_without_relu": "an InputData of unsigned pixels, which the chip does not read",
    "first_conv_relu_gap": "as above: the average leaves the input layer, an InputData precedes it",
    "pool_of_other_padding": "2.0's emulator pools as asked; the chip has one padding for both",
    "pool_2_by_1": "as are all shapes that are not square: the emulator of 2.0 runs them",
    "transposed_stride_1": "the emulator runs any stride",
    "activations_of_8_bits": "the vendor's quantizeml path converts them; the chip reads 4 bits",
}
"""Verdicts that differ from the vendor's converter, with the reason."""


def verdict(layers, settings, column):
    """Return the converter's verdict and reasons."""
    scheme, target, changes = COLUMNS[column]
    try:
        model = quantized(layers, scheme, **settings, **changes)
        program = convert(model, target)
    except IncompatibleModelError as refusal:
        return NO, refusal.reasons
    limits = list(program.limits())
    return (LIMITS if limits else YES), limits


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("column", COLUMNS)
def test_verdict(row, column):
    layers, settings, expected = ROWS[row]
    found, reasons = verdict(layers, settings, column)
    assert found == expected[list(COLUMNS).index(column)], reasons
    if found != YES:
        names = [line.partition(":")[0] for line in reasons]
        assert all(name and " " not in name for name in names), reasons


def test_remarks_are_about_rows_that_only_the_emulator_runs():
    for row in REMARKS:
        assert LIMITS in ROWS[row][2] or row == "activations_of_8_bits"

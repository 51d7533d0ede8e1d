"""Floats found for an integer model are quantized to the same integers."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import IncompatibleModelError
from pipeline.importers import load_model
from pipeline.quantization.fixed_point import quantize_aligned, quantize_weights, weight_scales
from pipeline.quantization.floats import restore
from pipeline.quantization.floats.constants import bias_floats
from pipeline.quantization.floats.differences import differences
from pipeline.quantization.floats.flattening import (
    with_aligning_flattens,
    without_unaligned_flatten,
)
from pipeline.quantization.floats.kernels import kernel_floats
from pipeline.quantization.floats.maps import with_maps
from pipeline.quantization.integerize import integerize
from tests.pipeline.exporters.quantized_models import FIXTURES, quantized, random_cases

CONV = {"Conv2D": {"filters": 6, "kernel_size": 3, "padding": "same"}}
MODELS = ("quantized_residual", "quantized_flatten", "quantized_slopes")


def assert_same_registers(found, wanted):
    for ours, theirs in zip(found.nodes, wanted.nodes, strict=True):
        assert not list(differences(ours, theirs)), ours.name
        for name, values in theirs.registers.items():
            np.testing.assert_array_equal(ours.registers[name], values, f"{ours.name} {name}")
            assert ours.registers[name].dtype == values.dtype
        np.testing.assert_array_equal(ours.format.frac_bits, theirs.format.frac_bits)


@pytest.mark.parametrize("name", MODELS)
def test_registers_of_imported_models(name):
    wanted = integerize(load_model(FIXTURES / f"{name}.h5"))
    assert_same_registers(integerize(restore(wanted)), wanted)


def test_registers_of_random_networks():
    seen = Counter()
    for case in random_cases(48):
        wanted = with_maps(without_unaligned_flatten(case.quantized))
        wanted = with_aligning_flattens(wanted)
        found = integerize(restore(wanted))
        for ours, theirs in zip(found.nodes, wanted.nodes, strict=True):
            assert list(differences(ours, theirs)) == [], ours.name
        for node in wanted.nodes:
            seen.update({node.op, *node.registers, f"w{node.bits.get('weights')}"})
    assert {"Conv2DTranspose", "DepthwiseConv2DTranspose", "Concatenate", "Add"} <= set(seen)
    assert {"BufferTempConv", "DepthwiseBufferTempConv", "Quantizer", "Activation"} <= set(seen)
    assert {"padding_value", "bias", "max_value", "output_scales", "w4", "w8"} <= set(seen)


def test_every_register_of_a_fused_separable_convolution():
    layers = [CONV, {"ReLU": {}}, {"SeparableConv2D": {"filters": 5, "kernel_size": 3}}]
    wanted, _ = quantized([*layers, {"ReLU": {"max_value": 6.0}}, {"Flatten": {}}])
    wanted = without_unaligned_flatten(wanted)
    assert_same_registers(integerize(restore(wanted)), wanted)


@pytest.mark.parametrize("frac_bits", [-3, 0, 4, 7, 12])
def test_every_bias_mantissa_at_every_shift(frac_bits):
    rule = {"signed": True, "frac_bits": np.int64(frac_bits), "scales": np.float32(0.37)}
    reachable = 0
    for shift in range(max(frac_bits - 7, 0), 15):
        mantissas = np.arange(-128, 128)
        if shift > frac_bits - min(frac_bits, 7):
            # A smaller mantissa would have a smaller shift.
            mantissas = mantissas[np.abs(mantissas) >= 64]
        shifts = np.full(mantissas.shape, shift)
        floats = bias_floats(mantissas, shifts, np.int64(frac_bits), np.float32(0.37))
        found, found_shifts = quantize_aligned(floats, 8, **rule)
        np.testing.assert_array_equal(found, mantissas)
        np.testing.assert_array_equal(found_shifts, shifts)
        reachable += mantissas.size
    assert reachable > 1000


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_kernels_have_their_integers_and_scales(bits):
    rng, highest = np.random.default_rng(bits), 2 ** (bits - 1) - 1
    integers = rng.integers(-highest, highest + 1, (3, 3, 4, 500)).astype(np.int8)
    integers[0, 0, 0] = highest * rng.choice([-1, 1], 500)
    # Scales that some largest weight has, and the unit of an input.
    scales = weight_scales(rng.uniform(1e-3, 3, (1, 500)).astype(np.float32), bits, -1)
    for factor in (np.float32(1), np.float32(1 / 255)):
        kernel = kernel_floats(integers, bits, -1, np.float32(factor * scales), factor)
        found = weight_scales(kernel, bits, -1)
        np.testing.assert_array_equal(factor * found, factor * scales)
        np.testing.assert_array_equal(quantize_weights(kernel, bits, found), integers)


def test_filters_below_the_largest_integer_take_the_smallest_scale():
    integers = np.int8([[3, 7], [-5, 2], [0, -7]])
    kernel = kernel_floats(integers, 4, -1, np.float32([0.5, 0.25]), np.float32(1))
    scales = weight_scales(kernel, 4, -1)
    assert scales[0] == np.float32(1e-6)
    assert scales[1] == pytest.approx(0.25)
    np.testing.assert_array_equal(quantize_weights(kernel, 4, scales), integers)


def below_the_largest(model, name):
    """Return a model with a filter that does not reach the largest integer."""

    def changed(node):
        if node.name != name:
            return node
        kernel = node.registers["kernel"].copy()
        kernel[..., 0] = np.clip(kernel[..., 0], -5, 5)
        return replace(node, registers={**node.registers, "kernel": kernel})

    return replace(model, nodes=tuple(map(changed, model.nodes)))


def test_the_smallest_scale_is_made_up_by_the_output():
    """A rate per channel multiplies the output, unless a bound is in units of the sum."""
    layers = [CONV, {"ReLU": {"max_value": None}}, {"DepthwiseConv2D": {"kernel_size": 3}}]
    model, _ = quantized(
        [*layers, {"ReLU": {"max_value": None}}, {"Flatten": {}}, {"Dense": {"units": 3}}]
    )
    wanted = without_unaligned_flatten(below_the_largest(model, model.nodes[1].name))
    assert_same_registers(integerize(restore(wanted)), wanted)


def test_what_the_last_layer_cannot_hold_is_refused_by_name():
    model, _ = quantized([CONV, {"ReLU": {}}, {"Flatten": {}}, {"Dense": {"units": 3}}])
    last = model.nodes[-2].name
    model = without_unaligned_flatten(below_the_largest(model, last))
    with pytest.raises(IncompatibleModelError, match="largest integer") as caught:
        restore(model)
    assert "refine" in str(caught.value)

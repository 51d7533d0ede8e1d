import numpy as np
import pytest

from pipeline.quantization.refine import rounding, wide
from pipeline.quantization.refine.moments import moments


def correlated(rows=400, inputs=20, filters=6, seed=0):
    """Return positive, correlated inputs, as after a ReLU, a kernel and its targets."""
    rng = np.random.default_rng(seed)
    x = np.maximum(rng.normal(size=(1, rows, inputs)) @ rng.normal(size=(inputs, inputs)), 0)
    kernel = rng.normal(size=(1, inputs, filters)) * rng.uniform(0.01, 3, filters)
    return x, kernel, x @ kernel


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_no_filter_gets_worse_than_rounded_to_the_nearest(bits):
    for seed in range(20):
        x, kernel, y = correlated(seed=seed)
        inputs = moments(x, y).ridged(0.01)
        plain = rounding.plain_scales(kernel, bits)
        nearest = rounding.nearest(kernel, plain, bits) * plain[:, None]
        integers, scales = rounding.rounded(kernel, inputs, bits)
        assert np.abs(integers).max() <= rounding.largest_integer(bits)
        losses = rounding.loss(integers * scales[:, None] - kernel, inputs)
        limits = rounding.loss(nearest - kernel, inputs)
        assert (losses <= limits).all()
        assert losses.sum() < limits.sum()


def test_a_loss_is_the_mean_squared_error_of_the_outputs():
    x, kernel, y = correlated()
    found = moments(x, y)
    difference = np.random.default_rng(1).normal(size=kernel.shape)
    outputs = (x - found.mean_x[:, None]) @ difference
    expected = np.square(outputs).mean(axis=1)
    np.testing.assert_allclose(rounding.loss(difference, found.inputs), expected, rtol=1e-9)


@pytest.mark.parametrize("strength", [0.01, 1.0])
def test_wide_layers_are_fitted_as_narrow_ones(strength):
    x, kernel, y = correlated(rows=30, inputs=50)
    found = moments(x, y)
    centred, targets = x[0] - found.mean_x, y[0] - found.mean_y
    narrow = found.refit(0.5 * kernel, strength)
    np.testing.assert_allclose(
        wide.refit(centred, targets, 0.5 * kernel[0], strength), narrow[0], atol=1e-4
    )


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_wide_layers_are_rounded_about_as_well_as_narrow_ones(bits):
    x, kernel, y = correlated(rows=60, inputs=40)
    found = moments(x, y)
    inputs = found.ridged(0.01)
    plain = rounding.plain_scales(kernel, bits)
    plain_loss = rounding.loss(
        rounding.nearest(kernel, plain, bits) * plain[:, None] - kernel, inputs
    )
    integers, scales = wide.rounded(x[0] - found.mean_x[0], kernel[0], bits, 0.01)
    losses = rounding.loss((integers * scales - kernel[0])[None], inputs)
    narrow = rounding.rounded(kernel, inputs, bits)
    narrow_loss = rounding.loss(narrow[0] * narrow[1][:, None] - kernel, inputs)
    assert (losses <= plain_loss * (1 + 1e-9)).all()
    assert losses.sum() < 1.5 * narrow_loss.sum()


def test_channels_of_a_depthwise_layer_are_groups_that_do_not_mix():
    parts = [correlated(inputs=9, filters=1, seed=seed) for seed in range(3)]
    x, kernel, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    together = rounding.rounded(kernel, moments(x, y).ridged(0.01), 4)
    for group, part in enumerate(parts):
        alone = rounding.rounded(part[1], moments(part[0], part[2]).ridged(0.01), 4)
        for both, single in zip(together, alone, strict=True):
            np.testing.assert_array_equal(both[group], single[0])

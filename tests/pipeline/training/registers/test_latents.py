"""Every register is an exact function of its latent, and fits its width."""

import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def latents():
    from pipeline.quiet_tensorflow import quiet_tensorflow

    with quiet_tensorflow():
        from pipeline.training.registers import latents

    return latents


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_scales_keep_their_leading_bit_and_roll_over(latents, dtype):
    rng, bits = np.random.default_rng(0), 8 * np.dtype(dtype).itemsize
    mantissa = rng.integers(1 << (bits - 1), 1 << bits, 4000).astype(dtype)
    shift = rng.integers(-30, 5, 4000).astype(np.int8)
    latent = latents.OutputScale(mantissa, shift)
    np.testing.assert_array_equal(latent.registers(), (mantissa, shift))
    latent.variable.assign(rng.uniform(-1.5, 1.5, 4000))
    latent.settle()
    real = mantissa * np.exp2(shift.astype(float)) * np.exp(latent.variable.numpy().astype(float))
    found, shifts = latent.registers()
    assert found.dtype == dtype and found.min() >= 1 << (bits - 1)
    value = found * np.exp2(shifts.astype(float))
    np.testing.assert_array_equal(latent.value().numpy(), value)
    # Half a unit of the mantissa; one that rounds up to a power of two is that power.
    assert np.all(np.abs(value - real) <= np.exp2(shifts.astype(float)) / 2)
    rolled = (found == 1 << (bits - 1)) & (value > real)
    if dtype == np.uint8:
        assert np.count_nonzero(rolled) > 2


def test_biases_are_mantissas_of_eight_bits(latents):
    rng = np.random.default_rng(0)
    mantissa = rng.integers(-128, 128, 4000).astype(np.int8)
    shift, unit = rng.integers(0, 12, 4000).astype(np.uint8), np.exp2(rng.uniform(-12, 0, 4000))
    latent = latents.Bias(mantissa, shift, unit)
    start = np.left_shift(mantissa.astype(np.int64), shift)
    found, shifts = latent.registers()
    np.testing.assert_array_equal(np.left_shift(found.astype(np.int64), shifts), start)
    latent.variable.assign(rng.normal(0, 300, 4000))
    latent.settle()
    found, shifts = latent.registers()
    value = np.left_shift(found.astype(np.int64), shifts)
    np.testing.assert_array_equal(latent.value().numpy(), value)
    real = start + latent.variable.numpy().astype(float) / unit
    assert np.all(np.abs(value - real) <= np.exp2(shifts.astype(float) - 1) * (1 + 1e-9))
    assert np.abs(value).max() <= latent.largest
    assert {int(found.min()), int(found.max())} <= set(range(-128, 128)) and shifts.max() > 12


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_weights_stay_in_their_symmetric_range(latents, bits):
    rng, limit = np.random.default_rng(0), 2 ** (bits - 1) - 1
    kernel = rng.integers(-limit, limit + 1, (3, 3, 4, 5)).astype(np.int8)
    latent = latents.Kernel(kernel, bits, 36)
    np.testing.assert_array_equal(latent.register(), kernel)
    latent.variable.assign_add(3 * rng.normal(size=kernel.shape))
    latent.settle()
    found = latent.register()
    assert found.dtype == np.int8 and np.abs(found).max() == limit
    assert np.abs(latent.variable.numpy()).max() < limit + 0.5


def test_thresholds_stay_in_the_chips_register(latents):
    latent = latents.Threshold(np.array([5, -70, 900]), np.array([10, 10, 10], np.float32), 100)
    np.testing.assert_array_equal(latent.register(), [5, -70, 900])
    latent.variable.assign([1000, -1000, 1])
    np.testing.assert_array_equal(latent.register(), [100, -100, 900])

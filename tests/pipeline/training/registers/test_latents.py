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


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("axis", [-1, -2, None])
def test_filters_keep_their_largest_integer(latents, bits, axis):
    rng, limit = np.random.default_rng(1), 2 ** (bits - 1) - 1
    kernel = rng.integers(-limit, limit + 1, (3, 3, 4, 5)).astype(np.int8)
    kernel[..., 1] = 0
    latent = latents.Kernel(kernel, bits, 36, axis)
    others = tuple(n for n in range(4) if axis is None or n != axis % 4)
    full = np.abs(kernel).max(axis=others) == limit
    assert full.any()
    for _ in range(20):
        latent.variable.assign(0.7 * latent.variable)
        latent.settle()
    found = np.abs(latent.register())
    assert np.all(found.max(axis=others)[full] == limit)
    assert np.count_nonzero(found == limit) < np.count_nonzero(np.abs(kernel) == limit) + bits
    assert axis is None or not found[..., 1].any()


def test_biases_keep_the_smallest_shift_of_a_file(latents):
    mantissa, shift = np.array([3, 100, -128], np.int8), np.array([1, 2, 0], np.uint8)
    latent = latents.Bias(mantissa, shift, np.ones(3), 1)
    latent.variable.assign([2.0, -350.0, 3.0])
    found, shifts = latent.registers()
    np.testing.assert_array_equal(found, [4, 25, -125])
    np.testing.assert_array_equal(shifts, [1, 1, 0])


def test_tied_scales_move_by_one_factor(latents):
    mantissa, shift = np.array([130, 200], np.uint8), np.full(2, -10, np.int8)
    tied = latents.OutputScale(mantissa, shift, tied=True)
    assert tied.variable.shape == (1,)
    tied.variable.assign([0.1])
    np.testing.assert_allclose(tied.value() / tied.start, np.exp(0.1), rtol=0.01)


def test_factors_end_where_a_file_can_hold_them(latents):
    latent = latents.Factor(np.array([1.0, 3.0], np.float32), np.round)
    latent.variable.assign([0.5, 0.3])
    latent.finish()
    np.testing.assert_array_equal(latent.register(), [2.0, 4.0])
    np.testing.assert_array_equal(latent.value(), [2.0, 4.0])

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.transforms.gap.ridge import fit_ridge


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), inputs=st.integers(1, 6), outputs=st.integers(1, 4))
def test_a_linear_relation_is_found(seed, inputs, outputs):
    x, truth = draw(seed, 80, inputs) + 3, draw(seed + 1, inputs, outputs)
    offset = draw(seed + 2, outputs)
    weights, bias, _ = fit_ridge(x, x @ truth + offset, np.zeros((inputs, outputs)))
    # The smallest penalty shrinks by 1e-8 of the mean variance.
    np.testing.assert_allclose(weights, truth, atol=1e-5)
    np.testing.assert_allclose(bias, offset, atol=1e-4)


def test_the_prior_is_kept_for_uninformative_inputs():
    x = np.concatenate([draw(0, 50, 2), np.full((50, 1), 4.0)], 1)
    prior = np.array([[1.0], [2.0], [7.0]])
    weights, _, _ = fit_ridge(x, x[:, :1] - x[:, 1:2], prior)
    assert abs(weights[2, 0] - 7) < 1e-9
    np.testing.assert_allclose(weights[:2, 0], [1, -1], atol=1e-5)


def test_constant_inputs_keep_all_weights_and_fit_the_bias():
    prior = draw(0, 3, 2)
    weights, bias, penalty = fit_ridge(np.ones((5, 3)), np.full((5, 2), 2.0), prior)
    np.testing.assert_array_equal(weights, prior)
    np.testing.assert_allclose(np.ones(3) @ weights + bias, 2)
    assert penalty == 0


def test_fewer_samples_than_inputs_do_not_memorise_noise():
    rng = np.random.default_rng(0)
    prior = rng.normal(size=(40, 1))
    x, test = rng.normal(size=(30, 40)), rng.normal(size=(500, 40))
    wanted = x @ prior + rng.normal(size=(30, 1)) * 3
    weights, bias, _ = fit_ridge(x, wanted, prior)
    least, *_ = np.linalg.lstsq(x, wanted, rcond=None)
    fitted = np.square(test @ weights + bias - test @ prior).mean()
    assert fitted < 0.3 * np.square(test @ least - test @ prior).mean()


def test_expected_noise_is_part_of_the_fit():
    rng = np.random.default_rng(0)
    common, detail = rng.normal(size=(2, 500, 1))
    # A small difference gives the detail exactly, a third input approximately.
    x = np.concatenate([common, common + 0.05 * detail, detail + 0.3 * draw(5, 500, 1)], 1)
    noise = np.array([0.01, 0.01, 0])
    noisy = x + rng.normal(size=x.shape) * np.sqrt(noise)
    zero = np.zeros((3, 1))
    plain, bias, _ = fit_ridge(x, detail, zero)
    kept, kept_bias, _ = fit_ridge(x, detail, zero, noise)
    lost = np.square(noisy @ plain + bias - detail).mean()
    assert np.square(noisy @ kept + kept_bias - detail).mean() < 0.1 * lost
    # What is minimised is the expected error: least squares over many noisy copies come close.
    many = np.concatenate([x + draw(seed, 500, 3) * np.sqrt(noise) for seed in range(200)])
    many -= many.mean(0)
    wanted = np.tile(detail - detail.mean(), (200, 1))
    least, *_ = np.linalg.lstsq(many, wanted, rcond=None)
    best, found = (np.square(many @ weights - wanted).mean() for weights in (least, kept))
    assert best <= found < 1.02 * best

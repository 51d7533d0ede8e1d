import numpy as np

from pipeline.transforms.gap.class_fit import fit_classes


def probabilities(logits):
    powers = np.exp(logits)
    return powers / powers.sum(1, keepdims=True)


def divergence(wanted, found):
    p, q = probabilities(wanted), probabilities(found)
    return float((p * np.log(p / q)).sum(1).mean())


def test_probabilities_get_closer_and_equal_ones_stay():
    rng = np.random.default_rng(0)
    x, truth = rng.normal(size=(300, 5)), rng.normal(size=(5, 4)) * 3
    logits = x @ truth + rng.normal(size=(300, 4))
    start = truth * 0.2
    weights, bias = fit_classes(x, logits, start, np.zeros(4))
    assert divergence(logits, x @ weights + bias) < 0.5 * divergence(logits, x @ start)
    # A constant added to all logits of an image changes no probability.
    again, _ = fit_classes(x, x @ truth + rng.normal(size=(300, 1)), truth, np.zeros(4))
    np.testing.assert_allclose(again, truth, atol=1e-9)


def test_constant_inputs_keep_their_weights_and_large_logits_stay_finite():
    rng = np.random.default_rng(0)
    start = rng.normal(size=(2, 3))
    weights, bias = fit_classes(np.full((4, 2), 3.0), np.eye(4)[:, :3] * 1e4, start, np.ones(3))
    np.testing.assert_array_equal(weights, start)
    assert np.isfinite(bias).all()


def test_few_images_change_less_than_many():
    rng = np.random.default_rng(0)
    truth, start = rng.normal(size=(5, 4)), np.zeros((5, 4))
    moved = []
    for count in (3, 30, 3000):
        x = rng.normal(size=(count, 5))
        weights, _ = fit_classes(x, x @ truth, start, np.zeros(4))
        moved.append(np.abs(weights).sum())
    assert moved[0] < moved[1] < moved[2]


def test_expected_noise_is_part_of_the_fit():
    rng = np.random.default_rng(0)
    # Two inputs with an informative small difference, and one with a noisy copy of it.
    common, detail = rng.normal(size=(2, 2000, 1))
    x = np.concatenate(
        [common, common + 0.05 * detail, detail + 0.3 * rng.normal(size=(2000, 1))], 1
    )
    logits = np.concatenate([2 * detail, -2 * detail], 1)
    noise = np.full(3, 0.01)
    noisy = x + rng.normal(size=x.shape) * np.sqrt(noise)
    start, zero = np.zeros((3, 2)), np.zeros(2)
    found = {
        name: fit_classes(x, logits, start, zero, more)
        for name, more in (("without", None), ("with", noise))
    }
    lost = {name: divergence(logits, noisy @ w + b) for name, (w, b) in found.items()}
    assert lost["with"] < 0.5 * lost["without"]

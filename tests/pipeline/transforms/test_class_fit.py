import numpy as np

from pipeline.transforms.class_fit import TEMPERATURE, fit_classes


def softened(logits):
    powers = np.exp(logits / TEMPERATURE)
    return powers / powers.sum(1, keepdims=True)


def divergence(wanted, found):
    p, q = softened(wanted), softened(found)
    return float((p * np.log(p / q)).sum(1).mean())


def test_probabilities_come_nearer_and_equal_ones_stay():
    rng = np.random.default_rng(0)
    x, truth = rng.normal(size=(300, 5)), rng.normal(size=(5, 4)) * 3
    logits = x @ truth + rng.normal(size=(300, 4))
    start = truth * 0.2
    weights, bias = fit_classes(x, logits, start, np.zeros(4))
    assert divergence(logits, x @ weights + bias) < 0.5 * divergence(logits, x @ start)
    # A constant added to all logits of an image changes no probability.
    again, _ = fit_classes(x, x @ truth + rng.normal(size=(300, 1)), truth, np.zeros(4))
    np.testing.assert_allclose(again, truth, atol=1e-9)


def test_constant_inputs_and_large_logits():
    weights, bias = fit_classes(
        np.ones((4, 2)), np.eye(4)[:, :3] * 1e4, np.zeros((2, 3)), np.ones(3)
    )
    assert np.isfinite(weights).all()
    assert np.isfinite(bias).all()

"""Random models: verdicts predict the conversion, and conversion agrees with `check`."""

from collections import Counter

import numpy as np
import pytest

from conformance.agreement import QUANTIZED, SCHEMES, disagreement
from conformance.agreement_models import random_model
from pipeline.chips import chip, known_targets
from pipeline.chips.check import check, find, repaired
from pipeline.graph.forward import forward
from pipeline.preparation.verification import random_images
from simulator.akida_v1.neuron import NeuralLayer
from simulator.program import Program
from tests.pipeline.chips.models import FIX, NO, YES

SLICE, DRAWN = 40, 450


@pytest.mark.parametrize("target", known_targets())
@pytest.mark.parametrize("seed", range(60))
def test_verdicts_predict_the_conversion(seed, target):
    model = random_model(seed, target)
    report, (fixed, _, feeding) = check(model, target), repaired(model, target)
    again = check(fixed, target)
    assert (report.verdict == NO) == (again.verdict != YES)
    assert (report.verdict == FIX) == (again.verdict == YES and bool(report.conversion))
    assert bool(report.refusals()) == (report.verdict == NO)
    images = random_images(model)
    before, after = forward(model, images), forward(fixed, feeding(images))
    # Sums in another order: a few float32 roundings of the largest term.
    error = np.abs(after.reshape(before.shape) - before).max()
    assert error <= 1e-4 * max(np.abs(before).max(), 1e-6)


@pytest.mark.parametrize("target", SCHEMES)
def test_conversion_agrees_with_check(target):
    """Part of ``python -m conformance.agreement``, which runs thousands of models."""
    total = Counter()
    for seed in range(SLICE):
        text, seen = disagreement(random_model(seed, target), target)
        assert text is None, f"seed {seed}: {text}"
        total.update(seen)
    assert min(total["converted"], total["refused"]) >= SLICE // 8, total


@pytest.mark.parametrize("target", SCHEMES)
def test_the_models_reach_every_rule_and_limit(target):
    found, drawn = chip(target), Counter()
    for seed in range(DRAWN):
        drawn.update({v.rule for v in find(random_model(seed, target), found)[0]})
    names = {rule.name for rule in found.rules}
    names |= {limit.name for limit in found.limits.LIMITS if not limit.remark}
    assert names - drawn.keys() - NOT_DRAWN[target] == set()


NOT_DRAWN = {
    "akida_v1": {
        *QUANTIZED,
        "input_channels",  # decides itself which layer it is
        "discrete_activation",  # of models that cnn2snn quantized
        "activation_bits",  # these two are rules for quantized models
        "separable_bits",
        "rescaling_position",
        "relu_shape",
    },
    "akida_v2": {
        *QUANTIZED,
        "discrete_activation",
        "rescaling_position",
        "relu_shape",
        "shifting_flatten",  # these four are rules for quantized files
        "requantized_tail",
        "saturating_flatten",
        "one_product_width",
    },
}
"""Rules that the random models cannot break; each has a test by hand."""


def _without(function, *names):
    """Return a method whose result lacks some keys."""
    return lambda self: {k: v for k, v in function(self).items() if k not in names}


FAULTS = {
    "a program forgets the pooling": (NeuralLayer, "traits", _without(NeuralLayer.traits, "pool")),
    "a program forgets the average": (
        NeuralLayer,
        "traits",
        _without(NeuralLayer.traits, "average"),
    ),
    "a program does not know what follows": (
        Program,
        "_facts",
        lambda self: (layer.facts() for layer in self.layers),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault, monkeypatch):
    place, name, wrong = FAULTS[fault]
    monkeypatch.setattr(place, name, wrong)
    found = (disagreement(random_model(seed, "akida_v1"), "akida_v1") for seed in range(SLICE))
    assert any(text is not None for text, _ in found)

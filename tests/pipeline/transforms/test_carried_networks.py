"""What trained networks contain is carried to Akida 2.0: the same function, and a program."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings

from conformance.agreement import SCHEMES, disagreement
from pipeline.chips import convert
from pipeline.chips.check import check, repaired
from pipeline.config.sections import Quantization
from pipeline.graph.forward import forward
from pipeline.preparation.verification import random_images
from pipeline.quantization.quantize import quantize
from pipeline.transforms import TRANSFORMS
from simulator import simulate
from tests.pipeline.chips.models import NO, YES
from tests.pipeline.transforms.small_networks import KINDS

TARGET = "akida_v2"
assert TARGET in SCHEMES
DRAWN = 25


def carry(graph, drawn=None):
    """Repair a model, and assert all that must hold of any."""
    report, (fixed, _) = check(graph, TARGET), repaired(graph, TARGET)
    assert report.verdict != NO, report.reasons()
    after = check(fixed, TARGET)
    assert after.verdict == YES, after.reasons()
    images = random_images(graph)
    before, now = forward(graph, images), forward(fixed, images)
    # Sums in another order: a few float32 roundings of the largest term.
    scale = max(np.abs(before).max(), 1e-6)
    np.testing.assert_allclose(now.reshape(before.shape), before, rtol=0, atol=1e-4 * scale)
    text, seen = disagreement(fixed, TARGET)
    assert text is None and seen["converted"], text
    program = convert(quantize(fixed, images, Quantization()), TARGET)
    assert np.all(np.isfinite(simulate(program, images)))
    again = fixed
    for name, transform in TRANSFORMS.items():
        if name in KINDS:
            assert not transform(again).changed, f"{name} is not done"
    if drawn is not None:
        drawn.update(name for name in KINDS if TRANSFORMS[name](graph).changed)


@pytest.mark.parametrize("name", KINDS)
def test_networks_are_carried(name):
    drawn = Counter()

    @settings(max_examples=DRAWN, deadline=None)
    @given(KINDS[name])
    def holds(graph):
        drawn["all"] += 1
        carry(graph, drawn)

    holds()
    assert drawn[name] >= drawn["all"] // 3, drawn

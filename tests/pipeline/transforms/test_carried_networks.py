"""What trained networks contain is carried to Akida 2.0: the same function, and a program."""

from collections import Counter
from importlib import import_module

import numpy as np
import pytest
from hypothesis import Phase, given, settings

from conformance.agreement import disagreement
from pipeline.chips import convert
from pipeline.chips.check import check, repaired
from pipeline.config.sections import Quantization
from pipeline.errors import CrossgradeError
from pipeline.graph.forward import forward
from pipeline.preparation.verification import random_images
from pipeline.quantization.quantize import quantize
from pipeline.transforms import TRANSFORMS
from simulator import simulate
from tests.pipeline.chips.models import NO, YES
from tests.pipeline.transforms.small_networks import KINDS

TARGET = "akida_v2"
DRAWN = 25
"""Networks of each kind; the draws are counted, see the tests."""


def carry(graph, drawn=None):
    """Repair a model, and assert all that must hold of any."""
    report, (fixed, _, feeding) = check(graph, TARGET), repaired(graph, TARGET)
    assert report.verdict != NO, report.reasons()
    after = check(fixed, TARGET)
    assert after.verdict == YES, after.reasons()
    images = random_images(graph)
    before, images = forward(graph, images), feeding(images)
    now = forward(fixed, images)
    assert now.size == before.size
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


def carry_all(name, *, phases=tuple(Phase)):
    """Carry random networks of a kind; return how often each transform had to do something."""
    drawn = Counter()

    @settings(max_examples=DRAWN, phases=phases, database=None)
    @given(KINDS[name])
    def holds(graph):
        drawn["all"] += 1
        carry(graph, drawn)

    holds()
    return drawn


@pytest.mark.parametrize("name", KINDS)
def test_networks_are_carried(name):
    drawn = carry_all(name)
    assert drawn[name] >= drawn["all"] // 3, drawn


def shifted(value):
    return lambda *axis: (value, 0)


FAULTS = {
    "the weight of a 1x1 kernel in the first tap on odd sizes too": (
        "enlarge_small_kernels",
        ("exact.enlarge_small_kernels", "same_padding", shifted(0)),
    ),
    "a constant that stays in the sums": (
        "relu_after_max_pooling",
        ("approximate.relu_after_max_pooling", "taken_off", lambda graph, *_: graph),
    ),
    "a constant that is taken off and never added": (
        "relu_after_max_pooling",
        ("approximate.relu_after_max_pooling", "shifted_before", lambda graph, *_: graph),
    ),
    "a window before the one that was meant": (
        "select_after_pooling",
        ("exact.select_after_pooling", "same_padding", shifted(0)),
    ),
    "a border at the wrong end": (
        "cut_borders_in_dense",
        ("exact.cut_borders_in_dense", "same_padding", shifted(0)),
    ),
    "an activation that stays on a shared tensor": (
        "identity_before_tail",
        ("exact.identity_before_tail", "tail_before", lambda *_: None),
    ),
    "a kernel whose axes stay": (
        "sink_permutes",
        ("exact.sink_permutes", "_swapped", lambda node: node),
    ),
    "images that are shifted and never shifted back": (
        "shift_input",
        ("exact.shift_input", "_with_zero", lambda graph, dense: dense),
    ),
    "pixels repeated once": (
        "replace_upsampling",
        ("exact.replace_upsampling", "TRANSPOSED_STRIDE", 1),
    ),
    "pixels repeated one place too early": (
        "replace_upsampling",
        ("exact.replace_upsampling", "SIDE", 4),
    ),
}
"""What may go wrong: a kind of networks, and the place and the value of the fault."""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault, monkeypatch):
    name, (module, attribute, wrong) = FAULTS[fault]
    place = import_module(f"pipeline.transforms.{module}")
    monkeypatch.setattr(place, attribute, wrong)
    with pytest.raises((AssertionError, CrossgradeError)):
        carry_all(name, phases=(Phase.generate,))

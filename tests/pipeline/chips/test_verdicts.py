"""Architecture matrix: verdicts, repairs, and agreement with the vendor's converters."""

import numpy as np
import pytest

from pipeline.chips import convert, known_targets
from pipeline.chips.check import check, repaired
from pipeline.config.sections import Calibration, Quantization
from pipeline.errors import CrossgradeError
from pipeline.graph.forward import forward
from pipeline.preparation.head import cut_head
from pipeline.preparation.verification import random_images
from pipeline.quantization.quantize import quantize
from tests.pipeline.chips.models import FIX, MATRIX, NO, YES

ROWS = [
    pytest.param(model, target, verdict, id=f"{name}-{target}")
    for name, (model, *verdicts) in MATRIX.items()
    for target, verdict in zip(("akida_v1", "akida_v2"), verdicts, strict=True)
]
MATRIX_ROWS = pytest.mark.parametrize("model, target, verdict", ROWS)
EMULATED = {
    "edge learning",  # an ordinary layer to the converter, but not what the model was made for
    "reshape of a map",
    "max pool before gap",
    "depthwise before gap",
    "pool padding differs, tiled",
    "pool padding differs",
}
"""Rows that the vendor's converter refuses although the emulator can run them."""


def test_every_target_has_rules():
    assert known_targets() == known_targets()


@MATRIX_ROWS
def test_the_verdict_is_the_matrix_entry(model, target, verdict):
    report = check(model, target)
    assert report.verdict == verdict, report.reasons()
    assert bool(report.conversion) == (verdict != YES)
    if verdict == FIX:
        assert all(violation.fixable for violation in report.conversion)
    if verdict == NO:
        assert report.reasons()


@MATRIX_ROWS
def test_repairs_keep_the_function_and_lead_to_compatibility(model, target, verdict):
    fixed, _, feeding = repaired(model, target)
    images = random_images(model)
    expected = forward(model, images)
    # Sums in another order: a few float32 roundings of the largest term.
    tolerance = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(
        forward(fixed, feeding(images)).reshape(expected.shape), expected, atol=tolerance, rtol=1e-5
    )
    assert check(fixed, target).verdict == (YES if verdict == FIX else verdict)


def refusals(model, target):
    """Return the reasons why our converter refuses a model for the chip; [] if it does not."""
    scheme = {"akida_v1": "cnn2snn", "akida_v2": "quantizeml"}[target]
    widths = {"weight_bits": 4, "activation_bits": 4} if target == "akida_v1" else {}
    options = Quantization(
        scheme=scheme, calibration=Calibration(source="random", samples=8), **widths
    )
    try:
        program = convert(quantize(model, random_images(model, 8), options), target)
    except CrossgradeError as error:
        return [str(error)]
    return list(program.limits())


@MATRIX_ROWS
def test_the_converter_agrees(model, target, verdict):
    report = check(model, target)
    found = refusals(model, target)
    if verdict == YES:
        assert len(found) <= len(report.hardware) or target == "akida_v1", found
    elif not any(model is MATRIX[name][0] for name in EMULATED):
        assert found
    if verdict == FIX:
        fixed, _, _ = repaired(model, target)
        assert len(refusals(fixed, target)) <= len(check(fixed, target).hardware)


def test_final_softmax_is_noted():
    for target in known_targets():
        notes = check(MATRIX["final softmax"][0], target).notes
        assert any("final softmax is left out" in note for note in notes)
        assert len(cut_head(MATRIX["final softmax"][0])[1]) == 1


def test_missing_relu_is_noted_on_2_and_refused_on_1():
    model = MATRIX["inner conv without relu"][0]
    assert any("no activation after n2" in note for note in check(model, "akida_v2").notes)
    (violation,) = check(model, "akida_v1").conversion
    assert (*violation.layers, violation.rule) == ("n2", "activation_between")

"""Files on which `check` and later commands once disagreed."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.chips.check import check
from pipeline.config.sections import Calibration, Quantization
from pipeline.errors import IncompatibleModelError
from pipeline.graph.forward import forward
from pipeline.models.file import read_float
from pipeline.quantization.quantize import quantize
from simulator import simulate

CASES = Path(__file__).parents[4] / "shared/cases"
ROWS, FLOATS = CASES / "M01_check_against_convert", CASES / "S07_float_input_on_v1"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not there")


def converted(model, target, samples):
    scheme = {"akida_v1": "cnn2snn", "akida_v2": "quantizeml"}[target]
    bits = {"weight_bits": 4, "activation_bits": 4} if target == "akida_v1" else {}
    options = Quantization(
        scheme=scheme, calibration=Calibration(samples=len(samples), batch_size=16), **bits
    )
    return convert(quantize(model, samples, options), target)


@pytest.mark.parametrize(
    ("path", "target", "rules"),
    [
        (ROWS / "inverted.keras", "akida_v1", ["one_scale"]),
        (ROWS / "offset.keras", "akida_v1", ["image_border"]),
        (ROWS / "uint16.keras", "akida_v1", ["pixels"]),
        (ROWS / "uint16.keras", "akida_v2", ["input_type"]),
        (ROWS / "float8ch.keras", "akida_v1", ["pixels"]),
        (FLOATS / "m.keras", "akida_v1", ["pixels"]),
    ],
)
def test_check_refuses_models_that_conversion_refuses(path, target, rules):
    model = read_float(path)
    report = check(model, target)
    assert report.verdict == "incompatible"
    assert [violation.rule for violation in report.conversion] == rules
    shape = model.shapes[model.input.name]
    samples = np.random.default_rng(0).integers(0, 256, (32, *shape))
    with pytest.raises(IncompatibleModelError) as caught:
        converted(model, target, samples.astype(model.input.attrs["dtype"]))
    layers = {layer for violation in report.conversion for layer in violation.layers}
    assert {layer for refusal in caught.value.refusals for layer in refusal.layers} == layers


def test_an_offset_beyond_the_pixels_is_a_limit_of_2_0():
    model = read_float(ROWS / "offset.keras")
    (violation,) = check(model, "akida_v2").violations
    (refusal,) = converted(model, "akida_v2", np.load(ROWS / "u8.npy")).exceeded()
    assert violation.rule == refusal.rule == "padding_value"
    assert (violation.layers, violation.found) == (refusal.layers, refusal.found)


def test_an_inverted_image_converts_to_2_0():
    model, samples = read_float(ROWS / "inverted.keras"), np.load(ROWS / "u8.npy")
    assert check(model, "akida_v2").violations == ()
    program = converted(model, "akida_v2", samples)
    assert list(program.exceeded()) == []
    expected = forward(model, samples)
    found = simulate(program, samples).reshape(expected.shape)
    # 8 bits of weights and activations.
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


def test_float_inputs_of_many_channels_get_a_note():
    report = check(read_float(ROWS / "float8ch.keras"), "akida_v2")
    assert any("inputs below 0" in note and "found 8" in note for note in report.notes)

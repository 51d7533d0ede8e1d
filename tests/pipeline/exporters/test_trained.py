"""Models whose registers were trained are exported with every integer, too."""

import numpy as np
import pytest

from conformance.exports.case import equal_registers
from conformance.exports.trained import LAYERS, moved, trained_models
from pipeline.chips import convert
from pipeline.config import Calibration, Quantization, RegisterTraining
from pipeline.errors import IncompatibleModelError
from pipeline.exporters.formats import export
from pipeline.graph.architecture import build_graph
from pipeline.importers import load_model
from pipeline.messages.notes import TRAINED
from pipeline.quantization.integers import integers
from pipeline.quantization.quantize import quantize
from simulator import simulate
from tests.pipeline.exporters.quantized_models import quantized

pytestmark = pytest.mark.slow
CHIPS = {"quantizeml": "akida_v2", "cnn2snn": "akida_v1"}


def program_of(model):
    return convert(model, CHIPS[model.scheme])


def check_export(model, images, tmp_path):
    """Compare a model with what is read from its export; return True if the programs are equal."""
    notes = export(tmp_path / "model.h5", model, model.scheme)
    wanted, found = map(program_of, (model, integers(load_model(tmp_path / "model.h5"))))
    outputs = (simulate(program, images).ravel() for program in (wanted, found))
    np.testing.assert_array_equal(*outputs)
    same = equal_registers(wanted, found)
    assert notes or same
    return same


@pytest.mark.parametrize("scheme", CHIPS)
def test_registers_that_moved_as_far_as_they_can(tmp_path, scheme):
    cases = trained_models(scheme)
    every = 5 if scheme == "quantizeml" else 1
    same = []
    for label in list(cases)[::every]:
        case = cases[label]()
        same.append(check_export(case.quantized, case.images, tmp_path))
    assert any(same) and all(same) == (scheme == "cnn2snn")


@pytest.mark.parametrize("scheme", CHIPS)
@pytest.mark.parametrize("bits", [2, 4])
def test_a_distilled_model(tmp_path, scheme, bits):
    from pipeline.training.registers.train import train_registers

    given = {"shape": [8, 8, 3], "dtype": "uint8"}
    net = {"name": "net", "input": given, "layers": LAYERS[scheme]["average"]}
    graph, images = (
        build_graph(net, seed=3),
        np.random.default_rng(4).integers(0, 256, (80, 8, 8, 3)),
    )
    images = images.astype(np.uint8)
    options = Quantization(
        scheme=scheme,
        weight_bits=bits,
        activation_bits=4,
        refine="layers",
        train="distill",
        training=RegisterTraining(epochs=4, batch_size=16),
        calibration=Calibration(batch_size=20),
    )
    start = quantize(graph, images, options)
    model, _ = train_registers(graph, start, images, None, options)
    assert any(n.kind == TRAINED and n.text.startswith("trained on") for n in model.notes)
    assert not equal_registers(program_of(model), program_of(start))
    check_export(model, images, tmp_path)


def model_to_move():
    conv = {"Conv2D": {"filters": 6, "kernel_size": 3}}
    layers = [conv, {"ReLU": {"max_value": 6.0}}, {"GlobalAveragePooling2D": {}}]
    return quantized([*layers, {"Dense": {"units": 4}}], weight_bits=4, activation_bits=4)[0]


@pytest.mark.parametrize("fault", ["kernel", "factor"])
def test_training_that_ignores_what_the_format_holds_is_refused(tmp_path, monkeypatch, fault):
    """Planted: filters lose their largest integer, factors are any floats."""
    import tensorflow as tf

    from pipeline.training.registers import latents

    if fault == "kernel":
        monkeypatch.setattr(
            latents.Kernel,
            "settle",
            lambda self: self.variable.assign(
                tf.clip_by_value(self.variable, -self.largest + 1.0, self.largest - 1.0)
            ),
        )
    else:
        monkeypatch.setattr(latents.Factor, "finish", lambda self: None)
    with pytest.raises(IncompatibleModelError, match="would differ"):
        for seed in range(8):
            export(tmp_path / "model.h5", moved(model_to_move(), seed), "quantizeml")
    assert not (tmp_path / "model.h5").exists() or fault == "factor"

"""QuantizeML files become the very integers that QuantizeML computes."""

import numpy as np
import pytest

from pipeline.chips.akida_v2.lowering import lower
from pipeline.chips.blocks import View
from pipeline.errors import IncompatibleModelError
from pipeline.importers import load_model
from pipeline.quantization.integerize import integerize
from simulator import simulate
from tests.pipeline.importers.keras_files import FIXTURES, edited

MODELS = ("quantized_residual", "quantized_flatten")


def reference(name):
    with np.load(FIXTURES / f"{name}.npz") as arrays:
        return {key.replace("|", "/"): arrays[key] for key in arrays.files}


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_computes_the_recorded_integers(name):
    expected = reference(name)
    quantized = integerize(load_model(FIXTURES / f"{name}.h5"))
    found = {}
    outputs = simulate(
        lower(quantized),
        expected["images"],
        probe=lambda layer, values: found.update({layer.name: values}),
    )
    compared = set()
    for block in View(quantized, quantized).blocks:
        values = expected.get(block.last.name)
        if values is not None:
            np.testing.assert_array_equal(found[block.head.name].reshape(values.shape), values)
            compared.add(block.last.name)
    np.testing.assert_array_equal(outputs.reshape(expected["outputs"].shape), expected["outputs"])
    assert len(compared) >= 2


def test_settings_are_those_of_the_file():
    model = load_model(FIXTURES / "quantized_residual.h5")
    assert [node.op for node in model.graph.nodes][:4] == ["Input", "Rescaling", "Conv2D", "ReLU"]
    stem, dw, lut = (model.nodes[name] for name in ("stem", "dw", "pw/swish"))
    assert (stem.weight_bits, stem.buffer_bits, stem.output) == (8, 28, None)
    np.testing.assert_array_equal(stem.padding_value, np.float32([1.0]))
    assert model.graph.node("stem").attrs["padding"] == "same"
    assert (dw.weight_bits, dw.output.bits, dw.output.signed, dw.output.per_tensor) == (
        4,
        8,
        True,
        False,
    )
    assert model.nodes["pw"].output.bits == 11
    assert lut.lut_bits == 14
    relu = model.nodes["stem/relu"].output
    assert (relu.bits, relu.signed, relu.range_max.shape) == (4, False, (4,))
    assert "Flatten" not in {model.graph.node(name).op for name in model.nodes}
    assert model.flatten_saturates
    assert any("softmax" in note.text for note in model.notes)
    assert model.graph.output == "logits"


def test_float_inputs_keep_their_quantizer():
    model = load_model(FIXTURES / "quantized_flatten.h5")
    assert (model.input.bits, model.input.signed, model.input.per_tensor) == (8, False, False)
    assert model.input.range_min.shape == (2,)
    assert not model.input.clip_at_zero
    assert model.graph.input.attrs["dtype"] == "float32"


def test_all_refusals_come_at_once(tmp_path):
    def edit(layers):
        layers["stem"]["config"]["quant_config"]["weight_quantizer"]["axis"] = None
        layers["pw"]["config"]["quant_config"]["bias_quantizer"] = {"bitwidth": 4}
        layers["stem/relu"]["config"]["quant_config"]["max_value_quantizer"] = {"bitwidth": 4}
        layers["dw"]["class_name"] = "Custom>QuantizedExtractToken"
        layers["gap"]["config"]["data_format"] = "channels_first"
        layers["head"]["config"]["quant_config"]["weight_quantizer"] = 3
        layers["add"]["config"]["quant_config"]["output_quantizer"]["axis"] = "rows"

    with pytest.raises(IncompatibleModelError) as caught:
        load_model(edited(tmp_path, "quantized_residual.h5", edit))
    for start in (
        "stem: weight_quantizer.axis is None",
        "pw: bias_quantizer.bitwidth is 4",
        "stem/relu: max_value_quantizer.bitwidth is 4",
        "dw: QuantizedExtractToken",
        "gap: data_format is 'channels_first'",
        "head: QuantizedConv2D has a malformed configuration",
        "add: its quantizer's axis is 'rows'",
    ):
        assert any(reason.startswith(start) for reason in caught.value.reasons), start


def test_float_layers_are_refused_but_for_a_last_activation(tmp_path):
    def sigmoid(layers):
        layers["softmax"]["class_name"] = "Activation"
        layers["softmax"]["config"]["activation"] = "sigmoid"

    def average(layers):
        layers["softmax"]["class_name"] = "AveragePooling2D"

    model = load_model(edited(tmp_path, "quantized_residual.h5", sigmoid))
    assert any("sigmoid" in note.text for note in model.notes)
    with pytest.raises(IncompatibleModelError, match="softmax: AveragePooling2D was left in float"):
        load_model(edited(tmp_path, "quantized_residual.h5", average))

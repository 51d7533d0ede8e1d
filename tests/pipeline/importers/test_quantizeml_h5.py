"""Imported QuantizeML files compute the same integers as QuantizeML."""

import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.chips.akida_v2.lowering import lower
from pipeline.chips.blocks import View
from pipeline.errors import IncompatibleModelError, ModelError
from pipeline.importers import load_model
from pipeline.quantization.integerize import integerize
from simulator import simulate
from tests.pipeline.importers.keras_files import FIXTURES, edited, edited_config, layer

MODELS = ("quantized_residual", "quantized_flatten", "quantized_slopes")
CASES = Path(__file__).parents[4] / "shared" / "cases"


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


@pytest.mark.parametrize("name", ["q0.3", "q1.2", "q4.0"])
def test_slopes_above_one_equal_quantizeml(name):
    folder = CASES / "S05_leaky_slope_above_one"
    if not folder.exists():
        pytest.skip("needs ../shared")
    program = lower(integerize(load_model(folder / f"{name}.h5")))
    images = np.load(folder / "x.npy").astype(program.input_dtype)
    with np.load(folder / f"{name}.npz") as arrays:
        wanted = arrays["q"]
    np.testing.assert_array_equal(simulate(program, images).reshape(wanted.shape), wanted)


@pytest.mark.parametrize(
    ("tail", "steps"),
    [
        ([("Softmax", {"axis": -1})], "softmax"),
        ([("Softmax", {}), ("Reshape", {"target_shape": [3, 1]})], "softmax, then Reshape"),
        ([("Reshape", {"target_shape": [1, 3]}), ("Softmax", {})], r"\(1, 3\), then softmax"),
        ([("Permute", {"dims": [1]}), ("Flatten", {})], r"Permute \(1,\), then Flatten"),
        ([("Dropout", {"rate": 0.5}), ("Activation", {"activation": "sigmoid"})], "sigmoid"),
        ([("Activation", {"activation": "tanh"})], "tanh"),
        ([("Activation", {"activation": "linear"}), ("Dropout", {"rate": 0.1})], None),
    ],
)
def test_a_tail_that_reshapes_or_normalizes_runs_on_the_host(tmp_path, tail, steps):
    plain = load_model(FIXTURES / "quantized_residual.h5")
    model = load_model(with_tail(tmp_path, tail))
    assert [op for _, op, _ in model.float_tail] == [kind for kind, _ in tail]
    assert model.graph.output == "logits"
    np.testing.assert_array_equal(
        model.graph.node("logits").weights["kernel"], plain.graph.node("logits").weights["kernel"]
    )
    if steps is None:
        assert model.notes == ()
    else:
        (note,) = model.notes
        assert re.search(f"on the host, apply .*{steps}", note.text)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("Dense", {"units": 2}),
        ("AveragePooling2D", {}),
        ("BatchNormalization", {"axis": [1]}),
        ("Rescaling", {"scale": 2.0}),
        ("ReLU", {}),
        ("Activation", {"activation": "relu"}),
        ("Activation", {"activation": "gelu"}),
        ("Lambda", {}),
    ],
)
def test_a_tail_that_computes_is_refused_by_name(tmp_path, kind, config):
    path = with_tail(tmp_path, [("Softmax", {}), (kind, config)])
    found = config.get("activation", kind)
    with pytest.raises(IncompatibleModelError, match=f"tail_1: {found} was left in float"):
        load_model(path)


def with_tail(folder, tail):
    """Return a copy of a fixture with other layers after its Dequantizer."""

    def edit(config):
        layers = config["config"]["layers"]
        dropped = next(i for i, one in enumerate(layers) if one["name"] == "softmax")
        source = layers[dropped]["inbound_nodes"][0][0][0]
        layers[dropped:] = []
        for number, (kind, settings) in enumerate(tail):
            layers.append(layer(kind, f"tail_{number}", source, **settings))
            source = f"tail_{number}"
        config["config"]["output_layers"] = [[source, 0, 0]]

    return edited_config(folder, "quantized_residual.h5", edit)


def test_a_stateful_recurrent_layer_is_refused_by_name(tmp_path):
    def edit(layers):
        layers["dw"]["class_name"] = "Custom>QuantizedStatefulRecurrent"

    with pytest.raises(IncompatibleModelError, match="dw: QuantizedStatefulRecurrent is not"):
        load_model(edited(tmp_path, "quantized_residual.h5", edit))


@pytest.mark.parametrize("alpha", [None, [0.1, 0.2], float("nan"), "steep"])
def test_a_slope_that_is_no_number_is_refused(tmp_path, alpha):
    def edit(layers):
        layers["slope_1.7"]["config"]["alpha"] = alpha

    with pytest.raises(ModelError, match=r"slope_1\.7"):
        load_model(edited(tmp_path, "quantized_slopes.h5", edit))


@pytest.mark.parametrize("bits", [1, 17])
def test_a_table_wider_than_its_integers_is_refused(tmp_path, bits):
    def edit(layers):
        layers["slope_1.7"]["config"]["quant_config"]["lut_bitwidth"] = bits

    with pytest.raises(IncompatibleModelError, match=f"slope_1.7: lut_bitwidth is {bits}"):
        load_model(edited(tmp_path, "quantized_slopes.h5", edit))

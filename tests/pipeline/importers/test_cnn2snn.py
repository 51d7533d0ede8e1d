"""Import of cnn2snn files as float models, and conversion to programs."""

import json

import h5py
import numpy as np
import pytest

from conformance.legacy import compare, main, relative
from pipeline.chips import convert
from pipeline.errors import IncompatibleModelError
from pipeline.graph.forward import forward
from pipeline.importers import load_model
from pipeline.quantization.integers import integers
from pipeline.quantization.legacy_graph import LegacyGraph, WeightQuantizer
from simulator import Program, simulate
from tests.pipeline.importers.keras_files import FIXTURES, edited

SMALL = FIXTURES / "cnn2snn_small.h5"


@pytest.fixture(scope="module")
def model():
    return load_model(SMALL)


@pytest.fixture(scope="module")
def expected():
    with np.load(FIXTURES / "cnn2snn_small.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def test_every_layer_and_quantizer_is_read(model):
    assert isinstance(model, LegacyGraph)
    assert [(node.name, node.op) for node in model.graph.nodes] == [
        ("image", "Input"),
        ("rescaling", "Rescaling"),
        ("first", "Conv2D"),
        ("pool", "MaxPooling2D"),
        ("first/relu", "QuantizedReLU"),
        ("fused", "SeparableConv2D"),
        ("fused/relu", "QuantizedReLU"),
        ("last", "Conv2D"),
        ("gap", "GlobalAveragePooling2D"),
        ("last/relu", "QuantizedReLU"),
        ("logits", "Dense"),
    ]
    assert model.graph.input.attrs["dtype"] == "uint8"
    assert model.quantizers == {
        ("first", "kernel"): WeightQuantizer(bits=8, range="std_per_axis", threshold=2.5),
        ("fused", "depthwise_kernel"): WeightQuantizer(bits=4, range="max"),
        ("fused", "pointwise_kernel"): WeightQuantizer(bits=4, range="max_per_axis"),
        ("last", "kernel"): WeightQuantizer(bits=2, range="max"),
        ("logits", "kernel"): WeightQuantizer(bits=4, range="std", threshold=3.0),
    }
    activations = {
        node.name: (node.attrs["bits"], node.attrs["max_value"])
        for node in model.graph.nodes
        if node.op == "QuantizedReLU"
    }
    # No max_value: a step of one. The discrete ReLU ends at six at most.
    assert activations == {"first/relu": (4, 6.0), "fused/relu": (4, 6.0), "last/relu": (2, 3.0)}
    (note,) = model.notes
    assert "softmax: the final softmax is left out" in note.text and not note.is_warning


def test_the_float_model_computes_the_recorded_levels(model, expected):
    steps = {"first/relu": 6 / 15, "fused/relu": 6 / 15, "last/relu": 1.0}
    found = {}
    logits = forward(model.fake_quantized(), expected["images"], probe=found.__setitem__)
    for name, step in steps.items():
        levels = np.rint(found[name] / np.float32(step))
        np.testing.assert_array_equal(levels, expected[name.partition("/")[0]])
    # float32 sums against float64 ones
    np.testing.assert_allclose(logits, expected["logits"], atol=1e-5)


def test_the_program_computes_them_except_for_rounded_thresholds(model, expected):
    rows, outputs = compare(model, expected["images"])
    assert [row.layer for row in rows] == ["first", "fused", "last"]
    assert [row.exact for row in rows] == [0, 0, 0]
    assert all(row.largest <= 1 for row in rows)
    assert relative(outputs.exact, expected["logits"]) < 1e-5


def test_registers_of_the_program(model, tmp_path):
    program = convert(integers(model), "akida_v1")
    assert [(type(layer).__name__, layer.weights_bits) for layer in program.layers] == [
        ("InputConvolutional", 8),
        ("SeparableConvolutional", 4),
        ("Convolutional", 2),
        ("FullyConnected", 4),
    ]
    assert [layer.act_bits for layer in program.layers[:3]] == [4, 4, 2]
    assert [layer.pool_type for layer in program.layers] == ["max", "none", "average", "none"]
    assert program.layers[0].padding_value == 127
    assert program.input_dtype == "uint8" and not program.layers[3].activation
    program.save(tmp_path / "program.npz")
    x = np.random.default_rng(0).integers(0, 256, (3, 8, 7, 3), dtype=np.uint8)
    again = Program.load(tmp_path / "program.npz")
    np.testing.assert_array_equal(simulate(program, x), simulate(again, x))


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("MaxQuantizer", "max"),
        ("MaxPerAxisQuantizer", "max_per_axis"),
        ("StdQuantizer", "std"),
        ("StdWeightQuantizer", "std"),
        ("StdPerAxisQuantizer", "std_per_axis"),
        ("cnn2snn>MaxPerAxisQuantizer", "max_per_axis"),
    ],
)
def test_every_quantizer_at_every_width(tmp_path, name, kind, bits):
    def edit(layers):
        entry = layers["logits"]["config"]["quantizer"]
        entry["class_name"], entry["config"]["bitwidth"] = name, bits

    model = load_model(edited(tmp_path, SMALL.name, edit))
    quantizer = model.quantizers["logits", "kernel"]
    assert (quantizer.range, quantizer.bits) == (kind, bits)
    kernel = model.graph.node("logits").weights["kernel"]
    # By the formula, in plain floats.
    highest = 2 ** (bits - 1) - 1
    for unit in range(kernel.shape[1]):
        column = kernel[:, unit] if kind.endswith("per_axis") else kernel.ravel()
        spread = np.abs(column).max() if kind.startswith("max") else 3 * np.std(column)
        factor = min(highest / float(spread), 1000.0)
        wanted = [
            max(-highest, min(highest, round(float(value) * factor))) for value in kernel[:, unit]
        ]
        assert quantizer.integers(kernel)[:, unit].tolist() == wanted


@pytest.mark.parametrize(("bits", "largest"), [(1, 1.0), (2, 3.0), (4, 6.0), (8, 6.0)])
def test_the_discrete_relu_ends_at_six_or_at_its_highest_level(tmp_path, bits, largest):
    def edit(layers):
        layers["fused/relu"]["config"]["bitwidth"] = bits

    node = load_model(edited(tmp_path, SMALL.name, edit)).graph.node("fused/relu")
    assert node.attrs["max_value"] == largest


MISUSE = {
    "quantizer": (
        lambda layers: layers["last"]["config"]["quantizer"].update(
            class_name="TrainableQuantizer"
        ),
        "last: weight quantizer TrainableQuantizer is not known; known: MaxQuantizer,"
        " MaxPerAxisQuantizer, StdQuantizer",
    ),
    "width": (
        lambda layers: layers["last"]["config"]["quantizer"]["config"].update(bitwidth=1),
        "last: its weights have 1 bits; allowed: 2 to 8",
    ),
    "float_layer": (
        lambda layers: layers["last"].update(class_name="Conv2D"),
        "last: Conv2D is not a layer of a cnn2snn-quantized model",
    ),
    "no_quantizer": (lambda layers: layers["logits"]["config"].pop("quantizer"), "logits: "),
    "dilation": (
        lambda layers: layers["first"]["config"].update(data_format="channels_first"),
        "first: data_format is 'channels_first'; allowed: channels_last",
    ),
    "activation": (
        lambda layers: layers["logits"]["config"].update(activation="relu"),
        "logits: its activation is 'relu'; allowed: none",
    ),
}


@pytest.mark.parametrize("name", MISUSE)
def test_misuse_is_refused_by_name(tmp_path, name):
    edit, sentence = MISUSE[name]
    with pytest.raises(IncompatibleModelError) as caught:
        load_model(edited(tmp_path, SMALL.name, edit))
    assert sentence in str(caught.value)
    assert "cannot read the quantized model, 1 reason" in str(caught.value)


def test_all_reasons_at_once(tmp_path):
    def edit(layers):
        for name in ("quantizer", "activation"):
            MISUSE[name][0](layers)

    with pytest.raises(IncompatibleModelError) as caught:
        load_model(edited(tmp_path, SMALL.name, edit))
    assert len(caught.value.reasons) == 2


def test_files_that_import_but_do_not_convert(tmp_path):
    def edit(layers):
        layers["fused/relu"]["config"]["bitwidth"] = 8

    model = load_model(edited(tmp_path, SMALL.name, edit))
    with pytest.raises(IncompatibleModelError, match="fused/relu: 8-bit activations"):
        convert(integers(model), "akida_v1")
    with pytest.raises(IncompatibleModelError, match="scheme 'cnn2snn'; akida_v2 takes quantizeml"):
        convert(integers(load_model(SMALL)), "akida_v2")


def write(tmp_path, expected):
    np.save(tmp_path / "images.npy", expected["images"])
    logits = expected["logits"]
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    np.save(tmp_path / "outputs.npy", (shares / shares.sum(-1, keepdims=True)).astype(np.float32))
    return str(tmp_path / "images.npy"), str(tmp_path / "outputs.npy")


def test_the_command_counts_differing_levels(tmp_path, expected, capsys, monkeypatch):
    images, outputs = write(tmp_path, expected)
    monkeypatch.setattr("conformance.legacy.ALLOWED", 0.02)  # 12 tiny images: few, coarse steps
    assert main([str(SMALL), images, "--expected", outputs]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["layer", "levels", "chain", "alone", "share", "unrounded"]
    assert [line.split()[0] for line in lines[1:4]] == ["first", "fused", "last"]
    assert all(line.split()[5] == "0" for line in lines[1:4])
    assert "levels differ in the chain" in lines[4]


def test_the_command_fails_on_another_models_outputs(tmp_path, expected, capsys):
    images, outputs = write(tmp_path, expected)
    np.save(outputs, np.roll(np.load(outputs), 1, axis=0))
    assert main([str(SMALL), images, "--expected", outputs]) == 1


@pytest.mark.parametrize("missing", [0, 1])
def test_the_command_says_what_is_missing(tmp_path, expected, capsys, missing):
    arguments = [str(SMALL), *write(tmp_path, expected)[:1]]
    arguments[missing] = str(tmp_path / "none.h5")
    assert main(arguments) == 1
    assert "no such file" in capsys.readouterr().err


def test_the_command_accepts_cnn2snn_models_only(tmp_path, expected, capsys):
    other = FIXTURES / "quantized_flatten.h5"
    assert main([str(other), write(tmp_path, expected)[0]]) == 1
    assert "not quantized by cnn2snn" in capsys.readouterr().err


def test_the_fixture_is_what_its_script_writes(expected):
    with h5py.File(SMALL) as file:
        config = json.loads(file.attrs["model_config"])
    kinds = {entry["class_name"] for entry in config["config"]["layers"]}
    assert {"QuantizedReLU", "ActivationDiscreteRelu", "QuantizedSeparableConv2D"} <= kinds
    assert all(0.02 < np.mean(expected[name] > 0) < 0.98 for name in ("first", "fused"))

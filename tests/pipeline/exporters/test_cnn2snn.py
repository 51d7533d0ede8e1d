"""Exports for cnn2snn's converter hold every integer, and are read back as the same program."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.config import Quantization
from pipeline.errors import DataError, IncompatibleModelError
from pipeline.exporters.formats import export
from pipeline.graph.architecture import build_graph
from pipeline.importers import load_model
from pipeline.quantization.integers import integers
from pipeline.quantization.quantize import quantize
from simulator import simulate
from tests.pipeline.exporters.quantized_models import FIXTURES, quantized

GOLDEN = sorted((Path(__file__).parents[4] / "shared" / "golden").glob("cnn2snn-*/model.h5"))
LAYERS = [
    {"Rescaling": {"scale": 0.0078125, "offset": -1.0}},
    {"Conv2D": {"filters": 6, "kernel_size": 3, "padding": "same"}},
    {"MaxPooling2D": {}},
    {"ReLU": {"max_value": 6.0}},
    {"SeparableConv2D": {"filters": 5, "kernel_size": 3, "padding": "same"}},
    {"GlobalAveragePooling2D": {}},
    {"ReLU": {}},
    {"Dense": {"units": 4}},
]


def legacy(bits=4, activation_bits=4):
    return quantized(LAYERS, scheme="cnn2snn", weight_bits=bits, activation_bits=activation_bits)[0]


def program_bytes(model, tmp_path):
    convert(model, "akida_v1").save(tmp_path / "program.npz")
    return (tmp_path / "program.npz").read_bytes()


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("activation_bits", [1, 2, 4])
def test_an_export_is_read_as_the_same_program(tmp_path, bits, activation_bits):
    model = legacy(bits, activation_bits)
    assert export(tmp_path / "model.h5", model, "cnn2snn") == ()
    again = integers(load_model(tmp_path / "model.h5"))
    assert program_bytes(again, tmp_path) == program_bytes(model, tmp_path)


def test_signed_inputs_are_unsigned_in_the_file_as_on_the_chip(tmp_path):
    given = {"shape": [8, 8, 4], "dtype": "int8"}
    layers = [{"Rescaling": {"scale": 0.0078125}}, *LAYERS[1:]]
    spec = {"name": "net", "input": given, "layers": layers}
    images = np.random.default_rng(0).integers(-128, 128, (6, 8, 8, 4)).astype(np.int8)
    options = Quantization(scheme="cnn2snn", weight_bits=4, activation_bits=4)
    with pytest.raises(DataError, match=r"Akida 1\.0 takes unsigned images, 0 to 127 of 'input'"):
        quantize(build_graph(spec, seed=0), images, options)
    images = np.maximum(images, 0)
    model = quantize(build_graph(spec, seed=0), images, options)
    (note,) = export(tmp_path / "model.h5", model, "cnn2snn")
    assert note.text == "input: int8 in the model, uint8 in the file, as Akida 1.0 takes it"
    again = integers(load_model(tmp_path / "model.h5"))
    assert program_bytes(again, tmp_path) == program_bytes(model, tmp_path)
    outputs = [simulate(convert(each, "akida_v1"), images) for each in (model, again)]
    assert np.array_equal(*outputs)


def entries(path):
    with h5py.File(path) as file:
        layers = json.loads(file.attrs["model_config"])["config"]["layers"]
    return {layer["config"]["name"]: layer for layer in layers}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_reference_files_are_written_again(tmp_path, path):
    model = integers(load_model(path))
    export(tmp_path / "model.h5", model, "cnn2snn")
    again = integers(load_model(tmp_path / "model.h5"))
    assert program_bytes(again, tmp_path) == program_bytes(model, tmp_path)
    wanted, found = entries(path), entries(tmp_path / "model.h5")
    left = {name: layer for name, layer in wanted.items() if name not in found}
    assert {layer["class_name"] for layer in left.values()} <= {"Activation", "Softmax"}
    assert found == {name: layer for name, layer in wanted.items() if name in found}


@pytest.mark.parametrize("seed", range(4))
def test_factors_at_the_limit_of_the_format_are_written(tmp_path, seed):
    """Filters whose largest weight gives about 1000 integers per unit, where the rule stops."""
    spec = {"name": "net", "input": {"shape": [8, 8, 3], "dtype": "uint8"}, "layers": LAYERS}
    rng = np.random.default_rng(seed)

    graph = build_graph(spec, seed=seed)
    kernel = graph.node("conv2d").weights["kernel"]
    wanted = 127 / 1000 * rng.uniform(0.996, 1.002, kernel.shape[-1])
    kernel = np.float32(kernel / np.abs(kernel).max(axis=(0, 1, 2)) * wanted)
    small = graph.node("conv2d").with_weights(kernel=kernel)
    graph = graph.with_nodes(small if node.name == "conv2d" else node for node in graph.nodes)
    model = quantize(graph, None, Quantization(scheme="cnn2snn", weight_bits=4, activation_bits=4))
    first = model.node("conv2d").registers
    reached = np.abs(first["kernel"]).max(axis=(0, 1, 2)) == 127
    assert (reached & (first["kernel_factor"] == 1000)).any()
    export(tmp_path / "model.h5", model, "cnn2snn")
    again = integers(load_model(tmp_path / "model.h5"))
    assert program_bytes(again, tmp_path) == program_bytes(model, tmp_path)


def test_kernels_of_other_quantizers_are_refused(tmp_path):
    """Ranges by standard deviations saturate; no largest weight gives their factor."""
    model = integers(load_model(FIXTURES / "cnn2snn_small.h5"))
    with pytest.raises(IncompatibleModelError, match=r"first: kernel: .* would differ"):
        export(tmp_path / "model.h5", model, "cnn2snn")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_tf_keras_loads_an_export_with_layers_of_the_same_names(tmp_path):
    tf_keras = pytest.importorskip("tf_keras")
    path = tmp_path / "model.h5"
    export(path, legacy(), "cnn2snn")

    def ours(base, *options):
        class Layer(base):
            def __init__(self, *args, **kwargs):
                self.options = {key: kwargs.pop(key) for key in options}
                super().__init__(*args, **kwargs)

        return Layer

    layers = tf_keras.layers
    custom = {
        "QuantizedConv2D": ours(layers.Conv2D, "quantizer"),
        "QuantizedSeparableConv2D": ours(layers.SeparableConv2D, "quantizer", "quantizer_dw"),
        "QuantizedDense": ours(layers.Dense, "quantizer"),
        "QuantizedReLU": ours(layers.ReLU, "bitwidth"),
    }
    model = tf_keras.models.load_model(path, custom_objects=custom)
    graph = load_model(path).graph
    for layer in model.layers:
        node = graph.node(layer.name)
        stored = {v.name.split("/")[-1].split(":")[0]: v.numpy() for v in layer.weights}
        assert stored.keys() == node.weights.keys()
        for name, values in stored.items():
            np.testing.assert_array_equal(values, node.weights[name])

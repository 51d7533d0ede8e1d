"""Exports for QuantizeML hold every integer, and are read back as the same program."""

import importlib.util
import json
import subprocess
import sys

import h5py
import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.config import Calibration, Quantization
from pipeline.errors import ConfigError, IncompatibleModelError
from pipeline.exporters import quantizeml_h5
from pipeline.exporters.formats import export
from pipeline.formats.quantizeml.quantizers import write_input_quantizer, write_quantization
from pipeline.importers import load_float, load_model
from pipeline.migration.compare import outputs_of
from pipeline.quantization.integerize import integerize
from pipeline.quantization.quantize import quantize
from simulator import simulate
from tests.pipeline.exporters.quantized_models import FIXTURES, WIDTHS, quantized, random_cases
from tests.pipeline.quantization.graphs import RELU, chain, conv
from tests.pipeline.quantization.refine.test_joins import NETS
from tests.pipeline.quantization.refine.test_refine import pictures

OUTPUTS = ("Outputs", {}, ("conv2d_3", "conv2d_4"))
CONV = {"Conv2D": {"filters": 6, "kernel_size": 3, "padding": "same"}}
BLOCK = [CONV, {"ReLU": {"max_value": 6.0}}]
OPEN = [
    {"Conv2D": {"filters": 6, "kernel_size": 3}},
    {"GlobalAveragePooling2D": {}},
    {"Dense": {"units": 5}},
    {"ReLU": {}},
    {"Reshape": {"target_shape": [1, 1, -1]}},
    {"Conv2D": {"filters": 8, "kernel_size": 1}},
    {"ReLU": {}},
    {"Reshape": {"target_shape": [-1]}},
    {"Dense": {"units": 4}},
]
"""With sizes that a Reshape leaves open."""
IMAGE_AS_VECTOR = [
    {"Rescaling": {"scale": 1 / 255}},
    {"Flatten": {}},
    {"Dense": {"units": 7}},
    {"ReLU": {}},
    {"Dense": {"units": 4}},
]
VECTOR = [{"GlobalAveragePooling2D": {}}, {"Dense": {"units": 4}}]
FLAT = [{"Flatten": {}}, {"Dense": {"units": 4}}]


def program_bytes(model, tmp_path):
    convert(model, "akida_v2").save(tmp_path / "program.npz")
    return (tmp_path / "program.npz").read_bytes()


def exported(model, tmp_path):
    """Return what is read from the export of a model, and the notes."""
    notes = export(tmp_path / "model.h5", model, "quantizeml")
    return integerize(load_model(tmp_path / "model.h5")), notes


@pytest.mark.parametrize("per_tensor", [False, True])
@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
def test_an_export_is_read_as_the_same_program(tmp_path, dtype, widths, per_tensor):
    names = ("input_weight_bits", "weight_bits", "activation_bits")
    options = dict(zip(names, widths, strict=True))
    model, _ = quantized(
        [*BLOCK, *BLOCK, *VECTOR], dtype=dtype, per_tensor_activations=per_tensor, **options
    )
    again, notes = exported(model, tmp_path)
    assert program_bytes(again, tmp_path) == program_bytes(model, tmp_path)
    assert not notes


@pytest.mark.parametrize("per_tensor", [False, True])
def test_sizes_that_a_reshape_leaves_open_are_written(tmp_path, per_tensor):
    model, _ = quantized(OPEN, per_tensor_activations=per_tensor)
    again, _ = exported(model, tmp_path)
    assert program_bytes(again, tmp_path) == program_bytes(model, tmp_path)
    with h5py.File(tmp_path / "model.h5") as file:
        layers = json.loads(file.attrs["model_config"])["config"]["layers"]
    shapes = [layer["config"].get("target_shape") for layer in layers]
    assert [shape for shape in shapes if shape] == [[1, 1, 5], [8]]


@pytest.mark.parametrize("per_tensor", [False, True])
def test_a_rescaled_image_is_flattened_by_a_reshape(tmp_path, per_tensor):
    """QuantizeML's Flatten takes no rescaled images."""
    model, _ = quantized(IMAGE_AS_VECTOR, shape=(4, 5, 3), per_tensor_activations=per_tensor)
    again, notes = exported(model, tmp_path)
    assert program_bytes(again, tmp_path) == program_bytes(model, tmp_path) and not notes
    assert [node.op for node in again.nodes].count("Reshape") == 1


@pytest.mark.parametrize("name", ["quantized_residual", "quantized_flatten", "quantized_slopes"])
def test_an_imported_model_is_exported_again(tmp_path, name):
    model = integerize(load_model(FIXTURES / f"{name}.h5"))
    again, notes = exported(model, tmp_path)
    assert program_bytes(again, tmp_path) == program_bytes(model, tmp_path)
    assert not notes


def test_ranges_and_rates_have_the_shape_of_their_axis(tmp_path):
    """QuantizeML builds both variables with the shape that the axis says."""
    for number, case in enumerate(random_cases(30)):
        path = tmp_path / f"{number}.h5"
        export(path, case.quantized, "quantizeml")
        with h5py.File(path) as file:
            layers = json.loads(file.attrs["model_config"])["config"]["layers"]
            for layer in layers:
                quantizer = layer["config"].get("quant_config", {}).get("output_quantizer")
                if quantizer is None:
                    continue
                group = file[f"model_weights/{layer['name']}/{layer['name']}/output_quantizer"]
                shapes = {group[key].ndim for key in ("range_max:0", "rescaling_rate:0")}
                assert shapes == {quantizer["axis"] == "per-axis"}, layer["name"]


def test_equal_models_give_equal_bytes(tmp_path):
    model, _ = quantized([*BLOCK, *VECTOR])
    for name in ("a.h5", "b.h5"):
        export(tmp_path / name, model, "quantizeml")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_dense_that_aligns_channels_becomes_a_convolution(tmp_path):
    model, images = quantized([CONV, {"ReLU": {}}, *FLAT], shape=(6, 4, 8), spread=True)
    assert model.nodes[-2].registers["input_shift"].any()
    again, notes = exported(model, tmp_path)
    assert [node.op for node in again.nodes[-3:]] == ["Conv2D", "Reshape", "Dequantizer"]
    wanted, found = (simulate(convert(m, "akida_v2"), images) for m in (model, again))
    np.testing.assert_array_equal(found.ravel(), wanted.ravel())
    form, limits = notes
    assert "per_tensor_activations=true" in form.text and not form.is_warning
    assert limits.is_warning and "kernel 6x4" in limits.text


def test_a_hidden_dense_becomes_a_convolution_with_its_activation(tmp_path):
    hidden = [{"Flatten": {}}, {"Dense": {"units": 5}}, {"ReLU": {}}, {"Dense": {"units": 3}}]
    model, images = quantized([CONV, {"ReLU": {}}, *hidden], shape=(6, 4, 8), spread=True)
    again, notes = exported(model, tmp_path)
    assert [node.op for node in again.nodes[-5:-1]] == ["Conv2D", "ReLU", "Reshape", "Dense"]
    wanted, found = (simulate(convert(m, "akida_v2"), images) for m in (model, again))
    np.testing.assert_array_equal(found.ravel(), wanted.ravel())
    assert [note.is_warning for note in notes] == [False, True]


@pytest.mark.parametrize("flatten", ["align", "saturate"])
@pytest.mark.parametrize("last", ["Flatten", "Reshape"])
@pytest.mark.parametrize("shape", [(1, 1, 8), (6, 4, 8)])
def test_every_way_to_make_a_vector(tmp_path, flatten, last, shape):
    size = shape[0] * shape[1] * 6
    way = {"Flatten": {}} if last == "Flatten" else {"Reshape": {"target_shape": [size]}}
    layers = [CONV, {"ReLU": {}}, way, {"Dense": {"units": 3}}]
    model, images = quantized(layers, shape=shape, spread=True, flatten=flatten)
    again, _ = exported(model, tmp_path)
    wanted, found = (simulate(convert(m, "akida_v2"), images) for m in (model, again))
    np.testing.assert_array_equal(found.ravel(), wanted.ravel())


def test_a_dense_of_equal_channels_stays_one(tmp_path):
    model, _ = quantized([*BLOCK, *FLAT], per_tensor_activations=True)
    again, notes = exported(model, tmp_path)
    assert again.nodes[-2].op == "Dense" and not notes


def test_names_are_those_that_keras_accepts(tmp_path):
    layers = [{"Conv2D": {"filters": 4, "kernel_size": 3, "name": "a b"}}, {"ReLU": {}}, *VECTOR]
    again, _ = exported(quantized(layers)[0], tmp_path)
    assert "a_b" in again.by_name


def test_what_the_format_cannot_hold_is_refused_before_anything_is_written(tmp_path):
    model, _ = quantized([*BLOCK, *VECTOR], dtype="int16")
    with pytest.raises(IncompatibleModelError, match="int16 inputs"):
        export(tmp_path / "model.h5", model, "quantizeml")
    with pytest.raises(ConfigError, match="holds models of the scheme cnn2snn"):
        export(tmp_path / "model.h5", model, "cnn2snn")
    with pytest.raises(ConfigError, match="found 'tflite'; allowed: quantizeml"):
        export(tmp_path / "model.h5", model, "tflite")
    assert not list(tmp_path.iterdir())


def test_several_outputs_are_refused(tmp_path):
    net = chain(conv(4), RELU, conv(3), (*conv(2, 1), ("relu_2",)), OUTPUTS, shape=(8, 8, 3))
    images = np.zeros((4, 8, 8, 3), np.uint8)
    model = quantize(net, images, Quantization(calibration=Calibration(batch_size=4)))
    with pytest.raises(IncompatibleModelError, match="conv2d_3, conv2d_4: 2 outputs; allowed: one"):
        export(tmp_path / "model.h5", model, "quantizeml")


def test_a_flatten_that_saturates_is_written_with_a_warning(tmp_path):
    model, _ = quantized(
        [CONV, {"ReLU": {}}, *FLAT], shape=(6, 4, 8), spread=True, flatten="saturate"
    )
    again, notes = exported(model, tmp_path)
    assert program_bytes(again, tmp_path) == program_bytes(model, tmp_path)
    (note,) = notes
    assert note.is_warning and note.layers == ("flatten",) and "cnn2snn 2.19" in note.text


def test_damaged_remarks_are_refused(tmp_path):
    path = tmp_path / "model.h5"
    export(path, quantized([*BLOCK, *VECTOR])[0], "quantizeml")
    for text in ("{", "[]", '{"notes": [{}]}', json.dumps({"clip_at_zero": 1, "notes": []})):
        with h5py.File(path, "r+") as file:
            file.attrs["crossgrade"] = text
        with pytest.raises(ValueError, match="'crossgrade' is damaged"):
            load_model(path)


def without_zero_point(quantizer):
    config, variables = write_input_quantizer(quantizer)
    return config, {**variables, "range_min": np.zeros_like(variables["range_min"])}


def changed(op, change):
    """Return a `write_quantization` that changes what it writes for an operation."""

    def write(kind, node):
        settings = write_quantization(kind, node)
        if kind == op:
            change(settings)
        return settings

    return write


def per_tensor(settings):
    settings.get("output_quantizer", {})["axis"] = "per-tensor"


def unsigned(settings):
    settings.get("output_quantizer", {})["signed"] = False


def fault(op, change):
    return "write_quantization", changed(op, change)


FAULTS = {
    "zero point": ("write_input_quantizer", without_zero_point),
    "scale axis": fault("DepthwiseConv2D", lambda s: s["weight_quantizer"].update(axis=-1)),
    "width": fault("Conv2D", lambda s: s["weight_quantizer"].update(bitwidth=4)),
    "sign": fault("ReLU", unsigned),
    "buffer": fault("Dense", lambda s: s.update(buffer_bitwidth=20)),
    "output axis": fault("ReLU", per_tensor),
    "range and rate": ("RANGES", ("rescaling_rate", "range_max")),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_the_table_is_found(tmp_path, monkeypatch, name):
    """Planted in what the exporter writes; the import refuses it, or gives another program."""
    depthwise = {"DepthwiseConv2D": {"kernel_size": 3, "padding": "same"}}
    layers = [*BLOCK, depthwise, {"ReLU": {}}, *VECTOR]
    model, _ = quantized(layers, dtype="float32", spread=True, low=-99)
    again, _ = exported(model, tmp_path)
    assert program_bytes(again, tmp_path) == program_bytes(model, tmp_path)
    monkeypatch.setattr(quantizeml_h5, *FAULTS[name])
    try:
        again, _ = exported(model, tmp_path)
    except ValueError:
        return
    assert program_bytes(again, tmp_path) != program_bytes(model, tmp_path)


EXAMINE = """
import json
from conformance.exports.quantizeml import examine
from conformance.exports.case import Case
from tests.pipeline.exporters.quantized_models import quantized, random_cases
from tests.pipeline.exporters.test_quantizeml import IMAGE_AS_VECTOR, OPEN
results = [examine(case) for case in random_cases(6)]
results += [examine(Case(*quantized(OPEN, per_tensor_activations=each))) for each in (True, False)]
results.append(examine(Case(*quantized(IMAGE_AS_VECTOR, shape=(4, 5, 3)))))
print(json.dumps([{key: r.get(key) for key in ("status", "values", "why")} for r in results]))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("quantizeml") is None, reason="needs the oracle extra (quantizeml)"
)
def test_quantizeml_computes_every_integer_of_exported_networks():
    # The oracle replaces a part of QuantizeML, and wants TensorFlow before its first use.
    found = subprocess.run(
        [sys.executable, "-c", EXAMINE], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr[-2000:]
    results = json.loads(found.stdout.splitlines()[-1])
    assert {result["status"] for result in results} <= {"equal", "inexact"}, results
    assert sum(result["values"] for result in results) > 1000


@pytest.mark.parametrize("name", ["summed", "forked", "dense"])
def test_the_float_model_of_a_refined_export_is_recovered(name, tmp_path):
    # Joined outputs share factors, which several layers take back.
    graph = chain(*NETS[name], shape=(8, 8, 3))
    images = pictures(200)
    model = quantize(graph, images, Quantization(refine="layers"))
    assert any(np.any(node.rate != 1) for node in model.nodes if node.rate is not None)
    export(tmp_path / "model.h5", model, "quantizeml")
    wanted, found = (outputs_of(g, images) for g in (graph, load_float(tmp_path / "model.h5")))
    assert np.corrcoef(wanted.ravel(), found.ravel())[0, 1] > 0.99

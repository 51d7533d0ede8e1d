"""``import crossgrade``: what a notebook does with paths, arrays and objects."""

import inspect
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import crossgrade
from pipeline.cli.main import cli
from pipeline.errors import IncompatibleModelError, ModelError
from pipeline.steps.python import ARGUMENTS, argument_name

ROOT = Path(__file__).parents[1]
MODEL = {
    "name": "small",
    "input": {"shape": [8, 8, 1], "dtype": "uint8"},
    "layers": [
        {"Rescaling": {"scale": "1/255"}},
        {"conv_block": {"name": "conv", "filters": 6, "kernel_size": 3, "add_batchnorm": True}},
        {
            "separable_conv_block": {
                "name": "sep",
                "filters": 8,
                "kernel_size": 3,
                "pooling": "global_avg",
            }
        },
        {"Dense": {"name": "dense", "units": 4}},
    ],
}


def command(*arguments):
    """Return the result of a command, which must succeed."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


FUNCTIONS = [f for f in vars(crossgrade).values() if inspect.isfunction(f)]


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (120, 8, 8, 1), dtype=np.uint8)


@pytest.fixture(scope="module")
def model():
    return crossgrade.read(MODEL)


@pytest.fixture(scope="module")
def labels(model, images):
    return model.predict(images).argmax(-1)


@pytest.fixture(scope="module")
def migrated(model, images):
    return crossgrade.migrate(model, samples=images)


@pytest.fixture(scope="module")
def quantized(migrated, images):
    return crossgrade.quantize(migrated.model, images)


def test_the_way_of_a_model(model, images, labels, migrated, quantized, capsys):
    checked = crossgrade.check(model)
    assert checked.verdict == "compatible after migrate" and not checked.compatible
    assert {v.rule for v in checked.violations}
    assert crossgrade.check(migrated.model).compatible
    assert migrated.equivalence in ("exact", "float noise")
    assert model.evaluate(images, labels) == migrated.evaluate(images, labels) == {"accuracy": 1.0}
    program = crossgrade.convert(quantized)
    outputs = crossgrade.simulate(program, images)
    np.testing.assert_array_equal(outputs, program.predict(images, backend="reference"))
    np.testing.assert_array_equal(outputs, quantized.predict(images))
    accuracy = float(np.mean(outputs.reshape(len(images), -1).argmax(-1) == labels))
    assert program.evaluate(images, labels) == quantized.evaluate(images, labels)
    assert program.evaluate(images, labels) == {"accuracy": accuracy}
    trace = program.trace(images)
    assert list(trace) == [layer.name for layer in program.program.layers]
    assert all(len(values) == len(images) for values in trace.values())
    for thing in (model, checked, migrated, quantized, program):
        thing.summary()
        assert capsys.readouterr().out.strip()
        assert repr(thing).startswith(f"<{type(thing).__name__}")


def test_numbers_to_estimate_have_a_mean_error(model, images):
    numbers = model.predict(images) + 1
    found = model.evaluate(images, numbers)
    assert found == {"mean_absolute_error": pytest.approx(1, abs=1e-5)}


def test_what_is_saved_is_read_again(model, migrated, quantized, images, tmp_path):
    program = crossgrade.convert(quantized)
    for name in ("m.npz", "m.h5", "m.keras"):
        model.save(tmp_path / name)
        again = crossgrade.read(tmp_path / name)
        assert isinstance(again, crossgrade.FloatModel)
        np.testing.assert_allclose(again.predict(images), model.predict(images), atol=1e-5)
    quantized.save(tmp_path / "q.npz")
    quantized.save(tmp_path / "q.h5")
    program.save(tmp_path / "p.npz")
    for name in ("q.npz", "q.h5", "p.npz"):
        assert crossgrade.compare(tmp_path / name, program, images).equal, name
    assert isinstance(crossgrade.read(tmp_path / "q.h5"), crossgrade.QuantizedModel)
    assert isinstance(crossgrade.read(tmp_path / "p.npz"), crossgrade.ChipProgram)
    assert crossgrade.export(quantized, tmp_path / "e.h5", "quantizeml") == tmp_path / "e.h5"


def test_paths_and_arrays_give_the_same(model, images, labels, tmp_path):
    model.save(tmp_path / "m.npz")
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "y.npy", labels)
    made = crossgrade.migrate(str(tmp_path / "m.npz"), samples=tmp_path / "x.npy")
    files = crossgrade.quantize(made.model, str(tmp_path / "x.npy"))
    arrays = crossgrade.quantize(made.model, images)
    assert crossgrade.compare(files, arrays, tmp_path / "x.npy").equal
    assert files.evaluate(tmp_path / "x.npy", tmp_path / "y.npy") == arrays.evaluate(images, labels)


def test_a_migration_of_objects_in_memory_is_certified(migrated, tmp_path):
    folder = migrated.save(tmp_path / "new.h5")
    names = {path.name for path in folder.iterdir()}
    assert {"certificate.json", "certificate.html", "samples.npy", "model.npz"} <= names
    found = crossgrade.verify(folder)
    assert found.holds and len(found.findings) > 4
    migrated.model.save(folder / "model.npz")
    assert not crossgrade.verify(folder).holds


def test_an_analysis_names_the_layer(migrated, quantized, images, tmp_path, capsys):
    narrow = crossgrade.quantize(migrated.model, images, layers={"dense": {"weight_bits": 2}})
    found = crossgrade.analyze(migrated.model, narrow, images[:32])
    found.summary()
    assert "dense" in capsys.readouterr().out
    found.save(tmp_path / "a.html")
    assert "<svg" in (tmp_path / "a.html").read_text()
    same = crossgrade.analyze(migrated.model, crossgrade.convert(narrow), images[:32])
    assert same.analysis.decibels == found.analysis.decibels
    same.save(tmp_path / "a.html")
    differing = crossgrade.compare(quantized, narrow, images)
    assert not differing.equal and differing.comparison.first is not None
    differing.summary()
    assert "first difference: " in capsys.readouterr().out


def test_two_analyses_share_a_page(migrated, quantized, images, tmp_path, capsys):
    narrow = crossgrade.quantize(migrated.model, images, weight_bits=4)
    a, b = (crossgrade.analyze(migrated.model, made, images[:32]) for made in (quantized, narrow))
    a.title, b.title = "eight", "four"
    a.summary(b)
    assert {"eight", "four"} <= set(re.findall(r"\w+", capsys.readouterr().out))
    a.save(tmp_path / "both.html", b)
    text = (tmp_path / "both.html").read_text()
    assert "eight" in text and "four" in text


def test_programs_differ_as_the_command_shows(migrated, quantized, images, labels, tmp_path):
    narrow = crossgrade.quantize(migrated.model, images, weight_bits=4, refine="none")
    found = crossgrade.diff(quantized, narrow, images, labels)
    a, b = (crossgrade.convert(made) for made in (quantized, narrow))
    assert found.as_dict()["a"]["weight_bytes"] > found.as_dict()["b"]["weight_bytes"]
    for name, program in (("a.npz", a), ("b.npz", b)):
        program.save(tmp_path / name)
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "y.npy", labels)
    files = [str(tmp_path / name) for name in ("a.npz", "b.npz")]
    images_and_labels = ("--images", tmp_path / "x.npy", "--labels", tmp_path / "y.npy")
    shown = command("diff", *files, *images_and_labels, "--json")
    assert json.loads(shown.stdout) == found.as_dict()
    assert command("diff", *files, *images_and_labels).stdout == f"{found.text(tuple(files))}\n"


def test_golden_vectors_are_those_of_the_command(quantized, images, tmp_path):
    folder = crossgrade.vectors(quantized, images[:3], tmp_path / "mine")
    assert folder == tmp_path / "mine"
    quantized.program.save(tmp_path / "p.npz")
    np.save(tmp_path / "x.npy", images[:3])
    command("vectors", tmp_path / "p.npz", tmp_path / "x.npy", "-o", tmp_path / "other")
    mine, other = (
        {path.relative_to(top): path.read_bytes() for path in top.rglob("*") if path.is_file()}
        for top in (folder, tmp_path / "other")
    )
    assert mine == other and len(mine) > 5
    assert crossgrade.compare(folder, quantized, images[:3]).equal


def test_sensitivities_and_widths_are_those_of_the_commands(migrated, images, labels, tmp_path):
    migrated.model.save(tmp_path / "m.npz")
    np.save(tmp_path / "s.npy", images)
    np.save(tmp_path / "x.npy", images[:40])
    np.save(tmp_path / "y.npy", labels[:40])
    given = (tmp_path / "m.npz", "--samples", tmp_path / "s.npy")
    given += ("--images", tmp_path / "x.npy", "--labels", tmp_path / "y.npy")
    found = crossgrade.sensitivity(migrated.model, images, images[:40], labels[:40])
    shown = command("sensitivity", *given, "--json")
    assert json.loads(shown.stdout) == json.loads(json.dumps(found.as_dict()))
    found.save(tmp_path / "s.html")
    assert "<svg" in (tmp_path / "s.html").read_text()
    budget = {"weight_kib": 0.2}
    widths = crossgrade.search(migrated.model, images, images[:40], labels[:40], budget=budget)
    widths.save(tmp_path / "mine.yaml")
    shown = command("search", *given, "--budget", "weight_kib=0.2", "-o", tmp_path / "w.yaml")
    assert shown.stdout == f"{widths.text()}\n"
    assert (tmp_path / "w.yaml").read_bytes() == (tmp_path / "mine.yaml").read_bytes()
    made = crossgrade.quantize(migrated.model, images, layers=widths.layers)
    size = sum(layer.weight_bytes for layer in made.program.program.layers)
    assert size == widths.as_dict()["cost"]["weight_bytes"] <= 0.2 * 1024
    least = crossgrade.search(migrated.model, images, max_loss=0.5)
    assert least.found.cost.weight_bytes < widths.uniform[8].cost.weight_bytes


def test_the_hosts_part_runs_after_the_program(model, images, tmp_path):
    """A file of a Dense layer on the outputs, as ``crossgrade migrate --until`` writes one."""
    layers = [{"Dense": {"name": "rest", "units": 2}}]
    shape = {"shape": [4], "dtype": "float32"}
    rest = crossgrade.read({"name": "rest", "input": shape, "layers": layers})
    rest.save(tmp_path / "rest.npz")
    quantized = crossgrade.quantize(crossgrade.migrate(model).model, images)
    found = crossgrade.simulate(quantized, images, host=tmp_path / "rest.npz", batch_size=50)
    outputs = quantized.predict(images).reshape(len(images), -1)
    np.testing.assert_array_equal(found, rest.predict(outputs))


def test_an_export_is_certified(migrated, images, tmp_path):
    folder = migrated.save(tmp_path / "new.h5")
    quantized = crossgrade.quantize(tmp_path / "new.h5", images, input_dtype="uint8")
    quantized.save(tmp_path / "q.npz")
    out = crossgrade.export(tmp_path / "q.npz", tmp_path / "q.h5", certificate=folder)
    assert out.name in (folder / "certificate.json").read_text()
    with pytest.raises(crossgrade.CrossgradeError, match=r"certificate: .* save the model"):
        crossgrade.export(quantized, tmp_path / "other.h5", certificate=folder)
    assert not (tmp_path / "other.h5").exists()


def test_unfused_layers_compute_the_same(model, images):
    found = crossgrade.unfuse(model)
    assert not [n for n in found.graph.nodes if n.op == "SeparableConv2D"]
    np.testing.assert_allclose(found.predict(images), model.predict(images), atol=1e-5)


def test_the_type_of_the_images_is_chosen(tmp_path):
    floats = {**MODEL, "input": {"shape": [8, 8, 1], "dtype": "float32"}}
    assert crossgrade.read(floats).graph.input.attrs["dtype"] == "float32"
    assert crossgrade.read(floats, input_dtype="int8").graph.input.attrs["dtype"] == "int8"
    crossgrade.read(floats).save(tmp_path / "m.keras")
    read = crossgrade.read(tmp_path / "m.keras")
    assert read.graph.input.attrs["dtype"] == "uint8" and "expects pixels" in read.notes[-1].text
    kept = crossgrade.read(tmp_path / "m.keras", input_dtype="float32")
    assert kept.graph.input.attrs["dtype"] == "float32"
    with pytest.raises(ModelError, match="input_dtype chooses for float32 inputs only"):
        crossgrade.read(MODEL, input_dtype="int8")


def test_architectures_take_parameters():
    model = crossgrade.read("akidanet", alpha=0.25, classes=7, input_shape=[32, 32, 3])
    assert model.graph.shapes[model.graph.output] == (7,)
    assert model.graph.input.attrs["shape"] == (32, 32, 3)
    with pytest.raises(ModelError, match="no_such"):
        crossgrade.read("akidanet", no_such=1)


REFUSED = {
    "weight_bits: found 3; allowed: 2, 4, 8": lambda m, q, x: crossgrade.quantize(
        m, x, weight_bits=3
    ),
    "activation_bits: found 7; .*; output_bits: found 2": lambda m, q, x: crossgrade.quantize(
        m, x, activation_bits=7, output_bits=2
    ),
    r"layers\['dense'\]\['weight_bits'\]: found 5": lambda m, q, x: crossgrade.quantize(
        m, x, layers={"dense": {"weight_bits": 5}}
    ),
    r"layers\['dense'\]: found 8; allowed: the keys weight_bits": lambda m, q, x: (
        crossgrade.quantize(m, x, layers={"dense": 8})
    ),
    r"layers\['dense'\]\['bits'\]: unknown key": lambda m, q, x: crossgrade.quantize(
        m, x, layers={"dense": {"bits": 8}}
    ),
    "batch_size: found 0": lambda m, q, x: crossgrade.quantize(m, x, batch_size=0),
    "refine='layers': not without samples": lambda m, q, x: crossgrade.quantize(m, refine="layers"),
    "train='distill': not with parity=True": lambda m, q, x: crossgrade.quantize(
        m, x, train="distill", parity=True
    ),
    "labels: without a training": lambda m, q, x: crossgrade.quantize(m, x, labels=x),
    "gap='relocate': needs images; give samples": lambda m, q, x: crossgrade.migrate(
        m, gap="relocate"
    ),
    "input_offset: belongs to a scale; give input_scale": lambda m, q, x: crossgrade.migrate(
        m, input_offset=1
    ),
    "is a float model, not a quantized model": lambda m, q, x: crossgrade.convert(m),
    "is a quantized model, not a float model": lambda m, q, x: crossgrade.quantize(q, x),
    "is a float model, not a program": lambda m, q, x: crossgrade.simulate(m, x),
    "found an object of type int; give a path": lambda m, q, x: crossgrade.read(3),
    "no such file": lambda m, q, x: crossgrade.read("missing.h5"),
    "these are one-hot rows": lambda m, q, x: m.evaluate(x, np.eye(4)[np.arange(len(x)) % 4]),
    "found labels from 0 to 9": lambda m, q, x: q.evaluate(x, np.arange(len(x)) % 10),
    "give raw pixels": lambda m, q, x: q.predict(x / 255),
    "p.h5: cannot be written; allowed suffixes: .npz": lambda m, q, x: crossgrade.convert(q).save(
        "p.h5"
    ),
    "q.txt: cannot be written; allowed suffixes": lambda m, q, x: q.save("q.txt"),
    "gap: found 'moved'; allowed: exact": lambda m, q, x: crossgrade.migrate(m, gap="moved"),
    r"e\.h5: allowed suffixes: \.onnx": lambda m, q, x: crossgrade.export(q, "e.h5", "onnx"),
    "belongs to format='onnx'": lambda m, q, x: crossgrade.export(q, "e.h5", target="akida_v2"),
    "give budget or max_loss, and one of them only": lambda m, q, x: crossgrade.search(m, x),
    "budget: found 'size=3', 'weight_kib=-1'; allowed: weight_kib": lambda m, q, x: (
        crossgrade.search(m, x, budget={"size": 3, "weight_kib": -1})
    ),
    "y: belong to images; give x as well": lambda m, q, x: crossgrade.sensitivity(m, x, y=x),
    "y: found uint8 of shape": lambda m, q, x: crossgrade.sensitivity(m, x, x, x),
    "a float model, not a program": lambda m, q, x: crossgrade.diff(m, q),
    "reset_every: small has no layer with a buffer": lambda m, q, x: crossgrade.simulate(
        q, x, reset_every=2
    ),
    "format: found 'tflite'; allowed: quantizeml": lambda m, q, x: crossgrade.export(
        q, "e.h5", "tflite"
    ),
    "e.txt: allowed suffixes: .h5, .onnx": lambda m, q, x: crossgrade.export(q, "e.txt"),
    "8-bit activations; allowed: 1, 2 or 4 on Akida 1.0; activation_bits=4": lambda m, q, x: (
        crossgrade.quantize(m, x, target="akida_v1")
    ),
    "unknown target 'akida_v9'": lambda m, q, x: crossgrade.check(m, "akida_v9"),
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_wrong_call_names_its_arguments(message, model, quantized, images):
    with pytest.raises(crossgrade.CrossgradeError, match=message) as caught:
        REFUSED[message](model, quantized, images)
    assert "--" not in str(caught.value), "an option of a command"
    assert "quantization." not in str(caught.value), "a key of the configuration"


NO_IMAGES = {
    "text": np.array(["a", "b"]),
    "complex numbers": np.ones((6, 8, 8, 1), np.complex64),
    "one number": np.array(3),
    "none": np.zeros((0, 8, 8, 1), np.uint8),
    "not a number": np.full((6, 8, 8, 1), np.nan),
    "infinity": np.full((6, 8, 8, 1), np.inf),
    "channels first": np.ones((6, 1, 8, 8), np.uint8),
    "halves": np.full((6, 8, 8, 1), 0.5),
}
TAKING_IMAGES = {
    "predict": lambda m, q, x: m.predict(x),
    "migrate": lambda m, q, x: crossgrade.migrate(m, samples=x),
    "quantize": lambda m, q, x: crossgrade.quantize(m, x),
    "analyze": lambda m, q, x: crossgrade.analyze(m, q, x),
    "compare": lambda m, q, x: crossgrade.compare(m, m, x),
    "compare programs": lambda m, q, x: crossgrade.compare(q, q, x),
    "sensitivity": lambda m, q, x: crossgrade.sensitivity(m, x),
    "search": lambda m, q, x: crossgrade.search(m, x, max_loss=0.1),
    "simulate": lambda m, q, x: crossgrade.simulate(q, x),
    "diff": lambda m, q, x: crossgrade.diff(crossgrade.convert(q), crossgrade.convert(q), x),
    "vectors": lambda m, q, x: crossgrade.vectors(q, x, "no_vectors"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("step", TAKING_IMAGES)
@pytest.mark.parametrize("kind", NO_IMAGES)
def test_what_are_no_images_is_refused_everywhere(step, kind, migrated, quantized):
    with pytest.raises(crossgrade.CrossgradeError) as caught:
        TAKING_IMAGES[step](migrated.model, quantized, NO_IMAGES[kind])
    assert "found" in str(caught.value) or "images" in str(caught.value)
    assert not Path("no_vectors").exists()


def test_what_cannot_be_converted_lists_every_layer(model, images):
    with pytest.raises(IncompatibleModelError) as caught:
        crossgrade.convert(crossgrade.quantize(model, images))
    assert "crossgrade.migrate does it on the float model" in str(caught.value)
    assert len(caught.value.refusals) == 2


def test_what_a_user_should_act_on_is_a_warning(migrated):
    with pytest.warns(crossgrade.CrossgradeWarning, match=r"Set per_tensor=True, or samples=") as w:
        crossgrade.quantize(migrated.model)
    assert Path(w[0].filename).name == "test_python.py"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        crossgrade.quantize(migrated.model, per_tensor=True)


def test_images_of_another_scale_give_a_warning_at_the_users_line(images):
    floats = {**MODEL, "name": "floats", "input": {"shape": [8, 8, 1], "dtype": "float32"}}
    layers = [*MODEL["layers"][:2], {"Flatten": {}}, {"Dense": {"units": 3}}]
    model = crossgrade.unfuse({**floats, "layers": layers})
    kept = {"input_dtype": "float32"}
    program = crossgrade.convert(crossgrade.quantize(model, np.float32(images), **kept))
    for predict in (model.predict, program.predict):
        with pytest.warns(crossgrade.CrossgradeWarning, match="far inside") as caught:
            predict(np.float32(images) / 255)
        assert Path(caught[0].filename).name == "test_python.py"
    with pytest.warns(crossgrade.CrossgradeWarning, match="far inside") as caught:
        program.evaluate(np.float32(images) / 255, np.zeros(len(images), int))
    assert Path(caught[0].filename).name == "test_python.py"


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_every_function_documents_its_arguments(function):
    text = inspect.getdoc(function)
    assert "Parameters\n----------" in text and "Raises\n------" in text
    parameters = text.partition("Parameters\n")[2].partition("\nReturns\n")[0]
    named = {
        name.strip("* ")
        for line in re.findall(r"^(\S[^:\n]*?)(?: : .*)?$", parameters, re.MULTILINE)
        for name in line.split(",")
    }
    hidden = {"progress"} - named
    assert set(inspect.signature(function).parameters) - hidden <= named


@pytest.mark.parametrize("kind", crossgrade.__all__)
def test_every_object_documents_its_methods(kind):
    value = getattr(crossgrade, kind)
    assert inspect.getdoc(value)
    if inspect.isclass(value):
        for name, member in vars(value).items():
            assert name.startswith("_") or inspect.getdoc(member), f"{kind}.{name}"


def test_every_renamed_setting_is_an_argument():
    known = {name for function in FUNCTIONS for name in inspect.signature(function).parameters}
    assert {argument_name(setting) for setting in ARGUMENTS} <= known


KERAS = """
import warnings
import numpy as np
import {keras} as keras
import crossgrade

model = keras.Sequential([
    keras.layers.Input((8, 8, 1)),
    keras.layers.Rescaling(1 / 255),
    keras.layers.Conv2D(4, 3, activation="relu"),
    keras.layers.SeparableConv2D(6, 3, activation="relu"),
    keras.layers.Flatten(),
    keras.layers.Dense(3),
], name="my_model")
x = np.random.default_rng(0).integers(0, 256, (120, 8, 8, 1)).astype("float32")
warnings.simplefilter("error", crossgrade.CrossgradeWarning)
found = crossgrade.read(model)
assert np.allclose(found.predict(x), model.predict(x, verbose=0), atol=1e-4)
migrated = crossgrade.migrate(model, samples=x)
quantized = crossgrade.quantize(migrated.model, x.astype("uint8"))
program = crossgrade.convert(quantized)
classes = model.predict(x, verbose=0).argmax(-1)
assert program.evaluate(x.astype("uint8"), classes)["accuracy"] > 0.9
migrated.save("new.h5")
assert crossgrade.verify("new_certificate").holds
try:
    crossgrade.read(keras.Sequential([keras.layers.Dense(3)], name="unbuilt"))
except crossgrade.CrossgradeError as error:
    assert "unbuilt: has no weights yet" in str(error)
try:
    crossgrade.read(keras.Sequential([
        keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3),
        keras.layers.Lambda(lambda x: x + 1)], name="with_lambda"))
except crossgrade.CrossgradeError as error:
    assert str(error).startswith("with_lambda"), error
else:
    raise AssertionError("read a Lambda")
print("done")
"""


@pytest.mark.slow
@pytest.mark.parametrize("keras", ["keras", "tf_keras"])
def test_keras_models_in_memory(keras, tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", KERAS.format(keras=keras)],
        cwd=tmp_path,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.stdout.endswith("done\n"), result.stdout + result.stderr


@pytest.mark.slow
def test_reading_files_does_not_import_keras(model, tmp_path):
    model.save(tmp_path / "m.keras")
    code = "import crossgrade, sys; crossgrade.check('m.keras'); print('keras' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "False\n"

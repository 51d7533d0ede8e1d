"""One meaning of a model's images in every command: which type they have, and why."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli.main import cli
from pipeline.errors import CrossgradeError, DataError, ModelError
from pipeline.graph.archive import save_graph
from pipeline.graph.forward import forward
from pipeline.models.file import read_float
from pipeline.models.input_dtype import choose_input_dtype, with_input_dtype
from pipeline.quantization.archive import load_quantized
from tests.pipeline.quantization.graphs import RELU, chain, conv

HEAD = (conv(4), RELU, conv(8), RELU, ("Flatten", {}), ("Dense", {"units": 5}))
PIXELS = np.random.default_rng(0).integers(0, 256, (30, 6, 6, 3), dtype=np.uint8)
HALVES = np.float32(PIXELS) / 255
UNIT, HALF = ("Rescaling", {"scale": 1 / 255}), ("Rescaling", {"scale": 1 / 127.5, "offset": -1.0})


def model(*layers, dtype="float32"):
    return chain(*layers, *HEAD, dtype=dtype)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_graph("m.npz", model(HALF))
    save_graph("plain.npz", model())
    save_graph("bytes.npz", model(UNIT, dtype="uint8"))
    arrays = {
        "uint8": PIXELS, "float32": np.float32(PIXELS), "int64": PIXELS.astype(np.int64),
        "halves": HALVES, "int8": np.int8(PIXELS.astype(int) - 128),
    }  # fmt: skip
    for name, images in arrays.items():
        np.save(f"{name}.npy", images)
    return tmp_path


def run(*arguments):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if isinstance(result.exception, Exception) and not isinstance(
        result.exception, CrossgradeError
    ):
        raise result.exception
    return result


@pytest.mark.parametrize(
    ("layers", "samples", "dtype", "reason"),
    [
        ((HALF,), None, "uint8", "rescaling_1 expects pixels"),
        ((UNIT,), PIXELS, "uint8", "rescaling_1 expects pixels"),
        ((UNIT,), np.float32(PIXELS), "uint8", "rescaling_1 expects pixels"),
        ((UNIT,), HALVES, "float32", "expects pixels, but x.npy holds other numbers"),
        ((), None, "float32", "nothing says"),
        ((), PIXELS, "uint8", "x.npy holds uint8"),
        ((), PIXELS.astype(np.int64) - 128, "int8", "x.npy holds int64"),
        ((), PIXELS.astype(np.int64) * 2, "float32", "nothing says"),
        ((), np.float32(PIXELS), "float32", "nothing says"),
        ((), HALVES, "float32", "nothing says"),
        ((("Rescaling", {"scale": 1 / 65535}),), None, "float32", "nothing says"),
        ((("Rescaling", {"scale": 255.0}),), None, "float32", "nothing says"),
    ],
)
def test_integers_where_a_rescaling_or_the_samples_say_so(layers, samples, dtype, reason):
    graph = model(*layers)
    found = choose_input_dtype(graph, "auto", samples, "x.npy")
    assert (found.dtype, reason in found.reason) == (dtype, True), found
    changed = with_input_dtype(graph, found.dtype)
    assert changed.input.attrs["dtype"] == dtype
    images = PIXELS if samples is None else samples
    np.testing.assert_array_equal(forward(changed, images), forward(graph, images))


def test_an_integer_input_leaves_no_choice():
    graph = model(UNIT, dtype="uint8")
    assert choose_input_dtype(graph, "auto", HALVES).reason == ""
    assert choose_input_dtype(graph, "uint8").dtype == "uint8"
    with pytest.raises(ModelError, match=r"takes uint8 images; .* for float32 inputs only"):
        choose_input_dtype(graph, "float32")


@pytest.mark.parametrize("samples", ["uint8", "float32", "int64"])
def test_pixels_of_any_type_give_the_same_program_on_both_chips(files, samples):
    for name in ("uint8", samples):
        made = run(
            "quantize", "m.npz", "-o", f"{name}.q.npz", "--samples", f"{name}.npy", "-a", "4",
            "--per-tensor", "--refine", "none",
        )  # fmt: skip
        assert "takes uint8 images: rescaling_1 expects pixels" in made.output
    assert (files / f"{samples}.q.npz").read_bytes() == (files / "uint8.q.npz").read_bytes()
    assert load_quantized("uint8.q.npz").input.attrs["dtype"] == "uint8"
    for chip in ("akida_v1", "akida_v2"):
        assert run("check", "m.npz", "--target", chip).exit_code == 0
        made = run("convert", "uint8.q.npz", "-o", f"{chip}.npz", "--target", chip)
        assert made.exit_code == 0, made.exception
        assert run("simulate", f"{chip}.npz", f"{samples}.npy", "-o", "y.npy").exit_code == 0
        assert run("vectors", f"{chip}.npz", f"{samples}.npy", "-o", chip).exit_code == 0
    both = run("diff", "akida_v1.npz", "akida_v2.npz", "--images", f"{samples}.npy")
    assert both.exit_code == 0 and "same class" in both.output.replace("agreement", "same class")
    for command in ("analyze", "compare"):
        assert run(command, "m.npz", "uint8.q.npz", f"{samples}.npy").exit_code in (0, 1)


@pytest.mark.parametrize(
    ("name", "asked", "dtype"),
    [
        ("m", (), "uint8"),
        ("m", ("--input-dtype", "float32"), "float32"),
        ("plain", (), "float32"),
        ("plain", ("--input-dtype", "uint8"), "uint8"),
        ("plain", ("--input-dtype", "int8", "--calibration", "int8.npy"), "int8"),
        ("plain", ("--calibration", "uint8.npy"), "uint8"),
        ("m", ("--calibration", "halves.npy"), "float32"),
        ("bytes", (), "uint8"),
    ],
)
def test_migrate_prints_and_certifies_the_choice(files, name, asked, dtype):
    made = run("migrate", f"{name}.npz", "-o", "new.npz", *asked)
    assert made.exit_code == 0, made.exception
    assert (f"takes {dtype} images: " in made.output) == (name != "bytes")
    assert read_float("new.npz").input.attrs["dtype"] == dtype
    kept = json.loads((files / "new_certificate" / "certificate.json").read_text())
    assert kept["input"]["input_dtype"]["dtype"] == dtype
    page = (files / "new_certificate" / "certificate.html").read_text(encoding="utf-8")
    assert (f"takes {dtype} images" in page) == (name != "bytes")
    verified = run("verify", "new_certificate")
    assert verified.exit_code == 0, verified.output
    assert ("certified samples" in verified.output) or "--calibration" not in asked


def test_a_certificate_of_an_earlier_version_still_holds(files):
    from pipeline.migration.certificate import digest

    run("migrate", "m.npz", "-o", "new.npz")
    path = files / "new_certificate" / "certificate.json"
    content = json.loads(path.read_text())
    del content["input"]["input_dtype"]
    content["input"]["pixels"] = {}
    path.write_text(json.dumps(content | {"digest": digest(content)}))
    assert run("verify", path).exit_code == 0


def test_what_the_samples_do_not_hold_is_refused(files):
    result = run(
        "quantize", "plain.npz", "-o", "q.npz", "--samples", "halves.npy", "--input-dtype", "uint8"
    )
    assert isinstance(result.exception, DataError) and "uint8 does not hold" in str(
        result.exception
    )
    assert not (files / "q.npz").exists()
    result = run("migrate", "m.npz", "-o", "n.npz", "--input-scale", "255", "--input-dtype", "int8")
    assert "leave --input-dtype out" in str(result.exception)


def test_check_of_akida_1_says_which_images_it_means(files):
    float_images = run("check", "plain.npz", "--target", "akida_v1")
    assert float_images.exit_code == 1 and "float32 inputs of unknown scale" in float_images.output
    assert (
        run("check", "plain.npz", "--target", "akida_v1", "--input-dtype", "uint8").exit_code == 0
    )
    kept = run("check", "m.npz", "--target", "akida_v1", "--input-dtype", "float32")
    assert "takes float32 images: as --input-dtype says" in kept.output


@pytest.mark.parametrize("command", ["sensitivity", "search"])
def test_searches_take_the_same_images(files, command):
    budget = ("--budget", "weight_kib=100") if command == "search" else ()
    made = run(command, "m.npz", "--samples", "float32.npy", *budget)
    assert made.exit_code == 0, made.exception
    assert "takes uint8 images: rescaling_1 expects pixels" in made.output


@pytest.mark.parametrize("command", ["analyze", "sensitivity", "search", "diff"])
@pytest.mark.parametrize(
    ("labels", "advice"),
    [
        (np.arange(30) % 5 + 1, "take labels - 1"),
        (np.eye(5)[np.arange(30) % 5], "argmax"),
        (np.float32(np.arange(30) % 5), "astype"),
        (np.arange(29) % 5, "each of the 30 images"),
    ],
)
def test_labels_that_are_no_classes_are_refused(files, command, labels, advice):
    run("quantize", "m.npz", "-o", "q.npz", "--samples", "uint8.npy", "--refine", "none")
    run("convert", "q.npz", "-o", "p.npz")
    np.save("y.npy", labels)
    measured = ("--samples", "uint8.npy", "--images", "uint8.npy", "--labels", "y.npy")
    result = run(
        *{
            "analyze": ("analyze", "m.npz", "q.npz", "uint8.npy", "--labels", "y.npy"),
            "sensitivity": ("sensitivity", "m.npz", *measured),
            "search": ("search", "m.npz", *measured, "--budget", "weight_kib=100"),
            "diff": ("diff", "p.npz", "p.npz", "--images", "uint8.npy", "--labels", "y.npy"),
        }[command]
    )
    assert isinstance(result.exception, DataError)
    assert advice in str(result.exception)

"""Expected input range of a float model, given by its Rescaling and input dtype."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.chips import convert
from pipeline.cli.main import cli
from pipeline.config import Calibration, Evaluate, Quantization
from pipeline.data import Dataset, StoredImages
from pipeline.errors import DataError
from pipeline.evaluation.evaluate import evaluate
from pipeline.graph.architecture import build_graph
from pipeline.graph.archive import save_graph
from pipeline.graph.image_scale import expected_range, input_notes
from pipeline.quantization.quantize import quantize
from simulator.__main__ import main as simulator_main

CASE = Path(__file__).parents[4] / "shared/cases/S08_samples_of_another_scale"
RNG = np.random.default_rng(0)
DIVIDED = RNG.uniform(0, 1, (40, 6, 6, 3)).astype(np.float32)
PIXELS = np.rint(DIVIDED * 255).astype(np.float32)


def model(dtype="float32", *first):
    layers = [
        *first,
        {"Conv2D": {"filters": 3, "kernel_size": 3}},
        {"ReLU": {}},
        "Flatten",
        {"Dense": {"units": 2}},
    ]
    spec = {"name": "net", "input": {"shape": [6, 6, 3], "dtype": dtype}, "layers": layers}
    return build_graph(spec, seed=0)


def rescaling(scale, offset=0.0):
    return {"Rescaling": {"scale": scale, "offset": offset}}


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ((rescaling(1 / 255),), (0, 255)),
        ((rescaling(1 / 127.5, -1.0),), (0, 255)),
        ((rescaling(-1 / 255, 1.0),), (0, 255)),
        ((rescaling(1 / 60, -2.0),), (0, 180)),
        ((rescaling(1 / 65535),), (0, 65535)),
        ((rescaling(255.0),), (0, 1)),
        (({"ZeroPadding2D": {"padding": [[1, 1], [1, 1]]}}, rescaling(1 / 255)), (0, 255)),
        ((rescaling(2.0),), None),
        ((), None),
    ],
)
def test_a_rescaling_defines_the_expected_range(first, expected):
    found = expected_range(model("float32", *first))
    assert (found and (found.low, found.high)) == (expected and pytest.approx(expected))


@pytest.mark.parametrize(
    ("graph", "images", "warned"),
    [
        (model("float32", rescaling(1 / 255)), DIVIDED, True),
        (model("float32", rescaling(1 / 127.5, -1.0)), DIVIDED * 2 - 1, True),
        (model("float32", rescaling(255.0)), PIXELS, True),
        (model("float32", rescaling(1 / 255)), PIXELS * 257, True),
        (model("uint8", rescaling(1 / 255)), np.rint(DIVIDED).astype(np.uint8), True),
        (model("float32", rescaling(1 / 255)), PIXELS, False),
        (model("float32", rescaling(1 / 255)), PIXELS.astype(np.uint8), False),
        (model("float32", rescaling(1 / 255)), PIXELS / 8, False),
        (model("float32", rescaling(1 / 127.5)), PIXELS - 128, False),
        (model("float32", rescaling(255.0)), DIVIDED, False),
        (model("float32"), DIVIDED, False),
        (model("float32"), PIXELS, False),
        (model("uint8"), PIXELS.astype(np.uint8), False),
    ],
)
def test_another_scale_is_a_warning(graph, images, warned):
    notes = input_notes(images, expected_range(graph), "x.npy")
    assert [note.is_warning for note in notes] == [True] * warned
    assert all(note.text.startswith("x.npy: found values from ") for note in notes)


def test_stored_images_are_sampled(tmp_path):
    images = np.repeat(DIVIDED, 40, axis=0)
    np.save(tmp_path / "x.npy", images)
    stored = StoredImages(tmp_path / "x.npy")
    (note,) = input_notes(stored, expected_range(model("float32", rescaling(1 / 255))), "x")
    assert note.is_warning


def options():
    return Quantization(calibration=Calibration(samples=40, batch_size=20))


def test_quantize_warns_of_its_samples():
    graph = model("float32", rescaling(1 / 255))
    kinds = [[n.kind for n in quantize(graph, x, options()).notes] for x in (DIVIDED, PIXELS)]
    assert kinds[0][0] == "input" and "input" not in kinds[1]


def test_evaluate_warns_of_the_test_images():
    graph = model("uint8", rescaling(1 / 255))
    images = PIXELS.astype(np.uint8)
    program = convert(quantize(graph, images, options()), "akida_v2")

    def warnings(pictures):
        labels = np.arange(40) % 2
        data = Dataset(
            name="d",
            source="",
            licence="",
            classes=("a", "b"),
            x_train=pictures,
            y_train=labels,
            x_test=pictures,
            y_test=labels,
        )
        return [n.kind for n in evaluate(program, graph, data, Evaluate()).notes if n.is_warning]

    assert "input" not in warnings(images)
    assert "input" in warnings(images // 128)


@pytest.fixture
def program(tmp_path):
    made = convert(quantize(model("float32"), PIXELS, options()), "akida_v2")
    made.save(tmp_path / "p.npz")
    for name, images in (("x01", DIVIDED), ("x255", PIXELS)):
        np.save(tmp_path / f"{name}.npy", images)
    return tmp_path


def warned(*arguments):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.exception
    # The folder of a test is longer than a user's.
    folder = next(argument.parent for argument in arguments if isinstance(argument, Path))
    lines = result.output.replace(f"{folder}/", "").splitlines()
    assert max(map(len, lines)) <= 100
    return "far inside the calibrated range" in " ".join(result.stderr.split())


@pytest.mark.parametrize("images", ["x01", "x255"])
def test_every_command_that_runs_a_program_warns(program, images, capsys):
    x, p = program / f"{images}.npy", program / "p.npz"
    expected = images == "x01"
    assert warned("simulate", p, x) == expected
    assert warned("simulate", p, x, "-o", program / "y.npy") == expected
    assert warned("diff", p, p, "--images", x) == expected
    assert warned("vectors", p, x, "-o", program / "vectors") == expected
    assert simulator_main([str(p), str(x)]) == 0
    assert ("far inside the calibrated range" in capsys.readouterr().err) == expected


def test_migrate_warns_of_the_scale_and_refuses_the_type(tmp_path):
    np.save(tmp_path / "x.npy", DIVIDED)
    save_graph(tmp_path / "f.npz", model("float32", rescaling(1 / 255)))
    save_graph(tmp_path / "u.npz", model("uint8", rescaling(1 / 255)))
    arguments = ["-o", tmp_path / "new.npz", "--calibration", tmp_path / "x.npy"]
    result = CliRunner().invoke(cli, [str(a) for a in ("migrate", tmp_path / "f.npz", *arguments)])
    assert "what rescaling expects (0 to 255)" in " ".join(result.stderr.split())
    (tmp_path / "new.npz").unlink()
    result = CliRunner().invoke(cli, [str(a) for a in ("migrate", tmp_path / "u.npz", *arguments)])
    assert isinstance(result.exception, DataError)
    assert "x.npy: found float32" in str(result.exception)
    assert "needs uint8; give raw pixels 0..255" in str(result.exception)
    assert not (tmp_path / "new.npz").exists()


@pytest.mark.skipif(not CASE.is_dir(), reason="reference cases are not beside the repository")
@pytest.mark.parametrize(("images", "expected"), [("x01", True), ("x255", False)])
def test_a_keras_model_that_rescales_its_input(tmp_path, images, expected):
    arguments = ["quantize", CASE / "m.keras", "--samples", CASE / f"{images}.npy"]
    result = CliRunner().invoke(cli, [str(a) for a in (*arguments, "-o", tmp_path / "q.npz")])
    assert ("if they were divided by 255" in " ".join(result.stderr.split())) == expected
    first = ["migrate", CASE / "mu8.keras", "-o", tmp_path / "m.h5"]
    result = CliRunner().invoke(
        cli, [str(a) for a in (*first, "--calibration", CASE / f"{images}.npy")]
    )
    # Whole numbers of 0 to 255 are pixels in any dtype; scaled ones are not.
    assert ("found float32" in str(result.exception)) == expected

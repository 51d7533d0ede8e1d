"""``crossgrade diff``: pairing of layers, counts, printed tables."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.chips import convert
from pipeline.cli.main import cli
from pipeline.errors import DataError
from pipeline.evaluation.program_diff import diff, pairs
from pipeline.evaluation.program_diff_table import WIDTH, diff_table, short
from simulator import ProgramError, simulate
from tests.pipeline.chips.quantized_models import (
    FLATTEN,
    RELU,
    UNIT,
    conv,
    dense,
    images,
    quantized,
)

LAYERS = [UNIT, conv(4), RELU, conv(3), RELU, FLATTEN, dense()]


@pytest.fixture(scope="module")
def programs():
    """Return programs of one model for both chips."""
    model = quantized(LAYERS, "quantizeml")
    return convert(model, "akida_v1"), convert(model, "akida_v2")


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("abc", "abc", ["aa", "bb", "cc"]),
        ("ab", "xaby", ["-x", "aa", "bb", "-y"]),
        ("pq", "xy", ["px", "qy"]),
        ("apb", "axyb", ["aa", "px", "-y", "bb"]),
        ("apqb", "axb", ["aa", "px", "q-", "bb"]),
        ("", "x", ["-x"]),
    ],
)
def test_pairs_by_name_then_by_order(a, b, expected):
    found = [
        ("-" if left is None else a[left]) + ("-" if right is None else b[right])
        for left, right in pairs(list(a), list(b))
    ]
    assert found == expected


def test_a_fused_layer_is_paired_with_its_first_replacement():
    a = ["conv", "sep_1", "sep_2", "dense"]
    b = ["conv", "dw_sep_1", "pw_sep_1", "dw_sep_2", "pw_sep_2", "sep_2_identity", "dense", "deq"]
    assert list(pairs(a, b)) == [
        (0, 0),
        (1, 1),
        (None, 2),
        (2, 3),
        (None, 4),
        (None, 5),
        (3, 6),
        (None, 7),
    ]


def test_every_layer_appears_once():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = (
            rng.choice(list("abcdefgh"), rng.integers(0, 8), replace=False).tolist() for _ in "ab"
        )
        found = list(pairs(a, b))
        for side, names in enumerate((a, b)):
            positions = [pair[side] for pair in found if pair[side] is not None]
            assert positions == list(range(len(names)))


def test_figures_without_images(programs):
    found = diff(*programs)
    assert set(found) == {"a", "b", "layers"}
    assert found["a"]["target"] == "akida_v1" and found["b"]["target"] == "akida_v2"
    first = found["layers"][0]
    assert first["a"] == {
        "name": "conv2d_2",
        "type": "InputConv.",
        "output_shape": [6, 6, 4],
        "weight_bits": 8,
        "output_bits": 4,
        "weight_bytes": 108,
        "macs": 36 * 108,
    }
    assert first["b"]["type"] == "InputConv2D"
    assert found["layers"][-1]["a"] is None and found["layers"][-1]["b"]["type"] == "Dequantizer"
    assert found["a"]["weight_bytes"] == found["b"]["weight_bytes"] == 108 + 54 + 162
    assert found["a"]["macs"] == sum(layer.macs for layer in programs[0].layers)
    assert json.loads(json.dumps(found)) == found


def test_figures_with_images_and_labels(programs):
    x = images(20)
    labels = simulate(programs[0], x).argmax(axis=-1)
    found = diff(*programs, x, labels)
    assert found["a"]["accuracy"] == 1.0
    predictions = simulate(programs[1], x).argmax(axis=-1)
    assert found["agreement"] == found["b"]["accuracy"] == np.mean(predictions == labels)
    assert found["images"] == 20
    # The zeros of the first layer reduce the effective MACs of the second.
    first, second = (pair["a"] for pair in found["layers"][:2])
    assert first["effective_macs"] == first["macs"]
    wanted = second["macs"] * (1 - first["output_sparsity"])
    assert second["effective_macs"] == pytest.approx(wanted)
    assert json.loads(json.dumps(found)) == found


def test_a_program_agrees_with_itself(programs):
    found = diff(programs[0], programs[0], images(5))
    assert found["agreement"] == 1.0
    assert all(pair["a"] == pair["b"] for pair in found["layers"])


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.zeros(4, np.int64), "labels: found int64 of shape (4,); allowed: one whole number"),
        (np.zeros(5), "labels: found float64"),
        (np.full(5, 3), "labels: found labels from 3 to 3; allowed: 0 to 2"),
        (np.full(5, -1), "labels: found labels from -1 to -1"),
    ],
)
def test_labels_must_fit(programs, labels, sentence):
    with pytest.raises(DataError) as caught:
        diff(*programs, images(5), labels)
    assert sentence in str(caught.value)


def test_labels_without_images_are_refused(programs):
    with pytest.raises(DataError, match="labels: belong to images"):
        diff(*programs, None, np.zeros(5, int))


def test_images_must_fit(programs):
    with pytest.raises(ProgramError, match="images have shape"):
        diff(*programs, images(5)[:, 1:])


def test_other_classes_cannot_be_compared(programs):
    other = convert(quantized([*LAYERS[:-1], dense(4)], "quantizeml"), "akida_v2")
    assert diff(programs[0], other)["b"]["layers"] == 4
    with pytest.raises(DataError, match="outputs have shapes"):
        diff(programs[0], other, images(5))


def test_the_table_fits_100_columns(programs):
    long = "block_1/separable_convolution_with_a_name_of_its_own/depthwise"
    layers = [replace(programs[1].layers[0], name=long)]
    layers += [
        replace(layer, inputs=(long,)) if n == 0 else layer
        for n, layer in enumerate(programs[1].layers[1:])
    ]
    renamed = replace(programs[1], layers=tuple(layers))
    for other in (programs[0], renamed):
        found = diff(other, renamed, images(5), np.zeros(5, int))
        text = diff_table(found, ("old.npz", "new.npz"))
        assert max(map(len, text.splitlines())) <= WIDTH
        assert text.startswith("A: old.npz (akida_v")
        for row in ("accuracy", "same class, of 5 images", "effective MACs (estimate)"):
            assert row in text


def test_the_table_without_images(programs):
    text = diff_table(diff(*programs))
    assert "conv2d_2" in text and "[6, 6, 4]" in text and "zeros" not in text
    assert "accuracy" not in text and "same class" not in text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00k"),
        (9994, "9.99k"),
        (9996, "10.0k"),
        (99960, "100k"),
        (999499, "999k"),
        (999500, "1.00M"),
        (123456789, "123M"),
        (5e12, "5.00T"),
        (0.4, "0"),
    ],
)
def test_short_numbers(number, text):
    assert short(number) == text


@pytest.fixture
def files(programs, tmp_path):
    for name, program in zip("ab", programs, strict=True):
        program.save(tmp_path / f"{name}.npz")
    np.save(tmp_path / "x.npy", images(5))
    np.save(tmp_path / "y.npy", np.zeros(5, int))
    return {path.stem: str(path) for path in tmp_path.iterdir()}


def test_the_command(files, programs):
    arguments = ["diff", files["a"], files["b"], "--images", files["x"], "--labels", files["y"]]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0
    expected = diff(*programs, images(5), np.zeros(5, int))
    assert result.output == diff_table(expected, (files["a"], files["b"])) + "\n"
    result = CliRunner().invoke(cli, [*arguments, "--json"])
    assert json.loads(result.output) == expected


@pytest.mark.parametrize("missing", ["a", "x"])
def test_the_command_names_a_missing_file(files, missing):
    arguments = [files["a"], files["b"], "--images", files["x"]]
    arguments[arguments.index(files[missing])] += ".none"
    result = CliRunner().invoke(cli, ["diff", *arguments])
    assert isinstance(result.exception, DataError | ProgramError)
    assert ".none: no such file" in str(result.exception)

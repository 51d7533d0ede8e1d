"""``crossgrade quantize``: what is refined."""

import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli.main import cli
from pipeline.errors import ConfigError
from pipeline.graph.archive import save_graph
from pipeline.quantization.archive import load_quantized
from tests.pipeline.quantization.graphs import chain, conv

GRAPH = chain(conv(4), ("ReLU", {}), ("Flatten", {}), ("Dense", {"units": 5}))


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    save_graph(tmp_path / "m.npz", GRAPH)
    np.save(tmp_path / "x.npy", rng.integers(0, 256, (120, 6, 6, 3), dtype=np.uint8))
    return tmp_path


def run(files, *options):
    command = ["quantize", str(files / "m.npz"), "-o", str(files / "q.npz"), *options]
    return CliRunner().invoke(cli, command)


def refined(files):
    notes = load_quantized(files / "q.npz").notes
    return any(note.text.startswith("refined on 96 images") for note in notes)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), True),
        (("--scheme", "cnn2snn", "-a", "4"), True),
        (("--parity",), False),
        (("--refine", "none"), False),
    ],
)
def test_samples_are_refined_on_unless_integers_are_given(files, options, expected):
    result = run(files, "--samples", str(files / "x.npy"), "-w", "4", *options)
    assert result.exit_code == 0, result.output
    assert refined(files) == expected


@pytest.mark.parametrize("options", [("--parity",), ()])
def test_refining_what_cannot_be_refined_is_refused(files, options):
    result = run(files, "--refine", "layers", *options)
    assert isinstance(result.exception, ConfigError)
    assert "--refine layers: not" in str(result.exception)
    assert not (files / "q.npz").exists()


@pytest.mark.parametrize(("count", "expected"), [(5, False), (120, True)])
def test_the_time_of_refining_is_only_printed_where_it_ran(files, count, expected):
    result = run(files, "--samples", str(files / "x.npy"), "--num-samples", str(count))
    assert result.exit_code == 0, result.output
    assert ("refining took" in result.output) == expected


def bits(files):
    nodes = load_quantized(files / "q.npz").nodes
    pairs = {n.name: (n.bits.get("weights"), n.bits.get("output")) for n in nodes}
    return {name: pair for name, pair in pairs.items() if pair != (None, None)}


def test_widths_of_single_layers(files):
    choice = "defaults: [w8a8]\nlayers:\n  '*': {weight_bits: 2}\n  dense_4: {weight_bits: 4}\n"
    (files / "w.yaml").write_text(choice)
    one = ("--layer", "conv*:activation_bits=4")
    result = run(files, *one, "--layers", str(files / "w.yaml"))
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.split())
    assert "2 choices" not in shown and "3 choices for single layers" in shown
    assert bits(files) == {"conv2d_1": (2, None), "relu_2": (None, 4), "dense_4": (4, None)}
    result = run(files, *one, "--layer", "*:weight_bits=8", "--layers", str(files / "w.yaml"))
    assert bits(files)["conv2d_1"] == (8, None)
    assert "conv2d_1 (Conv2D)" in CliRunner().invoke(cli, ["describe", str(files / "q.npz")]).output


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ("dense_4", "--layer: found 'dense_4'; allowed: name:weight_bits=8"),
        (":weight_bits=8", "--layer: found ':weight_bits=8'; allowed: name:weight_bits=8"),
        ("dense_4:weight_bits", "--layer: found 'dense_4:weight_bits'"),
        ("dense_4:weight_bits=3", "--layer dense_4.weight_bits: found 3; allowed: 2, 4, 8"),
        ("dense_4:bits=4", "--layer dense_4.bits: unknown key"),
        ("dense4:weight_bits=4", "--layer: no layer is called 'dense4'"),
    ],
)
def test_wrong_widths_of_single_layers_are_refused(files, layer, reason):
    result = run(files, "--layer", layer)
    assert reason in str(result.exception)
    assert not (files / "q.npz").exists()


@pytest.mark.parametrize("text", ["[1, 2]", "layers: 4", "a: {weight_bits: 4", "a: 4"])
def test_wrong_files_of_widths_are_refused(files, text):
    (files / "w.yaml").write_text(text)
    result = run(files, "--layers", str(files / "w.yaml"))
    assert isinstance(result.exception, ConfigError)
    assert str(files / "w.yaml") in str(result.exception)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--train", "distill"), "without --samples"),
        (("--train", "labels", "--samples", "x.npy"), "without --labels"),
        (("--train", "distill", "--samples", "x.npy", "--parity"), "with --parity"),
        (("--labels", "y.npy"), "--labels: without a training"),
        (("--epochs", "3"), "--epochs: without a training"),
    ],
)
def test_training_what_cannot_be_trained_is_refused(files, options, found):
    result = run(files, *options)
    assert isinstance(result.exception, ConfigError) and found in str(result.exception)
    assert not (files / "q.npz").exists()


def test_labels_are_refused_before_the_work(files):
    np.save(files / "y.npy", np.arange(7))
    samples, labels = str(files / "x.npy"), str(files / "y.npy")
    result = run(files, "--samples", samples, "--train", "labels", "--labels", labels)
    assert "training labels: found 7 for 120 images" in str(result.exception)
    assert "refining" not in result.output


@pytest.mark.slow
def test_registers_are_trained_on_all_samples(files):
    np.save(files / "y.npy", np.arange(120) % 5)
    samples, labels = str(files / "x.npy"), str(files / "y.npy")
    options = ("--train", "labels", "--labels", labels, "--epochs", "2", "--num-samples", "20")
    result = run(files, "--samples", samples, "-w", "2", *options)
    assert result.exit_code == 0, result.output
    assert any("24 held-out images" in n.text for n in load_quantized(files / "q.npz").notes)


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--refine", "none"), ("--refine", "layers")])
def test_the_fast_backend_does_not_change_a_file(files, options):
    """Two users get one model, whether they installed the extra 'fast' or not."""
    written = []
    for blocked in ("", "sys.modules['llvmlite'] = None; "):
        script = f"import sys; {blocked}from pipeline.cli.main import main; main()"
        arguments = ["quantize", str(files / "m.npz"), "--samples", str(files / "x.npy")]
        arguments += ["-o", str(files / "q.npz"), *options]
        subprocess.run([sys.executable, "-c", script, *arguments], check=True, capture_output=True)
        written.append((files / "q.npz").read_bytes())
    assert written[0] == written[1]

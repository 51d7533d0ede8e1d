"""``crossgrade convert``: choice of the chip, and refusals."""

import numpy as np
from click.testing import CliRunner

from pipeline.cli.main import cli
from pipeline.config import Calibration, Quantization
from pipeline.errors import ConfigError, ModelError
from pipeline.graph.architecture import build_graph
from pipeline.graph.archive import save_graph
from pipeline.quantization.archive import save_quantized
from pipeline.quantization.quantize import quantize
from simulator import Program
from tests.repository import sentences

GRAPH = build_graph(
    {
        "name": "small",
        "input": {"shape": [8, 8, 1], "dtype": "uint8"},
        "layers": [
            {"conv_block": {"filters": 3, "kernel_size": 3, "relu_activation": "ReLU6"}},
            {"Flatten": {}},
            {"Dense": {"units": 4}},
        ],
    },
    seed=0,
)


def quantized(tmp_path, scheme, *, per_tensor=True):
    options = Quantization(
        scheme=scheme,
        weight_bits=4,
        activation_bits=4,
        per_tensor_activations=per_tensor,
        calibration=Calibration(samples=8, batch_size=8),
    )
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1), dtype=np.uint8)
    path = tmp_path / f"{scheme}.npz"
    save_quantized(path, quantize(GRAPH, images, options))
    return path


def run(*arguments, **options):
    return CliRunner().invoke(cli, ["convert", *map(str, arguments)], **options)


def test_the_default_chip_is_the_newest_that_takes_the_model(tmp_path):
    for scheme, chip in (("cnn2snn", "akida_v1"), ("quantizeml", "akida_v2")):
        output = tmp_path / "program.npz"
        result = run(quantized(tmp_path, scheme), "-o", output)
        assert result.exit_code == 0, result.output
        assert f"{chip} program" in sentences(result.output)
        assert Program.load(output).target == chip


def test_the_chip_can_be_chosen(tmp_path):
    path, output = quantized(tmp_path, "quantizeml"), tmp_path / "program.npz"
    assert "akida_v1 program" in sentences(run(path, "-o", output, "--target", "akida_v1").output)
    result = run(path, "-o", output, env={"CROSSGRADE_TARGET": "akida_v1"})
    assert "akida_v1 program" in sentences(result.output)


def test_samples_measure_the_cost_of_one_scale(tmp_path, monkeypatch):
    """Filters of different magnitudes, so that their scales differ."""
    sizes = np.float32([1 / 32, 1 / 128, 1 / 512])
    wide = GRAPH.rewrite(
        lambda node: (
            [node.with_weights(kernel=node.weights["kernel"] * sizes)]
            if node.op == "Conv2D"
            else None
        )
    )
    monkeypatch.setitem(globals(), "GRAPH", wide)
    path, output = quantized(tmp_path, "quantizeml", per_tensor=False), tmp_path / "program.npz"
    chosen = (path, "-o", output, "--target", "akida_v1")
    assert "fewer); on 64 random inputs outputs change by " in run(*chosen).output
    np.save(tmp_path / "x.npy", np.zeros((3, 8, 8, 1), np.uint8))
    result = run(*chosen, "--samples", tmp_path / "x.npy")
    assert "fewer); on 3 samples outputs change by " in sentences(result.output)
    assert "--per-tensor of 'crossgrade quantize'" in sentences(result.output)
    output.unlink()
    np.save(tmp_path / "x.npy", np.zeros((3, 7, 8, 1), np.uint8))
    for wrong in ("x.npy", "none.npy"):
        assert run(*chosen, "--samples", tmp_path / wrong).exit_code == 1
        assert not output.exists()


def test_layers_that_a_chip_lacks_are_refused(tmp_path):
    path, output = quantized(tmp_path, "cnn2snn"), tmp_path / "program.npz"
    result = run(path, "-o", output, "--target", "akida_v2")
    assert "scheme 'cnn2snn'; akida_v2 takes quantizeml" in str(result.exception)
    result = run(path, "-o", output, "--target", "akida_v9")
    assert isinstance(result.exception, ConfigError)
    assert not output.exists()


def test_float_models_are_refused_with_the_command_to_quantize(tmp_path):
    save_graph(tmp_path / "graph.npz", GRAPH)
    result = run(tmp_path / "graph.npz", "-o", tmp_path / "program.npz")
    assert isinstance(result.exception, ModelError)
    assert "quantize it first" in str(result.exception)

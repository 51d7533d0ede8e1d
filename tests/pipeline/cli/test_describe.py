"""The command ``crossgrade describe``."""

import json

from click.testing import CliRunner

from pipeline.cli.describe import command
from pipeline.errors import ModelError
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from pipeline.graph.archive import save_graph


def run(*arguments):
    return CliRunner().invoke(command, arguments)


def test_names_files_and_weights_alike(tmp_path):
    parameters = ["alpha=0.25", "input_shape=[96,96,3]", "classes=2"]
    by_name = run("akidanet", *parameters)
    assert by_name.exit_code == 0 and "Total params: 226906 (" in by_name.output
    assert "Trainable params: 223914 (" in by_name.output
    assert "MACs per image: 16512128" in by_name.output
    save_graph(tmp_path / "net.npz", build_graph(read_architecture("akidanet", parameters)))
    assert run(str(tmp_path / "net.npz")).output == by_name.output


def test_json():
    table = json.loads(run("ds_cnn", "--json").output)
    assert table["parameters"] == 23713
    assert table["layers"][2] == {
        "name": "conv_0",
        "type": "Conv2D",
        "inputs": ["rescaling"],
        "output_shape": [25, 5, 64],
        "parameters": 1600,
        "macs": 200000,
    }


def test_refusals(tmp_path):
    save_graph(tmp_path / "net.npz", build_graph(read_architecture("mlp")))
    for arguments, message in [
        ((str(tmp_path / "net.npz"), "alpha=1"), "a file of weights takes no parameters"),
        (("akidnet",), "did you mean akidanet?"),
        (("missing.h5",), "no such file"),
        (("mlp", "alpha"), "'alpha': not a parameter"),
    ]:
        error = run(*arguments).exception
        assert isinstance(error, ModelError) and message in str(error)

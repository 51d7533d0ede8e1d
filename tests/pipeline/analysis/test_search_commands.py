"""``crossgrade sensitivity`` and ``crossgrade search``, as users run them."""

import json

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from pipeline.analysis.widths import WEIGHTS
from pipeline.cli.main import cli
from pipeline.errors import ConfigError, ModelError
from pipeline.graph.archive import save_graph
from pipeline.graph.forward import forward
from tests.pipeline.analysis.faults import images
from tests.pipeline.analysis.networks import residual


@pytest.fixture
def files(tmp_path):
    save_graph(tmp_path / "m.npz", residual())
    np.save(tmp_path / "x.npy", np.concatenate([images(), images()[::-1]]))
    np.save(tmp_path / "y.npy", forward(residual(), images()).argmax(-1))
    np.save(tmp_path / "test.npy", images())
    return tmp_path


def run(files, command, *options):
    given = [str(files / o) if o.endswith((".npy", ".yaml")) else o for o in options]
    samples = ("--samples", str(files / "x.npy"))
    return CliRunner().invoke(cli, [command, str(files / "m.npz"), *samples, *given])


def test_a_found_file_is_a_choice_everywhere(files):
    result = run(files, "search", "--budget", "weight_kib=0.4", "-o", "w.yaml")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.output.splitlines())) <= 100
    layers = yaml.safe_load((files / "w.yaml").read_text())["layers"]
    made = run(files, "quantize", "--layers", "w.yaml", "-o", str(files / "q.npz"))
    assert made.exit_code == 0, made.output
    shown = CliRunner().invoke(cli, ["describe", str(files / "q.npz"), "--json"])
    table = {row["name"]: row for row in json.loads(shown.output)["layers"]}
    for name, widths in layers.items():
        for key, bits in widths.items():
            assert table[name]["weight_bits" if key == WEIGHTS else "output_bits"] == bits


def test_the_table_of_sensitivities(files):
    options = ("--images", "test.npy", "--labels", "y.npy")
    result = run(files, "sensitivity", *options)
    assert result.exit_code == 0, result.output
    assert "weight_bits=4" in result.output and "(widest everywhere)" in result.output
    found = json.loads(run(files, "sensitivity", *options, "--json").stdout)
    assert {entry["choice"]["bits"] for entry in found["entries"]} == {4}
    assert all(entry["score"]["accuracy"] is not None for entry in found["entries"])


@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        ((), ConfigError, "give --budget or --max-loss"),
        (("--budget", "weight_kib=1", "--max-loss", "0.1"), ConfigError, "one of them only"),
        (("--budget", "size=1"), ConfigError, "found 'size=1'; allowed: weight_kib=NUMBER"),
        (("--budget", "weight_kib=-1"), ConfigError, "found 'weight_kib=-1'"),
        (("--max-loss", "0.1", "--labels", "y.npy"), ConfigError, "give --images as well"),
    ],
)
def test_wrong_options_are_refused(files, options, error, reason):
    result = run(files, "search", *options)
    assert isinstance(result.exception, error) and reason in str(result.exception)


def test_a_quantized_model_is_refused(files):
    run(files, "quantize", "-o", str(files / "m.npz"))
    result = run(files, "search", "--max-loss", "0.1")
    assert isinstance(result.exception, ModelError)

"""``crossgrade quantize``: what is refined."""

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

"""``crossgrade simulate``: values, classes and streams."""

import numpy as np
from click.testing import CliRunner

from pipeline.cli.main import cli
from simulator import simulate
from tests import builders


def run(tmp_path, program, images, *arguments):
    program.save(tmp_path / "p.npz")
    np.save(tmp_path / "x.npy", images)
    paths = [str(tmp_path / name) for name in ("p.npz", "x.npy")]
    result = CliRunner().invoke(
        cli, ["simulate", *paths, "-o", str(tmp_path / "y.npy"), *arguments]
    )
    return result, np.load(tmp_path / "y.npy") if result.exit_code == 0 else None


def test_streams_are_reset_one_after_the_other(tmp_path):
    rng = np.random.default_rng(2)
    layer = builders.neural_layer("BufferTempConv", rng, inputs=("data",), requantize=False)
    program = builders.program([builders.input_data(), layer])
    frames = builders.images(rng, program, 6)
    result, outputs = run(tmp_path, program, frames, "--reset-every", "3")
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(outputs, simulate(program, frames, reset_every=3))
    assert not np.array_equal(outputs, simulate(program, frames))


def test_a_program_without_buffers_has_nothing_to_reset(tmp_path):
    rng = np.random.default_rng(0)
    program = builders.integer_program(rng)
    result, _ = run(tmp_path, program, builders.images(rng, program, 2), "--reset-every", "2")
    assert result.exit_code == 1
    assert "has no layer with a buffer to reset; leave it out" in " ".join(
        str(result.exception or result.output).split()
    )

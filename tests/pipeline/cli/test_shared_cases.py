"""Small models that were once computed wrongly, from file to integers; skipped if absent."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli.main import cli
from simulator import Program, simulate
from simulator.plan import fast_is_available
from simulator.statistics import Statistics
from tests.repository import SOURCE

CASES = SOURCE.parent / "shared/cases"
BACKENDS = ("auto", "numpy", "fast") if fast_is_available() else ("auto", "numpy")


def folder(name) -> Path:
    path = CASES / name
    if not path.is_dir():
        pytest.skip(f"{path} is not here")
    return path


def command(*arguments):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    return result.exit_code, f"{result.output}{result.exception or ''}"


def converted(tmp_path, *, model, samples, target="akida_v2"):
    for arguments in (
        ("quantize", model, "--samples", samples, "-o", tmp_path / "q.npz"),
        ("convert", tmp_path / "q.npz", "-o", tmp_path / "p.npz", "--target", target),
    ):
        status, output = command(*arguments)
        assert status == 0, output
    return Program.load(tmp_path / "p.npz")


@pytest.mark.slow
def test_channels_of_different_scales_before_a_padded_convolution(tmp_path):
    case = folder("S01_padding_and_input_shift")
    program = converted(tmp_path, model=case / "m.keras", samples=case / "xyz.npy")
    images = np.load(case / "xyz.npy")
    expected = simulate(program, images, backend="reference")
    for backend in BACKENDS:
        np.testing.assert_array_equal(simulate(program, images, backend=backend), expected)
    status, output = command(
        "vectors", tmp_path / "p.npz", case / "xyz.npy", "-o", tmp_path / "vectors"
    )
    assert status == 0, output
    stored = np.fromfile(tmp_path / "vectors/output.bin", np.float32)
    np.testing.assert_array_equal(stored.reshape(expected.shape), expected)


@pytest.mark.slow
def test_accumulators_that_saturate_are_a_share_of_their_layer(tmp_path):
    case = folder("S09_saturating_accumulator")
    program = converted(tmp_path, model=case / "bias.keras", samples=case / "x.npy")
    images, found = np.load(case / "x.npy"), []
    for backend in ("reference", *BACKENDS):
        statistics = Statistics(program)
        simulate(program, images, backend=backend, statistics=statistics)
        found.append(statistics.saturations())
    assert all(each == found[0] for each in found)
    # All scaled sums of the convolution exceed the 32 bits of the product.
    (saturation,) = found[0]
    assert (saturation.layer, saturation.kind, saturation.share) == ("c", "output product", 1.0)


def test_a_4_bit_input_refuses_200(tmp_path):
    case = folder("S10_input_data_of_4_bits")
    status, output = command(
        "simulate", case / "p4.npz", case / "x200.npy", "-o", tmp_path / "y.npy"
    )
    assert status == 1
    assert "images hold 0..200; input_layer (InputData) takes 4-bit integers, 0..15" in output
    assert not (tmp_path / "y.npy").exists()


def test_a_model_of_4_bits_without_an_input_layer_fits_the_chip(tmp_path):
    case = folder("S10_input_data_of_4_bits")
    status, output = command(
        "convert", case / "noinput.h5", "-o", tmp_path / "p.npz", "--target", "akida_v1"
    )
    assert status == 0 and "warning" not in output, output
    program = Program.load(tmp_path / "p.npz")
    assert program.layers[0].input_bits == 4
    assert list(program.limits()) == []

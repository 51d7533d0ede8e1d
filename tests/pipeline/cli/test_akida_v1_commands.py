"""Conversion to Akida 1.0 on the command line, from both schemes."""

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.chips import convert
from pipeline.cli.main import cli
from pipeline.errors import ConfigError, IncompatibleModelError
from pipeline.graph.archive import save_graph
from pipeline.quantization.archive import load_quantized, save_quantized
from simulator import Program, simulate
from tests.pipeline.chips.quantized_models import (
    FLATTEN,
    GAP,
    RELU,
    UNIT,
    chain,
    conv,
    dense,
    images,
    quantized,
    separable,
)
from tests.pipeline.importers.keras_files import FIXTURES

LAYERS = [UNIT, conv(4), RELU, separable(3), GAP, RELU, dense()]
FILE = str(FIXTURES / "cnn2snn_small.h5")


def crossgrade(*arguments, **environment):
    result = CliRunner().invoke(cli, list(map(str, arguments)), env=environment)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_convert_a_cnn2snn_file(tmp_path):
    result = crossgrade("convert", FILE, "-o", tmp_path / "p.npz", "--target", "akida_v1")
    assert result.exit_code == 0
    assert "akida_v1 program of 4 layers" in " ".join(result.output.split())
    assert Program.load(tmp_path / "p.npz").target == "akida_v1"
    text = crossgrade("summary", tmp_path / "p.npz").output
    for label in ("(InputConv.)", "(Sep.Conv.)", "(Conv.)", "(Fully.)"):
        assert label in text


def test_the_target_may_come_from_the_environment(tmp_path):
    output = tmp_path / "p.npz"
    crossgrade("convert", FILE, "-o", output, CROSSGRADE_TARGET="akida_v1")
    assert Program.load(output).target == "akida_v1"
    with pytest.raises(IncompatibleModelError, match="akida_v2 takes quantizeml"):
        crossgrade(
            "convert", FILE, "-o", output, "--target", "akida_v2", CROSSGRADE_TARGET="akida_v1"
        )


def test_an_unknown_target_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="unknown target 'akida_v9'; known targets: akida_v1"):
        crossgrade("convert", FILE, "-o", tmp_path / "p.npz", CROSSGRADE_TARGET="akida_v9")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scheme", ["cnn2snn", "quantizeml"])
def test_quantize_by_either_scheme(tmp_path, scheme):
    save_graph(tmp_path / "m.npz", chain(*LAYERS))
    flags = ("-w", 4, "-a", 4, "--num-samples", 16, "--scheme", scheme)
    flags += ("--per-tensor",) if scheme == "quantizeml" else ()
    crossgrade("quantize", tmp_path / "m.npz", "-o", tmp_path / "q.npz", *flags)
    assert load_quantized(tmp_path / "q.npz").scheme == scheme
    crossgrade("convert", tmp_path / "q.npz", "-o", tmp_path / "p.npz", "--target", "akida_v1")
    program = Program.load(tmp_path / "p.npz")
    assert [layer.weights_bits for layer in program.layers] == [8, 4, 4]


def test_strict_refuses_what_the_chip_cannot_hold(tmp_path):
    save_quantized(tmp_path / "q.npz", quantized([conv(4, 4), RELU, FLATTEN, dense()], "cnn2snn"))
    arguments = ("convert", tmp_path / "q.npz", "-o", tmp_path / "p.npz", "--target", "akida_v1")
    result = crossgrade(*arguments)
    assert (
        "warning: conv2d_1: kernel 4x4, stride 1x1; allowed: kernel sides 3, 5 or 7"
        in result.output
    )
    with pytest.raises(IncompatibleModelError, match="kernel 4x4"):
        crossgrade(*arguments, "--strict")


@pytest.mark.parametrize("scheme", ["cnn2snn", "quantizeml"])
def test_saved_integers_convert_to_the_same_program(tmp_path, scheme):
    model = quantized(LAYERS, scheme)
    save_quantized(tmp_path / "q.npz", model)
    programs = [convert(m, "akida_v1") for m in (model, load_quantized(tmp_path / "q.npz"))]
    np.testing.assert_array_equal(*(simulate(program, images(6)) for program in programs))
    for name in ("a", "b"):
        programs.pop().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

import json

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.chips import convert
from pipeline.cli.main import cli
from pipeline.cli.migrate import command as migrate
from pipeline.cli.verify import command as verify
from pipeline.config.sections import Quantization
from pipeline.errors import CrossgradeError
from pipeline.graph.archive import save_graph
from pipeline.graph.forward import forward
from pipeline.migration.pixel_input import with_pixel_input
from pipeline.models.file import read_float
from pipeline.quantization.quantize import quantize
from pipeline.transforms.feeding import Feeding
from simulator import simulate
from tests.pipeline.chips.models import FLAT, RELU, conv, dense, depthwise, first
from tests.pipeline.graph.chains import chain

NETWORKS = {
    "a convolution": (conv(), RELU, FLAT, dense()),
    "a depthwise convolution": (depthwise(), RELU, conv(kernel=1), RELU, FLAT, dense()),
    "a vector": (FLAT, dense()),
}


def run(command, *arguments):
    name = command.callback.__module__.rpartition(".")[2]
    return CliRunner().invoke(cli, [name, *map(str, arguments)])


def as_certified(folder, pixels):
    """Return pixels as the certificate says that the migrated model takes them."""
    kept = json.loads((folder / "new_certificate/certificate.json").read_text())
    return Feeding.of(kept.get("feeding", ()))(pixels)


@settings(max_examples=20)
@given(
    layers=st.sampled_from(list(NETWORKS.values())),
    scale=st.sampled_from([255.0, 127.5, 1.0, 256.0, (58.4, 57.1, 57.4)]),
    offset=st.sampled_from([0.0, -1.0, 0.25, (-2.1, -2.0, -1.8)]),
    seed=st.integers(0, 9),
)
def test_a_model_of_pixels_computes_the_same(layers, scale, offset, seed):
    graph = chain((7, 6, 3), *layers, seed=seed)
    pixels = np.random.default_rng(seed).integers(0, 256, (3, 7, 6, 3), np.uint8)
    wanted = forward(graph, np.float32(pixels / np.array(scale) + offset))
    found = forward(with_pixel_input(graph, scale, offset), pixels)
    # One more float32 rounding of each pixel.
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("network", NETWORKS)
def test_migrate_writes_a_model_of_pixels(tmp_path, network):
    graph = chain((7, 6, 3), *NETWORKS[network])
    save_graph(tmp_path / "m.npz", graph)
    scaled = ("--input-scale", 127.5, "--input-offset", -1)
    result = run(migrate, tmp_path / "m.npz", "-o", tmp_path / "new.h5", *scaled)
    assert result.exit_code == 0, result.exception
    shown = " ".join(result.output.split())
    assert "takes uint8 pixels, divided by 127.5, plus -1" in shown
    new = read_float(tmp_path / "new.h5")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 7, 6, 3), np.uint8)
    wanted = forward(graph, np.float32(pixels / 127.5 - 1))
    fed = as_certified(tmp_path, pixels)
    assert fed.dtype == new.input.attrs["dtype"]
    np.testing.assert_allclose(forward(new, fed), wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())
    kept = json.loads((tmp_path / "new_certificate/certificate.json").read_text())
    assert kept["input"]["pixels"] == {"scale": 127.5, "offset": -1.0}
    page = (tmp_path / "new_certificate/certificate.html").read_text(encoding="utf-8")
    assert "divided by 127.5" in page
    assert run(verify, tmp_path / "new_certificate").exit_code == 0


CAFFE = ("--input-scale", "1", "--input-offset", "-103.9,-116.8,-123.7")
IMAGENET = ("--input-scale", "58.4,57.1,57.4", "--input-offset", "-2.12,-2.04,-1.8")


@pytest.mark.parametrize("scaled", [CAFFE, IMAGENET])
@pytest.mark.parametrize("network", NETWORKS)
def test_channels_have_their_own_scale(tmp_path, network, scaled):
    graph = chain((7, 6, 3), *NETWORKS[network])
    save_graph(tmp_path / "m.npz", graph)
    result = run(migrate, tmp_path / "m.npz", "-o", tmp_path / "new.h5", *scaled)
    assert result.exit_code == 0, result.exception
    assert f"divided by {scaled[1]}, plus {scaled[3]} (by channel)" in result.output
    new = read_float(tmp_path / "new.h5")
    pixels = np.random.default_rng(0).integers(0, 256, (16, 7, 6, 3), np.uint8)
    scale, offset = (np.array(text.split(","), float) for text in scaled[1::2])
    wanted = forward(graph, np.float32(pixels / scale + offset))
    fed = as_certified(tmp_path, pixels)
    np.testing.assert_allclose(forward(new, fed), wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())
    found = simulate(convert(quantize(new, fed, Quantization()), "akida_v2"), fed)
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.95
    assert run(verify, tmp_path / "new_certificate").exit_code == 0


@pytest.mark.parametrize("text", ["", "a", "1,,2", "nan", "inf"])
def test_other_texts_are_no_scale(tmp_path, text):
    save_graph(tmp_path / "m.npz", chain((5, 5, 3), conv(), RELU))
    result = run(migrate, tmp_path / "m.npz", "-o", tmp_path / "n.npz", "--input-scale", text)
    assert result.exit_code == 2 and "is no number" in result.output


@pytest.mark.parametrize(
    ("graph", "arguments", "said"),
    [
        (first(conv(), RELU), ("--input-scale", 255), "only float images have a scale"),
        (
            chain((5, 5, 3), ("Rescaling", {"scale": 1 / 255}), conv(), RELU),
            ("--input-scale", 255),
            "rescales the images itself",
        ),
        (chain((5, 5, 3), conv(), RELU), ("--input-offset", -1), "give --input-scale as well"),
        (chain((5, 5, 3), conv(), RELU), ("--input-scale", "1,2"), "found 2 numbers; allowed: one"),
        (chain((5, 5, 3), conv(), RELU), ("--input-scale", "0"), "found 0; allowed: above 0"),
    ],
)
def test_what_has_no_scale_is_refused(tmp_path, graph, arguments, said):
    save_graph(tmp_path / "m.npz", graph)
    result = run(migrate, tmp_path / "m.npz", "-o", tmp_path / "new.npz", *arguments)
    assert isinstance(result.exception, CrossgradeError) and said in str(result.exception)
    assert not (tmp_path / "new.npz").exists()


def test_ranges_of_random_images_are_a_warning(tmp_path):
    pool = ("MaxPooling2D", {"padding": "same"})
    save_graph(tmp_path / "m.npz", first(conv(), RELU, conv(), pool, conv(), RELU))
    result = run(migrate, tmp_path / "m.npz", "-o", tmp_path / "new.npz")
    assert result.exit_code == 0 and "exact on the calibrated range" in result.output
    assert "measured on random images" in result.output
    np.save(tmp_path / "x.npy", np.zeros((4, 8, 8, 3), np.uint8))
    known = ("-o", tmp_path / "two.npz", "--calibration", tmp_path / "x.npy")
    assert "random images" not in run(migrate, tmp_path / "m.npz", *known).output

"""Pages and tables of two models beside each other, and pictures of sensitivities."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.analysis.analysis import analyse
from pipeline.analysis.page import page, side
from pipeline.analysis.page_beside import page_beside
from pipeline.analysis.sensitivity import measure
from pipeline.analysis.table_beside import beside_text
from pipeline.analysis.variants import variants
from pipeline.chips import convert
from pipeline.cli.main import cli
from pipeline.config import Calibration, LayerWidths, Quantization
from pipeline.graph.archive import save_graph
from pipeline.quantization.archive import save_quantized
from pipeline.quantization.quantize import quantize
from tests.pipeline.analysis.faults import images, network, quantized

CHROMIUM = shutil.which("chromium")
CALIBRATION = Calibration(batch_size=8)


def narrow():
    """Return the network with narrow widths in two layers."""
    layers = {"conv2d_7": LayerWidths(weight_bits=2), "conv2d_2": LayerWidths(activation_bits=2)}
    return quantize(network(), images(), Quantization(calibration=CALIBRATION, layers=layers))


@pytest.fixture(scope="module")
def sides():
    found = []
    for name, model in (("wide.npz", quantized()), ("<narrow>.npz", narrow())):
        analysis = analyse(network(), model, images())
        found.append(side(analysis, convert(model, "akida_v2"), name))
    return tuple(found)


def test_two_models_beside_each_other(sides):
    text = page_beside(sides)
    assert "<narrow>" not in text and "&lt;narrow&gt;.npz" in text
    assert not re.search(r"(src|href)=|https?://|<script|@import|url\(", text)
    for analysis in (one.analysis for one in sides):
        for layer in analysis.layers:
            assert f"<code>{layer.name}</code>" in text
            assert (
                f'<td class="n">{layer.weight_bits or "-"}/{layer.output_bits or "-"}</td>' in text
            )
    assert text.count('<tr class="first">') >= 2 and "2-bit weights" in text


def test_the_table_lists_the_largest_difference_first(sides):
    text = beside_text([one.analysis for one in sides], [one.name for one in sides])
    assert max(map(len, text.splitlines())) <= 100
    rows = text.split("layer")[1].splitlines()[1:]
    assert {row.split()[0] for row in rows[:2]} == {"conv2d_7", "conv2d_2"}
    assert all(row.split()[-1].startswith("-") for row in rows[:2])


def test_the_command_compares_two_models(tmp_path):
    np.save(tmp_path / "x.npy", images())
    save_graph(tmp_path / "m.npz", network())
    save_quantized(tmp_path / "a.npz", quantized())
    convert(narrow(), "akida_v2").save(tmp_path / "b.npz")
    paths = [str(tmp_path / name) for name in ("m.npz", "a.npz", "x.npy")]
    options = ["--beside", str(tmp_path / "b.npz"), "-o", str(tmp_path / "both.html")]
    result = CliRunner().invoke(cli, ["analyze", *paths, *options])
    assert result.exit_code == 0, result.output
    assert "a.npz:" in result.stdout and "b.npz:" in result.stdout
    assert "a.npz beside b.npz" in (tmp_path / "both.html").read_text()
    found = json.loads(CliRunner().invoke(cli, ["analyze", *paths, *options[:2], "--json"]).stdout)
    assert len(found["runs"]) == 2


@pytest.fixture(scope="module")
def sensitivities():
    options = Quantization(calibration=CALIBRATION)
    return measure(variants(network(), images(), options, "akida_v2"), images())


def test_the_picture_of_sensitivities(sides, sensitivities):
    text = page(sides[0], sensitivities)
    for entry in sensitivities.entries:
        what = "weights" if entry.choice.key == "weight_bits" else "outputs"
        assert f"{entry.choice.layer}: {what}, {entry.choice.bits} bits" in text
    lengths = [
        float(n) for n in re.findall(r'class="bar (?:weights|outputs)".*?width="([\d.]+)"', text)
    ]
    assert len(lengths) == len(sensitivities.entries)
    assert lengths == sorted(lengths, reverse=True) and lengths[0] > lengths[-1]


def test_the_command_draws_sensitivities(tmp_path):
    np.save(tmp_path / "x.npy", images())
    save_graph(tmp_path / "m.npz", network())
    page_path = tmp_path / "s.html"
    command = ["sensitivity", str(tmp_path / "m.npz"), "--samples", str(tmp_path / "x.npy")]
    result = CliRunner().invoke(cli, [*command, "-o", str(page_path)])
    assert result.exit_code == 0, result.output
    assert "<h2>Sensitivities</h2>" in page_path.read_text()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [600, 1200])
def test_pages_fit_the_window(tmp_path, sides, sensitivities, width):
    probe = (
        "<script>document.title = document.documentElement.scrollWidth + ' ' +"
        " document.querySelectorAll('svg').length</script></body>"
    )
    for text, least in ((page_beside(sides), 2), (page(sides[0], sensitivities), 11)):
        path = tmp_path / "a.html"
        path.write_text(text.replace("</body>", probe))
        command = [CHROMIUM, "--headless", "--no-sandbox", f"--window-size={width},900"]
        shown = subprocess.run(
            [*command, "--dump-dom", f"file://{path}"], capture_output=True, text=True, check=True
        ).stdout
        wide, pictures = map(int, re.search(r"<title>(\d+) (\d+)</title>", shown).groups())
        assert wide <= width and pictures >= least

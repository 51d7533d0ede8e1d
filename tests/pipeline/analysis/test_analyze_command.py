"""``crossgrade analyze`` as users run it, and its page."""

import json
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.analysis.analysis import analyse
from pipeline.analysis.page import page, side
from pipeline.chips import convert
from pipeline.cli.main import cli
from pipeline.errors import ModelError
from pipeline.graph.archive import save_graph
from pipeline.quantization.archive import save_quantized
from tests.pipeline.analysis.faults import images, network, quantized

CHROMIUM = shutil.which("chromium")


@pytest.fixture
def files(tmp_path):
    np.save(tmp_path / "x.npy", images())
    save_graph(tmp_path / "float.npz", network())
    save_quantized(tmp_path / "q.npz", quantized())
    convert(quantized(), "akida_v2").save(tmp_path / "p.npz")
    return tmp_path


def run(files, *options):
    names = [str(files / name) if name.endswith((".npz", ".npy")) else name for name in options]
    return CliRunner().invoke(cli, ["analyze", *names])


def test_the_command_writes_a_page(files):
    result = run(files, "float.npz", "q.npz", "x.npy", "-o", str(files / "a.html"))
    assert result.exit_code == 0, result.output
    text = (files / "a.html").read_text()
    assert not re.search(r"(src|href)=|https?://|<script|@import|url\(", text)
    for layer in analyse(network(), quantized(), images()).layers:
        assert f"<code>{layer.name}</code>" in text
    result = run(files, "float.npz", "q.npz", "x.npy", "--json")
    found = json.loads(result.stdout)
    assert found["worst_first"] and found["layers"][0]["isolated"]["decibels"] > 30


def test_what_cannot_be_analysed_is_refused(files):
    for names, reason in (
        (("q.npz", "q.npz"), "is a quantized model, not a float model; give the float model"),
        (("float.npz", "float.npz"), "is a float model, not a quantized model; quantize it first"),
    ):
        result = run(files, *names, "x.npy")
        assert isinstance(result.exception, ModelError) and reason in str(result.exception)


def test_names_in_a_page_are_escaped():
    analysis = analyse(network(), quantized(), images())
    program = convert(quantized(), "akida_v2")
    first = replace(analysis.layers[0], name="<b>&")
    hostile = replace(analysis, model="</title><i>", layers=(first, *analysis.layers[1:]))
    text = page(replace(side(hostile, program), limits=("<u>limit</u>",)))
    assert "<b>&" not in text and "<i>" not in text and "<u>" not in text
    assert "&lt;u&gt;limit" in text


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [600, 1200])
def test_a_page_fits_the_window(tmp_path, width):
    analysis = analyse(network(), quantized(), images())
    program = convert(quantized(), "akida_v2")
    path = tmp_path / "a.html"
    probe = (
        "<script>document.title = document.documentElement.scrollWidth + ' ' +"
        " document.querySelectorAll('svg').length</script></body>"
    )
    path.write_text(page(side(analysis, program)).replace("</body>", probe))
    command = [CHROMIUM, "--headless", "--no-sandbox", f"--window-size={width},900"]
    shown = subprocess.run(
        [*command, "--dump-dom", f"file://{path}"], capture_output=True, text=True, check=True
    ).stdout
    wide, pictures = map(int, re.search(r"<title>(\d+) (\d+)</title>", shown).groups())
    assert wide <= width and pictures > 10

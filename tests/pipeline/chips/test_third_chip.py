"""A made-up chip, defined in new files only, on which every command and a sweep run."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.graph.archive import save_graph
from tests.pipeline.chips.models import FLAT, RELU, conv, dense, first
from tests.repository import FRONT, Repository, sentences

# MLflow's database layer uses what the next version deprecates.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

FILES = Path(__file__).parent / "third_chip"
COMMAND = (sys.executable, "-c", "from pipeline.cli import main; main()")
TARGET = ("--target", "akida_mini")


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    made = Repository(tmp_path_factory.mktemp("third") / "clone")
    before = {path for path in made.root.rglob("*") if path.is_file()}
    shutil.copytree(FILES, made.root, dirs_exist_ok=True)
    added = [path for path in FILES.rglob("*") if path.suffix in (".py", ".yaml")]
    assert not before & {made.root / path.relative_to(FILES) for path in added}
    return made


def test_every_command_supports_the_chip(repository):
    root = repository.root
    grouped = first(conv(groups=1), RELU, conv(groups=2), RELU, FLAT, dense())
    save_graph(root / "m.npz", grouped)
    samples = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3), np.uint8)
    np.save(root / "x.npy", samples)

    report = json.loads(repository.run(*COMMAND, "check", "m.npz", *TARGET, "--json", fails=True))
    assert report["verdict"] == "compatible after migrate"
    assert [violation["rule"] for violation in report["violations"]] == ["groups"]
    migrate = ("migrate", "m.npz", "-o", "new.npz", *TARGET, "--calibration", "x.npy")
    repository.run(*COMMAND, *migrate, "--report", "report")
    assert "Akida Mini" in (root / "report/certificate.html").read_text()
    assert "new.npz" in repository.run(*COMMAND, "verify", "report")
    assert "compatible" in repository.run(*COMMAND, "check", "new.npz", *TARGET, "--strict")

    quantize = ("--samples", "x.npy", "--per-tensor", "--batch-size", "8")
    repository.run(*COMMAND, "quantize", "new.npz", "-o", "q.npz", *quantize)
    for target in ("akida_mini", "akida_v2"):
        convert = ("convert", "q.npz", "-o", f"{target}.npz", "--target", target)
        assert f"{target} program of" in sentences(repository.run(*COMMAND, *convert))
        simulate = ("simulate", f"{target}.npz", "x.npy", "-o", f"{target}.npy")
        repository.run(*COMMAND, *simulate)
    # The same integers, on a chip of its own layers.
    ours, theirs = (np.load(root / f"{name}.npy") for name in ("akida_mini", "akida_v2"))
    np.testing.assert_array_equal(ours, theirs)
    said = repository.run(*COMMAND, "diff", "akida_mini.npz", "akida_v2.npz", "--images", "x.npy")
    assert "MiniConv" in said and "MiniDense" in said


def test_limits_are_the_chips_own(repository):
    wide = first(conv(41, 5), RELU, FLAT, dense())
    save_graph(repository.root / "wide.npz", wide)
    said = repository.run(*COMMAND, "check", "wide.npz", *TARGET, "--strict", fails=True)
    assert "A convolution has at most 40 filters." in said
    assert "kernel 5x5, stride 1x1" in said


def test_pages_list_the_chip(repository):
    for page, text in (("layers_page", "up to 9000 values"), ("rules_page", "`layers`")):
        said = repository.run(sys.executable, "-m", f"pipeline.chips.{page}")
        assert "## akida_mini" in said and text in said


def test_a_sweep_compares_the_chip(repository):
    choices = ("model=tutorial_cnn", "data=digits32", "quantization=both_w4a4", "transforms=none")
    said = repository.run(*FRONT, "-m", *choices, "target=akida_mini,akida_v2")
    folder = max((repository.root / "multirun").iterdir())
    rows = (folder / "pareto.csv").read_text().splitlines()
    assert len(rows) == 3 and all("finished" in row for row in rows[1:]), said

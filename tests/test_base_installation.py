"""The wheel with its base dependencies only, in an environment outside of the checkout."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.graph.architecture import build_graph
from pipeline.graph.archive import save_graph
from pipeline.packages import EXTRAS
from tests.wheel import base_environment, build_wheel, run

pytestmark = pytest.mark.slow
LARGEST_MIB = 160
MODEL = {
    "name": "small",
    "input": {"shape": [8, 8, 1], "dtype": "uint8"},
    "layers": [
        {"Rescaling": {"scale": "1/255"}},
        {"conv_block": {"filters": 4, "kernel_size": 3, "add_batchnorm": True}},
        {"conv_block": {"filters": 4, "kernel_size": 3, "pooling": "global_avg"}},
        {"Dense": {"units": 3}},
    ],
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_the_packages_and_the_configuration_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {name for name in tops if not name.endswith(".dist-info")} == {
        "crossgrade.py",
        "pipeline",
        "simulator",
        "stages",
    }
    assert "pipeline/shipped/conf/model/ds_cnn.yaml" in names
    assert "pipeline/shipped/dvc.yaml" in names and "pipeline/project/texts/README.md" in names
    source = Path(__file__).parents[1]
    modules = [path for ring in ("pipeline", "simulator", "stages") for path in source.glob(ring)]
    modules = {p.relative_to(source).as_posix() for ring in modules for p in ring.rglob("*.py")}
    assert modules <= set(names)


@pytest.fixture(scope="module")
def place(wheel, tmp_path_factory):
    """Return (programs, folder with a model and images) of a base installation."""
    folder = tmp_path_factory.mktemp("elsewhere")
    programs = base_environment(folder, wheel)
    save_graph(folder / "m.npz", build_graph(MODEL))
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
    np.save(folder / "x.npy", images)
    (folder / "m.onnx").write_bytes(b"\x08\x07\x12")
    return programs, folder


def test_the_base_installation_is_small_and_holds_no_extra(place):
    programs, folder = place
    packages = Path(
        run([programs / "python", "-c", "import click; print(click.__path__[0])"], folder).strip()
    ).parent
    own = [path for path in packages.iterdir() if not path.name.startswith(("pip", "setuptools"))]
    files = [file for path in own for file in [path, *path.rglob("*")] if file.is_file()]
    assert sum(file.stat().st_size for file in files) < LARGEST_MIB << 20
    assert not {path.name for path in own} & set(EXTRAS)


def test_the_steps_on_a_users_own_files_run(place):
    programs, folder = place

    def crossgrade(*words):
        return run([programs / "crossgrade", *words], folder)

    assert "compatible" in crossgrade("check", "tutorial_cnn")
    assert "MACs per image" in crossgrade("describe", "ds_cnn")
    crossgrade("migrate", "m.npz", "-o", "new.h5")
    crossgrade("verify", "new_certificate")
    crossgrade("quantize", "new.h5", "--samples", "x.npy", "-o", "q.npz")
    crossgrade("convert", "q.npz", "-o", "p.npz")
    crossgrade("simulate", "p.npz", "x.npy", "-o", "y.npy", "--trace", "t.npz")
    assert np.load(folder / "y.npy").shape == (20, 3)
    assert "Model Summary" in crossgrade("summary", "p.npz", "--plan")
    crossgrade("diff", "p.npz", "p.npz", "--images", "x.npy")
    crossgrade("vectors", "p.npz", "x.npy", "-o", "vectors")
    assert "equal" in crossgrade("compare", "p.npz", "vectors", "x.npy")
    crossgrade("analyze", "new.h5", "q.npz", "x.npy", "-o", "a.html")
    crossgrade("export", "q.npz", "-o", "e.h5")
    crossgrade("sensitivity", "new.h5", "--samples", "x.npy")
    crossgrade("unfuse", "-m", "m.npz", "-o", "unfused.h5")
    printed = " ".join(crossgrade("init", "project").split())
    assert "dvc.yaml" in printed and "pip install 'crossgrade[pipeline]'" in printed


PYTHON = """
import crossgrade
quantized = crossgrade.quantize(crossgrade.migrate("m.npz").model, "x.npy")
program = crossgrade.convert(quantized)
print(crossgrade.simulate(program, "x.npy").shape, crossgrade.read("ds_cnn").name)
"""


def test_the_python_functions_run(place):
    programs, folder = place
    assert "(20, 3) ds_cnn" in run([programs / "python", "-c", PYTHON], folder)


MISSING = {
    "crossgrade search m.npz --samples x.npy --budget weight_kib=1": "scipy",
    "crossgrade quantize m.npz --samples x.npy --train distill -o t.npz": "train",
    "crossgrade migrate m.npz -o g.h5 --gap relocate --calibration x.npy": "scipy",
    "crossgrade migrate m.npz -o g.h5 --gap distill --calibration x.npy": "train",
    "crossgrade check m.onnx": "onnx",
    "crossgrade migrate m.npz -o m2.onnx": "onnx",
    "crossgrade ui": "pipeline",
    "crossgrade track": "pipeline",
    "python -m pipeline": "pipeline",
    "python -m pipeline -m seed=1,2": "pipeline",
}


@pytest.mark.parametrize("command", MISSING)
def test_what_needs_an_extra_says_so(place, command):
    programs, folder = place
    program, *words = command.split()
    before = set(folder.iterdir())
    printed = " ".join(run([programs / program, *words], folder, status=1).split())
    assert printed.count("is not installed") == 1 and "Traceback" not in printed
    assert f"pip install 'crossgrade[{MISSING[command]}]'" in printed
    assert set(folder.iterdir()) == before


def test_the_advice_installs_the_extra_of_what_is_installed(place):
    programs, folder = place
    asked = run(
        [programs / "python", "-m", "pip", "install", "--dry-run", "crossgrade[onnx]"], folder
    )
    assert "Would install" in asked and " onnx-" in asked

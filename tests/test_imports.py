"""Import rules: stages -> pipeline -> simulator, and heavy packages only in named modules."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.builders import PROGRAMS, images

ROOT = Path(__file__).parents[1]
STANDARD = set(sys.stdlib_module_names)
ALLOWED = {
    "simulator": {"numpy", "simulator"},
    "pipeline": {
        "click",
        "h5py",
        "numpy",
        "omegaconf",
        "pipeline",
        "simulator",
        "threadpoolctl",
        "yaml",
    },
    "stages": {"numpy", "pipeline", "simulator"},
}
# Modules that may import these packages, inside functions only.
LATE = {
    "dvc": {"pipeline/repro/dvc_server.py", "pipeline/repro/run_dvc.py"},
    "ruamel": {"pipeline/repro/dependencies.py"},
    "hydra": {
        "pipeline/__main__.py",
        "pipeline/config/compose.py",
        "pipeline/sweeps/launch.py",
        "pipeline/sweeps/total.py",
    },
    "PIL": {"pipeline/data/image_folder.py", "pipeline/data/tfds_sets.py"},
    "keras": {
        "pipeline/data/keras_sets.py",
        "pipeline/graph/keras_io.py",
        "pipeline/graph/keras_transposed.py",
        "pipeline/training/image_reader.py",
        "pipeline/training/train.py",
    },
    "matplotlib": {
        "pipeline/evaluation/confusion.py",
        "pipeline/sweeps/chart.py",
        "pipeline/sweeps/picture.py",
        "pipeline/training/curve.py",
    },
    "fastapi": {"pipeline/serving/server.py"},
    "mlflow": {
        "pipeline/serving/server.py",
        "pipeline/serving/served_model.py",
        "pipeline/tracking/store.py",
    },
    "platformdirs": {"pipeline/data/cache.py"},
    "onnx": {"pipeline/host/run.py", "pipeline/importers/onnx/file.py"},
    "onnxruntime": {"pipeline/host/run.py"},
    "ray": {"pipeline/evaluation/shards_ray.py"},
    "rich": {"pipeline/sweeps/display.py"},
    "scipy": {"pipeline/analysis/integer_program.py", "pipeline/transforms/gap/class_fit.py"},
    "sklearn": {"pipeline/data/digits.py"},
    "tensorflow": {
        "pipeline/data/tfds_sets.py",
        "pipeline/graph/keras_io.py",
        "pipeline/graph/keras_transposed.py",
        "pipeline/training/image_reader.py",
        "pipeline/training/registers/train.py",
        "pipeline/training/train.py",
    },
    "sqlalchemy": {"pipeline/tracking/store.py"},
    "uvicorn": {"pipeline/serving/server.py"},
    "tensorflow_datasets": {"pipeline/data/tfds_sets.py"},
}
# Whole modules that only their own backend or package imports, inside functions.
OPTIONAL = {
    "pipeline/sweeps/point.py": {"filelock"},
    "pipeline/sweeps/sweep.py": {"filelock"},
    "pipeline/tracking/store.py": {"filelock"},
    "pipeline/training/registers/adam.py": {"tensorflow"},
    "pipeline/training/registers/cnn2snn.py": {"tensorflow"},
    "pipeline/training/registers/course.py": {"tensorflow"},
    "pipeline/training/registers/exact.py": {"tensorflow"},
    "pipeline/training/registers/goal.py": {"tensorflow"},
    "pipeline/training/registers/latents.py": {"tensorflow"},
    "pipeline/training/registers/quantizeml.py": {"tensorflow"},
    "pipeline/training/registers/tables.py": {"tensorflow"},
    "pipeline/training/registers/teacher.py": {"tensorflow"},
    "simulator/plan/fast/code.py": {"llvmlite"},
    "simulator/plan/fast/depthwise.py": {"llvmlite"},
    "simulator/plan/fast/finishes.py": {"llvmlite"},
    "simulator/plan/fast/kernels.py": {"llvmlite"},
    "simulator/plan/fast/measuring.py": {"llvmlite"},
    "simulator/plan/fast/moving.py": {"llvmlite"},
    "simulator/plan/fast/pooling.py": {"llvmlite"},
    "simulator/plan/fast/processor.py": {"llvmlite"},
    "simulator/plan/fast/vectors.py": {"llvmlite"},
}
FORBIDDEN = {
    "pipeline/graph": {"transforms", "preparation", "quantization", "chips", "data", "config"},
    "pipeline/transforms": {"quantization", "chips", "data", "config"},
    "pipeline/preparation": {"transforms", "chips", "data", "config"},
    "pipeline/quantization": {"transforms", "chips", "data", "config"},
    "pipeline/chips": {"data", "config", "migration"},
    "pipeline/data": {"graph", "transforms", "quantization", "chips", "config"},
    "simulator/akida_v2": {"akida_v1"},
}


def modules(ring):
    return sorted((ROOT / ring).rglob("*.py"))


def imports(path):
    """Yield the dotted name of each import, and whether it is inside a function."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node in inner
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for name in node.names:
                yield f"{node.module}.{name.name}", node in inner


@pytest.mark.parametrize("ring", ALLOWED)
def test_each_ring_imports_only_what_it_may(ring):
    for path in modules(ring):
        place = path.relative_to(ROOT).as_posix()
        for name, inside in imports(path):
            package = name.partition(".")[0]
            allowed = package in STANDARD | ALLOWED[ring] or (
                inside and place in LATE.get(package, ())
            )
            allowed = allowed or package in OPTIONAL.get(place, ())
            assert allowed, f"{place} imports {name}"


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(path, known):
    """Return the modules of `known` that a file imports, inside functions too."""
    names = {name if name in known else name.rpartition(".")[0] for name, _ in imports(path)}
    return names & known


def circle(paths):
    """Return modules that import each other in a circle, or None."""
    files = {module_name(path): path for path in paths}
    graph = {name: imported_modules(path, set(files)) - {name} for name, path in files.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return None


def test_no_modules_import_each_other_in_a_circle():
    assert circle([ROOT / "crossgrade.py", *(p for ring in ALLOWED for p in modules(ring))]) is None


def test_a_circle_through_a_function_is_found(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "a.py").write_text("from b import x\n")
    (tmp_path / "b.py").write_text("def f():\n    import a\n")
    assert sorted(set(circle(sorted(tmp_path.glob("*.py"))))) == ["a", "b"]


def test_the_python_interface_is_one_module_that_nothing_imports():
    facade = ROOT / "crossgrade.py"
    found = {name.split(".")[0] for name, _ in imports(facade)}
    assert found <= {"pipeline", "simulator"}
    names = ast.parse(facade.read_text(encoding="utf-8")).body
    assert all(isinstance(node, ast.Expr | ast.ImportFrom | ast.Assign) for node in names)
    for path in (path for ring in ALLOWED for path in modules(ring)):
        assert not [name for name, _ in imports(path) if name.split(".")[0] == "crossgrade"], path


def test_importing_it_imports_little():
    code = "import sys, crossgrade; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = set(result.stdout.split()) - STANDARD
    assert {name for name in found if not name.startswith("_")} <= {
        "crossgrade",
        "numpy",
        "pipeline",
        "simulator",
    }


def test_no_stage_imports_another():
    for path in modules("stages"):
        assert not [name for name, _ in imports(path) if name.startswith("stages")], path


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_concepts_do_not_import_later_ones(folder):
    ring = folder.partition("/")[0]
    for path in sorted((ROOT / folder).rglob("*.py")):
        for name, _ in imports(path):
            parts = name.split(".")
            if parts[0] == ring and len(parts) > 1:
                assert parts[1] not in FORBIDDEN[folder], f"{path} imports {name}"


def test_starting_does_not_import_heavy_libraries():
    names = [f"stages.{path.stem}" for path in modules("stages") if path.stem != "__init__"]
    code = f"import sys, {', '.join(names)}, simulator.__main__, pipeline.__main__\n"
    code += f"print(*({set(LATE)!r} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == ""


def test_help_does_not_import_numpy():
    code = "import sys; from pipeline.cli import main; print('numpy' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout == "False\n"


MODELS = ("pipeline.graph", "pipeline.importers", "pipeline.migration", "pipeline.quantization")
"""What reads and changes models, whose import takes longer than a program of one image."""


@pytest.mark.parametrize("command", ["summary {program}", "simulate {program} {images}"])
def test_commands_of_programs_do_not_import_what_reads_models(command, tmp_path):
    rng = np.random.default_rng(0)
    program = PROGRAMS["akida_v2"][0](rng)
    program.save(tmp_path / "p.npz")
    np.save(tmp_path / "x.npy", images(rng, program, 1))
    words = command.format(program=tmp_path / "p.npz", images=tmp_path / "x.npy").split()
    code = "import atexit, sys; from pipeline.cli import main; "
    code += f"atexit.register(lambda: print(*({set(MODELS)!r} & set(sys.modules)))); main()"
    result = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout.splitlines()[-1] == "", result.stdout

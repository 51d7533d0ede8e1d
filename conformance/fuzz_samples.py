"""Small valid files of every kind that crossgrade reads, to be damaged."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from pathlib import Path

import numpy as np

from conformance.onnx_samples import onnx_samples
from pipeline.cli.main import cli
from pipeline.exporters import save_keras2_h5, save_keras3
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture, zoo_folder
from pipeline.graph.archive import save_graph

RESIDUAL = {
    "name": "residual",
    "input": {"shape": [8, 8, 3], "dtype": "uint8"},
    "layers": [
        {"Rescaling": {"scale": "1/127.5", "offset": -1}},
        {"Conv2D": {"name": "stem", "filters": 4, "kernel_size": 3, "padding": "same"}},
        {"BatchNormalization": {}},
        {"ReLU": {"name": "wide", "max_value": 6}},
        {"DepthwiseConv2D": {"kernel_size": 3, "padding": "same", "use_bias": False}},
        {"Conv2D": {"name": "narrow", "filters": 4, "kernel_size": 1}},
        {"Add": {"inputs": ["wide", "narrow"]}},
        {"GlobalAveragePooling2D": {}},
        {"Dropout": {"rate": 0.1}},
        {"Dense": {"units": 3}},
        {"Activation": {"activation": "softmax"}},
    ],
}
"""Small, since a run reads a hundred thousand files."""
FIXTURES = ("quantized_flatten.h5", "quantized_residual.h5", "cnn2snn_small.h5")


def make_samples(folder: Path) -> list[Path]:
    """Write a valid file of each kind to `folder`; return their paths."""
    for name, model in (("separable", read_architecture("separable_cnn")), ("residual", RESIDUAL)):
        graph = build_graph(model, seed=0)
        save_keras2_h5(folder / f"float_{name}.h5", graph)
        save_keras3(folder / f"float_{name}.keras", graph)
        save_graph(folder / f"graph_{name}.npz", graph)
    fixtures = Path(__file__).parents[1] / "tests" / "fixtures"
    for name in FIXTURES:
        shutil.copy2(fixtures / name, folder / name)
    shutil.copy2(zoo_folder() / "separable_cnn.yaml", folder / "architecture.yaml")
    np.save(folder / "images.npy", np.zeros((4, 8, 8, 1), np.uint8))
    for name, model in onnx_samples().items():
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    _commands(folder)
    made = [path for path in sorted(folder.iterdir()) if path.is_file()]
    return [path for path in made if path.stat().st_size]


def _commands(folder: Path) -> None:
    """Run the commands that write quantized models, programs and a certificate."""
    model, images = folder / "float_separable.h5", folder / "images.npy"
    new, quantized = folder / "migrated.h5", folder / "quantized.npz"
    report = folder / "report"
    lines = [
        ["migrate", model, "-o", new, "--report", report, "--calibration", images],
        ["quantize", new, "-o", quantized, "--samples", images],
        ["quantize", model, "-o", folder / "quantized_v1.npz", "--scheme", "cnn2snn", "-a", "4"],
        ["convert", quantized, "-o", folder / "program.npz", "--target", "akida_v2"],
        ["convert", folder / "quantized_v1.npz", "-o", folder / "program_v1.npz"],
    ]
    for line in lines:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            cli.main([str(word) for word in line], standalone_mode=False)
    certificate = json.loads((report / "certificate.json").read_text())
    (folder / "certificate.json").write_text(json.dumps(certificate))

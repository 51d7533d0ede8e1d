"""Networks of the speed benchmark, in the format of every tool, from one float graph."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

NETS = {
    "tutorial": ["model=tutorial_cnn"],
    "ds_cnn": ["model=ds_cnn", "model.version=2.0"],
    "akidanet05_160": [
        *("model=akidanet", "model.version=2.0", "model.alpha=0.5"),
        "model.input.shape=[160,160,3]",
    ],
    "akidanet05_224": ["model=akidanet", "model.version=2.0", "model.alpha=0.5"],
    "mobilenet05_224": ["model=mobilenet", "model.version=2.0", "model.alpha=0.5"],
}
"""Name to overrides of the configuration; weights are the seeded initial values."""

FOLDER = Path("build/benchmarks")
SAMPLES, IMAGES = 32, 128


def prepare(name: str, *, oracle: bool) -> Path:
    """Write a network in the format of every tool and return its folder; existing files are kept.

    Parameters
    ----------
    name : str
        Key of `NETS`.
    oracle : bool
        Also quantize it with QuantizeML, which takes about a minute for a large network.
    """
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    graph = _graph(name, folder)
    images = np.load(folder / "images.npy")
    with _silent(folder / "prepare.log"):
        if not (folder / "program.npz").exists():
            _program(graph, images, folder)
        if not (folder / "model.tflite").exists():
            _tflite(_with_relu6(graph), images, folder)
        if not (folder / "qdq.onnx").exists():
            _qdq(_with_relu6(graph), images, folder)
        if oracle and not (folder / "quantizeml.h5").exists():
            _quantizeml(graph, images, folder)
    return folder


@contextmanager
def _silent(log: Path) -> Iterator[None]:
    """Send the output of this process to a file: TensorFlow's notices ignore its own switches."""
    sys.stdout.flush()
    with log.open("ab") as file:
        saved = os.dup(1), os.dup(2)
        try:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            yield
        finally:
            sys.stdout.flush()
            for number, kept in zip((1, 2), saved, strict=True):
                os.dup2(kept, number)
                os.close(kept)


def _graph(name, folder):
    from pipeline.config.compose import compose
    from pipeline.graph.architecture import build_graph
    from pipeline.graph.archive import save_graph

    graph = build_graph(compose(NETS[name])["model"], seed=0)
    if not (folder / "images.npy").exists():
        rng = np.random.default_rng(0)
        shape = (IMAGES, *graph.input.attrs["shape"])
        np.save(folder / "images.npy", rng.integers(0, 256, shape, dtype=np.uint8))
        save_graph(folder / "graph.npz", graph)
    return graph


def sized_program(size: int, alpha: float = 0.5):
    """Return akidanet for Akida 2.0, an image size and a width, calibrated on random images."""
    from pipeline.config.compose import compose
    from pipeline.graph.architecture import build_graph

    overrides = ["model=akidanet", "model.version=2.0", f"model.alpha={alpha}"]
    overrides.append(f"model.input.shape=[{size},{size},3]")
    graph = build_graph(compose(overrides)["model"], seed=0)
    images = np.random.default_rng(0).integers(0, 256, (SAMPLES, size, size, 3), dtype=np.uint8)
    return _converted(graph, images)


def _converted(graph, images):
    from pipeline.chips import convert
    from pipeline.config import Calibration, Quantization
    from pipeline.quantization.quantize import quantize

    options = Quantization(calibration=Calibration(samples=SAMPLES, batch_size=SAMPLES))
    return convert(quantize(graph, images[:SAMPLES], options), "akida_v2")


def _program(graph, images, folder):
    _converted(graph, images).save(folder / "program.npz")


def _with_relu6(graph):
    """Return a graph with ReLU6, which other tools fuse into the layer before."""
    bounded = [
        node.with_attrs(max_value=6.0)
        if node.op == "ReLU" and node.attrs["max_value"] is not None
        else node
        for node in graph.nodes
    ]
    return graph.with_nodes(bounded)


def _tflite(graph, images, folder):
    import tensorflow as tf

    from pipeline.graph.keras_io import to_keras

    model = to_keras(graph)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    dtype = model.inputs[0].dtype

    def samples():
        for image in images[:SAMPLES]:
            yield [image[None].astype(dtype)]

    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    (folder / "model.tflite").write_bytes(converter.convert())


def _qdq(graph, images, folder):
    """Write onnxruntime's quantized model: uint8 activations, int8 weights by channel."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.preprocess import quant_pre_process

    from benchmarks.onnx_model import save_onnx

    class Reader(CalibrationDataReader):
        def __init__(self):
            # Other tools use NHWC; the transposition is not measured.
            batch = images[:SAMPLES].transpose(0, 3, 1, 2).astype(np.float32)
            self.batches = iter([{"images": batch}])

        def get_next(self):
            return next(self.batches, None)

    source = folder / "float.onnx"
    save_onnx(source, graph)
    quant_pre_process(source, source, skip_symbolic_shape=True)
    quantize_static(
        source, folder / "qdq.onnx", Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip


def _quantizeml(graph, images, folder):
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import tf_keras
    from quantizeml.models import QuantizationParams, quantize

    from pipeline.exporters import save_keras2_h5

    source = folder / "float.h5"
    save_keras2_h5(source, graph)
    model = tf_keras.models.load_model(source, compile=False)
    quantized = quantize(
        model, qparams=QuantizationParams(), samples=images[:SAMPLES], batch_size=SAMPLES
    )
    quantized.save(folder / "quantizeml.h5", include_optimizer=False)

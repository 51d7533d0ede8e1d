"""The networks of the speed benchmark, in every tool's form, from one float graph."""

from __future__ import annotations

import os
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
"""Name to overrides of the configuration; weights are the seeded initial ones."""

FOLDER = Path("build/benchmarks")
SAMPLES, IMAGES = 32, 128


def prepare(name: str, *, oracle: bool) -> Path:
    """Write a network in every tool's form and return its folder; what is there is kept.

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
    if not (folder / "program.npz").exists():
        _program(graph, images, folder)
    if not (folder / "model.tflite").exists():
        _tflite(graph, images, folder)
    if oracle and not (folder / "quantizeml.h5").exists():
        _quantizeml(graph, images, folder)
    return folder


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


def _program(graph, images, folder):
    from pipeline.config import Calibration, Quantization
    from pipeline.quantization.quantize import quantize
    from pipeline.targets import convert

    options = Quantization(calibration=Calibration(samples=SAMPLES, batch_size=SAMPLES))
    quantized = quantize(graph, images[:SAMPLES], options)
    convert(quantized, "akida_v2").save(folder / "program.npz")


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

"""The quantized models that are exported: random networks, the zoo, given files, trained models."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from conformance.networks import random_network
from pipeline.chips.akida_v2 import CHIP
from pipeline.config.sections import Calibration, Quantization, Transforms
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture, zoo_names
from pipeline.importers import load_model
from pipeline.migration.migrate import migrate
from pipeline.models.file import read_float
from pipeline.quantization.integers import integers
from pipeline.quantization.quantize import quantize
from pipeline.quantization.quantized_graph import QuantizedGraph
from pipeline.transforms import apply

SHARED = Path(__file__).resolve().parents[3] / "shared"
BITS = ((8, 8, 8), (8, 4, 4), (4, 4, 4))
SIZES = {
    **dict.fromkeys(
        ("akidanet", "akidanet18", "akidanet_edge", "mobilenet", "mobilenet_v2"),
        "input_shape=[32,32,3] alpha=0.125 classes=5",
    ),
    "akida_unet": "input_shape=[32,32,3] alpha=0.125",
    "centernet": "input_shape=[64,64,3] alpha=0.25 classes=4",
    "convtiny": "input_shape=[32,32,4] alpha=0.25",
    "ds_cnn": "alpha=0.25",
    "gxnor": "alpha=0.25",
    "pointnet_plus": "input_shape=[8,32,3] alpha=0.25 classes=5",
    "vgg": "alpha=0.25",
    "yolo": "input_shape=[32,32,3] alpha=0.125 classes=2",
}
"""Parameters that make architectures small; only the conversion is compared."""
CELL = 8
"""Pixels of one value: deep networks average white noise out."""


@dataclass(frozen=True, eq=False)
class Case:
    """A quantized model and images to compare on (frames of one stream if `temporal`)."""

    quantized: QuantizedGraph
    images: np.ndarray
    temporal: bool = False


Make = Callable[[], Case]
"""Quantizes a model; raises a ModelError if our quantizer cannot."""


def random_models(seed: int, count: int) -> Iterator[tuple[str, Make]]:
    """Yield names of random networks and how to quantize them; options rotate."""
    for index in range(count):
        yield f"network {index}", lambda index=index: random_model(seed, index)


def random_model(seed: int, index: int) -> Case:
    """Return one random network, quantized here."""
    network = random_network(seed, index)
    settings = dict(network.settings)
    settings.pop("input_dtype")
    size = 1 if network.temporal else len(network.samples) // 2
    options = Quantization(
        **settings,
        flatten=("align", "saturate")[index % 2],
        calibration=Calibration(batch_size=size),
    )
    quantized = quantize(network.graph, network.samples, options)
    return Case(quantized, _in_range(quantized, network.images), network.temporal)


def zoo_models() -> Iterator[tuple[str, Make]]:
    """Yield every architecture at every width, with scales per channel and per tensor."""
    for name in zoo_names():
        for bits, per_tensor in itertools.product(BITS, (False, True)):
            label = f"{name} {'/'.join(map(str, bits))} {'tensor' if per_tensor else 'axis'}"
            yield label, lambda *a, name=name, bits=bits, each=per_tensor: _zoo(name, bits, each)


def _zoo(name, bits, per_tensor) -> Case:
    parameters = SIZES.get(name, "").split()
    rows = read_architecture(name).get("versions") or []
    old = rows and all(row["version"] == 1.0 for row in rows)
    if rows and not old:
        parameters.append("version=2.0")
    graph = build_graph(read_architecture(name, parameters))
    images = _smooth(graph, 24)
    if old or name == "separable_cnn":
        names = ("unfuse_separable", "gap_after_relu")
        graph, _ = apply(graph, Transforms(names=names), images[:4])
    options = Quantization(
        input_weight_bits=bits[0],
        weight_bits=bits[1],
        activation_bits=bits[2],
        per_tensor_activations=per_tensor,
        calibration=Calibration(batch_size=8),
    )
    return Case(quantize(graph, images, options), images[:4])


def given_models(scheme: str = "quantizeml") -> Iterator[tuple[str, Make]]:
    """Yield the reference files of a scheme, where they are at hand."""
    for path in sorted(SHARED.glob(f"golden/{scheme}-*/model.h5")):
        images = path.with_name("inputs.npy")
        yield (
            path.parent.name,
            lambda path=path, x=images: Case(integers(load_model(path)), np.load(x)),
        )


def trained_models() -> Iterator[tuple[str, Make]]:
    """Yield models of other authors, migrated and refined, where they are at hand."""
    for path in sorted(SHARED.glob("field/*/model.h5")):
        for refine in ("none", "layers"):
            yield f"{path.parent.name} {refine}", lambda p=path, r=refine: _trained(p, r)


def _trained(path, refine) -> Case:
    images = np.load(path.with_name("inputs.npy"))
    graph = migrate(read_float(path), CHIP.name, images).after
    quantized = quantize(graph, images, Quantization(refine=refine))
    return Case(quantized, _in_range(quantized, images[:4]))


def _in_range(quantized, images):
    """Return float images without values below the range, which only the chip clips."""
    quantizer = next((node for node in quantized.nodes if node.op == "Quantizer"), None)
    if quantizer is None or "zero_points" not in quantizer.registers:
        return images
    low = -quantizer.registers["zero_points"] / quantizer.registers["scales"]
    return np.maximum(images, low.astype(np.float32))


def _smooth(graph, count):
    kind = np.iinfo(graph.input.attrs["dtype"])
    height, width, channels = graph.input.attrs["shape"]
    cells = (count, -(-height // CELL), -(-width // CELL), channels)
    values = np.random.default_rng(0).integers(kind.min, kind.max + 1, cells).astype(kind.dtype)
    return values.repeat(CELL, axis=1).repeat(CELL, axis=2)[:, :height, :width]

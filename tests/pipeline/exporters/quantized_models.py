"""Integer models of every kind, quantized here."""

from pathlib import Path

import numpy as np

from conformance.exports.random_models import random_model
from pipeline.config import Calibration, Quantization
from pipeline.errors import ModelError
from pipeline.graph.architecture import build_graph
from pipeline.quantization.quantize import quantize

FIXTURES = Path(__file__).parents[2] / "fixtures"
WIDTHS = ((8, 8, 8), (8, 4, 4), (4, 4, 4), (8, 2, 4))


def quantized(layers, shape=(8, 8, 3), dtype="uint8", spread=False, low=0, **options):
    """Return the integer model of a list of layers, and images.

    If `spread`, filters of the first layer differ in size, so that channels have other scales;
    pixels are in ``low..255``.
    """
    spec = {"name": "net", "input": {"shape": list(shape), "dtype": dtype}, "layers": layers}
    graph, rng = build_graph(spec, seed=0), np.random.default_rng(1)
    images = rng.integers(low, 256, (8, *shape)).astype(dtype)
    if spread:
        first = next(node for node in graph.nodes if node.weights)
        sizes = np.exp2(np.arange(first.weights["kernel"].shape[-1]) % 4)
        kernel = first.weights["kernel"] * sizes.astype(np.float32) / 255
        changed = first.with_weights(kernel=kernel)
        graph = graph.with_nodes(changed if n is first else n for n in graph.nodes)
    options = {"calibration": Calibration(samples=8, batch_size=8), **options}
    return quantize(graph, images, Quantization(**options)), images


def random_cases(count, seed=5):
    """Yield quantizable random networks."""
    for index in range(count):
        try:
            yield random_model(seed, index)
        except ModelError:
            continue

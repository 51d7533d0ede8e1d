"""The architectures that come with crossgrade, at every width of a scheme."""

from __future__ import annotations

import itertools
from functools import partial

from conformance.exports.case import Case, Make, smooth_images
from pipeline.config.sections import Calibration, Quantization, Transforms
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture, zoo_names
from pipeline.graph.graph import Graph
from pipeline.quantization.quantize import quantize
from pipeline.transforms import apply
from pipeline.transforms.gap.batchnorm_statistics import measure_batchnorms

WIDTHS = {
    "quantizeml": ((8, 8, 8), (8, 4, 4), (4, 4, 4)),
    "cnn2snn": ((8, 4, 4), (8, 2, 4), (4, 4, 2)),
}
"""Of the first layer's weights, the other weights, and activations, by scheme."""
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
COUNT, COMPARED = 24, 4
"""Images to calibrate on, and to compare."""


def zoo_models(scheme: str) -> dict[str, Make]:
    """Return how to quantize every architecture at every width, refined and not, by name.

    Of scheme ``quantizeml`` also with scales per channel and per tensor.
    """
    axes = (False, True) if scheme == "quantizeml" else (False,)
    names = [name for name in zoo_names() if scheme == "quantizeml" or _fits_older(name)]
    made = itertools.product(names, WIDTHS[scheme], axes, ("none", "layers"))
    return {_label(scheme, *options): partial(_zoo, scheme, *options) for options in made}


def _label(scheme, name, bits, per_tensor, refine) -> str:
    axis = {"quantizeml": " tensor" if per_tensor else " axis", "cnn2snn": ""}[scheme]
    return f"{name} {'/'.join(map(str, bits))}{axis}{' refined' if refine == 'layers' else ''}"


def _zoo(scheme, name, bits, per_tensor, refine) -> Case:
    graph = {"quantizeml": _newer, "cnn2snn": _older}[scheme](name)
    images = smooth_images(graph, COUNT, unsigned=scheme == "cnn2snn")
    # In deep networks with other statistics than those of their inputs, activations vanish.
    norms = [node.name for node in graph.nodes if node.op == "BatchNormalization"]
    graph = measure_batchnorms(graph, norms, images)
    options = Quantization(
        scheme=scheme,
        input_weight_bits=bits[0],
        weight_bits=bits[1],
        activation_bits=bits[2],
        per_tensor_activations=per_tensor,
        refine=refine,
        calibration=Calibration(batch_size=8),
    )
    return Case(quantize(graph, images, options), images[:COMPARED])


def _fits_older(name) -> bool:
    """Return True if an architecture has a form of Akida 1.0, or one form only."""
    versions = _versions(name)
    return not versions or 1.0 in versions


def _versions(name) -> list[float]:
    return [row["version"] for row in read_architecture(name).get("versions") or ()]


def _older(name) -> Graph:
    """Return an architecture in the form of Akida 1.0."""
    version = ["version=1.0"] if _versions(name) else []
    return build_graph(read_architecture(name, [*SIZES.get(name, "").split(), *version]))


def _newer(name) -> Graph:
    """Return an architecture in the form of Akida 2.0."""
    parameters, versions = SIZES.get(name, "").split(), _versions(name)
    old = versions == [1.0]
    if versions and not old:
        parameters.append("version=2.0")
    graph = build_graph(read_architecture(name, parameters))
    if not old and name != "separable_cnn":
        return graph
    names = ("unfuse_separable", "gap_after_relu")
    return apply(graph, Transforms(names=names), smooth_images(graph, COMPARED))[0]

"""Verdicts on networks of keras.applications, and what carrying them to Akida 2.0 costs.

    python -m benchmarks.applications [NETWORK ...]

Prints the table of docs/migration.md: random weights, small images, 10 classes. Each network is
built and saved by Keras, read, checked, migrated, quantized and run on the emulator.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.chips import convert
from pipeline.chips.check import check
from pipeline.chips.report import INCOMPATIBLE
from pipeline.config.sections import Quantization
from pipeline.errors import CrossgradeError, IncompatibleModelError
from pipeline.graph.graph import Graph
from pipeline.graph.macs import count_macs
from pipeline.host.proposal import propose
from pipeline.migration.migrate import migrate
from pipeline.models.file import read_float
from pipeline.preparation.verification import random_images
from pipeline.quantization.quantize import quantize
from pipeline.quiet_tensorflow import quiet_tensorflow
from simulator import simulate

TARGET, CLASSES, SIDE, SAMPLES = "akida_v2", 10, 64, 4
NETWORKS = {
    **dict.fromkeys(
        ("MobileNet", "MobileNetV2", "ResNet50", "DenseNet121", "EfficientNetB0"), SIDE
    ),
    **{"Xception": 71, "VGG16": SIDE, "ResNet50V2": SIDE, "InceptionV3": 75},
    **{"MobileNetV3Small": SIDE, "NASNetMobile": SIDE},
}
"""Networks by the side of their images: `SIDE`, or the smallest one that a network takes."""
HEAD = (
    "| network | before | after `migrate` | beyond the chip, or the reason | MACs | emulator"
    " | on the chip |",
    "|---|---|---|---|---|---|---|",
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(NETWORKS))
    names = parser.parse_args().networks or NETWORKS
    print("\n".join(HEAD))
    for name in names:
        print(f"| {' | '.join(row(name))} |", flush=True)


def row(name: str) -> Iterator[str]:
    """Yield the cells of a network."""
    yield name
    try:
        graph = built(name)
    except IncompatibleModelError as error:
        kinds = sorted({refusal.found.partition(":")[0] for refusal in error.refusals})
        yield from ("not read", "", "; ".join(kinds), "", "", "")
        return
    report = check(graph, TARGET)
    yield report.verdict
    if report.verdict == INCOMPATIBLE:
        rules = dict.fromkeys(v.sentence for v in report.conversion if not v.fixable)
        yield from ("", "; ".join(rules), "", "", _part(graph))
        return
    yield from _carried(graph)
    yield "all"


def built(name: str) -> Graph:
    """Return a network as it is read from the file that Keras writes."""
    with quiet_tensorflow():
        import keras

    keras.utils.set_random_seed(0)
    shape = (NETWORKS[name], NETWORKS[name], 3)
    model = getattr(keras.applications, name)(weights=None, input_shape=shape, classes=CLASSES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        return read_float(path)


def _carried(graph: Graph) -> Iterator[str]:
    images = random_images(graph, SAMPLES)
    try:
        found = migrate(graph, TARGET, images)
    except CrossgradeError as error:
        yield from ("", str(error).splitlines()[0], "", "")
        return
    yield f"{found.check_after.verdict}, {found.equivalence}"
    limits = dict.fromkeys(v.rule for v in found.check_after.hardware)
    yield ", ".join(f"`{rule}`" for rule in limits) or "-"
    yield f"{_macs(found.after) / _macs(graph):.2f}"
    program = convert(quantize(found.after, found.samples, Quantization()), TARGET)
    outputs = simulate(program, found.samples)
    yield "runs" if np.all(np.isfinite(outputs)) else "fails"


def _part(graph: Graph) -> str:
    """Return the largest part that is proposed: its ends, layers and share of the MACs."""
    found = propose(graph, TARGET)
    if found is None:
        return "nothing"
    ends = ", ".join(f"`{name}`" for name in found.until)
    return f"until {ends}: {found.layers} of {found.total} layers, {found.macs:.0%} of the MACs"


def _macs(graph: Graph) -> int:
    return sum(count_macs(graph).values())


if __name__ == "__main__":
    main()

"""Trained Keras models of other authors, carried to Akida 2.0 and run at 8/8/8.

    python -m benchmarks.field FOLDER

FOLDER has one folder for each model, with its ``model.h5``. Prints a table of the migration, and of
agreement and signal-to-noise ratio of the emulator against the float model, on inputs of the kind
that each model was trained on; without faces, if scikit-image is not installed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.field_inputs import Inputs, digits, faces, machines, pictures, speech
from pipeline.chips import convert
from pipeline.config.sections import Quantization
from pipeline.errors import CrossgradeError
from pipeline.graph.graph import Graph
from pipeline.migration.compare import outputs_of
from pipeline.migration.migrate import migrate
from pipeline.models.file import read_float
from pipeline.quantization.quantize import quantize
from pipeline.transforms import Images
from simulator import simulate
from simulator.classes import classify

TARGET = "akida_v2"
COMPARED = 8
"""Inputs on which every transform is compared; ranges are measured on all."""
PHOTOGRAPHS = "crops of photographs"
KINDS = {
    "mlperf_vww_mobilenetv1": Inputs(f"{PHOTOGRAPHS}, 0..1", lambda *a: pictures(*a) / 255),
    "mlperf_resnet8": Inputs(f"{PHOTOGRAPHS}, 0..255", pictures),
    "gender_mini_xception": Inputs("faces, -1..1", lambda *a: faces(*a) / 127.5 - 1),
    "emotion_tiny_xception": Inputs("faces, -1..1", lambda *a: faces(*a) / 127.5 - 1),
    "mnist_even_kernels": Inputs("digits, 0..1", lambda *a: digits(*a) / 255),
    "mlperf_streaming_wakeword": Inputs("log spectra of synthetic vowels", speech),
    "mlperf_anomaly_autoencoder": Inputs("log spectra of synthetic machines", machines),
}
HEAD = (
    "| model | inputs | migration | beyond the chip | agreement | SNR |",
    "|---|---|---|---|---|---|",
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    folder = parser.parse_args().folder
    print("\n".join(HEAD))
    for name in KINDS:
        print(f"| {' | '.join(row(name, folder / name / 'model.h5'))} |", flush=True)


def row(name: str, path: Path) -> Iterator[str]:
    """Yield the cells of a model."""
    yield from (f"`{name}`", KINDS[name].kind)
    try:
        found = measured(name, read_float(path))
    except CrossgradeError as error:
        yield from (str(error).splitlines()[0], "", "", "")
        return
    yield from (found["equivalence"], ", ".join(f"`{rule}`" for rule in found["limits"]) or "-")
    agreement = found["agreement"]
    yield from ("-" if agreement is None else f"{agreement:.1%}", f"{found['snr']:.1f} dB")


def measured(name: str, graph: Graph) -> dict:
    """Return what carrying a model costs.

    Parameters
    ----------
    name : str
        One of `KINDS`.
    graph : Graph

    Returns
    -------
    dict
        ``equivalence`` of the migration, exceeded ``limits``, ``agreement`` of classes (None where
        outputs are as many as inputs), and ``snr`` in decibels of the outputs before a softmax.
    """
    shape, draw = graph.shapes[graph.input.name], KINDS[name].draw
    size = int(np.prod(shape))
    known, unseen = (np.float32(draw(shape, test)).reshape(-1, *shape) for test in (False, True))
    moved = migrate(graph, TARGET, known[:COMPARED], calibration=Images(images=known))
    program = convert(quantize(moved.after, moved.feeding(known), Quantization()), TARGET)
    wanted = outputs_of(graph, unseen)
    outputs = simulate(program, moved.feeding(unseen)).reshape(wanted.shape)
    classes = int(np.prod(wanted.shape[1:])) != size
    return {
        "equivalence": moved.equivalence,
        "limits": list(dict.fromkeys(v.rule for v in moved.check_after.hardware)),
        "agreement": float(np.mean(classify(outputs) == classify(wanted))) if classes else None,
        "snr": 10 * np.log10(np.sum(wanted**2) / np.sum((outputs - wanted) ** 2)),
    }


if __name__ == "__main__":
    main()

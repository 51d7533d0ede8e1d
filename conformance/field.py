"""Carry trained models of other authors: ``python -m conformance.field ../shared/field/onnx_*``.

Each folder has a model, ``inputs.npy`` and the outputs of the tool it was made with. The model is
read, carried to Akida 2.0, whole or as far as `pipeline.host.proposal` says, quantized to 8/8/8 on
crops of one photograph, and run on the emulator, the rest on the host. Prints a table: the outputs
are compared with the float model's on crops of another photograph.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.chips import convert
from pipeline.chips.check import check
from pipeline.chips.report import INCOMPATIBLE
from pipeline.config import Quantization
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.host.program_outputs import program_parts
from pipeline.host.proposal import propose_for
from pipeline.host.run import load_host
from pipeline.host.split import rest_path, split, write_rest
from pipeline.migration import migrate
from pipeline.models.file import read_float
from pipeline.models.wanted import Wanted
from pipeline.preparation.head import cut_head
from pipeline.quantization.quantize import quantize
from simulator import simulate

TARGET = "akida_v2"
CALIBRATION, COMPARED = 16, 8
"""Images to calibrate on, and to compare."""
PIXELS = {
    "onnx_face_rfb320": (1 / 128, -127 / 128),
    "onnx_face_yunet": (1.0, 0.0),
    "onnx_ocr_direction": (2 / 255, -1.0),
}
"""By folder: factor and summand by which the authors' scripts make inputs of pixels."""
TO_ONE = (1 / 255, 0.0)
"""Those of the other folders."""
HEAD = (
    "| model | layers | read: difference | on the chip | agreement at 8/8/8 | output to noise |\n"
    "|---|---|---|---|---|---|"
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of a model.

    Attributes
    ----------
    name : str
    layers, carried : int
        Of the model, and on the chip.
    difference : float
        Largest difference from the outputs in the folder, relative to the largest one, or to 1.
    agreement : float
        Share of equal decisions: of largest values, or of probabilities on the same side of 0.5.
    ratios : tuple of float
        Output to noise of each output, in dB.
    """

    name: str
    layers: int
    carried: int
    difference: float
    agreement: float
    ratios: tuple[float, ...]

    def __str__(self) -> str:
        """Return a line of the table."""
        low, high = min(self.ratios), max(self.ratios)
        ratio = f"{low:.0f} dB" if high - low < 1 else f"{low:.0f} to {high:.0f} dB"
        where = "all" if self.carried == self.layers else f"{self.carried}, the rest on the host"
        return (
            f"| {self.name} | {self.layers} | {self.difference:.0e} | {where} |"
            f" {self.agreement:.1%} | {ratio} |"
        )


def examine(folder: Path) -> Row:
    """Carry and run the model in a folder."""
    path = next(folder.glob("model.*"))
    inputs = np.load(folder / "inputs.npy")
    onnx = path.suffix == ".onnx"
    wanted = Wanted(input_shape=inputs.shape[1:] if onnx else None)
    whole = read_float(path, wanted)
    order = (0, 2, 3, 1) if onnx and whole.shapes[whole.input.name] != inputs.shape[1:] else None
    given = inputs.transpose(order) if order else inputs
    difference = max(_differences(folder, whole, given))
    until, carried = _until(whole, path, wanted)
    with tempfile.TemporaryDirectory() as temporary:
        ends = Wanted(input_shape=wanted.input_shape, until=until)
        part = read_float(path, ends)
        host = _host(split(path, ends), Path(temporary, "part.npz"))
        found, again = _outputs(part, host, _images(folder.name, whole))
    return Row(
        name=folder.name.removeprefix("onnx_"),
        layers=_count(whole),
        carried=carried,
        difference=difference,
        agreement=min(_agreements(found, again), default=1.0),
        ratios=tuple(map(_ratio, found, again)),
    )


def _count(graph: Graph) -> int:
    return sum(node.op not in ("Input", "Outputs") for node in graph.nodes)


def _differences(folder, graph, images) -> Iterator[float]:
    """Yield how far each output is from the one in the folder, which ONNX has in its order."""
    found = _parts(graph, images)
    for name, values in zip(_names(folder), found, strict=True):
        wanted = _saved(folder, name)
        yield float(np.abs(_like(values, wanted) - wanted).max() / max(np.abs(wanted).max(), 1))


def _names(folder) -> list[str | None]:
    saved = folder / "outputs.npz"
    if not saved.is_file():
        return [None]
    with np.load(saved) as outputs:
        return list(outputs)


def _saved(folder, name) -> np.ndarray:
    if name is None:
        return np.load(folder / "outputs.npy")
    with np.load(folder / "outputs.npz") as outputs:
        return outputs[name]


def _like(values, wanted):
    """Return outputs in ONNX' order of axes where they are maps."""
    return values if values.shape == wanted.shape else values.transpose(0, 3, 1, 2)


def _parts(graph, images) -> list[np.ndarray]:
    seen: dict[str, np.ndarray] = {}
    forward(graph, images, probe=seen.__setitem__)
    return [seen[end.name] for end in graph.ends]


def _until(whole, path, wanted) -> tuple[tuple[str, ...], int]:
    """Return where the model is cut, and how many layers are before it."""
    if check(whole, TARGET).verdict != INCOMPATIBLE:
        return (), _count(whole)
    found = propose_for(whole, path, wanted, TARGET)
    return found.until, found.layers


def _host(found, path):
    if found is None:
        return None
    beside = rest_path(found, path)
    write_rest(found, beside)
    return load_host(beside)


def _images(name, graph) -> np.ndarray:
    """Return crops of two photographs as a model takes them: those to calibrate on come first."""
    from sklearn.datasets import load_sample_images

    height, width, channels = graph.shapes[graph.input.name]
    rng = np.random.default_rng(0)
    first, second = load_sample_images().images
    crops = [_crop(first, height, width, rng) for _ in range(CALIBRATION)]
    crops += [_crop(second, height, width, rng) for _ in range(COMPARED)]
    factor, summand = PIXELS.get(name, TO_ONE)
    scaled = np.stack(crops)[..., :channels] * factor + summand
    return scaled.astype(graph.input.attrs["dtype"])


def _crop(picture, height, width, rng) -> np.ndarray:
    """Return a random part of a photograph, at a random size of its pixels."""
    most = min(picture.shape[0] / height, picture.shape[1] / width)
    step = rng.uniform(min(1.0, most), most)
    rows, columns = (
        (rng.uniform(0, size - step * count) + step * np.arange(count)).astype(int)
        for size, count in zip(picture.shape, (height, width), strict=False)
    )
    return picture[rows[:, None], columns]


def _outputs(part, host, images) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the outputs of the float model, and of the program with the host's part."""
    known, compared = images[:CALIBRATION], images[CALIBRATION:]
    migrated = migrate(part, TARGET, known[:4]).after
    program = convert(quantize(migrated, known, Quantization()), TARGET)
    floats = _parts(cut_head(part)[0], compared)
    values = simulate(program, compared)
    integers = program_parts(program, values)
    if host is None:
        return floats, [value.reshape(f.shape) for value, f in zip(integers, floats, strict=True)]
    return host.run(floats), host.run(integers)


def _ratio(wanted, found) -> float:
    noise = np.square(found - wanted, dtype=np.float64).mean()
    return float(10 * np.log10(wanted.var(dtype=np.float64) / max(noise, 1e-30)))


def _agreements(wanted, found) -> Iterator[float]:
    """Yield the share of equal decisions of each output that decides something."""
    for first, second in zip(wanted, found, strict=True):
        if first.min() >= 0 and first.max() <= 1 and first.shape[-1] == 1:
            yield float(np.mean((first > 0.5) == (second > 0.5)))
        elif len(wanted) == 1 or (first.min() >= 0 and first.max() <= 1):
            yield float(np.mean(first.argmax(-1) == second.argmax(-1)))


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m conformance.field", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="+")
    print(HEAD)
    for folder in parser.parse_args(arguments).folder:
        print(examine(folder), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

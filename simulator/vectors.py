"""Golden vectors: inputs, registers and outputs of every layer as raw files and a JSON manifest.

``docs/golden_vectors.md`` documents the format; reading it needs no code of this package.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from simulator.atomic_file import finish, temporary_name
from simulator.engine import check_images, simulate
from simulator.errors import ProgramError
from simulator.layer import Layer
from simulator.program import Program

KIND, FORMAT = "golden vectors", 1
IMAGES = ("n", "height", "width", "channels")
REGISTERS = {
    0: (),
    1: ("index",),
    2: ("inputs", "units"),
    4: ("kernel_height", "kernel_width", "channels", "filters"),
}
"""Names of a register's dimensions by their number; the last one varies fastest."""


def write_vectors(
    program: Program,
    images: np.ndarray,
    folder,
    *,
    batch_size: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Run `program` on `images` and write every tensor.

    Parameters
    ----------
    program : Program
    images : array of shape (n, *program.input_shape)
        In the program's input dtype.
    folder : path-like
        Created atomically; must not exist, or be empty.
    batch_size : int, optional
        Images per batch; bounds memory, and does not change the files.
    progress : function (count), optional
        Called after each batch with its number of images.

    Raises
    ------
    ProgramError
        If `folder` is not empty, or the program does not accept the images.
    """
    folder = Path(folder)
    images = check_images(program, images)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ProgramError(f"{folder}: exists already; name a new folder for the golden vectors")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(folder)
    try:
        temporary.mkdir(mode=0o700)
        manifest = _write(program, images, temporary, batch_size, progress)
        text = json.dumps(manifest, indent=1, allow_nan=False) + "\n"
        (temporary / "manifest.json").write_text(text, encoding="utf-8")
        temporary.chmod(0o755)
        finish(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _write(program, images, folder, batch_size, progress) -> dict:
    widths: dict[str, tuple[int, bool] | None] = {}
    for layer in program.layers:
        widths[layer.name] = layer.output_width(*(widths[source] for source in layer.inputs))
    with ExitStack() as stack:
        writers = [
            _LayerFiles(index, layer, folder, program, widths, stack)
            for index, layer in enumerate(program.layers)
        ]
        by_name = {files.layer.name: files for files in writers}
        latest: dict[str, np.ndarray] = {}

        def probe(layer: Layer, output: np.ndarray) -> None:
            if not layer.inputs:
                start = writers[0].output.count
                latest[""] = images[start : start + len(output)]
            sources = [latest[source] for source in layer.inputs or ("",)]
            by_name[layer.name].write(sources, output)
            latest[layer.name] = output

        outputs = simulate(program, images, batch_size=batch_size, probe=probe, progress=progress)
        model = {}
        for name, array in (("input", images), ("output", outputs)):
            file = _File(folder, f"{name}.bin", array.dtype, array.shape[1:], stack)
            file.write(array)
            model[name] = file.entry(("n", *(f"axis_{i}" for i in range(1, array.ndim))))
    return {
        "kind": KIND,
        "format": FORMAT,
        "name": program.name,
        "target": program.target,
        "count": len(images),
        "stream": program.keeps_state,
        "byte_order": "little",
        "dimension_order": "last dimension fastest",
        "notes": list(program.notes),
        **({} if program.output_scale is None else {"output_scale": list(program.output_scale)}),
        **model,
        "layers": [files.entry() for files in writers],
    }


class _LayerFiles:
    """Files of one layer, written batch by batch."""

    def __init__(self, index, layer, folder, program, widths, stack):
        name = f"{index:03d}_{re.sub(r'[^A-Za-z0-9._-]', '_', layer.name)}"
        (folder / name).mkdir()
        self.layer, self.name = layer, name
        self.widths = [widths[source] for source in layer.inputs] or [None]
        self.width = widths[layer.name]
        dtypes = [
            _container(program.by_name[source], widths[source]) for source in layer.inputs
        ] or [np.dtype(program.input_dtype)]
        self.inputs = [
            _File(folder, f"{name}/input_{position}.bin", dtype, shape, stack)
            for position, (dtype, shape) in enumerate(zip(dtypes, layer.input_shapes, strict=True))
        ]
        dtype = _container(layer, self.width)
        self.output = _File(folder, f"{name}/output.bin", dtype, layer.output_shape, stack)
        self.registers = dict(_registers(layer, folder, name))

    def write(self, sources, output) -> None:
        """Append one batch."""
        for file, values in zip(self.inputs, sources, strict=True):
            file.write(values)
        self.output.write(output)

    def entry(self) -> dict:
        """Return the manifest's entry for this layer."""
        inputs = zip(self.layer.inputs or (None,), self.inputs, self.widths, strict=True)
        return {
            "name": self.layer.name,
            "type": type(self.layer).__name__,
            "folder": self.name,
            "arithmetic": self.layer.equation or (type(self.layer).__doc__ or "").splitlines()[0],
            "inputs": [{"from": name} | file.entry(IMAGES, width) for name, file, width in inputs],
            "registers": self.registers,
            "output": self.output.entry(IMAGES, self.width),
        }


class _File:
    """Raw little-endian file of items of one shape."""

    def __init__(self, folder, name, dtype, shape, stack, *, batched=True):
        self.name, self.shape, self.batched = name, tuple(int(n) for n in shape), batched
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.count = 0
        self._digest = hashlib.sha256()
        self._file = stack.enter_context((folder / name).open("wb"))

    def write(self, values) -> None:
        """Append values.

        Raises
        ------
        ProgramError
            If the file's dtype, chosen by the layer's registers, cannot hold them.
        """
        stored = np.ascontiguousarray(values, self.dtype)
        if not np.array_equal(stored, values):
            raise ProgramError(f"{self.name}: values do not fit {self.dtype.name}")
        self.count += len(values) if self.batched else 0
        data = stored.tobytes()
        self._digest.update(data)
        self._file.write(data)

    def entry(self, order, width=None) -> dict:
        """Return the manifest's entry for this file."""
        shape = [self.count, *self.shape] if self.batched else list(self.shape)
        bits, signed = width or (self.dtype.itemsize * 8, self.dtype.kind != "u")
        return {
            "file": self.name,
            "dtype": self.dtype.name,
            "shape": shape,
            "order": list(order),
            "bits": bits,
            "signed": signed,
            "sha256": self._digest.hexdigest(),
        }


def _registers(layer: Layer, folder: Path, name: str):
    """Write array registers; yield (name, manifest entry) of every register."""
    for field in dataclasses.fields(layer):
        value = getattr(layer, field.name)
        if field.name in ("name", "inputs", "input_shapes") or value is None:
            continue
        if isinstance(value, np.ndarray):
            with ExitStack() as stack:
                path = f"{name}/{field.name}.bin"
                file = _File(folder, path, value.dtype, value.shape, stack, batched=False)
                file.write(value)
            width = None
            if field.name.startswith("weights"):
                bits = getattr(layer, "weight_bits", None) or layer.weights_bits
                width = bits, bits > 1
            value = file.entry(REGISTERS[value.ndim], width)
        yield field.name, value


def _container(layer: Layer, width: tuple[int, bool] | None) -> np.dtype:
    """Return the narrowest dtype that holds every output of a layer."""
    if layer.gives_floats:
        return np.dtype(np.float32)
    if width is None:
        return np.dtype(np.int64)
    bits, signed = width
    size = next(size for size in (8, 16, 32, 64) if bits <= size)
    return np.dtype(f"{'int' if signed else 'uint'}{size}")

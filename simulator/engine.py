"""Run a program: the loop over layers, in batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from simulator.errors import ProgramError
from simulator.plan import Plan, compile_program
from simulator.plan.workspace import Workspace
from simulator.program import Program

Probe = Callable[[object, np.ndarray], None]
LayerTally = Callable[[object, str, int], None]
Memory = dict[str, np.ndarray]

BACKENDS = ("numpy", "reference")
BATCH_VALUES = 1 << 20
"""Values of the largest layer output that one batch may hold; bounds memory."""


def simulate(
    program: Program,
    images: np.ndarray,
    *,
    batch_size: int | None = None,
    probe: Probe | None = None,
    tally: LayerTally | None = None,
    memory: Memory | None = None,
    progress: Callable[[int], None] | None = None,
    backend: str | Plan = "numpy",
) -> np.ndarray:
    """Run `program` on images.

    Parameters
    ----------
    program : Program
    images : array of shape (n, *program.input_shape)
        Of the program's input type. For a program with buffered layers, the n images are
        successive frames of one stream.
    batch_size : int, optional
        Images at a time; the default keeps memory small. The result does not depend on it.
    probe : function (layer, output), optional
        Sees the integers that each layer puts out, batch by batch.
    tally : function (layer, stage, count), optional
        Told how many values saturated.
    memory : dict, optional
        State of buffered layers, read and updated; an empty dict starts from a reset, and the
        same dict continues the stream in the next call. None: start from a reset, keep nothing.
    progress : function (count), optional
        Called after each batch with its number of images.
    backend : {"numpy", "reference"} or Plan
        ``numpy`` compiles the program into proven fast steps; ``reference`` runs every layer's own
        arithmetic. The integers are the same. A plan made by `simulator.plan.compile_program` is
        used as it is.

    Returns
    -------
    float32 array of shape (n, *program.output_shape); integers (int32, or int64 accumulators)
    where nothing turns them into floats at the end.

    Raises
    ------
    ProgramError
        When the images are not of the program's type and shape, or a sum leaves 53 bits.
    """
    if batch_size is not None and batch_size < 1:
        raise ProgramError(f"{program.name}: batch_size is {batch_size}; it must be at least 1")
    images = check_images(program, images)
    memory = {} if memory is None else memory
    batch_size = batch_size or default_batch_size(program)
    outputs = []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        outputs.append(_run(program, batch, probe, tally, memory))
        if progress is not None:
            progress(len(batch))
    return np.concatenate(outputs).reshape(len(images), *program.output_shape)


def default_batch_size(program: Program) -> int:
    """Return the number of images whose largest layer stays within `BATCH_VALUES` values."""
    largest = max(
        int(np.prod(shape))
        for layer in program.layers
        for shape in (layer.output_shape, *layer.input_shapes)
    )
    return int(np.clip(BATCH_VALUES // largest, 1, 256))


def check_images(program: Program, images: np.ndarray) -> np.ndarray:
    """Return images as an array, or refuse them by type and shape."""
    images = np.asarray(images)
    wanted = f"{program.input_dtype} of shape (n, {', '.join(map(str, program.input_shape))})"
    if images.dtype != np.dtype(program.input_dtype):
        hint = ""
        if program.input_dtype == "uint8":
            hint = "; give raw pixels 0..255, scaling is part of the program"
        raise ProgramError(f"{program.name}: images are {images.dtype}; it takes {wanted}{hint}")
    if images.shape[1:] != tuple(program.input_shape):
        raise ProgramError(f"{program.name}: images have shape {images.shape}; it takes {wanted}")
    if not len(images):
        raise ProgramError(f"{program.name}: there are no images; it takes {wanted}, n at least 1")
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise ProgramError(f"{program.name}: images hold NaN or infinite values; clean them first")
    return images


def _run(program, batch, probe, tally, memory):
    values: dict[str, np.ndarray] = {}
    first = batch if batch.dtype.kind == "f" else batch.astype(np.int32)
    remaining = _last_use(program)
    for position, layer in enumerate(program.layers):
        sources = [values[name] for name in layer.inputs] or [first]
        shaped = [
            value.reshape(len(batch), *shape)
            for value, shape in zip(sources, layer.input_shapes, strict=True)
        ]
        count = None
        if tally is not None:
            count = lambda stage, n, layer=layer: tally(layer, stage, n)  # noqa: E731
        try:
            if hasattr(layer, "step"):
                values[layer.name], memory[layer.name] = layer.step(
                    *shaped, memory.get(layer.name), tally=count
                )
            else:
                values[layer.name] = layer.run(*shaped, tally=count)
        except OverflowError as error:
            raise ProgramError(f"{program.name}: {layer.name}: {error}") from error
        if probe is not None:
            probe(layer, values[layer.name])
        for name in set(layer.inputs):
            if remaining[name] == position:
                del values[name]
    return values[program.layers[-1].name]


def _last_use(program):
    return {
        name: position for position, layer in enumerate(program.layers) for name in layer.inputs
    }

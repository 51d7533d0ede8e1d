"""Run a program layer by layer, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import lru_cache

import numpy as np

from simulator.errors import ProgramError
from simulator.image_advice import shape_advice, type_advice
from simulator.lossless import cast_without_loss
from simulator.plan import Plan, compile_program, fast_is_available
from simulator.plan.workspace import Workspace
from simulator.program import Program
from simulator.run import LayerTally, Memory, Observers, Probe, Run
from simulator.statistics import Statistics

BACKENDS = ("auto", "fast", "numpy", "reference")
FAST_MACS = 2e9
"""MACs below which loading the ``fast`` backend takes longer than it saves."""
BATCH_VALUES = 1 << 20
"""Most values that the largest tensor of one batch may have; bounds memory."""
NUMPY_BATCH_VALUES = 1 << 23
"""The same for steps in NumPy, of whose calls a batch should have few; 32 MiB of float32."""


def simulate(
    program: Program,
    images: np.ndarray,
    *,
    batch_size: int | None = None,
    probe: Probe | None = None,
    tally: LayerTally | None = None,
    statistics: Statistics | None = None,
    memory: Memory | None = None,
    reset_every: int | None = None,
    progress: Callable[[int], None] | None = None,
    backend: str | Plan = "auto",
) -> np.ndarray:
    """Run `program` on images.

    Parameters
    ----------
    program : Program
    images : array of shape (n, *program.input_shape)
        Values of the program's input dtype. For a program with buffered layers, the n images are
        successive frames of one stream.
    batch_size : int, optional
        Images per batch; the default keeps memory small. The result does not depend on it.
    probe : function (layer, output), optional
        Called with the integer output of each layer, batch by batch.
    tally : function (layer, stage, count), optional
        Called with the number of values that saturated at a stage of a layer.
    statistics : Statistics, optional
        Collects zeros and extremes of every output, and saturated values.
    memory : dict, optional
        State of buffered layers, read and updated; an empty dict starts from a reset, and the
        same dict continues the stream in the next call. None starts from a reset and discards
        the state.
    reset_every : int, optional
        For a program with buffered layers: images per stream. The buffers are reset before each.
    progress : function (count), optional
        Called after each batch with its number of images.
    backend : {"auto", "fast", "numpy", "reference"} or Plan
        ``numpy`` and ``fast`` compile the program into proven steps; ``reference`` runs every
        layer's own arithmetic; ``auto`` selects ``fast`` for large workloads if it is installed.
        All backends compute the same integers. A plan of `simulator.plan.compile_program` is
        used directly.

    Returns
    -------
    array of shape (n, *program.output_shape)
        float32; int32 or int64 (accumulators) if the last layer outputs integers whose unit the
        program does not name, see `Program.output_scale`.

    Raises
    ------
    ProgramError
        If the images do not have the program's dtype, shape and range, or a sum exceeds 53 bits.
    """
    if batch_size is not None and batch_size < 1:
        raise ProgramError(f"{program.name}: batch_size is {batch_size}; it must be at least 1")
    if reset_every is not None and reset_every < 1:
        raise ProgramError(f"{program.name}: reset_every is {reset_every}; it must be at least 1")
    images = check_images(program, images)
    memory = {} if memory is None else memory
    plan = make_plan(program, backend, len(images))
    if batch_size is None:
        in_numpy = plan is not None and plan.kernels is None
        batch_size = default_batch_size(program, NUMPY_BATCH_VALUES if in_numpy else BATCH_VALUES)
    outputs = []
    with plan.workspace() if plan is not None else nullcontext(Workspace()) as work:
        run = _run(program, plan, work, Observers(probe, tally, statistics), memory)
        for start, stop in _batches(len(images), batch_size, reset_every):
            batch = images[start:stop]
            if reset_every is not None and start % reset_every == 0:
                memory.clear()
            outputs.append(run.batch(batch))
            if progress is not None:
                progress(len(batch))
    values = program.valued(outputs[0] if len(outputs) == 1 else np.concatenate(outputs))
    return values.reshape(len(images), *program.output_shape)


def _batches(images: int, size: int, stream: int | None) -> Iterator[tuple[int, int]]:
    """Yield the first and the last image + 1 of each batch; none holds images of two streams."""
    stream = stream or max(images, 1)
    for first in range(0, images, stream):
        last = min(first + stream, images)
        for start in range(first, last, size):
            yield start, min(start + size, last)


def make_plan(program: Program, backend: str | Plan, images: int | None = None) -> Plan | None:
    """Return the plan that `simulate` uses for `backend`; None for the reference.

    Parameters
    ----------
    program : Program
    backend : str or Plan
        As in `simulate`.
    images : int, optional
        Number of images, by which ``auto`` estimates the work; None counts as large.

    Raises
    ------
    ProgramError
        If the backend is unknown or not installed, or the plan is another program's.
    """
    if isinstance(backend, Plan):
        if backend.program is not program:
            raise ProgramError(f"{program.name}: the plan belongs to {backend.program.name}")
        return backend
    if backend not in BACKENDS:
        raise ProgramError(f"backend is '{backend}'; allowed: {', '.join(BACKENDS)}")
    if backend == "reference":
        return None
    if backend == "auto":
        macs = sum(layer.macs for layer in program.layers)
        large = images is None or macs * images > FAST_MACS
        backend = "fast" if large and fast_is_available() else "numpy"
    return compile_program(program, backend)


@lru_cache(maxsize=2)
def default_batch_size(program: Program, values: int) -> int:
    """Return the number of images per batch, 1 to 256: the largest tensor has at most `values`."""
    largest = max(
        int(np.prod(shape))
        for layer in program.layers
        for shape in (layer.output_shape, *layer.input_shapes)
    )
    return int(np.clip(values // largest, 1, 256))


def check_images(program: Program, images: np.ndarray) -> np.ndarray:
    """Return images in the program's input dtype after checking values, shape and range.

    Images of another dtype are cast if all values survive.

    Raises
    ------
    ProgramError
        If the program does not accept them.
    """
    images = np.asarray(images)
    if images.shape[1:] != tuple(program.input_shape):
        advice = shape_advice(images.shape, program.input_shape)
        raise ProgramError(
            f"{program.name}: images have shape {images.shape}; {_wanted(program)}{advice}"
        )
    if not len(images):
        raise ProgramError(f"{program.name}: there are no images; {_wanted(program)}, n at least 1")
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise ProgramError(f"{program.name}: images hold NaN or infinite values; remove them first")
    cast = cast_without_loss(images, program.input_dtype)
    if cast is None:
        advice = type_advice(images, program.input_dtype)
        raise ProgramError(
            f"{program.name}: images are {images.dtype}, with values that {program.input_dtype}"
            f" does not hold; {_wanted(program)}{advice}"
        )
    _check_range(program, cast)
    return cast


def _wanted(program: Program) -> str:
    """Return which images a program takes, for messages."""
    shape = ", ".join(map(str, program.input_shape))
    return f"the program takes {program.input_dtype} of shape (n, {shape})"


def _check_range(program: Program, images: np.ndarray) -> None:
    """Refuse integers outside the first layer's input width.

    Neither chip documents what happens to wider values, and the proofs of a plan assume the width.
    """
    first = program.layers[0]
    if first.input_range is None:
        return
    low, high = first.input_range
    if images.dtype.kind in "iu":
        limits = np.iinfo(images.dtype)
        if low <= limits.min and limits.max <= high:
            return
    found = int(images.min()), int(images.max())
    if found[0] < low or found[1] > high:
        raise ProgramError(
            f"{program.name}: images hold {found[0]}..{found[1]}; {first.name}"
            f" ({first.type_label}) takes {first.input_bits}-bit integers, {low}..{high}; quantize"
            " the images to that range first"
        )


def _run(program: Program, plan: Plan | None, work, observers: Observers, memory: Memory) -> Run:
    """Return the run of a plan: layer by layer, or by native calls of several layers."""
    if plan is None or plan.kernels is None:
        return Run(program, plan, work, observers, memory)
    from simulator.plan.fast.run import TapedRun

    return TapedRun(program, plan, work, observers, memory)

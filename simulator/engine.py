"""Run a program layer by layer, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from simulator.errors import ProgramError
from simulator.lossless import cast_without_loss
from simulator.plan import Plan, compile_program, fast_is_available
from simulator.plan.workspace import Workspace
from simulator.program import Program
from simulator.statistics import Statistics, measure

Probe = Callable[[object, np.ndarray], None]
LayerTally = Callable[[object, str, int], None]
Memory = dict[str, np.ndarray]

BACKENDS = ("auto", "fast", "numpy", "reference")
FAST_MACS = 2e10
"""MACs below which importing the ``fast`` backend takes longer than it saves."""
BATCH_VALUES = 1 << 20
"""Most values that the largest tensor of one batch may have; bounds memory."""


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
    batch_size = batch_size or default_batch_size(program)
    plan = make_plan(program, backend, len(images))
    outputs = []
    with plan.workspace() if plan is not None else nullcontext(Workspace()) as work:
        run = _Run(program, plan, work, _Observers(probe, tally, statistics), memory)
        for start, stop in _batches(len(images), batch_size, reset_every):
            batch = images[start:stop]
            if reset_every is not None and start % reset_every == 0:
                memory.clear()
            outputs.append(run.batch(batch))
            if progress is not None:
                progress(len(batch))
    values = program.valued(np.concatenate(outputs))
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


def default_batch_size(program: Program) -> int:
    """Return the number of images per batch: 1 to 256, by `BATCH_VALUES`."""
    largest = max(
        int(np.prod(shape))
        for layer in program.layers
        for shape in (layer.output_shape, *layer.input_shapes)
    )
    return int(np.clip(BATCH_VALUES // largest, 1, 256))


def check_images(program: Program, images: np.ndarray) -> np.ndarray:
    """Return images in the program's input dtype after checking values, shape and range.

    Images of another dtype are cast if all values survive.

    Raises
    ------
    ProgramError
        If the program does not accept them.
    """
    images = np.asarray(images)
    shape = ", ".join(map(str, program.input_shape))
    wanted = f"the program takes {program.input_dtype} of shape (n, {shape})"
    if images.shape[1:] != tuple(program.input_shape):
        raise ProgramError(f"{program.name}: images have shape {images.shape}; {wanted}")
    if not len(images):
        raise ProgramError(f"{program.name}: there are no images; {wanted}, n at least 1")
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise ProgramError(f"{program.name}: images hold NaN or infinite values; remove them first")
    cast = cast_without_loss(images, program.input_dtype)
    if cast is None:
        hint = "; give raw pixels 0..255, scaling is part of the program"
        raise ProgramError(
            f"{program.name}: images are {images.dtype}, with values that {program.input_dtype}"
            f" does not hold; {wanted}{hint if program.input_dtype == 'uint8' else ''}"
        )
    _check_range(program, cast)
    return cast


def _check_range(program: Program, images: np.ndarray) -> None:
    """Refuse integers outside the first layer's input width.

    Neither chip documents what happens to wider values, and the proofs of a plan assume the width.
    """
    first = program.layers[0]
    if first.input_range is None:
        return
    (low, high), found = first.input_range, (int(images.min()), int(images.max()))
    if found[0] < low or found[1] > high:
        raise ProgramError(
            f"{program.name}: images hold {found[0]}..{found[1]}; {first.name}"
            f" ({first.type_label}) takes {first.input_bits}-bit integers, {low}..{high}; quantize"
            " the images to that range first"
        )


@dataclass(frozen=True, eq=False)
class _Observers:
    """Callbacks of a run."""

    probe: Probe | None
    tally: LayerTally | None
    statistics: Statistics | None

    def observe(self, layer, step, value: np.ndarray, work) -> None:
        """Report the output of a layer; `step` is the plan's step that computed it, or None."""
        levels = step is not None and step.gives_levels
        if self.probe is not None:
            self.probe(layer, _integers(value) if levels else value)
        if self.statistics is not None:
            figures = step.measure(value, work) if levels else measure(value)
            self.statistics.add_output(layer, value.size, *figures)

    def tally_of(self, layer):
        """Return the tally to pass to a layer's arithmetic; None if nobody counts."""
        tallies = [self.tally] if self.tally is not None else []
        if self.statistics is not None:
            tallies.append(self.statistics.tally)
        if not tallies:
            return None

        def count(stage: str, number: int) -> None:
            for tally in tallies:
                tally(layer, stage, number)

        return count


class _Run:
    """State of a run that persists from batch to batch."""

    def __init__(self, program: Program, plan: Plan | None, work, observers, memory: Memory):
        self.program, self.work, self.observers, self.memory = program, work, observers, memory
        self.steps = plan.steps if plan is not None else {}
        self.last_use = {
            name: position for position, layer in enumerate(program.layers) for name in layer.inputs
        }

    def batch(self, images: np.ndarray) -> np.ndarray:
        """Return the outputs of one batch."""
        values: dict[str, np.ndarray] = {}
        for position, layer in enumerate(self.program.layers):
            sources = [values[name] for name in layer.inputs] or [images]
            shaped = [
                value if value.shape[1:] == shape else value.reshape(len(images), *shape)
                for value, shape in zip(sources, layer.input_shapes, strict=True)
            ]
            value = values[layer.name] = self._layer(layer, shaped)
            self.observers.observe(layer, self.steps.get(layer.name), value, self.work)
            for name in set(layer.inputs):
                if self.last_use[name] == position:
                    self.work.release(values.pop(name))
        result = values[self.program.layers[-1].name]
        if self._gives_levels(self.program.layers[-1]):
            self.work.release(result)
            return _integers(result)
        return result

    def _gives_levels(self, layer) -> bool:
        """Return True if a step computes the layer and outputs levels in its own dtype."""
        return layer.name in self.steps and self.steps[layer.name].gives_levels

    def _layer(self, layer, sources: list[np.ndarray]) -> np.ndarray:
        """Return a layer's output: levels in a step's dtype, or the layer's own output."""
        count = self.observers.tally_of(layer)
        step = self.steps.get(layer.name)
        if step is None and not layer.reads_floats:
            sources = [_integers(source) for source in sources]
        try:
            if step is not None:
                return step.run(sources[0], self.work, count)
            if hasattr(layer, "step"):
                value, self.memory[layer.name] = layer.step(
                    *sources, self.memory.get(layer.name), tally=count
                )
                return value
            return layer.run(*sources, tally=count)
        except OverflowError as error:
            raise ProgramError(f"{self.program.name}: {layer.name}: {error}") from error


def _integers(values: np.ndarray) -> np.ndarray:
    """Return integer-valued arrays as int32; int64 accumulators unchanged."""
    return values if values.dtype == np.int64 else values.astype(np.int32)

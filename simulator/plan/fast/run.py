"""Run of a program on the ``fast`` backend: native calls of as many layers as possible."""

from __future__ import annotations

import numpy as np

from simulator.plan.fast.row import new_row
from simulator.plan.fast.tape import Entry, Tape
from simulator.plan.fast.tensor import Tensor
from simulator.run import Run
from simulator.statistics import measure

TAPES = 2
"""Number of tapes that are kept: for whole batches, and for the last one."""


class TapedRun(Run):
    """State of a run that persists from batch to batch."""

    def __init__(self, program, plan, work, observers, memory):
        super().__init__(program, plan, work, observers, memory)
        self.kernels = plan.kernels

    def batch(self, images: np.ndarray) -> np.ndarray:
        """Return the outputs of one batch."""
        tape = self._tape(len(images))
        tape.feed(np.ascontiguousarray(images))
        observed = self.observers.any
        if observed or not tape.native:
            self._by_layer(tape, observed)
        else:
            tape.run_all()
        return self._result(tape)

    def _by_layer(self, tape: Tape, observed: bool) -> None:
        """Run a tape with Python's parts of it; call Python only where it is needed."""
        tape.counting(observed)
        done = 0
        for position, entry in enumerate(tape.entries):
            if entry.before or entry.python:
                tape.run(range(done, entry.rows.start))
                done = entry.rows.start
                for prepare in entry.before:
                    prepare()
            if observed or entry.python:
                tape.run(range(done, entry.rows.stop))
                done = entry.rows.stop
                self._finish(tape, entry)
                self.release(position, tape.values)
        tape.run(range(done, len(tape.table)))
        tape.counting(False)

    def _tape(self, images: int) -> Tape:
        """Return the tape for a number of images, recorded now if there is none."""
        tapes = self.work.tapes
        if images not in tapes:
            while len(tapes) >= TAPES:
                del tapes[next(iter(tapes))]
            tapes[images] = self._record(images)
        return tapes[images]

    def _record(self, images: int) -> Tape:
        program = self.program
        tape = Tape(self.kernels, images, program.input_dtype, program.input_shape)
        for position, layer in enumerate(program.layers):
            step = self.steps.get(layer.name)
            tape.begin(layer)
            tensor = None
            if hasattr(step, "record"):
                tensor = step.record(tape, layer.inputs[0] if layer.inputs else None)
            tape.end(tensor, python=tensor is None or step.finish is not None)
            for name in set(layer.inputs):
                if self.last_use[name] == position and name in tape.tensors:
                    tape.release(tape.tensors[name])
        tape.close()
        return tape

    def _finish(self, tape: Tape, entry: Entry) -> None:
        """Compute what Python computes of a layer, and report its output."""
        layer, tensor = entry.layer, entry.tensor
        tally = self.observers.tally_of(layer)
        if tensor is None:
            sources = [tape.value(name) for name in layer.inputs or (None,)]
            value = tape.values[layer.name] = self.layer(layer, sources)
            self.observe(layer, value)
        elif entry.python:
            finish = self.steps[layer.name].finish
            value = tape.values[layer.name] = finish(tensor.array.astype(np.int64), tally)
            self.observe(layer, value)
        else:
            saturated = tape.count(entry.rows)
            if tally is not None and entry.counts is not None:
                entry.counts(tally)
            elif tally is not None and saturated:
                tally("output", saturated)
            self._report(layer, tensor)

    def _report(self, layer, tensor: Tensor) -> None:
        """Report the output of the rows of a layer."""
        levels = self.steps[layer.name].gives_levels
        self.observers.report(
            layer,
            tensor.array.size,
            lambda: _value(tensor, levels),
            lambda: self._measure(tensor) if levels else measure(_value(tensor, levels)),
        )

    def _measure(self, tensor: Tensor) -> tuple[int, int, int]:
        """Return the number of zeros, the smallest and the largest level of a tensor."""
        found, layout = np.zeros(3, np.int64), tensor.layout
        image, row, _ = layout.steps
        height, width, channels = layout.shape
        arguments = {
            "x": tensor.address, "images": tensor.images, "image_step": image, "row_step": row,
            "height": height, "width": width * channels, "zeros": found,
        }  # fmt: skip
        address = self.kernels.address(f"measure_{layout.dtype.name}")
        self.kernels.run(new_row(kernel=address, **arguments)[None])
        return tuple(found.tolist())

    def _result(self, tape: Tape) -> np.ndarray:
        last = tape.entries[-1]
        if last.python:
            return self.result(tape.values[last.layer.name])
        return _value(last.tensor, self.steps[last.layer.name].gives_levels)


def _value(tensor: Tensor, levels: bool) -> np.ndarray:
    """Return a copy of a layer's output in the dtype of the layer."""
    if tensor.layout.dtype == np.float32:
        return tensor.array.copy()
    return tensor.array.astype(np.int32 if levels else np.int64)

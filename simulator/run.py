"""Run of a program layer by layer: what observes it, and the state from batch to batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from simulator.errors import ProgramError
from simulator.plan import Plan
from simulator.program import Program
from simulator.statistics import Statistics, measure

Probe = Callable[[object, np.ndarray], None]
LayerTally = Callable[[object, str, int], None]
Memory = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Observers:
    """Callbacks of a run."""

    probe: Probe | None
    tally: LayerTally | None
    statistics: Statistics | None

    @property
    def any(self) -> bool:
        """True if something observes the run."""
        return not (self.probe is None and self.tally is None and self.statistics is None)

    def report(self, layer, size: int, value: Callable, figures: Callable) -> None:
        """Report the output of a layer.

        Parameters
        ----------
        size : int
            Number of values.
        value : function () -> array
            Returns the output as the layer gives it.
        figures : function () -> (zeros, smallest, largest)
        """
        if self.probe is not None:
            self.probe(layer, value())
        if self.statistics is not None:
            self.statistics.add_output(layer, size, *figures())

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


class Run:
    """State of a run that persists from batch to batch.

    Parameters
    ----------
    program : Program
    plan : Plan or None
        None runs every layer's own arithmetic.
    work : Workspace
    observers : Observers
    memory : dict
        State of buffered layers.
    """

    def __init__(self, program: Program, plan: Plan | None, work, observers, memory: Memory):
        self.program, self.work, self.observers, self.memory = program, work, observers, memory
        self.steps = plan.steps if plan is not None else {}

    @cached_property
    def last_use(self) -> dict[str, int]:
        """Position of the last layer that reads the output of each layer."""
        layers = enumerate(self.program.layers)
        return {name: position for position, layer in layers for name in layer.inputs}

    def batch(self, images: np.ndarray) -> np.ndarray:
        """Return the outputs of one batch."""
        values: dict[str, np.ndarray] = {}
        for position, layer in enumerate(self.program.layers):
            sources = [values[name] for name in layer.inputs] or [images]
            values[layer.name] = self.layer(layer, sources)
            self.observe(layer, values[layer.name])
            self.release(position, values)
        return self.result(values[self.program.layers[-1].name])

    def layer(self, layer, sources: list[np.ndarray]) -> np.ndarray:
        """Return a layer's output: levels in a step's dtype, or the layer's own output."""
        count, run = self.observers.tally_of(layer), self.computing(layer)
        shaped = [
            value if value.shape[1:] == shape else value.reshape(len(value), *shape)
            for value, shape in zip(sources, layer.input_shapes, strict=True)
        ]
        try:
            if run is not None:
                return run(shaped[0], self.work, count)
            if not layer.reads_floats:
                shaped = [integers(source) for source in shaped]
            if hasattr(layer, "step"):
                value, self.memory[layer.name] = layer.step(
                    *shaped, self.memory.get(layer.name), tally=count
                )
                return value
            return layer.run(*shaped, tally=count)
        except OverflowError as error:
            raise ProgramError(f"{self.program.name}: {layer.name}: {error}") from error

    def computing(self, layer) -> Callable | None:
        """Return the function of a step that computes a layer; None if the layer does itself."""
        return getattr(self.steps.get(layer.name), "run", None)

    def gives_levels(self, layer) -> bool:
        """Return True if a function of a step gives the layer's output, as levels."""
        return self.computing(layer) is not None and self.steps[layer.name].gives_levels

    def observe(self, layer, value: np.ndarray) -> None:
        """Report an output of `layer`."""
        levels, step = self.gives_levels(layer), self.steps.get(layer.name)
        self.observers.report(
            layer,
            value.size,
            lambda: integers(value) if levels else value,
            lambda: step.measure(value, self.work) if levels else measure(value),
        )

    def release(self, position: int, values: dict) -> None:
        """Remove the outputs that no layer after a position reads."""
        for name in set(self.program.layers[position].inputs):
            if self.last_use[name] == position and name in values:
                self.work.release(values.pop(name))

    def result(self, value: np.ndarray) -> np.ndarray:
        """Return the program's output for that of its last layer."""
        if not self.gives_levels(self.program.layers[-1]):
            return value
        self.work.release(value)
        return integers(value)


def integers(values: np.ndarray) -> np.ndarray:
    """Return integer-valued arrays as int32; int64 accumulators unchanged."""
    return values if values.dtype == np.int64 else values.astype(np.int32)

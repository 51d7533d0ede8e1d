"""A program ready to run, and what it gave for images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


class Simulation:
    """A program and the host's part after it, ready to run.

    Parameters
    ----------
    program : simulator.Program
    host : path-like, optional
        File of the host's part.
    reset_every : int, optional
        Frames of each stream.

    Attributes
    ----------
    names : tuple of str
        Of the outputs.

    Raises
    ------
    ConfigError
        If there is no buffer to reset.
    ModelError
        If the host's part cannot be read.
    """

    def __init__(self, program: Any, *, host: Any = None, reset_every: int | None = None):
        from pipeline.errors import ConfigError
        from pipeline.host.program_outputs import output_names
        from pipeline.messages.settings import setting

        if reset_every is not None and not program.keeps_state:
            raise ConfigError(
                f"{setting('reset_every')}: {program.name} has no layer with a buffer to reset;"
                " leave it out"
            )
        self.program, self.reset_every = program, reset_every
        self.host, self.names = None, output_names(program)
        if host is not None:
            from pipeline.host.run import load_host

            self.host = load_host(host)
            self.names = self.host.outputs

    def checked(self, images: np.ndarray) -> tuple[np.ndarray, list]:
        """Return the images as the program takes them, and a warning if they seem out of scale.

        Raises
        ------
        ProgramError
            If they do not have the program's shape, dtype and range.
        """
        from pipeline.messages.notes import INPUT, WARNING, Note
        from simulator.engine import check_images
        from simulator.image_scale import input_warning

        images = check_images(self.program, images)
        text = input_warning(self.program, images)
        return images, [Note(kind=INPUT, level=WARNING, text=text)] if text else []

    def run(self, images: np.ndarray, *, traced: bool = False, **settings: Any) -> Simulated:
        """Run the program on images that `checked` returned.

        Parameters
        ----------
        images : array of shape (n, *input shape)
        traced : bool
            Keep the outputs of all layers.
        **settings
            ``backend``, ``batch_size`` and ``progress`` of `simulator.simulate`.
        """
        from pipeline.messages.saturation import counted, saturation_notes
        from simulator import simulate as run_program
        from simulator.statistics import Statistics

        trace: dict[str, list] = {}

        def probe(layer, values) -> None:
            trace.setdefault(layer.name, []).append(values)

        statistics = Statistics(self.program)
        if self.reset_every is not None:
            settings["reset_every"] = self.reset_every
        result = run_program(
            self.program,
            images,
            tally=statistics.tally,
            probe=probe if traced else None,
            **settings,
        )
        notes = saturation_notes(counted(statistics, len(images)), f"{len(images):,} images")
        return Simulated(self, result, {k: np.concatenate(v) for k, v in trace.items()}, notes)


class Simulated:
    """What a program gave for images.

    Attributes
    ----------
    result : array of shape (n, *output shape)
        The program's outputs.
    trace : dict of str to array
        Integer outputs of each layer, where they were asked for.
    notes : tuple of Note
        On numbers that saturate.
    """

    def __init__(self, simulation: Simulation, result: np.ndarray, trace: dict, notes: Iterable):
        self.result, self.trace, self.notes = result, trace, tuple(notes)
        self._simulation = simulation

    @property
    def outputs(self) -> dict[str, np.ndarray]:
        """The outputs by name, those of the host's part where there is one."""
        from pipeline.host.program_outputs import program_parts

        simulation = self._simulation
        if simulation.host is None and len(simulation.names) == 1:
            return {simulation.names[0]: self.result}
        parts = program_parts(simulation.program, self.result)
        if simulation.host is not None:
            parts = simulation.host.run(parts)
        return dict(zip(simulation.names, parts, strict=True))

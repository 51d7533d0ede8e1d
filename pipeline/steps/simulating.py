"""Run a program: ``crossgrade.simulate``, and the work of the command of that name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from pipeline.steps.python import issue, step
from pipeline.steps.reading import as_runnable
from pipeline.steps.scoring import as_array


@step
def simulate(
    model: Any,
    x: Any,
    *,
    host: Any = None,
    reset_every: int | None = None,
    batch_size: int | None = None,
    backend: str = "auto",
    progress: Callable[[int], None] | None = None,
) -> Any:
    """Run a program on images, bit-exact.

    Parameters
    ----------
    model : ChipProgram, QuantizedModel or path-like
        A quantized model runs as the program of the newest chip that takes it.
    x : array of shape (n, *input shape), or path of a .npy file
        Images as the model takes them: raw pixels for uint8 inputs. For a program with buffered
        layers, successive frames of one stream.
    host : path-like, optional
        The rest of the model, which runs on the program's outputs in float: the file that
        ``crossgrade migrate --until`` wrote for the host.
    reset_every : int, optional
        Frames of each stream of a program with buffered layers; each starts from a reset.
    batch_size : int, optional
        Images per batch; bounds memory, and does not change the outputs.
    backend : {"auto", "fast", "numpy", "reference"}
        How the emulator computes; the integers are the same.
    progress : function of (images done), optional
        Called after each batch with its number of images.

    Returns
    -------
    array of shape (n, *output shape)
        With `host`, its output; of several outputs, a dict of arrays by name.

    Raises
    ------
    ProgramError
        If the images do not have the program's shape, dtype and range.
    ConfigError
        If there is no buffer to reset.
    """
    program = as_runnable(model).program
    simulation = Simulation(program, host=host, reset_every=reset_every)
    images, notes = simulation.checked(as_array(x))
    issue(notes)
    done = simulation.run(images, batch_size=batch_size, backend=backend, progress=progress)
    issue(done.notes)
    if host is None:
        return done.result
    outputs = done.outputs
    return outputs if len(outputs) > 1 else next(iter(outputs.values()))


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

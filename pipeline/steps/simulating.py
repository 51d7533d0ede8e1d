"""Run a program: ``crossgrade.simulate``, and the work of the command of that name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.steps.python import issue, step
from pipeline.steps.reading import as_runnable
from pipeline.steps.scoring import as_array
from pipeline.steps.simulation import Simulation


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

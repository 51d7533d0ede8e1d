"""The sections of the configuration on what is measured of a result."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config.fields import number, one_of


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """How the program is evaluated.

    Attributes
    ----------
    samples : int or None
        Test images; None runs all.
    batch_size : int
        Images that the emulator runs at once. The result does not depend on it.
    workers : int
        Number of workers that share the images. The result does not depend on it.
    engine : {"threads", "processes", "ray"}
        What they are: threads, which start at once; processes, which take a second to start and
        suit more than eight workers; or those of the Ray cluster that ``RAY_ADDRESS`` names.
    backend : {"auto", "fast", "numpy", "reference"}
        How the emulator computes, see `simulator.simulate`. The result does not depend on it.
    """

    samples: int | None = number(None, 1)
    batch_size: int = number(256, 1)
    workers: int = number(1, 1, 1024)
    engine: str = one_of("threads", "threads", "processes", "ray")
    backend: str = one_of("auto", "auto", "fast", "numpy", "reference")


@dataclass(frozen=True, kw_only=True)
class Analyze:
    """What quantization costs in each layer, as one page.

    Attributes
    ----------
    images : int
        Test images, the first ones; 0 writes an empty page.
    sweeps : bool
        Analyse every point of a sweep, too.
    """

    images: int = number(64, 0)
    sweeps: bool = False

"""Run a program and its float model on many images in chunks, by one worker or several.

Chunks are the same for any number of workers, and only each image's prediction is kept: results do
not depend on the workers, and memory does not grow with the size of outputs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.accuracy import classes_of
from pipeline.data import Images
from pipeline.errors import ConfigError
from pipeline.files import read_json, write_json
from pipeline.graph.archive import load_graph, save_graph
from pipeline.graph.graph import Graph
from pipeline.graph.parts import forward_in_parts
from simulator import Program, simulate
from simulator.classes import classify
from simulator.engine import make_plan
from simulator.plan import Plan
from simulator.statistics import Statistics

ENGINES = {
    "threads": "shards_threads",
    "processes": "shards_processes",
    "ray": "shards_ray",
}
"""Modules of this package by engine, each with ``run(work, images, workers)``."""
CHUNK_BATCHES = 2
SETTINGS = ("batch_size", "classes", "backend")
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
"""Environment of a worker: one thread each, since the workers run in parallel."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Work:
    """The work on each image.

    Attributes
    ----------
    program : Program
    graph : Graph
        The float model.
    batch_size : int
    classes : bool
        True to keep the class of each image instead of all outputs.
    backend : str
        Of `simulator.simulate`.
    """

    program: Program
    graph: Graph
    batch_size: int
    classes: bool
    backend: str = "auto"

    @property
    def keeps_state(self) -> bool:
        """True if outputs depend on earlier images."""
        return self.program.keeps_state

    def save(self, folder) -> None:
        """Write everything to a folder, for workers to load."""
        self.program.save(Path(folder) / "program.npz")
        save_graph(Path(folder) / "graph.npz", self.graph)
        write_json(Path(folder) / "work.json", {name: getattr(self, name) for name in SETTINGS})

    @classmethod
    def load(cls, folder) -> Work:
        """Read the folder written by `save`."""
        return cls(
            program=Program.load(Path(folder) / "program.npz"),
            graph=load_graph(Path(folder) / "graph.npz"),
            **read_json(Path(folder) / "work.json"),
        )

    def chunks(self, images: int) -> list[tuple[int, int]]:
        """Return the range of images of each chunk, [first, last + 1)."""
        size = CHUNK_BATCHES * self.batch_size
        return [(start, min(start + size, images)) for start in range(0, images, size)]


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictions:
    """Results of a run.

    Attributes
    ----------
    program, graph : array of shape (n, ...)
        Predictions of the emulator and of the float model.
    statistics : Statistics
    """

    program: np.ndarray
    graph: np.ndarray
    statistics: Statistics


class Runner:
    """Runs chunks one after the other, and accumulates statistics.

    Parameters
    ----------
    work : Work
    plan : function () -> Plan or None
        Returns that of `simulator.engine.make_plan`, which runners of one process may share. It is
        called after the float model of each chunk, and may wait for another thread.
    """

    def __init__(self, work: Work, plan: Callable[[], Plan | None]):
        self.work, self.statistics, self.memory = work, Statistics(work.program), {}
        self.plan = plan

    @classmethod
    def alone(cls, work: Work, images: int) -> Runner:
        """Return a runner with a plan of its own, for chunks of altogether `images` images."""
        plan = make_plan(work.program, work.backend, images)
        return cls(work, lambda: plan)

    def run(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the predictions of the emulator and of the float model for one chunk."""
        work = self.work
        expected = forward_in_parts(work.graph, images)
        outputs = simulate(
            work.program,
            images,
            batch_size=work.batch_size,
            statistics=self.statistics,
            memory=self.memory,
            backend=self.plan() or "reference",
        )
        return self._classes(outputs, expected) if work.classes else (outputs, expected)

    def _classes(self, outputs, expected):
        # A program outputs logits: quantization cuts off a final sigmoid.
        return classify(outputs), classes_of(self.work.graph, expected)

    def results(self, images: Images, chunks, numbers: Iterable[int]) -> Iterator[tuple]:
        """Yield the predictions of some chunks, then the statistics, as every engine does."""
        for number in numbers:
            start, stop = chunks[number]
            yield "chunk", number, self.run(images[start:stop])
        yield "counts", 0, self.statistics.counts()


def run_shards(
    work: Work,
    images: Images,
    *,
    workers: int = 1,
    engine: str = "threads",
    progress: Callable[[int], None] | None = None,
) -> Predictions:
    """Run all images.

    Parameters
    ----------
    work : Work
    images : array of shape (n, height, width, channels), or StoredImages
    workers : int
        1 runs in this process, unless the engine is a cluster.
    engine : {"threads", "processes", "ray"}
    progress : function (count), optional
        Called after each chunk with its number of images.

    Raises
    ------
    ConfigError
        If there are several workers and the program carries state between images.
    """
    if workers > 1 and work.keeps_state:
        raise ConfigError(
            f"evaluate.workers: found {workers}; {work.program.name} carries state from frame to "
            "frame, which needs evaluate.workers=1"
        )
    if workers == 1 and engine != "ray":
        chunks = work.chunks(len(images))
        results = Runner.alone(work, len(images)).results(images, chunks, range(len(chunks)))
    else:
        module = importlib.import_module(f"pipeline.evaluation.{ENGINES[engine]}")
        results = module.run(work, images, workers)
    by_chunk, statistics = {}, Statistics(work.program)
    with closing(results):
        for kind, index, content in results:
            if kind == "counts":
                statistics.add(content)
                continue
            by_chunk[index] = content
            if progress is not None:
                progress(len(content[0]))
    program, graph = zip(*(by_chunk[index] for index in sorted(by_chunk)), strict=True)
    return Predictions(
        program=np.concatenate(program), graph=np.concatenate(graph), statistics=statistics
    )

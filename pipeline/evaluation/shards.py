"""Run a program and its float model over many images, in chunks, here or in several workers.

Chunks are the same for any number of workers, and each image's answer is kept, not each output:
results do not depend on the workers, and memory does not grow with what a model puts out.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.accuracy import classes_of
from pipeline.data import Images
from pipeline.errors import ConfigError
from pipeline.files import read_json, write_json
from pipeline.graph.archive import load_graph, save_graph
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from simulator import Program, simulate
from simulator.classes import classify
from simulator.engine import make_plan
from simulator.statistics import Statistics

ENGINES = {"processes": "shards_processes", "ray": "shards_ray"}
"""Engine to its module in this package, which has ``run(work, images, workers)``."""
CHUNK_BATCHES = 2
SETTINGS = ("batch_size", "classes", "backend")
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
"""Environment of a worker: the workers are the parallelism."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Work:
    """What is done with each image.

    Attributes
    ----------
    program : Program
    graph : Graph
        The float model.
    batch_size : int
    classes : bool
        Keep the class of each image, instead of all outputs.
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
        """Whether each image depends on the ones before it."""
        return any(hasattr(layer, "step") for layer in self.program.layers)

    def save(self, folder) -> None:
        """Write everything into a folder, for workers to load."""
        self.program.save(Path(folder) / "program.npz")
        save_graph(Path(folder) / "graph.npz", self.graph)
        write_json(Path(folder) / "work.json", {name: getattr(self, name) for name in SETTINGS})

    @classmethod
    def load(cls, folder) -> Work:
        """Read what `save` has written."""
        return cls(
            program=Program.load(Path(folder) / "program.npz"),
            graph=load_graph(Path(folder) / "graph.npz"),
            **read_json(Path(folder) / "work.json"),
        )

    def chunks(self, images: int) -> list[tuple[int, int]]:
        """Return the first image of each chunk, and the one behind its last."""
        size = CHUNK_BATCHES * self.batch_size
        return [(start, min(start + size, images)) for start in range(0, images, size)]


@dataclass(frozen=True, eq=False, kw_only=True)
class Answers:
    """What came out.

    Attributes
    ----------
    program, graph : array of shape (n, ...)
        Answers of the emulator and of the float model.
    statistics : Statistics
    """

    program: np.ndarray
    graph: np.ndarray
    statistics: Statistics


class Runner:
    """Runs chunks one after the other, and counts.

    Parameters
    ----------
    work : Work
    images : int
        How many there are in all chunks together.
    """

    def __init__(self, work: Work, images: int):
        self.work, self.statistics, self.memory = work, Statistics(work.program), {}
        self.plan = make_plan(work.program, work.backend, images)

    def run(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the answers of the emulator and of the float model for one chunk."""
        work = self.work
        outputs = simulate(
            work.program,
            images.astype(work.program.input_dtype, copy=False),
            batch_size=work.batch_size,
            statistics=self.statistics,
            memory=self.memory,
            backend=self.plan or "reference",
        )
        expected = forward(work.graph, images, batch_size=work.batch_size)
        return self._classes(outputs, expected) if work.classes else (outputs, expected)

    def _classes(self, outputs, expected):
        # A program gives logits: converting cuts off a final sigmoid.
        return classify(outputs), classes_of(self.work.graph, expected)

    def results(self, images: Images, chunks, numbers: Iterable[int]) -> Iterator[tuple]:
        """Yield what every engine yields: the answers of some chunks, then the counts."""
        for number in numbers:
            start, stop = chunks[number]
            yield "chunk", number, self.run(images[start:stop])
        yield "counts", 0, self.statistics.counts()


def run_shards(
    work: Work,
    images: Images,
    *,
    workers: int = 1,
    engine: str = "processes",
    progress: Callable[[int], None] | None = None,
) -> Answers:
    """Run all images.

    Parameters
    ----------
    work : Work
    images : array of shape (n, height, width, channels), or StoredImages
    workers : int
        1 runs here, unless the engine is a cluster.
    engine : {"processes", "ray"}
    progress : function (count), optional
        Called after each chunk with its number of images.

    Raises
    ------
    ConfigError
        When workers cannot share the images, since the program carries state between them.
    """
    if workers > 1 and work.keeps_state:
        raise ConfigError(
            f"evaluate.workers: found {workers}; {work.program.name} carries state from frame to "
            "frame, which needs evaluate.workers=1"
        )
    if workers == 1 and engine == "processes":
        chunks = work.chunks(len(images))
        results = Runner(work, len(images)).results(images, chunks, range(len(chunks)))
    else:
        module = importlib.import_module(f"pipeline.evaluation.{ENGINES[engine]}")
        results = module.run(work, images, workers)
    answers, statistics = {}, Statistics(work.program)
    for kind, index, content in results:
        if kind == "counts":
            statistics.add(content)
            continue
        answers[index] = content
        if progress is not None:
            progress(len(content[0]))
    program, graph = zip(*(answers[index] for index in sorted(answers)), strict=True)
    return Answers(
        program=np.concatenate(program), graph=np.concatenate(graph), statistics=statistics
    )

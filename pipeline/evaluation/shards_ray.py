"""Distribute images to the workers of a Ray cluster; needs the extra ``ray``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.evaluation.shards import ONE_THREAD, Runner, Work
from pipeline.packages import require


def run(work: Work, images: np.ndarray, workers: int) -> Iterator[tuple]:
    """Yield the predictions of each chunk as they arrive, then the statistics of each worker.

    Ray finds its cluster by ``RAY_ADDRESS``, and starts one on this machine if it is unset.

    Raises
    ------
    MissingPackageError
        If Ray is not installed.
    """
    require("ray", "evaluate.engine=ray", "use evaluate.engine=threads")
    import ray

    if not ray.is_initialized():
        ray.init(runtime_env={"env_vars": ONE_THREAD}, include_dashboard=False)
    waiting = list(enumerate(work.chunks(len(images))))[::-1]
    with tempfile.TemporaryDirectory() as folder:
        work.save(folder)
        shared = ray.put({path.name: path.read_bytes() for path in Path(folder).iterdir()})
    kind = ray.remote(num_cpus=1)(_Worker)
    count = min(workers, len(waiting))
    actors = [kind.remote(shared, len(images) // count) for _ in range(count)]
    running = {}
    for actor in actors:
        _submit(actor, waiting, images, running)
    while running:
        (done,), _ = ray.wait(list(running), num_returns=1)
        index, actor = running.pop(done)
        _submit(actor, waiting, images, running)
        yield "chunk", index, ray.get(done)
    for actor in actors:
        yield "counts", 0, ray.get(actor.counts.remote())
        ray.kill(actor)


def _submit(actor, waiting: list, images: np.ndarray, running: dict) -> None:
    """Send the next chunk to a worker; the cluster's memory only holds the chunks in progress."""
    if waiting:
        index, (start, stop) = waiting.pop()
        running[actor.run.remote(images[start:stop])] = (index, actor)


class _Worker:
    """A runner as a Ray actor."""

    def __init__(self, files: dict[str, bytes], images: int):
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            self.runner = Runner.alone(Work.load(folder), images)

    def run(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.runner.run(images)

    def counts(self) -> dict:
        return self.runner.statistics.counts()

"""Share images between processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np

from pipeline.data import Images, StoredImages
from pipeline.errors import CrossgradeError
from pipeline.shards import ONE_THREAD, Runner, Work

IMAGES = "images.npy"


class WorkerStopped(CrossgradeError):
    """A worker refused its images or was killed."""


def run(work: Work, images: Images, workers: int) -> Iterator[tuple]:
    """Yield the answers of each chunk as they come, then the counts of each worker.

    The images reach the workers through a file that all of them read.

    Raises
    ------
    WorkerStopped
        Saying which worker, and why as far as it is known.
    """
    chunks = list(enumerate(work.chunks(len(images))))
    context = multiprocessing.get_context("spawn")
    processes = {}
    with tempfile.TemporaryDirectory() as folder:
        work.save(folder)
        if not isinstance(images, StoredImages):
            np.save(Path(folder) / IMAGES, images)
            images = StoredImages(Path(folder) / IMAGES)
        try:
            with _environment(ONE_THREAD):
                for first in range(min(workers, len(chunks))):
                    receive, send = context.Pipe(duplex=False)
                    share = (send, folder, images, chunks[first::workers])
                    process = context.Process(target=_serve, args=share, daemon=True)
                    process.start()
                    send.close()
                    processes[receive] = process
            yield from _results(dict(processes))
        finally:
            for process in processes.values():
                process.terminate()
                process.join()


def _results(processes: dict) -> Iterator[tuple]:
    while processes:
        for pipe in wait(list(processes)):
            try:
                result = pipe.recv()
            except EOFError:
                process = processes[pipe]
                process.join()
                raise WorkerStopped(
                    f"evaluate.workers: a worker ended with status {process.exitcode}; if memory "
                    "was short, take fewer workers or a smaller evaluate.batch_size"
                ) from None
            if result[0] == "refused":
                raise WorkerStopped(result[2])
            yield result
            if result[0] == "counts":
                del processes[pipe]


def _serve(pipe, folder: str, images: StoredImages, chunks) -> None:
    """Run a worker's share of the chunks."""
    share = sum(stop - start for _, (start, stop) in chunks)
    runner = Runner(Work.load(folder), share)
    try:
        for index, (start, stop) in chunks:
            pipe.send(("chunk", index, runner.run(images[start:stop])))
        pipe.send(("counts", 0, runner.statistics.counts()))
    except ValueError as error:  # the base of this package's errors and the simulator's
        pipe.send(("refused", 0, str(error)))


@contextmanager
def _environment(values: dict[str, str]):
    """Set environment variables for processes that start meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

"""Distribute images to processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np

from pipeline.data import Images, StoredImages
from pipeline.errors import CrossgradeError
from pipeline.evaluation.shards import ONE_THREAD, Runner, Work

IMAGES = "images.npy"


class WorkerStopped(CrossgradeError):
    """A worker failed on its images or was killed."""


def run(work: Work, images: Images, workers: int) -> Iterator[tuple]:
    """Yield the predictions of each chunk as they arrive, then the statistics of each worker.

    This process is one of the workers. The others read the images from a shared file; each worker
    takes the next chunk when it has finished one.

    Raises
    ------
    WorkerStopped
        If a worker stops; names the worker, and the reason if it is known.
    """
    from threadpoolctl import threadpool_limits

    chunks = work.chunks(len(images))
    context = multiprocessing.get_context("spawn")
    taken, processes = context.Value("q", 0), {}
    share = len(images) // workers
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        work.save(folder)
        stored = images
        if not isinstance(images, StoredImages):
            np.save(Path(folder) / IMAGES, images)
            stored = StoredImages(Path(folder) / IMAGES)
        try:
            with _environment(ONE_THREAD), _no_interrupts():
                for _ in range(min(workers, len(chunks)) - 1):
                    receive, send = context.Pipe(duplex=False)
                    target = (send, folder, stored, share, chunks, taken)
                    process = context.Process(target=_serve, args=target, daemon=True)
                    process.start()
                    send.close()
                    processes[receive] = process
            waiting = dict(processes)
            own = Runner.alone(work, share)
            for result in own.results(images, chunks, _claim(taken, len(chunks))):
                yield result
                yield from _results(waiting, timeout=0)
            yield from _results(waiting, timeout=None)
        finally:
            for process in processes.values():
                process.terminate()
                process.join()


def _claim(taken, count: int) -> Iterator[int]:
    """Yield the numbers of chunks that no other worker has taken."""
    while True:
        with taken.get_lock():
            index = taken.value
            taken.value += 1
        if index >= count:
            return
        yield index


def _results(waiting: dict, timeout: float | None) -> Iterator[tuple]:
    """Yield the results that other workers have sent so far; remove finished workers."""
    while waiting and (ready := wait(list(waiting), timeout)):
        for pipe in ready:
            try:
                result = pipe.recv()
            except EOFError:
                process = waiting[pipe]
                process.join()
                raise WorkerStopped(
                    f"evaluate.workers: a worker ended with status {process.exitcode}; if memory "
                    "was short, take fewer workers or a smaller evaluate.batch_size"
                ) from None
            if result[0] == "refused":
                raise WorkerStopped(result[2])
            if result[0] == "counts":
                del waiting[pipe]
            yield result


def _serve(pipe, folder: str, images: StoredImages, share: int, chunks, taken) -> None:
    """Run as an additional worker."""
    try:
        runner = Runner.alone(Work.load(folder), share)
        for result in runner.results(images, chunks, _claim(taken, len(chunks))):
            pipe.send(result)
    except ValueError as error:  # base class of the pipeline's and the simulator's errors
        pipe.send(("refused", 0, str(error)))


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Shield processes started within the context from Ctrl-C, which goes to the whole group.

    They inherit the blocked signals; this process receives the signal afterwards, and ends them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment(values: dict[str, str]):
    """Set environment variables for processes started within the context."""
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

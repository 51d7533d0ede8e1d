"""Distribute images to threads of this process, which needs no start of other processes.

NumPy and the emulator's kernels run without Python's lock, which the threads only share between
two operations.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from queue import SimpleQueue

from pipeline.data import Images
from pipeline.evaluation.shards import Runner, Work
from simulator.engine import make_plan


def run(work: Work, images: Images, workers: int) -> Iterator[tuple]:
    """Yield the predictions of each chunk as they arrive, then the statistics of each worker.

    Each worker takes the next chunk when it has finished one. The plan is made while they run the
    float model. An error of a worker is raised, and ends the others after their chunks.
    """
    from threadpoolctl import threadpool_limits

    chunks = work.chunks(len(images))
    waiting, results = deque(range(len(chunks))), SimpleQueue()
    plan: Future = Future()

    def serve() -> None:
        try:
            for result in Runner(work, plan.result).results(images, chunks, _claim(waiting)):
                results.put(result)
        except BaseException as error:
            results.put(error)
        results.put(None)

    count = min(workers, len(chunks))
    with threadpool_limits(1), _running(serve, count, waiting):
        _fulfil(plan, lambda: make_plan(work.program, work.backend, len(images)))
        yield from _arriving(results, count)


def _fulfil(future: Future, make: Callable[[], object]) -> None:
    """Give those who wait for a result what a function returns, or raises."""
    try:
        future.set_result(make())
    except BaseException as error:
        future.set_exception(error)


def _claim(waiting: deque) -> Iterator[int]:
    """Yield the numbers of chunks that no other worker has taken."""
    with suppress(IndexError):
        while True:
            yield waiting.popleft()


@contextmanager
def _running(serve: Callable[[], None], count: int, waiting: deque) -> Iterator[None]:
    """Run a function in threads; afterwards leave them nothing to do, and wait for their end."""
    threads = [threading.Thread(target=serve, daemon=True) for _ in range(count)]
    try:
        for thread in threads:
            thread.start()
        yield
    finally:
        waiting.clear()
        for thread in threads:
            thread.join()


def _arriving(results: SimpleQueue, workers: int) -> Iterator[tuple]:
    """Yield what workers put into a queue, until each has put None; raise an error of a worker."""
    while workers:
        result = results.get()
        if isinstance(result, BaseException):
            raise result
        if result is None:
            workers -= 1
        else:
            yield result

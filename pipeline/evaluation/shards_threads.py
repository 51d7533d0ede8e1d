"""Distribute images to threads of this process, which needs no start of other processes.

NumPy and the emulator's kernels run without Python's lock, which the threads only share between
two operations.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from queue import SimpleQueue

from pipeline.data import Images
from pipeline.evaluation.shards import Runner, Work
from simulator.engine import make_plan


def run(work: Work, images: Images, workers: int) -> Iterator[tuple]:
    """Yield the predictions of each chunk as they arrive, then the statistics of each worker.

    Each worker takes the next chunk when it has finished one. An error of a worker is raised, and
    ends the others after their chunks.
    """
    from threadpoolctl import threadpool_limits

    chunks = work.chunks(len(images))
    waiting, results = deque(range(len(chunks))), SimpleQueue()
    plan = make_plan(work.program, work.backend, len(images))

    def claim() -> Iterator[int]:
        with suppress(IndexError):
            while True:
                yield waiting.popleft()

    def serve() -> None:
        try:
            for result in Runner(work, plan).results(images, chunks, claim()):
                results.put(result)
        except BaseException as error:
            results.put(error)
        results.put(None)

    threads = [
        threading.Thread(target=serve, daemon=True) for _ in range(min(workers, len(chunks)))
    ]
    with threadpool_limits(1):
        try:
            for thread in threads:
                thread.start()
            running = len(threads)
            while running:
                result = results.get()
                if isinstance(result, BaseException):
                    raise result
                if result is None:
                    running -= 1
                else:
                    yield result
        finally:
            waiting.clear()
            for thread in threads:
                thread.join()

"""Worker processes of a long comparison: what fails or dies costs one item, and no other."""

from __future__ import annotations

import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import Any, TypeVar

Item = TypeVar("Item")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


@dataclass(frozen=True)
class Fault:
    """Result of an item on which the work failed in a way that it does not foresee.

    Attributes
    ----------
    why : str
        The exception and its place, or how the process ended.
    """

    why: str


def results(
    work: Callable[[Item], Any], items: Iterable[Item], processes: int, most: int
) -> Iterator[tuple[Item, Any]]:
    """Yield each item once, with its result or a `Fault`, as they arrive.

    Parameters
    ----------
    work : function
        Called in the processes; it and its results can be pickled.
    items : iterable
    processes : int
        Of one thread each.
    most : int
        Items of one process; TensorFlow frees the memory of its models only with the process.
    """
    for name in THREADS:
        os.environ.setdefault(name, "1")
    waiting, running = deque(items), {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                share = deque(waiting.popleft() for _ in range(min(most, len(waiting))))
                pipe, process = _start(work, list(share))
                running[pipe] = process, share
            for pipe in wait(list(running)):
                process, share = running[pipe]
                try:
                    result = pipe.recv()
                except EOFError:
                    process.join()
                    del running[pipe]
                    if not share:
                        continue
                    result = Fault(_ending(process.exitcode))
                    yield share.popleft(), result
                    waiting.extendleft(reversed(share))
                else:
                    yield share.popleft(), result
    finally:
        for process, _ in running.values():
            process.terminate()
            process.join()


def _start(work, items: list):
    context = get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(send, work, items), daemon=True)
    process.start()
    send.close()
    return receive, process


def _serve(pipe, work, items: list) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent receives it, and ends this process
    for item in items:
        try:
            result = work(item)
        except Exception as error:  # a fault in one model must not end the comparison of the others
            result = Fault(_described(error))
        pipe.send(result)


def _described(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text} ({place.filename}:{place.lineno})"


def _ending(status: int) -> str:
    if status < 0:
        return f"its process was ended by {signal.Signals(-status).name}; is memory short?"
    return f"its process ended with status {status}"

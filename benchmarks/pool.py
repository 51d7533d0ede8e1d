"""Run independent measurements in processes of one thread each, in the order in which they end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from textwrap import shorten
from typing import Any

LOGGED = 500
"""Characters of a result in the log, where a run that is interrupted leaves it."""


def measured(
    function: Callable[..., Any], jobs: Iterable[tuple], processes: int
) -> Iterator[tuple[int, Any]]:
    """Yield the number of each job and its result, as soon as it is done.

    Parameters
    ----------
    function : function
        Of a module, so that processes find it.
    jobs : iterable of tuple
        Its arguments. The longest should come first.
    processes : int
    """
    from joblib import Parallel, delayed, parallel_config

    numbered = (delayed(_numbered)(function, number, job) for number, job in enumerate(jobs))
    with parallel_config("loky", inner_max_num_threads=1):
        for number, result in Parallel(n_jobs=processes, return_as="generator_unordered")(numbered):
            logging.info("%s", shorten(str(result), LOGGED))
            yield number, result


def in_order(function: Callable[..., Any], jobs: Iterable[tuple], processes: int) -> list[Any]:
    """Return the results of all jobs in their order."""
    return [result for _, result in sorted(measured(function, jobs, processes), key=_number)]


def _number(entry) -> int:
    return entry[0]


def _numbered(function, number, job):
    return number, function(*job)

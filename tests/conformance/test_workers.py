"""Work in processes: every item has one result, whatever happens to the process."""

import os
import signal
from collections import Counter
from multiprocessing import active_children

import pytest

from conformance.workers import Fault, results

pytestmark = pytest.mark.slow  # each process imports this file


def work(item):
    """Return the square; 3 raises, 5 is killed, 6 leaves, and the result of 7 cannot be sent."""
    if item == 3:
        raise KeyError("three")
    if item == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    if item == 6:
        os._exit(9)
    return (lambda: item) if item == 7 else item**2


@pytest.mark.parametrize(("processes", "most"), [(1, 10), (2, 3), (3, 1)])
def test_each_item_has_one_result(processes, most):
    found = list(results(work, range(10), processes, most))
    assert Counter(item for item, _ in found) == Counter(range(10))
    faults = {item: result.why for item, result in found if isinstance(result, Fault)}
    assert {item: result for item, result in found if item not in faults} == {
        item: item**2 for item in (0, 1, 2, 4, 8, 9)
    }
    assert faults.keys() == {3, 5, 6, 7}
    assert faults[3].startswith("KeyError: 'three' (") and "test_workers.py:" in faults[3]
    assert faults[5] == "its process was ended by SIGKILL; is memory short?"
    assert faults[6] == "its process ended with status 9"


def test_processes_end_with_the_generator():
    found = results(work, range(2), 1, 1)
    next(found)
    found.close()
    assert active_children() == []

"""Plans touch no memory but that of their arrays, as long as these exist."""

import subprocess
import sys

import pytest

from tests.simulator.plan.comparison import BACKENDS
from tests.simulator.plan.guarded import SIDES

LAYERS = "20"
"""Of each class: enough to find a tape that keeps the address of a freed buffer."""


@pytest.mark.skipif(sys.platform != "linux", reason="pages are guarded by Linux's mprotect")
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_guarded_arrays(backend, side):
    command = [sys.executable, "-m", "tests.simulator.plan.guarded", backend, side, LAYERS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("480 programs"), done.stdout

"""The fast backend computes the same integers with vectors of other widths."""

import os
import subprocess
import sys

import pytest

from simulator.plan import fast_is_available

SCRIPT = """
import sys
import llvmlite.binding

real = llvmlite.binding.get_host_cpu_features()


class Features(dict):
    def flatten(self):
        return real.flatten()


# LLVM splits or widens what this processor does not have: slower, but the same arithmetic.
found = {"128": Features(), "256": Features(avx2=True), "512": Features(avx512bw=True)}[sys.argv[1]]
llvmlite.binding.get_host_cpu_features = lambda: found
from simulator.plan.fast import selftest, vectors

assert vectors.LANES == int(sys.argv[1]) // 32
print(selftest.works())
"""


@pytest.mark.slow
@pytest.mark.skipif(not fast_is_available(), reason="the extra 'fast' is not installed")
@pytest.mark.parametrize("bits", ["128", "256", "512"])
def test_every_width_is_exact(bits, tmp_path):
    # A separate cache: compiled loops are cached by processor, not by width.
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", SCRIPT, bits]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "True", result.stderr

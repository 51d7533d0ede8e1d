"""A small slice of the conformance proof; ``make conformance N=300`` is the whole."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conformance.doubt import ulps
from conformance.report import print_report

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("quantizeml") is None, reason="needs the oracle extra (quantizeml)"
)
def test_random_networks_equal_quantizeml(tmp_path):
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "conformance", "--count", "3", "--report", str(report)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr[-2000:]
    found = json.loads(report.read_text())
    assert found["equal"] + found["inexact"] + found["refused"] == 3
    assert found["values"] > 1000
    assert found["mismatching_values"] == 0


def test_ulps_count_representable_floats():
    one = np.float32(1)
    assert ulps(one, one) == 0
    assert ulps(one, np.nextafter(one, np.float32(2))) == 1
    assert ulps(np.float32(-1e-45), np.float32(1e-45)) == 2


def test_the_report_adds_up(capsys):
    compared = {
        "status": "equal",
        "index": 0,
        "why": "",
        "traits": ["input uint8"],
        "tensors": 2,
        "values": 10,
        "mismatches": [],
        "inexact": [{"count": 3}],
        "formats": [],
        "backends": [],
        "combinations": [["Conv2D", "bias", True, "uint8", "w8"]],
        "ulps": 1,
        "covered": [["Conv2D", "w8", "s8", "per-axis", 2]],
    }
    refused = {"status": "refused", "index": 1, "why": "pool: no layer", "traits": []}
    summary = print_report([compared, refused], seed=0)
    assert (summary["equal"], summary["refused"], summary["values"]) == (1, 1, 10)
    assert summary["inexact_values"] == 3
    assert summary["refusals"] == {"no layer": 1}
    assert "2 networks, seed 0: 1 equal" in capsys.readouterr().out

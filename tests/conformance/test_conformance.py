"""Small part of the comparison with QuantizeML; ``make conformance N=300`` runs all of it."""

import contextlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conformance.coverage import KINDS, REQUIRED, drawn
from conformance.float32 import ulps
from conformance.layers import LIMITS, SLOPES, TABLES
from conformance.networks import BITS, RESCALINGS, TAILS, TOPOLOGIES, random_network
from conformance.report import print_report
from pipeline.errors import ModelError
from pipeline.graph.traits import NEURAL

ROOT = Path(__file__).parents[2]
DRAWN = 1440
"""Number of networks that must cover everything; quantizing them takes a minute."""


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("quantizeml") is None, reason="needs the oracle extra (quantizeml)"
)
def test_random_networks_equal_quantizeml(tmp_path):
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "conformance", "--count", "4", "--report", str(report)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr[-2000:]
    found = json.loads(report.read_text())
    assert found["equal"] + found["inexact"] + found["refused"] == 4
    assert found["values"] > 1000
    assert (found["mismatching_values"], found["backend_values"]) == (0, 0)


@pytest.mark.slow
def test_networks_reach_every_required_combination():
    """Our quantizer fills the same registers, so that QuantizeML is not needed."""
    found = set()
    for index in range(DRAWN):
        with contextlib.suppress(ModelError):
            found |= drawn(random_network(0, index))
    assert sorted(map(str, REQUIRED - found)) == []


def test_networks_reach_every_kind_of_input_and_layer():
    traits, ops = set(), set()
    for index in range(250):
        network = random_network(0, index)
        traits |= network.traits
        ops |= {node.op for node in network.graph.nodes}
    wanted = {f"input {kind}" for kind in KINDS}
    wanted |= {f"rescaling {way}" for way in RESCALINGS} | {f"table {kind}" for kind in TABLES}
    wanted |= {f"relu {limit}" for limit in LIMITS} | {f"slope {slope}" for slope in SLOPES}
    wanted |= {f"tail {tail}" for tail in TAILS} | {f"topology {name}" for name in TOPOLOGIES}
    wanted |= {f"bits {'/'.join(map(str, bits))}" for bits in BITS}
    wanted |= {f"stride {stride}" for stride in (1, 2, 3)} | {"odd map", "even map", "map 1x1"}
    wanted |= {"input channels of different range", "dead channels", "huge channels"}
    wanted |= {"join add", "join concatenate", "consumers 3", "zero padding", "temporal"}
    assert sorted(wanted - traits) == []
    assert {*NEURAL} - {"SeparableConv2D"} <= ops


def test_a_network_is_reproducible_from_its_seed():
    first, again = random_network(3, 8), random_network(3, 8)
    assert first.settings == again.settings
    np.testing.assert_array_equal(first.images, again.images)
    for node, other in zip(first.graph.nodes, again.graph.nodes, strict=True):
        assert (node.name, node.attrs) == (other.name, other.attrs)
        for key, value in node.weights.items():
            np.testing.assert_array_equal(value, other.weights[key])


def test_ulps_count_representable_floats():
    one = np.float32(1)
    assert ulps(one, one) == 0
    assert ulps(one, np.nextafter(one, np.float32(2))) == 1
    assert ulps(np.float32(-1e-45), np.float32(1e-45)) == 2


def test_report_totals_equal_the_sums_of_networks(capsys):
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
    assert summary["combinations"] == 1
    assert len(summary["missing"]) == len(REQUIRED) - 1
    assert summary["inexact_values"] == 3
    assert summary["refusals"] == {"no layer": 1}
    assert "2 networks, seed 0: 1 equal" in capsys.readouterr().out

"""The vendor's published models fit the chip for which they were made."""

import pytest

from pipeline.chips.check import check
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from tests.pipeline.chips.models import FIX, NO, YES

SMALL = {"akidanet": ["alpha=0.25", "input_shape=[64,64,3]"], "yolo": ["alpha=0.25"]}
ZOO = [
    # name, version, verdict on Akida 1.0, verdict on Akida 2.0
    ("akidanet", "1.0", YES, FIX),
    ("akidanet", "2.0", FIX, YES),
    ("akidanet_edge", "1.0", YES, NO),
    ("convtiny", "1.0", YES, FIX),
    ("ds_cnn", "1.0", YES, FIX),
    ("ds_cnn", "2.0", FIX, YES),
    ("gxnor", "1.0", YES, FIX),
    ("mobilenet_v2", "2.0", NO, YES),
    ("pointnet_plus", "1.0", YES, FIX),
    ("vgg", "1.0", YES, FIX),
    ("vgg", "2.0", FIX, YES),
]


@pytest.mark.parametrize("name, version, first, second", ZOO)
def test_the_zoo_fits_its_chip(name, version, first, second):
    graph = build_graph(read_architecture(name, [f"version={version}", *SMALL.get(name, [])]))
    assert check(graph, "akida_v1").verdict == first
    assert check(graph, "akida_v2").verdict == second


def test_edge_learning_is_refused_with_the_reason():
    graph = build_graph(read_architecture("akidanet_edge", ["alpha=0.25", "classes=5"]))
    (reason,) = check(graph, "akida_v2").reasons()
    assert "edge-learning head" in reason and "train a Dense classifier" in reason

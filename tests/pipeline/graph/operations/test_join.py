import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.graph.build import make_node
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph


def test_joins():
    nodes = [make_node("i", "Input", attrs={"shape": (1, 1, 2)})]
    nodes.append(make_node("add", "Add", ["i", "i"], {"average": True}))
    nodes.append(make_node("cat", "Concatenate", ["add", "i", "add"]))
    y = forward(Graph("m", nodes, "cat"), np.uint8([[[[4, 6]]]]))
    assert y.ravel().tolist() == [4, 6] * 3


@pytest.mark.parametrize(("op", "verb"), [("Add", "add"), ("Concatenate", "concatenate")])
def test_shapes_that_do_not_fit_are_refused(op, verb):
    nodes = [make_node("i", "Input", attrs={"shape": (4, 3, 2)})]
    nodes.append(make_node("p", "MaxPooling2D", ["i"]))
    nodes.append(make_node("j", op, ["i", "p"]))
    with pytest.raises(ModelError, match=rf"j: cannot {verb} shapes \(4, 3, 2\), \(2, 1, 2\)"):
        _ = Graph("m", nodes, "j").shapes


def test_concatenation_along_another_axis():
    nodes = [make_node("i", "Input", attrs={"shape": (2, 3, 1)})]
    nodes.append(make_node("j", "Concatenate", ["i", "i"], {"axis": 1}))
    graph = Graph("m", nodes, "j")
    x = np.arange(6, dtype=np.uint8).reshape(1, 2, 3, 1)
    assert graph.shapes["j"] == (4, 3, 1)
    assert forward(graph, x).ravel().tolist() == [*range(6), *range(6)]

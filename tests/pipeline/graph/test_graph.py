import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph


def node(name, op="ReLU", *inputs):
    attrs = {"shape": (4,)} if op == "Input" else {}
    return make_node(name, op, inputs, attrs)


def diamond():
    nodes = (
        node("x", "Input"),
        node("a", "ReLU", "x"),
        node("b", "ReLU", "a"),
        node("c", "ReLU", "a"),
        node("d", "Add", "b", "c"),
    )
    return Graph("diamond", nodes, "d")


def test_lookups():
    graph = diamond()
    assert graph.input.name == "x"
    assert [n.name for n in graph.consumers("a")] == ["b", "c"]
    assert [n.name for n in graph.producers("d")] == ["b", "c"]
    assert graph.sole_consumer("b").name == "d"
    assert graph.sole_consumer("a") is None
    assert graph.sole_consumer("d") is None
    assert graph.fresh_name("e") == "e"
    assert graph.fresh_name("a") == "a_1"


def test_an_output_with_one_consumer_has_no_sole_consumer():
    graph = diamond().with_nodes(diamond().nodes, "b")
    assert graph.sole_consumer("b") is None


def line(*ops):
    nodes = [node("x", "Input")]
    for number, op in enumerate(ops):
        nodes.append(node(f"n{number}", op, nodes[-1].name))
    return Graph("line", nodes, nodes[-1].name)


def test_skip_back_stops_at_the_first_other_operation():
    graph = line("ReLU", "Flatten", "Dropout")
    assert graph.skip_back("n2", {"Flatten", "Dropout"}).name == "n0"
    assert graph.skip_back(graph.node("n2"), {"Flatten"}).name == "n2"
    assert graph.skip_back("n2", {"Flatten", "Dropout", "ReLU", "Input"}).name == "x"
    assert diamond().skip_back("d", {"Add", "ReLU"}).name == "x"


def test_skip_ahead_follows_sole_consumers():
    graph = line("Flatten", "Dropout", "ReLU")
    assert graph.skip_ahead("x", {"Flatten", "Dropout"}).name == "n2"
    assert graph.skip_ahead(graph.input, ()).name == "n0"
    assert graph.skip_ahead("x", {"Flatten", "Dropout", "ReLU"}) is None
    assert diamond().skip_ahead("x", {"ReLU"}) is None
    assert diamond().skip_ahead("b", {"ReLU"}).name == "d"


def test_rewrite_replaces_by_a_chain_and_rewires_every_consumer():
    graph = diamond()
    new = graph.rewrite(
        lambda n: [node("a1", "ReLU", "x"), node("a2", "ReLU", "a1")] if n.name == "a" else None
    )
    assert [n.name for n in new.nodes] == ["x", "a1", "a2", "b", "c", "d"]
    assert new.node("b").inputs == new.node("c").inputs == ("a2",)
    assert [n.name for n in graph.nodes] == ["x", "a", "b", "c", "d"]


def test_rewrite_removes_with_an_empty_chain():
    new = diamond().rewrite(lambda n: [] if n.name in ("a", "b") else None)
    assert new.node("d").inputs == ("x", "c")
    assert new.node("c").inputs == ("x",)


def test_rewrite_follows_the_output():
    graph = Graph("g", (node("x", "Input"), node("a", "ReLU", "x")), "a")
    assert graph.rewrite(lambda n: [] if n.name == "a" else None).output == "x"
    assert (
        graph.rewrite(lambda n: [node("z", "ReLU", "x")] if n.name == "a" else None).output == "z"
    )


def test_rewrite_that_changes_nothing_keeps_the_nodes():
    new = diamond().rewrite(lambda n: None)
    assert [n.inputs for n in new.nodes] == [n.inputs for n in diamond().nodes]


@pytest.mark.parametrize(
    ("nodes", "output", "message"),
    [
        ([node("x", "Input"), node("x", "ReLU", "x")], "x", "two layers are named 'x'"),
        ([node("x", "Input"), node("a", "ReLU", "b")], "a", "'b' is not the name of an earlier"),
        ([node("x", "Input"), node("y", "Input")], "x", "found 2 inputs"),
        ([], "x", "found 0 inputs"),
        ([node("x", "Input")], "y", "output 'y' is not one of its layers"),
    ],
)
def test_malformed_graphs_are_refused(nodes, output, message):
    with pytest.raises(ModelError, match=message):
        Graph("g", tuple(nodes), output)


def test_nodes_are_frozen():
    relu = node("a", "ReLU", "x")
    with pytest.raises(TypeError):
        relu.attrs["max_value"] = 6
    assert relu.with_attrs(max_value=6.0).attrs["max_value"] == 6.0
    assert relu.attrs["max_value"] is None
    assert relu.with_weights(k=np.zeros(3, np.float32)).parameters == 3

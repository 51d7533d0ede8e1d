import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.graph.architecture import build_graph
from pipeline.graph.archive import graph_content, graph_from_content
from pipeline.graph.forward import forward
from pipeline.transforms.exact.unfuse_separable import unfuse_separable


def model(*layers, shape=(9, 8, 3)):
    return {"name": "net", "input": {"shape": list(shape)}, "layers": layers}


def images(graph, count=4):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, *graph.input.attrs["shape"]), dtype=np.uint8)


def with_biases(graph):
    rng = np.random.default_rng(1)
    return graph.with_nodes(
        node.with_weights(bias=rng.normal(size=node.weights["bias"].shape).astype(np.float32))
        if "bias" in node.weights
        else node
        for node in graph.nodes
    )


def check(graph):
    """Unfuse a model, and assert all that must hold for any model."""
    before = [node.name for node in graph.nodes]
    result = unfuse_separable(graph)
    new = result.graph
    assert result.equivalent
    assert not any(node.op == "SeparableConv2D" for node in new.nodes)
    assert result.changed == tuple(n.name for n in graph.nodes if n.op == "SeparableConv2D")
    assert new.parameters == graph.parameters
    assert new.shapes[new.output] == graph.shapes[graph.output]
    assert [node.name for node in graph.nodes] == before
    assert unfuse_separable(new).changed == ()
    # The same sums in the same order: no rounding difference is expected.
    np.testing.assert_array_equal(forward(new, images(graph)), forward(graph, images(graph)))
    return new


@settings(max_examples=30, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.sampled_from(["same", "valid"]),
    multiplier=st.integers(1, 3),
    use_bias=st.booleans(),
)
def test_any_separable_convolution_is_split_exactly(
    kernel, stride, dilation, padding, multiplier, use_bias
):
    options = {
        "name": "s",
        "filters": 5,
        "kernel_size": list(kernel),
        "strides": stride,
        "dilation_rate": dilation if stride == 1 else 1,
        "padding": padding,
        "depth_multiplier": multiplier,
        "use_bias": use_bias,
    }
    graph = with_biases(build_graph(model({"SeparableConv2D": options})))
    new = check(graph)
    assert [node.name for node in new.nodes[1:]] == ["dw_s", "pw_s"]
    assert new.output == "pw_s"
    assert new.node("dw_s").attrs["use_bias"] is False
    assert new.node("pw_s").attrs["use_bias"] is use_bias


SEPARABLE = {"filters": 4, "kernel_size": 3, "padding": "same"}


@pytest.mark.parametrize(
    "layers",
    [
        [{"SeparableConv2D": {"name": f"s{i}", **SEPARABLE}} for i in range(3)],
        [
            {"SeparableConv2D": {"name": "s", **SEPARABLE}},
            {"ReLU": {"name": "a"}},
            {"Conv2D": {"name": "b", "filters": 4, "kernel_size": 1, "input": "s"}},
            {"Add": {"inputs": ["a", "b", "s"]}},
        ],
        [
            {"SeparableConv2D": {"name": "s", **SEPARABLE}},
            {"SeparableConv2D": {"name": "t", **SEPARABLE, "input": "s"}},
            {"Concatenate": {"inputs": ["s", "t"]}},
            {"Flatten": {}},
            {"Dense": {"units": 3}},
        ],
    ],
    ids=["consecutive", "three readers", "branch and head"],
)
def test_any_position_in_the_graph(layers):
    check(with_biases(build_graph(model(*layers))))


def test_following_layers_keep_their_names():
    block = {"name": "s", **SEPARABLE, "add_batchnorm": True, "pooling": "max"}
    new = check(build_graph(model({"separable_conv_block": block})))
    assert [n.name for n in new.nodes[1:]] == ["dw_s", "pw_s", "s/maxpool", "s/BN", "s/relu"]


def test_taken_names_are_avoided():
    graph = build_graph(
        model({"ReLU": {"name": "dw_s"}}, {"SeparableConv2D": {"name": "s", **SEPARABLE}})
    )
    assert [n.name for n in check(graph).nodes[1:]] == ["dw_s", "dw_s_1", "pw_s"]


def test_a_model_without_any_is_unchanged():
    graph = build_graph(model("Flatten", {"Dense": {"units": 2}}))
    result = unfuse_separable(graph)
    assert result.changed == ()
    assert [n.name for n in result.graph.nodes] == [n.name for n in graph.nodes]


def test_both_parts_record_the_layer_they_were_split_from():
    layer = {"SeparableConv2D": {"name": "s", "filters": 2, "kernel_size": 3}}
    taken = {"Conv2D": {"name": "dw_s", "filters": 2, "kernel_size": 1}}
    new = unfuse_separable(build_graph(model(taken, layer))).graph
    found = {node.name: node.split_from for node in new.nodes if node.op != "Input"}
    assert found == {"dw_s": None, "dw_s_1": "s", "pw_s": "s"}
    # Rewriting a half keeps its history; files hold layers only, so that their bytes do not
    # depend on how a model came about.
    again = new.rewrite(lambda node: [node.with_attrs()] if node.name == "pw_s" else None)
    assert again.node("pw_s").split_from == "s"
    assert all(node.split_from is None for node in graph_from_content(*graph_content(new)).nodes)

"""Widths of single layers: which choice counts, what is refused, and what the integers have."""

from collections import Counter
from fnmatch import fnmatchcase

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.chips import convert
from pipeline.config import Calibration, Quantization
from pipeline.config.load import check_layers
from pipeline.errors import IncompatibleModelError
from pipeline.graph.build import make_node
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.quantization.assignment import assign
from pipeline.quantization.quantize import quantize
from pipeline.transforms import TRANSFORMS
from simulator import simulate
from tests.pipeline.quantization.graphs import chain

RNG = np.random.default_rng(3)


def network(*layers, shape=(6, 6, 3)):
    """Return a chain of ``name: op``, with attributes that suit each operation."""
    nodes = [("rescale", "Rescaling"), *layers]
    attrs = {
        "Rescaling": {"scale": 1 / 255},
        "Conv2D": {"filters": 4, "kernel_size": 3, "padding": "same"},
        "DepthwiseConv2D": {"kernel_size": 3, "padding": "same"},
        "SeparableConv2D": {"filters": 4, "kernel_size": 3, "padding": "same"},
        "Dense": {"units": 3},
        "ReLU": {"max_value": 6.0},
    }
    made = chain(*((op, attrs.get(op, {})) for _, op in nodes), shape=shape)
    names = dict(zip([node.name for node in made.nodes[1:]], [n for n, _ in nodes], strict=True))
    renamed = [
        make_node(
            names.get(node.name, node.name),
            node.op,
            [names.get(name, name) for name in node.inputs],
            node.attrs,
            {key: value / 3 for key, value in node.weights.items()},
        )
        for node in made.nodes
    ]
    return Graph("net", renamed, names[made.output])


def mobile(blocks=2):
    """Return a network of depthwise and pointwise layers with batch norms folded away."""
    layers = [("conv", "Conv2D"), ("conv_relu", "ReLU")]
    for number in range(1, blocks + 1):
        for kind, op in (("dw", "DepthwiseConv2D"), ("pw", "Conv2D")):
            name = f"{kind}_{number}"
            layers += [(name, op), (f"{name}_bn", "BatchNormalization"), (f"{name}_relu", "ReLU")]
    return network(*layers, ("gap", "GlobalAveragePooling2D"), ("head", "Dense"))


def options(layers, **others):
    values = {"weight_bits": 4, "activation_bits": 4, "calibration": Calibration(batch_size=10)}
    return Quantization(layers=check_layers(layers, "layers"), **{**values, **others})


def images(graph, count=20):
    return RNG.integers(0, 256, (count, *graph.shapes[graph.input.name]), dtype=np.uint8)


def widths(graph, layers, **others):
    """Return (weight bits, output bits) of every node of the integer model that has one."""
    made = quantize(graph, images(graph), options(layers, **others))
    found = {n.name: (n.bits.get("weights"), n.bits.get("output")) for n in made.nodes}
    return {name: pair for name, pair in found.items() if pair != (None, None)}


def refused(graph, layers, **others):
    with pytest.raises(IncompatibleModelError) as caught:
        quantize(graph, images(graph), options(layers, **others))
    return [str(refusal) for refusal in caught.value.refusals]


PLAIN = {
    "conv": (8, None),
    "conv_relu": (None, 4),
    "dw_1": (4, None),
    "dw_1_relu": (None, 4),
    "pw_1": (4, None),
    "gap": (None, 4),
    "head": (4, None),
}
ALL_2 = {name: (2, None) for name in ("conv", "dw_1", "pw_1", "head")}


@pytest.mark.parametrize(
    ("layers", "changed"),
    [
        ({}, {}),
        ({"dw_1": {"weight_bits": 8}}, {"dw_1": (8, None)}),
        ({"dw_1_bn": {"weight_bits": 8}}, {"dw_1": (8, None)}),
        ({"*": {"weight_bits": 2}}, ALL_2),
        ({"*": {"weight_bits": 2}, "conv": {"weight_bits": None}}, ALL_2),
        ({"DepthwiseConv2D": {"weight_bits": 8}}, {"dw_1": (8, None)}),
        ({"pw_1": {"activation_bits": 8}}, {"gap": (None, 8)}),
        ({"GlobalAveragePooling2D": {"activation_bits": 8}}, {"gap": (None, 8)}),
        ({"dw_1_relu": {"activation_bits": 2}}, {"dw_1_relu": (None, 2)}),
    ],
)
def test_a_choice_changes_the_layers_it_selects(layers, changed):
    assert widths(mobile(1), layers) == {**PLAIN, **changed}


ORDERS = [
    # from least to most specific
    {"Conv2D": 2, "*": 4, "pw*": 8, "pw_?": 2, "pw_1": 4},
    {"*": 2, "pw_[12]": 8, "pw_1": 4},
]


@pytest.mark.parametrize("given_order", [1, -1])
@pytest.mark.parametrize("choices", ORDERS)
def test_the_most_specific_choice_counts_in_any_order(choices, given_order):
    graph = mobile(1)
    keys = list(choices)
    for count in range(1, len(keys) + 1):
        kept = keys[:count][::given_order]
        found = widths(graph, {key: {"weight_bits": choices[key]} for key in kept})
        assert found["pw_1"] == (choices[keys[count - 1]], None)


def test_the_nearest_layer_of_a_block_counts():
    blocks = {"pw_1_bn": 2, "pw_1": 8, "pw_1_relu": 4, "gap": 1}
    graph = mobile(1)
    for count, name in enumerate(blocks, 1):
        kept = dict(list(blocks.items())[:count])
        found = widths(graph, {key: {"activation_bits": bits} for key, bits in kept.items()})
        assert found["gap"] == (None, blocks[name])


def test_equally_specific_choices_must_agree():
    layers = {"dw*1": {"weight_bits": 8}, "d*_1": {"weight_bits": 2}}
    (reason,) = refused(mobile(1), layers)
    assert reason == (
        "dw_1: quantization.layers: weight_bits of 'dw*1' has 8 and 'd*_1' has 2, equally specific;"
        " allowed: one width; give dw_1 its own"
    )
    layers["d*_1"] = {"weight_bits": 8}
    assert widths(mobile(1), layers)["dw_1"] == (8, None)


def test_what_selects_nothing_is_refused_at_once():
    reasons = refused(
        mobile(1),
        {
            "pw_2": {"weight_bits": 8},
            "sep*": {"weight_bits": 8},
            "dw_1_relu": {"weight_bits": 8, "activation_bits": 8},
            "head": {"activation_bits": 8},
            "rescale": {"output_bits": 8},
            "Conv2DTranspose": {"weight_bits": 8},
            "dw*1": {"weight_bits": 8},
            "d*_1": {"weight_bits": 2},
        },
    )
    assert len(reasons) == 6
    assert "no layer is called 'pw_2'" in reasons[0] and "did you mean pw_1" in reasons[0]
    assert "no layer is called 'sep*'" in reasons[1]
    assert "'dw_1_relu' has weight_bits=8, but no such layer has a kernel" in reasons[2]
    assert "'head' has activation_bits=8, but no such layer ends in an activation" in reasons[3]
    assert "'rescale' has output_bits=8" in reasons[4]
    assert "equally specific" in reasons[5]


def test_a_split_layer_keeps_its_name():
    fused = network(
        ("conv", "Conv2D"), ("relu", "ReLU"), ("sep", "SeparableConv2D"), ("relu_2", "ReLU"),
        ("gap", "GlobalAveragePooling2D"), ("head", "Dense"),
    )  # fmt: skip
    split = TRANSFORMS["unfuse_separable"](fused).graph
    bare = Graph("net", [make_node(n.name, n.op, n.inputs, n.attrs, n.weights)
                         for n in split.nodes], split.output)  # fmt: skip
    for graph in (split, bare):  # in memory, and read from a file
        found = widths(graph, {"sep": {"weight_bits": 2, "activation_bits": 8}})
        assert (found["dw_sep"][0], found["pw_sep"][0], found["gap"]) == (2, 2, (None, 8))
        found = widths(graph, {"sep": {"weight_bits": 2}, "dw_sep": {"weight_bits": 8}})
        assert (found["dw_sep"][0], found["pw_sep"][0]) == (8, 2)


def test_layers_that_preparation_adds_are_selected_by_their_own_names():
    source = network(("first", "Conv2D"), ("second", "Conv2D"))
    grown = network(("first", "Conv2D"), ("second", "Conv2D"), ("second_identity_conv", "Conv2D"))
    chosen = options({"*_identity_conv": {"weight_bits": 8}, "first": {"weight_bits": 2}})
    nodes = assign(grown, chosen, source).nodes
    bits = [nodes[name].weight_bits for name in ("first", "second", "second_identity_conv")]
    assert bits == [2, 4, 8]


def test_the_scheme_of_akida_1_takes_weights_and_activations():
    graph = network(
        ("conv", "Conv2D"), ("relu", "ReLU"), ("sep", "SeparableConv2D"), ("relu_2", "ReLU"),
        ("flat", "Flatten"), ("head", "Dense"),
    )  # fmt: skip
    legacy = {"scheme": "cnn2snn"}
    layers = {
        "sep": {"weight_bits": 2},
        "relu*": {"activation_bits": 2},
        "head": {"weight_bits": 8},
    }
    made = quantize(graph, None, options(layers, **legacy))
    bits = {node.name: dict(node.bits) for node in made.nodes if node.bits}
    assert bits["sep"] == {"depthwise_weights": 2, "weights": 2}
    assert bits["relu"]["output"] == bits["relu_2"]["output"] == 2
    assert (bits["conv"]["weights"], bits["head"]["weights"]) == (8, 8)
    (reason,) = refused(graph, {"head": {"output_bits": 8}}, **legacy)
    assert "activation_bits for others" in reason


def test_a_chip_refuses_widths_that_it_lacks():
    graph = mobile(1)
    made = quantize(graph, images(graph), options({"dw_1": {"weight_bits": 2}}))
    program = convert(made, "akida_v2")
    (refusal,) = (r for r in program.exceeded() if r.rule == "weight_bits")
    assert (refusal.layers, refusal.found) == (("dw_1",), "2-bit weights")
    with pytest.raises(IncompatibleModelError, match="dw_1: 2-bit weights; allowed: 4 or 8"):
        convert(made, "akida_v2", strict=True)


def test_refining_keeps_the_widths():
    graph = mobile(1)
    layers = {"dw_1": {"weight_bits": 8}, "gap": {"activation_bits": 8}}
    made = quantize(graph, images(graph, 60), options(layers, refine="layers"))
    node = {n.name: n for n in made.nodes}
    assert (node["dw_1"].bits["weights"], node["gap"].bits["output"]) == (8, 8)
    assert np.abs(node["dw_1"].registers["kernel"]).max() > 7
    assert np.abs(node["pw_1"].registers["kernel"]).max() <= 7


@st.composite
def cases(draw):
    """Draw a network and choices: names, patterns and types, with random widths."""
    blocks = draw(st.integers(1, 3))
    names = [node.name for node in mobile(blocks).nodes[1:]]
    stems = st.sampled_from(
        ["*", "pw_*", "dw_*", "*_1", "*_relu", "?w_1", "[dp]w_?", "*_bn", "pw*1"]
    )
    keys = st.one_of(
        st.sampled_from(names), stems, st.sampled_from(["Conv2D", "DepthwiseConv2D", "ReLU"])
    )
    entry = st.one_of(
        st.fixed_dictionaries({"weight_bits": st.sampled_from([2, 4, 8])}),
        st.fixed_dictionaries({"activation_bits": st.sampled_from([1, 2, 4, 8])}),
    )
    return blocks, draw(st.dictionaries(keys, entry, max_size=6))


def expected(graph, layers, node, key):
    """Return the widths of highest rank, one unless they conflict: the rule stated again."""
    types = {n.name: n.op for n in graph.nodes}
    last = max(name for name in types if name.startswith("pw_") and name.count("_") == 1)
    before = {"gap": f"{last}_relu", f"{last}_relu": last}
    distances = {node: 0}
    while key == "activation_bits" and node.endswith(("relu", "gap")):
        node = before.get(node, node.removesuffix("_relu"))
        distances[node] = len(distances)
    distances |= {f"{name}_bn": d + 0.5 for name, d in distances.items() if f"{name}_bn" in types}
    ranked = {}
    for pattern, entry in layers.items():
        for name, distance in distances.items():
            if key not in entry:
                continue
            if pattern in types:
                rank = (2, 0) if name == pattern else None
            elif pattern.isalnum():
                rank = (0, 0) if types[name] == pattern else None
            else:
                literals = sum(c not in "*?" for c in pattern.replace("[dp]", ""))
                rank = (1, literals) if fnmatchcase(name, pattern) else None
            if rank is not None:
                ranked.setdefault((*rank, -distance), {})[pattern] = entry[key]
    whole = {8 if node == "conv" and key == "weight_bits" else 4}
    if not ranked:
        return whole
    nearest = {}
    for rank in sorted(ranked):  # a pattern ranks by its nearest layer
        nearest |= dict.fromkeys(ranked[rank], rank)
    best = max(nearest.values())
    return {layers[pattern][key] for pattern, rank in nearest.items() if rank == best}


def test_random_choices_follow_the_rule():
    seen = Counter()

    @settings(max_examples=120, derandomize=True)
    @given(cases())
    def run(case):
        blocks, layers = case
        graph = mobile(blocks)
        try:
            found = widths(graph, layers)
        except IncompatibleModelError as error:
            reasons = [str(refusal) for refusal in error.refusals]
            equal = [r for r in reasons if "equally specific" in r]
            seen["conflict" if equal else "unused"] += 1
            assert equal or all("no such layer" in r or "no layer" in r for r in reasons)
            return
        seen["assigned"] += 1
        for name, (weights, output) in found.items():
            if weights is not None:
                assert {weights} == expected(graph, layers, name, "weight_bits")
                seen[f"weights {weights}"] += 1
            if output is not None:
                assert {output} == expected(graph, layers, name, "activation_bits")
                seen[f"outputs {output}"] += 1

    run()
    assert seen["assigned"] > 50 and seen["unused"] > 10 and seen["conflict"] > 0, seen
    assert all(seen[f"weights {bits}"] > 10 for bits in (2, 4, 8)), seen
    assert all(seen[f"outputs {bits}"] > 10 for bits in (1, 2, 4, 8)), seen


@pytest.mark.parametrize("bits", [(2, 8), (8, 2), (4, 4)])
def test_programs_of_mixed_widths_run(bits):
    graph = mobile(2)
    layers = {"dw_*": {"weight_bits": bits[0]}, "pw_*": {"weight_bits": bits[1]}}
    batch = images(graph)
    made = quantize(graph, batch, options(layers, activation_bits=8))
    program = convert(made, "akida_v2")
    reference = simulate(program, batch, backend="reference")
    np.testing.assert_array_equal(simulate(program, batch, backend="numpy"), reference)
    assert reference.shape == forward(graph, batch).shape

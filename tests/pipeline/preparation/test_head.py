import pytest

from pipeline.preparation.head import cut_head
from tests.pipeline.graph.chains import chain
from tests.pipeline.quantization import graphs

DENSE = ("Dense", {"units": 5})
SOFTMAX = ("Softmax", {})


@pytest.mark.parametrize(
    "tail, ops",
    [
        ([SOFTMAX], ["Input", "Dense"]),
        ([("Activation", {"activation": "sigmoid"})], ["Input", "Dense"]),
        ([SOFTMAX, ("Reshape", {"target_shape": (1, 5)})], ["Input", "Dense", "Reshape"]),
        (
            [("Reshape", {"target_shape": (1, 1, 5)}), SOFTMAX, ("Flatten", {})],
            ["Input", "Dense", "Reshape", "Flatten"],
        ),
        ([("ReLU", {})], ["Input", "Dense", "ReLU"]),
    ],
)
def test_only_a_final_softmax_or_sigmoid_is_cut_off(tail, ops):
    graph, notes = cut_head(chain((7,), DENSE, *tail))
    assert [node.op for node in graph.nodes] == ops
    assert len(notes) == 2 + len(tail) - len(ops)
    assert graph.output == graph.nodes[-1].name


def test_a_softmax_over_pixels_that_are_flattened_stays():
    graph = chain((4, 4, 3), SOFTMAX, ("Flatten", {}))
    assert cut_head(graph) == (graph, [])


SIGMOID = ("Activation", {"activation": "sigmoid"})


@pytest.mark.parametrize(
    ("layers", "ends", "cut", "count"),
    [
        # a box and a class, each with an activation of its own
        (
            [DENSE, SIGMOID, ("Dense", {"units": 3}, ("dense_1",)), SOFTMAX],
            ("activation_2", "softmax_4"),
            ("dense_1", "dense_3"),
            2,
        ),
        (
            [DENSE, SIGMOID, ("Reshape", {"target_shape": (1, 5)}), ("ReLU", {}, ("dense_1",))],
            ("reshape_3", "relu_4"),
            ("reshape_3", "relu_4"),
            1,
        ),
        # read by another layer, or beside the logits that it reads
        ([DENSE, SIGMOID, ("Dense", {"units": 3})], ("activation_2", "dense_3"), None, 0),
        ([DENSE, SIGMOID], ("dense_1", "activation_2"), None, 0),
    ],
)
def test_final_activations_of_several_outputs_are_cut_off(layers, ends, cut, count):
    given = graphs.chain(*layers, shape=(7,), dtype="float32").ended(ends)
    graph, notes = cut_head(given)
    assert [node.name for node in graph.ends] == list(cut or ends)
    assert len(notes) == count and (count or graph is given)
    assert len(graph.nodes) == len(given.nodes) - count

import pytest

from pipeline.preparation.head import cut_head
from tests.pipeline.graph.chains import chain

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

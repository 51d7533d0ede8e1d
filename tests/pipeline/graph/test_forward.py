import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.graph.forward import forward
from tests.pipeline.graph.chains import chain, normal


def test_probe_sees_every_node_of_every_batch():
    graph = chain((4, 4, 1), ("Conv2D", {"filters": 2, "kernel_size": 3}), ("Flatten", {}))
    seen = []
    y = forward(
        graph, normal(5, 4, 4, 1), batch_size=2, probe=lambda *a: seen.append((a[0], a[1].shape))
    )
    assert y.shape == (5, 8)
    assert seen[:3] == [("input", (2, 4, 4, 1)), ("n0", (2, 2, 2, 2)), ("n1", (2, 8))]
    assert [shape[0] for name, shape in seen if name == "n1"] == [2, 2, 1]
    assert forward(graph, normal(0, 4, 4, 1)).shape == (0, 8)


def test_output_need_not_be_the_last_node():
    graph = chain((4, 4, 1), ("Flatten", {}), ("Dense", {"units": 3}))
    assert forward(graph.with_nodes(graph.nodes, "n0"), normal(2, 4, 4, 1)).shape == (2, 16)


def test_images_of_another_shape_or_type_are_refused():
    graph = chain((4, 4, 1), ("Flatten", {}))
    with pytest.raises(DataError, match=r"\(2, 4, 4\); its input takes \(n, 4, 4, 1\)"):
        forward(graph, normal(2, 4, 4))
    with pytest.raises(DataError, match="of type <U1"):
        forward(graph, np.full((1, 4, 4, 1), "a"))
    with pytest.raises(DataError, match="3 images cannot be divided among 2 streams"):
        forward(graph, normal(3, 4, 4, 1), streams=2)

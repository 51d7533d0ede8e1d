import numpy as np
import pytest

from pipeline.graph.forward import forward
from tests.pipeline.graph.chains import chain, normal


@pytest.mark.parametrize("op", ["BufferTempConv", "DepthwiseBufferTempConv"])
@pytest.mark.parametrize("streams", [1, 2])
def test_buffers_hold_the_last_images_of_each_stream(op, streams):
    attrs = {"fifo_size": 3} | ({"filters": 2} if op == "BufferTempConv" else {})
    graph = chain((2, 1, 2), (op, attrs))
    weights, x = graph.nodes[-1].weights, normal(8, 2, 1, 2)
    expected = []
    buffers = {stream: [np.zeros((2, 1, 2))] * 3 for stream in range(streams)}
    for number, image in enumerate(x):
        fifo = buffers[number % streams] = [*buffers[number % streams][1:], image]
        if op == "BufferTempConv":
            y = np.concatenate(fifo, -1) @ weights["kernel"][0, 0]
        else:
            y = sum(old * k for old, k in zip(fifo, weights["kernel"], strict=True))
        expected.append(y + weights["bias"])
    for batch_size in (1, 3, 8):
        y = forward(graph, x, batch_size=batch_size, streams=streams)
        np.testing.assert_allclose(y, expected, atol=1e-5)

from dataclasses import replace

import numpy as np
import pytest

from pipeline.config.sections import Calibration, Quantization
from pipeline.errors import DataError, ModelError
from pipeline.graph.forward import forward
from pipeline.messages.notes import texts
from pipeline.quantization.assignment import assign
from pipeline.quantization.calibration import calibrate
from tests.pipeline.quantization.graphs import RELU, chain, conv

GRAPH = chain(conv(4), RELU, ("Flatten", {}), ("Dense", {"units": 5}))
IMAGES = np.random.default_rng(0).integers(0, 256, (10, 6, 6, 3), dtype=np.uint8)
SMALL_BATCHES = Quantization(calibration=Calibration(batch_size=4))


def calibrated(graph=GRAPH, images=IMAGES, options=SMALL_BATCHES, **keywords):
    return calibrate(graph, assign(graph, options), images, options, **keywords)


def relu_maxima(images):
    values = {}
    forward(GRAPH, images, probe=lambda name, value: values.setdefault(name, value))
    return values["relu_2"].max(axis=(0, 1, 2))


def test_ranges_are_the_moving_average_over_batches_in_order():
    options = replace(SMALL_BATCHES, equalize=False)
    output = calibrated(options=options).nodes["relu_2"].output
    state = relu_maxima(IMAGES[:4])
    for batch in (IMAGES[4:8], IMAGES[8:]):
        state = state - (state - relu_maxima(batch)) * np.float32(1 - 0.9)
    np.testing.assert_array_equal(output.range_max, state)
    np.testing.assert_array_equal(output.rescaling_rate, np.ones(4))


def test_max_does_not_depend_on_batches():
    options = replace(SMALL_BATCHES, equalize=False, observer="max")
    output = calibrated(options=options).nodes["relu_2"].output
    np.testing.assert_array_equal(output.range_max, relu_maxima(IMAGES))


def test_epochs_repeat_the_batches():
    once = replace(SMALL_BATCHES, equalize=False)
    twice = replace(once, calibration=Calibration(batch_size=4, epochs=2))
    again = calibrated(images=np.concatenate([IMAGES[:8], IMAGES[:8]]), options=once)
    result = calibrated(images=IMAGES[:8], options=twice)
    np.testing.assert_array_equal(
        result.nodes["relu_2"].output.range_max, again.nodes["relu_2"].output.range_max
    )


def test_equalization_reaches_the_dense_kernel():
    result = calibrated()
    rate = result.nodes["relu_2"].output.rescaling_rate
    assert ((rate > 0.49) & (rate < 1)).all()
    before, after = (g.node("dense_4").weights["kernel"] for g in (GRAPH, result.graph))
    np.testing.assert_array_equal(after.reshape(36, 4, 5), before.reshape(36, 4, 5) / rate[:, None])


def test_every_computing_node_has_an_entry():
    result = calibrated()
    assert set(result.nodes) == {"conv2d_1", "relu_2", "dense_4"}
    assert result.nodes["conv2d_1"].output is None
    assert result.input is None
    assert not result.flatten_saturates
    assert calibrated(options=replace(SMALL_BATCHES, flatten="saturate")).flatten_saturates


def test_progress_counts_batches():
    seen = []
    calibrated(progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_dead_channels_are_noted():
    conv_node = GRAPH.node("conv2d_1")
    bias = np.float32([-1e5, 0, -1e5, 0])
    dead = conv_node.with_weights(bias=bias)
    graph = GRAPH.with_nodes(dead if n is conv_node else n for n in GRAPH.nodes)
    result = calibrated(graph)
    assert texts(result.notes) == ("relu_2: 2 of 4 channels are 0 for every calibration sample",)
    assert np.isfinite(result.graph.node("dense_4").weights["kernel"]).all()


def test_overflow_is_refused():
    node = GRAPH.node("conv2d_1")
    broken = node.with_weights(bias=np.full(4, np.nan, np.float32))
    graph = GRAPH.with_nodes(broken if n is node else n for n in GRAPH.nodes)
    with pytest.raises(ModelError, match=r"relu_2: .*not a number"):
        calibrated(graph)


def test_float_images_get_ranges_and_a_zero_point():
    graph = chain(conv(4), RELU, conv(4), dtype="float32")
    images = np.random.default_rng(0).uniform(-1, 2, (8, 6, 6, 3)).astype(np.float32)
    images[..., 2] = np.abs(images[..., 2])
    options = replace(SMALL_BATCHES, observer="max")
    result = calibrated(graph, images, options)
    lowest = images.min(axis=(0, 1, 2))
    np.testing.assert_array_equal(result.input.range_max, images.max(axis=(0, 1, 2)))
    np.testing.assert_array_equal(result.input.range_min, np.minimum(lowest, 0))
    assert result.input.range_min[2] == 0 and not result.input.signed
    np.testing.assert_array_equal(result.nodes["conv2d_1"].padding_value, -np.minimum(lowest, 0))
    assert result.nodes["conv2d_3"].padding_value is None


def test_padding_values_of_the_graph_are_kept():
    graph = chain(("Rescaling", {"scale": 1 / 127.5}), conv(4, padding_value=(1.0,)), RELU, conv(2))
    result = calibrated(graph)
    np.testing.assert_array_equal(result.nodes["conv2d_2"].padding_value, np.float32([1]))


def test_frames_of_temporal_models_fill_their_batches():
    layer = ("BufferTempConv", {"filters": 2, "fifo_size": 3})
    graph = chain(layer, RELU, conv(2))
    message = r"found 10 frames in batches of 4; .*buffertempconv_1.*batch_size=1 .*samples=8"
    with pytest.raises(DataError, match=message):
        calibrated(graph)
    # four videos of two frames: the second batch sees the first
    result = calibrated(graph, IMAGES[:8])
    assert (result.nodes["relu_2"].output.range_max >= 0).all()


@pytest.mark.parametrize("batch_size", [1, 5])
def test_ranges_of_a_temporal_model_depend_on_the_frames_before(batch_size):
    temporal = {"filters": 4, "fifo_size": 3}
    graph = chain(("BufferTempConv", temporal), ("ReLU", {}), conv(2))
    calibration = Calibration(batch_size=batch_size)
    options = replace(SMALL_BATCHES, equalize=False, observer="max", calibration=calibration)
    found = calibrated(graph, options=options).nodes["relu_2"].output.range_max
    values = []
    forward(
        graph, IMAGES, batch_size=batch_size, streams=batch_size,
        probe=lambda name, value: values.append(value) if name == "relu_2" else None,
    )  # fmt: skip
    expected = np.concatenate(values).max(axis=(0, 1, 2))
    np.testing.assert_array_equal(found, expected)
    alone = np.concatenate([forward(graph, image[None]) for image in IMAGES])
    assert not np.array_equal(alone, forward(graph, IMAGES))

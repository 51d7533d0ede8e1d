"""Models that remember frames are refined on videos, with the emulator's integers."""

from functools import partial

import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.config import Calibration, Quantization
from pipeline.graph.forward import forward
from pipeline.preparation import prepare
from pipeline.quantization.assignment import assign
from pipeline.quantization.quantize import quantize
from pipeline.quantization.refine import frontier
from pipeline.quantization.refine.frames import Frames, by_video, reach, remembered
from pipeline.quantization.refine.frontier import Frontier, run_step
from pipeline.quantization.refine.quality import outputs
from pipeline.quantization.refine.steps import steps
from simulator import simulate
from tests.pipeline.quantization.graphs import chain, conv
from tests.pipeline.quantization.refine.test_refine import note, pictures, registers

RELU, GAP = ("ReLU", {}), ("GlobalAveragePooling2D", {})
OVER_TIME = ("BufferTempConv", {"filters": 6, "fifo_size": 3})
BY_CHANNEL = ("DepthwiseBufferTempConv", {"fifo_size": 4})
NETS = {
    "first": [OVER_TIME, RELU, conv(4), RELU],
    "later": [conv(5, strides=2), RELU, OVER_TIME, RELU, conv(4, 1), RELU],
    "by channel": [conv(5), RELU, BY_CHANNEL, RELU, conv(4, 1), RELU],
    "two": [conv(5), RELU, BY_CHANNEL, RELU, conv(4), RELU, OVER_TIME, RELU],
}


def net(name, seed=0):
    return chain(*NETS[name], GAP, ("Dense", {"units": 5}), shape=(8, 8, 3), seed=seed)


def options(videos, refine="layers", **widths):
    calibration = Calibration(batch_size=videos)
    return Quantization(**widths, refine=refine, calibration=calibration)


def videos(frames, count, seed=0):
    """Return interleaved frames of videos in which neighbours resemble each other."""
    ends = pictures(2 * count, seed).astype(float).reshape(2, count, 8, 8, 3)
    parts = np.linspace(0, 1, frames)[:, None, None, None, None]
    return (ends[0] * (1 - parts) + ends[1] * parts).astype(np.uint8).reshape(-1, 8, 8, 3)


def test_frames_are_those_of_one_video_and_never_later_ones():
    interleaved = np.arange(12)[:, None, None, None]
    given = by_video(interleaved, 3)
    np.testing.assert_array_equal(given.images.ravel(), [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11])
    windows = remembered(given.images + 1, 3, given.ages).reshape(12, 3)
    expected = [
        [interleaved[i - back].item() + 1 if i - back >= 0 else 0 for back in (6, 3, 0)]
        for video in range(3)
        for i in range(video, 12, 3)
    ]
    np.testing.assert_array_equal(windows, expected)
    fit, held = given.split(6)
    np.testing.assert_array_equal(fit.ages, [0, 1, 2, 3, 0, 1])
    np.testing.assert_array_equal(held.ages, [0, 1, 0, 1, 2, 3])


@pytest.mark.parametrize("per_tensor", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_equal_to_the_emulator_however_frames_are_cut(name, per_tensor, monkeypatch):
    graph, samples = net(name), videos(10, 4)
    given = options(4, "none", per_tensor_activations=per_tensor, activation_bits=4)
    quantized, ordered = quantize(graph, samples, given), by_video(samples, 4)
    expected = simulate(convert(quantized, "akida_v2"), ordered.images, reset_every=10)
    for size in (40, 7):
        monkeypatch.setattr("pipeline.quantization.refine.quality.image_batch", lambda _, n=size: n)
        found = outputs(prepare(graph)[0], quantized, ordered)
        np.testing.assert_array_equal(found, expected.reshape(found.shape))
    assert np.ptp(expected) > 0


def noise(graph, quantized, frames, count):
    wanted = forward(prepare(graph)[0], frames, streams=count)
    ordered = by_video(wanted, count).images.reshape(len(frames), -1)
    found = outputs(graph, quantized, by_video(frames, count))
    return np.square(found - ordered).mean() / ordered.var(axis=0).mean()


@pytest.mark.parametrize(("frames", "count"), [(25, 8), (120, 1)])
@pytest.mark.parametrize("name", NETS)
def test_refined_on_videos_and_closer_on_others(name, frames, count):
    graph, samples, tests = net(name), videos(frames, count), videos(20, 10, seed=1)
    widths = {"weight_bits": 4, "activation_bits": 4}
    plain = quantize(graph, samples, options(count, "none", **widths))
    refined = quantize(graph, samples, options(count, **widths))
    assert note(refined).startswith("refined on")
    assert noise(graph, refined, tests, 10) < 0.8 * noise(graph, plain, tests, 10)
    temporal = [key for key in registers(plain) if "buffertempconv" in key and "kernel" in key]
    assert all((registers(plain)[key] != registers(refined)[key]).any() for key in temporal)


@pytest.mark.parametrize("name", ["later", "two"])
def test_memory_is_bounded_without_changing_what_a_layer_remembers(name, monkeypatch):
    """Frames that are computed again read those before them, wherever a batch begins."""
    graph, samples = net(name), videos(25, 4)
    counts = []
    prepare_step = Frontier.prepare

    def watched(self, step):
        prepare_step(self, step)
        counts.append(self.count)

    monkeypatch.setattr(Frontier, "prepare", watched)
    monkeypatch.setattr(frontier, "image_batch", lambda graph: 7)
    quantize(graph, samples, options(4))
    whole, counts[:] = tuple(counts), []
    monkeypatch.setattr(frontier, "MEMORY", 60_000)
    bounded = quantize(graph, samples, options(4))
    assert set(whole[::2]) == {80} and min(counts[::2]) < 80 == counts[-2]
    assert note(bounded).startswith("refined on 80 images")


def test_frames_brought_up_again_are_the_same(monkeypatch):
    graph = prepare(net("two"))[0]
    given = by_video(videos(25, 4), 4)
    monkeypatch.setattr(frontier, "image_batch", lambda graph: 7)
    whole, again = Frontier(graph, given), Frontier(graph, given)
    *most, last = steps(graph, assign(graph, options(4)).nodes)
    for step in most:
        forward_floats = partial(run_step, step) if step[0].inputs else None
        for each in (whole, again):
            each.advance(step, forward_floats)
    again._regrow(100)
    for each in (whole, again):
        each.advance(last, partial(run_step, last))
    name = last[-1].name
    np.testing.assert_array_equal(again.floats[name], whole.floats[name])
    wanted = by_video(forward(graph, videos(25, 4), streams=4), 4).images
    np.testing.assert_allclose(again.floats[name], wanted, rtol=1e-3, atol=1e-2)
    assert reach(graph) == 5


def test_images_without_a_memory_keep_no_ages():
    assert Frames(np.zeros((3, 2))).split(1)[1].ages is None

"""Random chains of layers: verdicts keep what they promise."""

import numpy as np
import pytest

from pipeline.chips import known_targets
from pipeline.chips.check import check, repaired
from pipeline.errors import ModelError
from pipeline.graph.forward import forward
from pipeline.preparation.verification import random_images
from tests.pipeline.chips.models import FIX, NO, YES, conv
from tests.pipeline.chips.test_verdicts import refusals
from tests.pipeline.graph.chains import chain

START = [conv(), ("ReLU", {"max_value": 6.0})]
ACTIVATIONS = ("swish", "tanh", "softmax", "linear", "relu")


def layer(rng, rank):
    """Return a random layer for a map or a vector, with more or less sensible attributes."""

    def one(*values):
        return values[rng.integers(len(values))]

    window = {
        "kernel_size": one(1, 3, 3, 2, 5, (1, 3), (3, 2)),
        "padding": one("same", "same", "valid"),
        "strides": one(1, 1, 1, 2),
    }
    multiplier = {"depth_multiplier": one(1, 1, 2)}
    pool = {"padding": window["padding"]}
    vector = [
        ("Dense", {"units": 4}),
        ("ReLU", {}),
        ("BatchNormalization", {}),
        ("Dropout", {}),
        ("Softmax", {}),
        ("Reshape", {"target_shape": (1, 1, -1)}),
    ]
    image = [
        ("Conv2D", {"filters": 4, **window}),
        ("Conv2D", {"filters": 4, **window, "strides": one(1, (1, 2)), "groups": one(1, 2)}),
        ("Conv2D", {"filters": 4, **window, "strides": 1, "dilation_rate": one(1, 2)}),
        ("SeparableConv2D", {"filters": 4, **window, **multiplier}),
        ("DepthwiseConv2D", {**window, **multiplier}),
        ("ReLU", {"max_value": one(None, 6.0)}),
        ("ReLU", {}),
        ("BatchNormalization", {}),
        ("MaxPooling2D", {"pool_size": one(2, 2, 3, (2, 1)), **pool}),
        ("AveragePooling2D", {"pool_size": one(2, 3, 8), **pool}),
        ("GlobalAveragePooling2D", {"keepdims": one(False, True)}),
        ("Flatten", {}),
        ("Dense", {"units": 4}),
        ("Activation", {"activation": one(*ACTIVATIONS)}),
    ]
    return one(*(image if rank == 3 else vector))


def random_model(seed):
    rng = np.random.default_rng(seed)
    layers = list(START)
    if rng.random() < 0.4:
        scale = 1 / 255 if rng.random() < 0.7 else (0.1, 0.2, 0.3)
        layers.insert(0, ("Rescaling", {"scale": scale, "offset": float(rng.integers(-1, 1))}))
    graph = chain((8, 8, 3), *layers, dtype="uint8")
    for _ in range(rng.integers(1, 8)):
        new = layer(rng, len(graph.shapes[graph.output]))
        try:
            longer = chain((8, 8, 3), *layers, new, dtype="uint8", seed=seed)
            assert longer.shapes
        except ModelError:
            continue  # a window larger than its map
        layers.append(new)
        graph = longer
    return graph


@pytest.mark.parametrize("target", known_targets())
@pytest.mark.parametrize("seed", range(60))
def test_verdicts_keep_what_they_promise(seed, target):
    model = random_model(seed)
    report, (fixed, _) = check(model, target), repaired(model, target)
    again = check(fixed, target)
    assert (report.verdict == NO) == (again.verdict != YES)
    assert (report.verdict == FIX) == (again.verdict == YES and bool(report.conversion))
    assert bool(report.reasons()) == (report.verdict == NO)
    images = random_images(model)
    before, after = forward(model, images), forward(fixed, images)
    # Sums in another order: a few float32 roundings of the largest term.
    error = np.abs(after.reshape(before.shape) - before).max()
    assert error <= 1e-4 * max(np.abs(before).max(), 1e-6)
    if again.verdict == YES and again.fits_chip:
        found = refusals(fixed, target)
        # Registers depend on the integers, which a float model does not show.
        assert [line for line in found if "register" not in line] == []

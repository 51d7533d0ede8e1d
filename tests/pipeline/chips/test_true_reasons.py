"""A layer that cannot be folded is refused with the name of the layer that prevents it."""

import numpy as np
import pytest

from pipeline.chips.check import check
from pipeline.chips.chip import known_targets
from tests.pipeline.chips.models import BN, FLAT, RELU, conv, dense, image

PAD = ("ZeroPadding2D", {"padding": ((1, 1), (1, 1))})
POOL = ("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "valid"})


def found(model, target):
    return {(v.layers[0], v.rule): v.found for v in check(model, target).conversion}


@pytest.mark.parametrize("target", known_targets())
def test_a_padding_that_is_not_same(target):
    # As in the stem of ResNet50: (1, 1) on an even map, where 'same' pads (0, 1).
    reasons = found(image(conv(), RELU, PAD, POOL, conv(), RELU, FLAT, dense()), target)
    assert reasons["n4", "zero_padding"] == "padding ((1,1),(1,1)) before n5, 3x3 of stride 2x2"
    rest = {rule: text for (name, rule), text in reasons.items() if name == "n5"}
    assert rest and set(rest.values()) == {"after n4 (ZeroPadding2D)"}


@pytest.mark.parametrize("target", known_targets())
def test_a_constant_before_a_border(target):
    model = image(conv(), BN, RELU, conv(), RELU, FLAT, dense())
    gamma, beta = np.float32([1, 0, 1, 0]), np.float32([1, 2, 3, -4])
    norm = model.node("n3").with_weights(gamma=gamma, beta=beta)
    model = model.with_nodes(norm if node.name == "n3" else node for node in model.nodes)
    reasons = found(model, target)
    assert reasons["n3", "batchnorm_position"] == (
        "has gamma 0 and a beta beyond 0.05 in 2 of its channels, which reach n5 (Conv2D), which"
        " pads its border with zeros instead"
    )
    assert {text for (name, _), text in reasons.items() if name == "n4"} == {
        "after n3 (BatchNormalization)"
    }

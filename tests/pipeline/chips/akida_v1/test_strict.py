"""``target.strict`` turns violations of Akida 1.0's limits into errors."""

import pytest

from pipeline.chips import convert
from pipeline.errors import IncompatibleModelError
from tests.pipeline.chips.quantized_models import (
    FLATTEN,
    MAXPOOL,
    RELU,
    SCALED,
    UNIT,
    conv,
    dense,
    quantized,
)

BASE = [conv(4), RELU, FLATTEN, dense()]


@pytest.mark.parametrize("scheme", ["cnn2snn", "quantizeml"])
def test_strict_makes_limits_errors(scheme):
    layers = [UNIT, conv(4, 4), MAXPOOL, RELU, conv(3, padding="valid"), RELU, FLATTEN, dense()]
    model = quantized(layers, scheme, shape=(8, 8, 3))
    limits = list(convert(model, "akida_v1").limits())
    names = {line.partition(":")[0] for line in limits}
    assert {"conv2d_5"} <= names
    with pytest.raises(IncompatibleModelError, match="fit the limits of akida_v1") as caught:
        convert(model, "akida_v1", strict=True)
    assert caught.value.reasons == limits


def test_strict_accepts_a_model_within_limits():
    assert convert(quantized([SCALED, *BASE], "cnn2snn"), "akida_v1", strict=True)

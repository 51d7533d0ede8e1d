"""Models of integer images that no Rescaling turns into floats, in Keras and QuantizeML."""

import numpy as np
import pytest

from conformance.parity import parity_options
from pipeline.graph.forward import forward
from pipeline.quantization.quantize import quantize
from tests.pipeline.quantization.graphs import RELU, chain, conv

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
POOL, FLATTEN, DENSE = ("MaxPooling2D", {}), ("Flatten", {}), ("Dense", {"units": 4})
FORMS = {
    "convolution": [conv(4), RELU, FLATTEN, DENSE],
    "pooling": [POOL, conv(4), RELU, FLATTEN, DENSE],
    "rescaled": [("Rescaling", {"scale": 1 / 255}), conv(4), RELU, FLATTEN, DENSE],
}


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("form", FORMS)
def test_keras_and_quantizeml_take_integer_images(form, dtype):
    pytest.importorskip("quantizeml")
    from conformance import quantizeml_model

    graph = chain(*FORMS[form], dtype=dtype)
    limits = np.iinfo(dtype)
    images = np.random.default_rng(0).integers(limits.min, limits.max + 1, (24, 6, 6, 3), dtype)
    model = quantizeml_model.to_tf_keras(graph)
    wanted = forward(graph, images)
    np.testing.assert_allclose(model.predict(images, verbose=0), wanted, rtol=1e-4, atol=1e-3)
    if form == "pooling" or dtype == "int8":
        return  # QuantizeML starts with a layer that has a kernel, on uint8 images
    options = parity_options((8, 4, 4))
    theirs = quantizeml_model.registers(quantizeml_model.quantize(graph, images, options))
    for node in quantize(graph, images, options).nodes:
        for key in {"kernel", "bias", "output_shift"} & node.registers.keys():
            np.testing.assert_array_equal(node.registers[key], theirs[node.name][key], node.name)

"""The training graph computes what the emulator computes from the exported registers."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.config import Calibration, Quantization
from pipeline.quantization.quantize import quantize
from pipeline.quantization.refine.integer_forward import run_node, run_nodes
from pipeline.quiet_tensorflow import quiet_tensorflow
from simulator import simulate
from tests.pipeline.quantization.graphs import RELU, chain, conv
from tests.pipeline.quantization.refine.test_integer_forward import DENSE, GAP, HALF, NETS, POOL

pytestmark = pytest.mark.slow
SEPARABLE = ("SeparableConv2D", {"filters": 6, "kernel_size": 3, "padding": "same"})
V2 = {
    **NETS,
    "separable": [HALF, conv(6), RELU, SEPARABLE, GAP, DENSE],
    "outputs": [
        conv(4),
        RELU,
        conv(3),
        (*conv(2, 1), ("relu_2",)),
        ("Outputs", {}, ("conv2d_3", "conv2d_4")),
    ],
    "strides": [HALF, conv(6, strides=(2, 1)), RELU, conv(5, strides=(1, 2)), ("ReLU", {})],
}
POOLED = [conv(6), ("MaxPooling2D", {"pool_size": 2, "padding": "same"}), RELU]
V1 = {
    "dense": [HALF, conv(6), RELU, conv(5, strides=2), RELU, ("Flatten", {}), DENSE],
    "separable": [*POOLED, SEPARABLE, RELU, SEPARABLE, GAP, RELU, DENSE],
    "average": [conv(6), RELU, conv(4), GAP],
    "alone": [HALF, conv(5)],
}
IMAGES = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)


def model(quantized):
    with quiet_tensorflow():
        import tensorflow  # noqa: F401
    from pipeline.training.registers.cnn2snn import Cnn2snnModel
    from pipeline.training.registers.quantizeml import QuantizemlModel

    return (Cnn2snnModel if quantized.scheme == "cnn2snn" else QuantizemlModel)(quantized)


def outputs(trained, images):
    """Return the training graph's outputs."""
    x = run_node(trained.entry, images) if trained.entry.op == "Quantizer" else images
    return trained.outputs(np.asarray(x, np.float32)).numpy()


def emulated(graph, images, target):
    if any(node.op == "SeparableConv2D" for node in graph.nodes) and target == "akida_v2":
        image, *nodes = graph.nodes  # fused only in QuantizeML
        return run_nodes(nodes, {image.name: images})[graph.output]
    return simulate(convert(graph, target), images)


def moved(trained, seed):
    """Move every latent as a long training would."""
    rng = np.random.default_rng(seed)
    for latent in trained.latents.values():
        size = 0.3 if latent.pace < 0.2 else 0.7
        latent.variable.assign_add(size * rng.normal(size=latent.variable.shape))
        latent.settle()


def registers(graph):
    return {
        f"{node.name}/{key}": value for node in graph.nodes for key, value in node.registers.items()
    }


def check(quantized, images, target):
    """Compare all outputs before and after the latents moved, and the registers before."""
    trained = model(quantized)
    assert registers(quantized).keys() <= registers(trained.exported()).keys()
    if quantized.scheme == "cnn2snn":
        assert_equal_layers(convert(quantized, target), convert(trained.exported(), target))
    else:
        for key, value in registers(trained.exported()).items():
            np.testing.assert_array_equal(value, registers(quantized)[key], err_msg=key)
    moved(trained, 1)
    exported = trained.exported()
    changed = registers(exported)
    assert sum(not np.array_equal(changed[k], v) for k, v in registers(quantized).items()) >= 3
    for graph, found in ((exported, outputs(trained, images)), (quantized, None)):
        found = outputs(model(graph), images) if found is None else found
        expected = emulated(graph, images, target)
        assert np.ptp(expected) > 0
        np.testing.assert_array_equal(found.reshape(expected.shape), expected)


def assert_equal_layers(first, second):
    for a, b in zip(first.layers, second.layers, strict=True):
        for name, value in vars(a).items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(value, getattr(b, name), err_msg=f"{a.name} {name}")


@pytest.mark.parametrize("name", V2)
@pytest.mark.parametrize(("bits", "dtype"), [(2, "uint8"), (4, "float32"), (8, "uint8")])
def test_on_akida_v2(name, bits, dtype):
    graph = chain(*V2[name], shape=(8, 8, 3), dtype=dtype, seed=bits)
    images = IMAGES if dtype == "uint8" else IMAGES.astype(dtype) / 100 - 1
    options = Quantization(
        weight_bits=bits,
        activation_bits=max(bits, 4),
        per_tensor_activations=name == "joined",
        calibration=Calibration(batch_size=10),
    )
    check(quantize(graph, images, options), images, "akida_v2")


def test_where_channels_saturate_before_a_flatten():
    graph = chain(*NETS["flatten"], shape=(8, 8, 3))
    options = Quantization(weight_bits=4, activation_bits=4, flatten="saturate")
    options = replace(options, calibration=Calibration(batch_size=10))
    check(quantize(graph, IMAGES, options), IMAGES, "akida_v2")


@pytest.mark.parametrize("name", V1)
@pytest.mark.parametrize(("bits", "activation_bits"), [(2, 4), (4, 4), (4, 2), (8, 1)])
def test_on_akida_v1(name, bits, activation_bits):
    graph = chain(*V1[name], shape=(8, 8, 3), seed=bits)
    options = Quantization(scheme="cnn2snn", weight_bits=bits, activation_bits=activation_bits)
    check(quantize(graph, IMAGES, options), IMAGES, "akida_v1")


def test_a_fault_in_the_rounding_is_found(monkeypatch):
    """Planted: outputs round down instead of half up."""
    import tensorflow as tf

    from pipeline.training.registers import exact

    graph = chain(conv(4), POOL, RELU, ("Flatten", {}), DENSE, shape=(8, 8, 3))
    options = Quantization(calibration=Calibration(batch_size=10))
    quantized = quantize(graph, IMAGES, options)
    requantized = exact.requantized

    def lower(sums, scale, *rest):
        return requantized(tf.cast(sums, tf.float64) - 0.5 / scale, scale, *rest)

    monkeypatch.setattr(exact, "requantized", lower)
    with pytest.raises(AssertionError):
        check(quantized, IMAGES, "akida_v2")

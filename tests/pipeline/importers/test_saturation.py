"""Float models recovered from quantized ones are bounded where those saturate."""

from dataclasses import replace

import numpy as np
import pytest

from conformance.parity_models import Chain
from pipeline.chips.akida_v2.lowering import lower
from pipeline.config import Quantization
from pipeline.config.sections import Calibration
from pipeline.errors import ModelError
from pipeline.graph.forward import forward
from pipeline.importers.float_recovery import from_calibrated
from pipeline.migration.recovery import check_recovery
from pipeline.quantization.integerize import integerize
from pipeline.quantization.schemes.quantizeml import calibrated
from simulator import simulate

SEED = 4


def image_chain(*, filters=6, shape=(6, 6, 2), dtype="uint8") -> Chain:
    """Return a convolution whose channels have very different magnitudes."""
    chain = Chain("net", shape, dtype, SEED)
    if dtype == "uint8":
        chain.add("rescaling", "Rescaling", {"scale": 1 / 255})
    chain.add("conv", "Conv2D", {"filters": filters, "kernel_size": 3, "padding": "same"})
    sizes = 2.0 ** (np.arange(filters) % 4 - 1)
    node = chain.graph.node("conv")
    node = node.with_weights(kernel=node.weights["kernel"] * sizes, bias=np.full(filters, 0.1))
    chain.graph = chain.graph.with_nodes((*chain.graph.nodes[:-1], node))
    return chain


def images(graph, count=24, seed=1):
    rng, dtype = np.random.default_rng(seed), graph.input.attrs["dtype"]
    values = rng.uniform(size=(count, *graph.input.attrs["shape"]))
    return (255 * values).astype(np.uint8) if dtype == "uint8" else values.astype(dtype)


def quantized(graph, samples, **options):
    """Return a calibrated graph as imported from QuantizeML's files, without padding values."""
    options = Quantization(flatten="saturate", calibration=Calibration(batch_size=8), **options)
    found = calibrated(graph, samples, options)
    nodes = (
        node.with_attrs(padding_value=None) if node.op == "Conv2D" else node
        for node in found.graph.nodes
    )
    return found, replace(found, graph=found.graph.with_nodes(nodes))


def relative(after, before):
    return float(np.sqrt(np.mean((after - before) ** 2) / np.mean(before**2)))


def differences(graph, samples, tests, **options):
    """Return the differences of the original and of the recovered model from the quantized one."""
    known, file = quantized(graph, samples, **options)
    outputs = simulate(lower(integerize(known)), tests).reshape(len(tests), -1)
    recovered = from_calibrated(file, "net.h5")
    original, found = (forward(g, tests).reshape(len(tests), -1) for g in (graph, recovered))
    return relative(original, outputs), relative(found, outputs), recovered


@pytest.mark.parametrize("limit", [None, 6.0, 2.0])
@pytest.mark.parametrize("pool", [False, True])
def test_a_saturating_flatten_is_recovered_as_a_relu(limit, pool):
    chain = image_chain()
    if pool:
        chain.add("pool", "MaxPooling2D")
    chain.add("relu", "ReLU", {"max_value": limit}).add("flatten", "Flatten")
    graph = chain.add("dense", "Dense", {"units": 5}).graph
    samples = images(graph)
    before, after, recovered = differences(graph, samples, samples)
    assert before > 0.2 > 0.03 > after
    # The layers are those of the file.
    assert [node.op for node in recovered.nodes] == [node.op for node in graph.nodes]
    assert recovered.node("relu").attrs["max_value"] is not None


@pytest.mark.parametrize("op", ["Conv2D", "DepthwiseConv2D", "Conv2DTranspose", "Dense"])
def test_a_relu_trained_through_its_range_is_carried(op):
    """Images brighter than the calibrated ones saturate every channel at its own range."""
    chain = image_chain().add("relu", "ReLU")
    if op == "Dense":
        chain.add("gap", "GlobalAveragePooling2D")
    attrs = {"Conv2D": {"filters": 4}, "Conv2DTranspose": {"filters": 4, "strides": 2}}
    size = {} if op == "Dense" else {"kernel_size": 3, "padding": "same"}
    units = {"units": 4} if op == "Dense" else {}
    graph = chain.add("last", op, {**size, **units, **attrs.get(op, {})}).graph
    dark = (images(graph) * 0.3).astype(np.uint8)
    before, after, _ = differences(graph, dark, images(graph))
    # Before an average nothing saturates but the average itself, which is no ReLU.
    assert before > 0.2
    assert after < (before + 1e-9 if op == "Dense" else 0.06)


def test_layers_within_their_integer_range_are_unchanged():
    chain = image_chain().add("relu", "ReLU", {"max_value": 0.05})
    graph = chain.add("flatten", "Flatten").add("dense", "Dense", {"units": 5}).graph
    _, file = quantized(graph, images(graph), per_tensor_activations=True)
    recovered = from_calibrated(file, "net.h5")
    assert recovered.node("relu").attrs["max_value"] == 0.05
    for name in ("conv", "dense"):
        wanted = graph.node(name).weights["kernel"]
        np.testing.assert_allclose(recovered.node(name).weights["kernel"], wanted, rtol=1e-5)


def test_factors_that_cannot_move_stay():
    chain = image_chain().add("relu", "ReLU")
    chain.add("a", "Conv2D", {"filters": 6, "kernel_size": 1})
    graph = chain.add("add", "Add", None, ("a", "relu")).graph
    _, file = quantized(graph, images(graph))
    assert from_calibrated(file, "net.h5").node("relu").attrs["max_value"] is None


def test_saturation_beyond_floats_is_refused_with_what_to_do():
    found = {"relative_difference": 0.6, "allowed_difference": 0.5}
    with pytest.raises(ModelError, match=r"differs by 0.6 .* allowed: 0.5.*crossgrade convert"):
        check_recovery("net.h5", found)
    check_recovery("net.h5", {"relative_difference": 0.5, "allowed_difference": 0.5})
    check_recovery("net.h5", {"refused": "samples are not uint8"})


@pytest.mark.parametrize("first", ["same", "valid", "Dense", "rescaled", "channels"])
def test_inputs_moved_by_a_zero_point_are_moved_back(first):
    """Without activations the recovered model equals the original up to float rounding."""
    vector = first == "Dense"
    chain = Chain("net", (7,) if vector else (6, 5, 3), "float32", SEED)
    if first in ("rescaled", "channels"):
        offset = -0.4 if first == "rescaled" else (-0.4, 0.3, 0.0)
        chain.add("rescaling", "Rescaling", {"scale": 0.5, "offset": offset})
    if vector:
        graph = chain.add("first", "Dense", {"units": 6}).add("b", "Dense", {"units": 4}).graph
    else:
        padding = "valid" if first == "valid" else "same"
        chain.add("first", "Conv2D", {"filters": 6, "kernel_size": 3, "padding": padding})
        graph = chain.add("b", "Conv2D", {"filters": 4, "kernel_size": 3, "padding": "same"}).graph
    samples = images(graph) * np.float32(3) - np.float32(1.2)
    _, file = quantized(graph, samples)
    assert np.any(file.input.range_min < -0.5)
    found = forward(from_calibrated(file, "net.h5"), samples)
    wanted = forward(graph, samples)
    np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())

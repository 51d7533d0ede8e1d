"""Every model of the zoo on every chip: it runs, or is refused for the reason listed here.

Small sizes, random weights and random calibration images: only the conversion is tested.
"""

import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.config import Calibration, Quantization, Transforms
from pipeline.errors import IncompatibleModelError
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture, zoo_names
from pipeline.graph.forward import forward
from pipeline.quantization.quantize import quantize
from pipeline.transforms import apply
from pipeline.transforms.gap.batchnorm_statistics import measure_batchnorms
from simulator import simulate

SMALL = "input_shape=[32,32,3] alpha=0.125 classes=5"
SIZES = {
    "akida_unet": "input_shape=[32,32,3] alpha=0.125",
    "akidanet": SMALL,
    "akidanet18": SMALL,
    "akidanet_edge": SMALL,
    "centernet": "input_shape=[64,64,3] alpha=0.25 classes=4",
    "convtiny": "input_shape=[32,32,4] alpha=0.25",
    "ds_cnn": "alpha=0.25",
    "gxnor": "alpha=0.25",
    "mobilenet": SMALL,
    "mobilenet_v2": SMALL,
    "pointnet_plus": "input_shape=[8,32,3] alpha=0.25 classes=5",
    "vgg": "alpha=0.25",
    "yolo": "input_shape=[32,32,3] alpha=0.125 classes=2",
}
CALIBRATION = Calibration(source="random", samples=16, batch_size=16)
LEGACY = Quantization(scheme="cnn2snn", weight_bits=4, activation_bits=4, calibration=CALIBRATION)
BOTH = Quantization(
    weight_bits=4, activation_bits=4, per_tensor_activations=True, calibration=CALIBRATION
)
W8A8 = Quantization(calibration=CALIBRATION)
W4A4 = Quantization(weight_bits=4, activation_bits=4, calibration=CALIBRATION)
W8A8_DATA = Quantization(calibration=Calibration(samples=64, batch_size=32))
# Without training, outputs of deeper networks hardly depend on the image.
SHALLOW = ("centernet", "convtiny", "ds_cnn", "ecg_cnn", "gxnor", "mlp", "pointnet_plus", "vgg")
UPGRADE = ("unfuse_separable", "gap_after_relu")

# Models whose 2.0 version has depthwise layers, which Akida 1.0 refuses; 2.0 refuses no model.
NO_1_0 = ("akida_unet", "akidanet18", "centernet", "mobilenet_v2")
# Hardware limits that the program exceeds; the emulator runs it nevertheless.
BEYOND = {
    ("akidanet_edge", "akida_v1"): "input of 1x1; allowed: a larger map",
    ("convtiny", "akida_v1"): "input of 1x1; allowed: a larger map",
    ("ecg_cnn", "akida_v1"): "input of 1x187; allowed: at least 5 by 5 to 256",
    ("ecg_cnn", "akida_v2"): "",
    (
        "logistic_regression",
        "akida_v2",
    ): "unsigned input of 1x1x64; allowed: int8, or 1 or 3 channels",
    ("mlp", "akida_v2"): "unsigned input of 1x1x64; allowed: int8, or 1 or 3 channels",
}


def small(name, version=None):
    parameters = SIZES.get(name, "").split()
    if version is not None and read_architecture(name).get("versions"):
        parameters.append(f"version={version}")
    return build_graph(read_architecture(name, parameters))


def images(graph, count=4):
    """Return smooth random images: deep networks average white noise out."""
    kind = np.iinfo(graph.input.attrs["dtype"])
    height, width, channels = graph.input.attrs["shape"]
    small = (count, -(-height // 8), -(-width // 8), channels)
    values = np.random.default_rng(0).integers(kind.min, kind.max + 1, small).astype(kind.dtype)
    return values.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]


def run(graph, options, target, transforms=()):
    """Return the program and its outputs for two images."""
    samples = images(graph)
    changed, _ = apply(graph, Transforms(names=transforms), samples)
    program = convert(quantize(changed, None, options), target)
    # Akida 1.0 takes no negative inputs.
    taken = samples[:2].clip(np.iinfo(program.input_dtype).min)
    return program, simulate(program, taken.astype(program.input_dtype))


def logits(graph, samples):
    """Return the outputs before a final softmax, which runs on the host."""
    values = {}
    forward(graph, samples, probe=values.__setitem__)
    for node in graph.nodes:
        if node.op == "Softmax":
            return values[node.inputs[0]]
    return values[graph.output]


def versions(name):
    rows = read_architecture(name).get("versions")
    # An architecture without versions fits both chips, unless its layer order is that of 1.0.
    return [row["version"] for row in rows] if rows else [1.0, 2.0][: 1 + (name != "separable_cnn")]


OLD = [name for name in zoo_names() if 1.0 in versions(name)]
NEW = [name for name in zoo_names() if 2.0 in versions(name)]


def check(name, program, outputs, target):
    graph = small(name, 1.0 if name in OLD else 2.0)
    assert outputs.size == 2 * np.prod(graph.shapes[graph.output])
    assert np.isfinite(outputs).all()
    reason = BEYOND.get((name, target))
    return reason is None or reason in " ".join(program.limits())


@pytest.mark.slow
@pytest.mark.parametrize("options", [LEGACY, BOTH], ids=["legacy", "both"])
@pytest.mark.parametrize("name", OLD)
def test_models_of_1_0_run_on_1_0(name, options):
    program, outputs = run(small(name, 1.0), options, "akida_v1")
    assert check(name, program, outputs, "akida_v1")


@pytest.mark.slow
@pytest.mark.parametrize("options", [W8A8, W4A4], ids=["w8a8", "w4a4"])
@pytest.mark.parametrize("name", OLD)
def test_models_of_1_0_are_migrated_to_2_0(name, options):
    graph = small(name, 1.0)
    program, outputs = run(graph, options, "akida_v2", UPGRADE)
    assert check(name, program, outputs, "akida_v2")


@pytest.mark.slow
@pytest.mark.parametrize("name", NEW)
def test_models_of_2_0_run_on_2_0(name):
    program, outputs = run(small(name, 2.0), W8A8, "akida_v2")
    assert check(name, program, outputs, "akida_v2")


@pytest.mark.slow
@pytest.mark.parametrize("name", NO_1_0)
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (LEGACY, "DepthwiseConv2D has no Akida 1.0 form"),
        (BOTH, "DepthwiseConv2D; allowed: Conv2D, SeparableConv2D"),
    ],
    ids=["legacy", "both"],
)
def test_models_of_2_0_only_are_refused_by_1_0(name, options, reason):
    with pytest.raises(IncompatibleModelError) as error:
        run(small(name), options, "akida_v1")
    assert reason in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in OLD if name not in NO_1_0])
def test_2_0_refuses_models_that_were_not_migrated(name):
    graph = small(name, 1.0)
    fused = any(node.op == "SeparableConv2D" for node in graph.nodes)
    pooled = any(node.op == "GlobalAveragePooling2D" for node in graph.nodes)
    if not (fused or pooled):
        run(graph, W8A8, "akida_v2")
        return
    with pytest.raises(IncompatibleModelError) as error:
        run(graph, W8A8, "akida_v2")
    assert ("unfuse_separable" in str(error.value)) is fused
    assert ("gap_after_relu" in str(error.value)) is pooled


@pytest.mark.slow
@pytest.mark.parametrize("name", SHALLOW)
def test_integers_follow_the_float_model(name):
    graph, count = small(name, 2.0), 64
    samples = images(graph, count)
    # Untrained batch norms do not normalize, and signals vanish; measured statistics prevent that.
    batchnorms = [node.name for node in graph.nodes if node.op == "BatchNormalization"]
    graph = measure_batchnorms(graph, batchnorms, samples)
    program = convert(quantize(graph, samples, W8A8_DATA), "akida_v2")
    found = simulate(program, samples.astype(program.input_dtype)).reshape(count, -1)
    expected = logits(graph, samples).reshape(count, -1)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.95

"""Trained networks that packages of other authors ship, read from their unpacked files.

    npm pack nsfwjs@4.3.0 @vladmandic/face-api@1.7.15     (and tar xzf each into FOLDER)

Weights are stored in 8 bits and become floats as the packages make them; nothing of a package is
run. Architectures of face-api, which its files do not hold, follow its published networks.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipeline.errors import DataError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.models.file import read_float

Weights = Mapping[str, np.ndarray]
MEANS = (122.782, 117.001, 104.298)
"""Of red, green and blue, which the face networks subtract."""
STRIDED = (2, 4, 6, 12)
"""Pairs of the detector's backbone whose depthwise convolution has a stride of 2."""


def mobilenet_v2(folder: Path) -> Graph:
    """Return nsfwjs' MobileNetV2 (224x224, 5 classes), fine-tuned from ImageNet: 2.2 M weights."""
    model = _script(_one(folder, "mobilenet_v2/model.min.js"))
    shards = base64.b64decode(_script(_one(folder, "mobilenet_v2/group1-shard1of1.min.js")))
    (manifest,) = model["weightsManifest"]
    weights = _weights(manifest["weights"], shards)
    with TemporaryDirectory() as temporary:
        path = Path(temporary, "model.h5")
        _write_keras(path, model["modelTopology"], weights)
        graph = read_float(path)
    return _of_bytes(graph, 1 / 255, 0.0)


def mobilenet_v1(folder: Path) -> Graph:
    """Return the class scores of face-api's detector on MobileNetV1, at 224x224: 3.3 M weights."""
    weights = _face_weights(folder, "ssd_mobilenetv1_model")
    chain = _Chain((224, 224, 3), 1 / 127.5, -1.0)
    chain.add("Conv2D", _same(2, 3, 32), **_kernel(weights, "MobilenetV1/Conv2d_0_pointwise"))
    chain.add("ReLU", {"max_value": 6.0})
    for pair in range(1, 14):
        name = f"MobilenetV1/Conv2d_{pair}_"
        stride = 2 if pair in STRIDED else 1
        depthwise = weights[f"{name}depthwise/depthwise_weights"]
        normal = {
            key: weights[f"{name}depthwise/BatchNorm/{key}"]
            for key in ("gamma", "beta", "moving_mean", "moving_variance")
        }
        plain = {**_same(stride, 3), "use_bias": False}
        chain.add("DepthwiseConv2D", plain, kernel=depthwise)
        chain.add("BatchNormalization", {"epsilon": 0.001}, **normal)
        chain.add("ReLU", {"max_value": 6.0})
        pointwise = _kernel(weights, f"{name}pointwise")
        chain.add("Conv2D", _same(1, 1, pointwise["bias"].size), **pointwise)
        chain.add("ReLU", {"max_value": 6.0})
    predictor = "Prediction/BoxPredictor_1/ClassPredictor/"
    kernel, bias = weights[f"{predictor}weights"], weights[f"{predictor}biases"]
    chain.add("Conv2D", _same(1, 1, bias.size), kernel=kernel, bias=bias)
    return chain.graph("face_api_mobilenet_v1")


def expression(folder: Path) -> Graph:
    """Return face-api's network of 7 expressions, 112x112: four blocks of joined convolutions."""
    weights = _face_weights(folder, "face_expression_model")
    chain = _Chain((112, 112, 3), 1 / 255, tuple(-mean / 255 for mean in MEANS))
    for block in range(4):
        joined = None
        for number in range(4):
            filters = weights[f"dense{block}/conv{number}/bias"].size
            stride = 2 if number == 0 else 1
            chain.convolved(weights, f"dense{block}/conv{number}", stride, filters)
            if joined is not None:
                chain.add("Add", {}, inputs=(joined, chain.last))
            joined = chain.last if number else None
            chain.add("ReLU", {})
            joined = joined or chain.last
    return _classified(chain, weights, "fc").graph("face_api_expression")


def gender(folder: Path) -> Graph:
    """Return face-api's network of 2 genders, 112x112: a small Xception."""
    weights = _face_weights(folder, "age_gender_model")
    chain = _Chain((112, 112, 3), 1 / 255, tuple(-mean / 255 for mean in MEANS))
    chain.convolved(weights, "entry_flow/conv_in", 2, 32)
    chain.add("ReLU", {})
    for block in ("entry_flow/reduction_block_0", "entry_flow/reduction_block_1"):
        _reduced(chain, weights, block, activate=block.endswith("1"))
    for block in range(2):
        start = chain.last
        for number in range(3):
            chain.add("ReLU", {})
            chain.convolved(weights, f"middle_flow/main_block_{block}/separable_conv{number}")
        chain.add("Add", {}, inputs=(chain.last, start))
    _reduced(chain, weights, "exit_flow/reduction_block", activate=True)
    chain.convolved(weights, "exit_flow/separable_conv")
    chain.add("ReLU", {})
    return _classified(chain, weights, "fc/gender").graph("face_api_gender")


def wake_words(folder: Path) -> Graph:
    """Return MLPerf Tiny's MobileNetV1 0.25 of visual wake words, which takes 0 to 1, of pixels."""
    path = _one(folder, "mlperf_vww_mobilenetv1/model.h5")
    return _of_bytes(read_float(path), 1 / 255, 0.0)


def resnet8(folder: Path) -> Graph:
    """Return MLPerf Tiny's ResNet-8 of CIFAR-10, which takes 0 to 255."""
    return _of_bytes(read_float(_one(folder, "mlperf_resnet8/model.h5")), 1.0, 0.0)


MODELS: dict[str, Callable[[Path], Graph]] = {
    "nsfwjs MobileNetV2": mobilenet_v2,
    "face-api MobileNetV1": mobilenet_v1,
    "face-api expression": expression,
    "face-api gender": gender,
    "MLPerf wake words": wake_words,
    "MLPerf ResNet-8": resnet8,
}
"""Readers of a folder of unpacked packages, and of MLPerf Tiny's files of the last two."""
FACES = ("face-api expression", "face-api gender")
"""Models of faces."""


class _Chain:
    """A graph that grows at its end."""

    def __init__(self, shape, scale, offset):
        image = make_node("input", "Input", (), {"shape": shape, "dtype": "uint8"})
        self.nodes = [image]
        self.add("Rescaling", {"scale": scale, "offset": offset})

    @property
    def last(self) -> str:
        return self.nodes[-1].name

    def add(self, op, attrs, inputs=None, **weights) -> None:
        name = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(make_node(name, op, inputs or (self.last,), attrs, weights))

    def convolved(self, weights: Weights, name: str, stride: int = 1, filters: int = 0) -> None:
        """Add a convolution, or the two of a separable one."""
        bias = weights[f"{name}/bias"]
        kernel = weights.get(f"{name}/filters")
        if kernel is None:
            depthwise = weights[f"{name}/depthwise_filter"]
            self.add("DepthwiseConv2D", {**_same(stride, 3), "use_bias": False}, kernel=depthwise)
            kernel, stride = weights[f"{name}/pointwise_filter"], 1
        attrs = _same(stride, len(kernel), bias.size)
        self.add("Conv2D", attrs, kernel=kernel, bias=bias)

    def graph(self, name: str) -> Graph:
        return Graph(name, tuple(self.nodes), self.last)


def _reduced(chain, weights, name, *, activate) -> None:
    """Add two separable convolutions and a pooling, beside a strided convolution."""
    start = chain.last
    if activate:
        chain.add("ReLU", {})
    chain.convolved(weights, f"{name}/separable_conv0")
    chain.add("ReLU", {})
    chain.convolved(weights, f"{name}/separable_conv1")
    pool = {"pool_size": 3, "strides": 2, "padding": "same"}
    chain.add("MaxPooling2D", pool)
    pooled = chain.last
    kernel, bias = weights[f"{name}/expansion_conv/filters"], weights[f"{name}/expansion_conv/bias"]
    attrs = _same(2, 1, bias.size)
    chain.add("Conv2D", attrs, inputs=(start,), kernel=kernel, bias=bias)
    chain.add("Add", {}, inputs=(pooled, chain.last))


def _classified(chain, weights, name) -> _Chain:
    kernel, bias = weights[f"{name}/weights"], weights[f"{name}/bias"]
    chain.add("GlobalAveragePooling2D", {})
    chain.add("Dense", {"units": bias.size}, kernel=kernel, bias=bias)
    return chain


def _same(stride: int, size: int, filters: int | None = None) -> dict:
    attrs = {"kernel_size": size, "strides": stride, "padding": "same"}
    return attrs if filters is None else {**attrs, "filters": filters}


def _kernel(weights: Weights, name: str) -> dict[str, np.ndarray]:
    return {"kernel": weights[f"{name}/weights"], "bias": weights[f"{name}/convolution_bn_offset"]}


def _of_bytes(graph: Graph, scale: float, offset: float) -> Graph:
    """Return a graph that takes pixels instead of floats."""
    image = graph.input
    pixels = make_node(image.name, "Input", (), {**image.attrs, "dtype": "uint8"})
    name = graph.fresh_name("rescaling")
    rescaling = make_node(name, "Rescaling", (image.name,), {"scale": scale, "offset": offset})
    return graph.rewrite(lambda node: (pixels, rescaling) if node is image else None)


def _one(folder: Path, name: str) -> Path:
    found = sorted(Path(folder).rglob(name))
    if not found:
        raise DataError(f"{folder}: holds no {name}; unpack the package into it")
    return found[0]


def _script(path: Path):
    """Return the value that a browserified script exports, an object or a string."""
    text = path.read_text()
    value = re.search(r"\.exports=(\{.*\}|\".*?\")\},\{\}\]", text, re.DOTALL)
    if value is None:
        raise DataError(f"{path}: exports no object or string; nsfwjs 4.3.0 does")
    text = value[1]
    if text.startswith("{"):
        text = re.sub(r"([{,])([A-Za-z_]\w*):", r'\1"\2":', text)
        text = re.sub(r"([:\[,])(-?)\.(\d)", r"\g<1>\g<2>0.\3", text)
        text = text.replace("!0", "true").replace("!1", "false")
    return json.loads(text)


def _face_weights(folder: Path, name: str) -> Weights:
    manifest = json.loads(_one(folder, f"{name}-weights_manifest.json").read_text())
    return _weights(manifest[0]["weights"], _one(folder, f"{name}.bin").read_bytes())


def _weights(entries: Sequence[Mapping], content: bytes) -> Weights:
    """Return the arrays of a manifest, those of 8 bits as ``integer * scale + min``."""
    arrays, start = {}, 0
    for entry in entries:
        stored = entry.get("quantization")
        dtype = np.dtype(stored["dtype"] if stored else entry["dtype"])
        count = math.prod(entry["shape"])
        values = np.frombuffer(content, dtype, count, start)
        start += values.nbytes
        if stored:
            values = values * np.float32(stored["scale"]) + np.float32(stored["min"])
        arrays[entry["name"]] = np.asarray(values, np.float32).reshape(entry["shape"])
    return arrays


def _write_keras(path: Path, topology: Mapping, weights: Weights) -> None:
    """Write a Keras 2 file from a topology and weights by ``layer/variable``."""
    import h5py

    config = topology["model_config"]
    layers = {layer["name"]: [] for layer in config["config"]["layers"]}
    for name in weights:
        layers[name.partition("/")[0]].append(name)
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = topology["keras_version"]
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, names in layers.items():
            group = root.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name in names:
                group.create_dataset(name, data=weights[name])

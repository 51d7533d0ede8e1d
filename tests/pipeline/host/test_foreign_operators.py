"""Operators that are not known here are named, and run on the host where they follow the cut."""

import numpy as np
import pytest

from pipeline.errors import IncompatibleModelError
from pipeline.host.proposal import with_proposal
from pipeline.host.run import load_host
from pipeline.host.split import split, write_rest
from pipeline.models.file import read_float
from pipeline.models.wanted import Wanted
from tests.pipeline.host.test_split import outputs, parts_of
from tests.pipeline.importers.onnx_models import FLOAT, images_of, ints, model, node, weights

onnx = pytest.importorskip("onnx")
CONV = (node("Conv", "x", "k", out="c", pads=[1, 1, 1, 1]), node("Relu", "c", out="r"))
BOOL, INT64 = onnx.TensorProto.BOOL, onnx.TensorProto.INT64


def after(*nodes, **constants):
    """Return a model of a convolution that operators follow, which may be of other domains."""
    made = model(*CONV, *nodes, shape=(3, 8, 8), k=weights(4, 3, 3, 3), **constants)
    for domain in {entry.domain for entry in nodes} - {""}:
        made.opset_import.append(onnx.helper.make_opsetid(domain, 1))
    return made


def info(name, kind=FLOAT, shape=None):
    return onnx.helper.make_tensor_value_info(name, kind, shape)


def graph_of(nodes, inputs, outputs):
    return onnx.helper.make_graph(nodes, "inner", inputs, outputs)


def branch(op, name):
    """Return a branch, which reads a tensor of the outer graph."""
    return graph_of([node(op, "r", out=name)], [], [info(name)])


LOOP = graph_of(
    [node("Identity", "go", out="on"), node("Sigmoid", "v", out="w")],
    [info("i", INT64, []), info("go", BOOL, []), info("v")],
    [info("on", BOOL, []), info("w")],
)
MODELS = {
    "If": after(
        node("If", "yes", then_branch=branch("Sqrt", "a"), else_branch=branch("Neg", "b")),
        yes=np.array(True),
    ),
    "Loop": after(node("Loop", "n", "yes", "r", body=LOOP), n=np.array(2), yes=np.array(True)),
    "com.microsoft.Gelu": after(
        onnx.helper.make_node("Gelu", ["r"], ["y"], "Gelu_y", domain="com.microsoft")
    ),
    "ai.onnx.ml.Normalizer": after(
        node("Flatten", "r", out="f"),
        onnx.helper.make_node("Normalizer", ["f"], ["y"], "N", domain="ai.onnx.ml", norm="L2"),
    ),
    "Split": after(node("Split", "r", out=["y", "z"], axis=1, num_outputs=2)),
    "ArgMax": after(node("ArgMax", "r", out="a", axis=1), node("Cast", "a", to=1)),
    "LayerNormalization": after(node("LayerNormalization", "r", "w"), w=weights(8)),
    "NonMaxSuppression": after(
        node("Reshape", "r", "rows", out="boxes"),
        node("ReduceMax", "boxes", out="best", axes=[2], keepdims=0),
        node("Unsqueeze", "best", "one", out="scores"),
        node("NonMaxSuppression", "boxes", "scores", "most", out="kept"),
        node("Cast", "kept", to=1),
        rows=ints(0, -1, 4), one=ints(1), most=ints(9),
    ),
}  # fmt: skip
MODELS["Split"].opset_import[0].version = 18


@pytest.mark.parametrize("name", MODELS)
def test_the_rest_runs_them(tmp_path, name):
    made, path = MODELS[name], tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(IncompatibleModelError) as refused:
        read_float(path)
    text = str(with_proposal(refused.value, path, Wanted(), "akida_v2"))
    assert f"({name})" in text
    assert "proposal: model.until=Relu_r carries 2 of" in text
    found = split(path, Wanted(until="Relu_r"))
    write_rest(found, tmp_path / "rest.onnx")
    images = images_of(made)
    between = parts_of(read_float(path, Wanted(until="Relu_r")), images.transpose(0, 2, 3, 1))
    (result,) = load_host(tmp_path / "rest.onnx").run(between)
    (whole,) = outputs(made, images)
    np.testing.assert_allclose(result, whole, rtol=1e-4, atol=1e-5)

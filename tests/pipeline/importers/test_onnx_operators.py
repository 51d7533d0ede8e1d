"""Every operator of ONNX, and every attribute off its default: as onnxruntime, or refused."""

import numpy as np
import pytest

from pipeline.errors import ModelError
from tests.pipeline.importers.onnx_models import (
    UINT8,
    ints,
    model,
    node,
    onnx,
    read,
    same,
    weights,
)

pytestmark = pytest.mark.slow
MAP = (4, 8, 9)
ROOT = float(np.sqrt(2))


def conv(*shape, kernel=(6, 4, 3, 3), **attrs):
    return model(
        node("Conv", "x", "w", "b", **attrs),
        shape=shape or MAP,
        w=weights(*kernel),
        b=weights(kernel[0]),
    )


def transposed(kernel=(4, 3, 3, 3), **attrs):
    return model(node("ConvTranspose", "x", "w", **attrs), shape=MAP, w=weights(*kernel))


def pool(op, before=(), **attrs):
    nodes = [node(name, "x", out="z") for name in before]
    return model(*nodes, node(op, "z" if before else "x", **attrs), shape=MAP)


def one(op, *inputs, shape=MAP, opset=17, batch="N", **others):
    """A model of one operator; arrays are constants, all else attributes."""
    constants = {k: v for k, v in others.items() if isinstance(v, np.ndarray)}
    attrs = {k: v for k, v in others.items() if k not in constants}
    made = node(op, *(inputs or ("x",)), **attrs)
    return model(made, shape=shape, opset=opset, batch=batch, **constants)


def flattened(reshape, shape=(2, 4, 5), opset=17, **constants):
    """A flatten of channels first in front of a Gemm, which sees the order."""
    size = int(np.prod(shape))
    return model(
        node("Conv", "x", "k", out="c"),
        *reshape,
        node("Gemm", "f", "w", "b"),
        shape=shape,
        opset=opset,
        k=weights(shape[0], shape[0], 1, 1),
        w=weights(size, 3),
        b=weights(3),
        **constants,
    )


def number(value):
    return np.array(value, np.float32)


def norm(opset=17, shape=MAP, **attrs):
    names = {name: weights(shape[0], seed=i) for i, name in enumerate("sbm")}
    names["v"] = np.abs(weights(shape[0], seed=9)) + 0.1
    return model(
        node("BatchNormalization", "x", "s", "b", "m", "v", **attrs),
        shape=shape,
        opset=opset,
        **names,
    )


def gelu(order):
    nodes = [
        node("Div", "x", "root", out="a"),
        node("Erf", "a", out="e"),
        node("Add", "e", "one", out="f"),
    ]
    if order == "half last":
        nodes += [node("Mul", "x", "f", out="g"), node("Mul", "g", "half")]
    else:
        nodes += [node("Mul", "half", "x", out="g"), node("Mul", "f", "g")]
    return model(*nodes, shape=MAP, root=number(ROOT), one=number(1), half=number(0.5))


def hard_swish(order):
    nodes = [node("Add", "x", "three", out="a"), node("Clip", "a", "zero", "six", out="c")]
    if order == "divide last":
        nodes += [node("Mul", "x", "c", out="m"), node("Div", "m", "six")]
    else:
        nodes += [node("Div", "c", "six", out="m"), node("Mul", "m", "x")]
    return model(*nodes, shape=MAP, zero=number(0), three=number(3), six=number(6))


def resize(**attrs):
    return model(
        node("Resize", "x", "", "scales", mode="nearest", **attrs),
        shape=MAP,
        scales=np.array([1, 1, 2, 3], np.float32),
    )


EQUAL = {
    "conv": conv(),
    "conv groups": conv(kernel=(6, 2, 3, 3), group=2),
    "conv depthwise": conv(kernel=(4, 1, 3, 3), group=4),
    "conv depthwise multiplier": conv(kernel=(8, 1, 3, 3), group=4),
    "conv symmetric": conv(pads=[1, 1, 1, 1]),
    "conv symmetric, stride 2": conv(pads=[1, 1, 1, 1], strides=[2, 2]),
    "conv asymmetric": conv(pads=[0, 2, 1, 3], strides=[2, 1]),
    "conv dilations": conv(dilations=[2, 3], pads=[2, 3, 2, 3]),
    "conv same upper": conv(auto_pad="SAME_UPPER", strides=[2, 2]),
    "conv same lower": conv(auto_pad="SAME_LOWER", strides=[2, 2]),
    "conv valid": conv(auto_pad="VALID"),
    "conv kernel_shape": conv(kernel_shape=[3, 3]),
    "conv even": conv(kernel=(6, 4, 4, 2), pads=[1, 1, 1, 1], strides=[2, 2]),
    "conv one channel": conv(1, 8, 8, kernel=(5, 1, 3, 3)),
    "transposed stride 2": transposed(kernel=(4, 3, 2, 2), strides=[2, 2]),
    "transposed valid": transposed(strides=[2, 2]),
    "transposed torch": transposed(strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
    "transposed 4x4": transposed(kernel=(4, 3, 4, 4), strides=[2, 2], pads=[1, 1, 1, 1]),
    "transposed cut at the end": transposed(strides=[2, 2], pads=[0, 0, 1, 1]),
    "transposed cut at the start": transposed(strides=[2, 2], pads=[1, 1, 0, 0]),
    "transposed longer stride": transposed(
        kernel=(4, 3, 2, 2), strides=[3, 3], output_padding=[1, 1]
    ),
    "transposed depthwise": transposed(kernel=(4, 1, 2, 2), strides=[2, 2], group=4),
    "max": pool("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
    "max stride 1": pool("MaxPool", kernel_shape=[3, 2]),
    "max same": pool("MaxPool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    "max after relu": pool(
        "MaxPool", ["Relu"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]
    ),
    "max up": pool("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    "max same lower": pool("MaxPool", ["Relu"], kernel_shape=[2, 2], auto_pad="SAME_LOWER"),
    "max storage": pool("MaxPool", kernel_shape=[2, 2], storage_order=1),
    "average": pool("AveragePool", kernel_shape=[2, 3], strides=[2, 1]),
    "average same": pool("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    "average counted": pool(
        "AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 2, 1], count_include_pad=1
    ),
    "average up": pool("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    "average up, whole": pool(
        "AveragePool", kernel_shape=[2, 3], strides=[2, 3], ceil_mode=1, count_include_pad=1
    ),
    "global average": one("GlobalAveragePool"),
    "global max": one("GlobalMaxPool"),
    "mean": one("ReduceMean", axes=[2, 3]),
    "mean, no axes kept": one("ReduceMean", axes=[-1, -2], keepdims=0),
    "mean 18": one("ReduceMean", "x", "a", a=ints(2, 3), opset=18),
    "mean of other axes": one("ReduceMean", axes=[1, 3], keepdims=1),
    "gemm": one("Gemm", "x", "w", "c", shape=(5,), w=weights(5, 3), c=weights(3)),
    "gemm all": one(
        "Gemm",
        "x",
        "w",
        "c",
        shape=(5,),
        w=weights(3, 5),
        c=weights(1),
        alpha=0.5,
        beta=2.0,
        transB=1,
    ),
    "gemm, no bias": one("Gemm", "x", "w", shape=(5,), w=weights(5, 3)),
    "gemm row": one("Gemm", "x", "w", "c", shape=(5,), w=weights(5, 3), c=weights(1, 3)),
    "matmul": one("MatMul", "x", "w", shape=(5,), w=weights(5, 3)),
    "matmul rows": one("MatMul", "x", "w", shape=(4, 5), w=weights(5, 3)),
    "matmul map": one("MatMul", "x", "w", w=weights(9, 3)),
    "matmul add": model(
        node("MatMul", "x", "w", out="z"),
        node("Add", "c", "z"),
        shape=(5,),
        w=weights(5, 3),
        c=weights(3),
    ),
    "bias of one conv of two": model(
        node("Conv", "x", "w", out="c"),
        node("Identity", "c", out="i"),
        node("Add", "i", "b", out="d"),
        node("Add", "c", "d"),
        shape=MAP,
        w=weights(4, 4, 1, 1),
        b=weights(4, 1, 1),
    ),
    "relu": one("Relu"),
    "clip 6": one("Clip", min=0.0, max=6.0, opset=10),
    "clip inputs": one("Clip", "x", "low", "high", low=number(0), high=number(4)),
    "clip nothing": one("Clip"),
    "clip below": one("Clip", "x", "low", low=number(0)),
    "leaky": one("LeakyRelu"),
    "leaky alpha": one("LeakyRelu", alpha=0.3),
    "prelu": one("PRelu", "x", "s", s=weights(4, 1, 1)),
    "prelu one": one("PRelu", "x", "s", s=weights(1)),
    "prelu vector": one("PRelu", "x", "s", shape=(5,), s=weights(5)),
    "sigmoid": one("Sigmoid"),
    "tanh": one("Tanh"),
    "hard swish": one("HardSwish"),
    "hard swish as written": hard_swish("divide last"),
    "hard swish otherwise": hard_swish("divide first"),
    "hard sigmoid times x": model(
        node("HardSigmoid", "x", out="h", alpha=1 / 6, beta=0.5), node("Mul", "x", "h"), shape=MAP
    ),
    "hard sigmoid": one("HardSigmoid"),
    "hard sigmoid of others": one("HardSigmoid", alpha=0.7, beta=-0.1),
    "gate": model(
        node("Sigmoid", "x", out="s"), node("Relu", "x", out="r"), node("Mul", "r", "s"), shape=MAP
    ),
    "slice": model(
        node("Slice", "x", "a", "b", "ax", "st", out="s"),
        node("Relu", "s"),
        shape=MAP,
        a=ints(1, -8),
        b=ints(-2, 99),
        ax=ints(2, 3),
        st=ints(1, 1),
    ),
    "slice 9": model(
        node("Slice", "x", out="s", starts=[1], ends=[7], axes=[3]),
        node("Relu", "s"),
        shape=MAP,
        opset=9,
    ),
    "squeeze and excite": model(
        node("GlobalAveragePool", "x", out="m"),
        node("Conv", "m", "w", out="c"),
        node("HardSigmoid", "c", out="g"),
        node("Mul", "x", "g"),
        shape=MAP,
        w=weights(4, 4, 1, 1),
    ),
    "gate in another order": model(
        node("Transpose", "x", out="t", perm=[0, 2, 3, 1]),
        node("Conv", "x", "w", out="c"),
        node("Sigmoid", "c", out="s"),
        node("Transpose", "s", out="d", perm=[0, 2, 3, 1]),
        node("Mul", "t", "d"),
        shape=MAP,
        w=weights(1, 4, 1, 1),
    ),
    "gate of flattened maps": model(
        node("Conv", "x", "w", out="c"),
        node("Flatten", "c", out="f"),
        node("Flatten", "x", out="g"),
        node("Mul", "f", "g"),
        shape=MAP,
        w=weights(4, 4, 1, 1),
    ),
    "swish": model(node("Sigmoid", "x", out="s"), node("Mul", "s", "x"), shape=MAP),
    "swish of relu": model(
        node("Relu", "x", out="r"),
        node("Sigmoid", "r", out="s"),
        node("Mul", "s", "r"),
        shape=MAP,
    ),
    "gelu": gelu("half last"),
    "gelu otherwise": gelu("half first"),
    "gelu 20": one("Gelu", opset=20),
    "leaky as max": model(
        node("Mul", "x", "a", out="z"), node("Max", "z", "x"), shape=MAP, a=number(0.2)
    ),
    "relu 6 as min": model(
        node("Relu", "x", out="z"), node("Min", "z", "a"), shape=MAP, a=number(6)
    ),
    "softmax": one("Softmax", shape=(5,)),
    "softmax 11": one("Softmax", shape=(5,), opset=11),
    "softmax rows": one("Softmax", shape=(4, 5), axis=2, opset=11),
    "softmax channels": one("Softmax", axis=1),
    "softmax columns": one("Softmax", axis=-1),
    "norm": norm(),
    "norm all": norm(epsilon=0.1, momentum=0.5),
    "norm 7": norm(opset=7, spatial=1),
    "norm vector": norm(shape=(5,)),
    "add": model(node("Relu", "x", out="r"), node("Add", "x", "r"), shape=MAP),
    "sub": model(node("Relu", "x", out="r"), node("Sub", "x", "r"), shape=MAP),
    "sum": model(node("Relu", "x", out="r"), node("Sum", "x", "r", "x"), shape=MAP),
    "mean of tensors": model(node("Relu", "x", out="r"), node("Mean", "x", "r"), shape=MAP),
    "add other order": model(
        node("Transpose", "x", out="t", perm=[0, 2, 3, 1]),
        node("Conv", "x", "w", out="c"),
        node("Transpose", "c", out="d", perm=[0, 2, 3, 1]),
        node("Add", "t", "d"),
        shape=MAP,
        w=weights(4, 4, 1, 1),
    ),
    "add number": one("Add", "x", "c", c=number(2)),
    "add channels": one("Add", "c", "x", c=weights(4, 1, 1)),
    "sub from": one("Sub", "c", "x", c=weights(1, 4, 1, 1)),
    "sub number": one("Sub", "x", "c", c=number([2])),
    "mul": one("Mul", "x", "c", c=weights(4, 1, 1)),
    "mul columns": one("Mul", "x", "c", c=weights(9)),
    "div": one("Div", "x", "c", c=weights(4, 1, 1)),
    "images": model(
        node("Sub", "x", "m", out="a"),
        node("Div", "a", "s", out="b"),
        node("Conv", "b", "w"),
        shape=(3, 6, 6),
        m=weights(3, 1, 1),
        s=np.abs(weights(1, 3, 1, 1)) + 1,
        w=weights(2, 3, 3, 3),
    ),
    "bytes": model(
        node("Cast", "x", out="f", to=1),
        node("Div", "f", "s"),
        shape=MAP,
        dtype=UINT8,
        s=number(255),
    ),
    "concat": model(node("Relu", "x", out="r"), node("Concat", "r", "x", axis=1), shape=MAP),
    "concat rows": model(node("Relu", "x", out="r"), node("Concat", "r", "x", axis=-2), shape=MAP),
    "concat vectors": model(
        node("Conv", "x", "w", out="c"),
        node("Flatten", "c", out="f"),
        node("Flatten", "x", out="g"),
        node("Concat", "f", "g", axis=1),
        shape=MAP,
        w=weights(4, 4, 1, 1),
    ),
    "flatten, gemm": flattened([node("Flatten", "c", out="f")]),
    "flatten, relu, norm, gemm": flattened(
        [
            node("Flatten", "c", out="e"),
            node("Relu", "e", out="r"),
            node("BatchNormalization", "r", *["n"] * 4, out="f"),
        ],
        n=np.abs(weights(40)),
    ),
    "flatten, add, gemm": flattened(
        [node("Flatten", "c", out="e"), node("Add", "e", "n", out="f")], n=weights(40)
    ),
    "reshape, gemm": flattened([node("Reshape", "c", "s", out="f")], s=ints(-1, 40)),
    "reshape 0, gemm": flattened([node("Reshape", "c", "s", out="f")], s=ints(0, -1)),
    "shape chain, gemm": flattened(
        [
            node("Shape", "c", out="a"),
            node("Gather", "a", "zero", out="n", axis=0),
            node("Unsqueeze", "n", out="u", axes=[0]),
            node("Concat", "u", "minus", out="s", axis=0),
            node("Reshape", "c", "s", out="f"),
        ],
        opset=11,
        zero=np.array(0, np.int64),
        minus=ints(-1),
    ),
    "sliced shape, gemm": flattened(
        [
            node("Shape", "c", out="a"),
            node("Slice", "a", "zero", "one", out="n"),
            node("Constant", out="minus", value_ints=[-1]),
            node("Cast", "n", out="i", to=6),
            node("Cast", "i", out="l", to=7),
            node("Concat", "l", "minus", out="s", axis=0),
            node("Reshape", "c", "s", out="f"),
        ],
        zero=ints(0),
        one=ints(1),
    ),
    "average, squeeze, gemm": model(
        node("GlobalAveragePool", "x", out="g"),
        node("Squeeze", "g", "a", out="s"),
        node("Gemm", "s", "w"),
        shape=MAP,
        a=ints(2, 3),
        w=weights(4, 3),
    ),
    "unsqueeze, conv": model(
        node("Unsqueeze", "x", "a", out="u"),
        node("Conv", "u", "w"),
        shape=(5, 6),
        a=ints(1),
        w=weights(2, 1, 3, 3),
    ),
    "squeeze 11": one("Squeeze", shape=(1, 5, 6), opset=11, axes=[1]),
    "reshape to a map": model(
        node("Reshape", "x", "s", out="m"),
        node("Conv", "m", "w"),
        shape=(60,),
        s=ints(-1, 3, 4, 5),
        w=weights(2, 3, 3, 3),
    ),
    "shuffled channels": model(
        node("Reshape", "x", "s", out="a"),
        node("Transpose", "a", out="b", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "b", "t", out="c"),
        node("Conv", "c", "w"),
        shape=MAP,
        s=ints(0, 2, 2, 8, 9),
        t=ints(0, 4, 8, 9),
        w=weights(2, 4, 3, 3),
    ),
    "head": model(
        node("Conv", "x", "w", out="c"),
        node("Transpose", "c", out="t", perm=[0, 2, 3, 1]),
        node("Reshape", "t", "s", out="r"),
        node("Sigmoid", "r"),
        shape=MAP,
        w=weights(6, 4, 1, 1),
        s=ints(0, -1, 3),
    ),
    "channels last": model(
        node("Transpose", "x", out="t", perm=[0, 3, 1, 2]),
        node("Conv", "t", "w", out="c"),
        node("Transpose", "c", out="d", perm=[0, 2, 3, 1]),
        node("Flatten", "d", out="f"),
        node("MatMul", "f", "m"),
        shape=(5, 6, 3),
        w=weights(2, 3, 3, 3),
        m=weights(24, 3),
    ),
    "pad": one("Pad", "x", "p", p=ints(0, 0, 1, 2, 0, 0, 3, 0)),
    "pad 10": one("Pad", pads=[0, 0, 1, 2, 0, 0, 3, 0], opset=10),
    "pad axes": one("Pad", "x", "p", "", "a", p=ints(1, 2), a=ints(3), opset=18),
    "pad nothing": one("Pad", "x", "p", p=ints(*[0] * 8)),
    "resize half pixel": resize(),
    "resize asymmetric": resize(coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    "resize torch": resize(coordinate_transformation_mode="pytorch_half_pixel"),
    "resize sizes": model(
        node("Resize", "x", "", "", "sizes", mode="nearest"),
        shape=MAP,
        batch=2,
        sizes=ints(2, 4, 16, 18),
    ),
    "resize 10": one("Resize", "x", "s", s=np.array([1, 1, 2, 2], np.float32), opset=10),
    "upsample 7": one("Upsample", scales=[1.0, 1.0, 2.0, 3.0], opset=7),
    "upsample 9": one("Upsample", "x", "s", s=np.array([1, 1, 2, 2], np.float32), opset=9),
    "dropout": one("Dropout", ratio=0.3, opset=11),
    "dropout inputs": one("Dropout", "x", "r", r=number(0.3)),
    "identity": one("Identity"),
    "weights computed": model(
        node("Transpose", "w", out="v", perm=[1, 0]),
        node("Mul", "v", "two", out="u"),
        node("MatMul", "x", "u"),
        shape=(5,),
        w=weights(3, 5),
        two=number(2),
    ),
}
REFUSED = {
    "conv 1d": (one("Conv", "x", "w", shape=(4, 9), w=weights(2, 4, 3)), "images of two axes"),
    "conv computed": (one("Conv", "x", "x", shape=(4, 4, 4), batch=4), "is computed"),
    "transposed odd": (transposed(strides=[2, 2], pads=[1, 1, 1, 1]), "another size"),
    "transposed dilated": (transposed(dilations=[2, 2]), "dilations"),
    "transposed groups": (transposed(kernel=(4, 2, 3, 3), group=2), "group is 2"),
    "transposed shape": (transposed(output_shape=[16, 18], strides=[2, 2]), "output_shape"),
    "max padded": (
        pool("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        "below 0",
    ),
    "max dilated": (pool("MaxPool", kernel_shape=[2, 2], dilations=[2, 2]), "dilations"),
    "average padded": (
        pool("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        "no meaning here",
    ),
    "average up, counted": (
        pool("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1, count_include_pad=1),
        "ceil_mode 1",
    ),
    "mean of channels": (one("ReduceMean", axes=[1]), "rows and columns"),
    "mean of all": (one("ReduceMean"), "axes are all"),
    "gemm transposed": (
        one("Gemm", "x", "w", shape=(5,), w=weights(3, 3), batch=3, transA=1),
        "transA 1",
    ),
    "matmul of two": (one("MatMul", "x", "x", shape=(3,), batch=3), "is computed"),
    "clip both sides": (
        one("Clip", "x", "low", "high", low=number(-1), high=number(1)),
        "no operation here",
    ),
    "elu": (one("Elu"), "Elu_y .Elu."),
    "gelu tanh": (one("Gelu", opset=20, approximate="tanh"), "no operation here"),
    "prelu by position": (one("PRelu", "x", "s", s=weights(4, 8, 9)), "position to position"),
    "softmax 11 of a map": (one("Softmax", opset=11), "before opset 13"),
    "norm in training": (norm(training_mode=1), "training_mode"),
    "product of other ranks": (
        model(
            node("Sigmoid", "x", out="s"),
            node("Flatten", "x", out="f"),
            node("Mul", "f", "s"),
            shape=MAP,
        ),
        "the same number of axes",
    ),
    "slice channels": (
        one("Slice", "x", "a", "b", "ax", a=ints(1), b=ints(3), ax=ints(1)),
        "slices the",
    ),
    "quotient": (
        model(
            node("Exp", "x", out="e"),
            node("Sigmoid", "x", out="s"),
            node("Div", "x", "s"),
            shape=MAP,
        ),
        "it divides two computed tensors",
    ),
    "add by position": (one("Add", "x", "c", c=weights(8, 9)), "position to position"),
    "add larger": (one("Add", "x", "c", shape=(4, 1, 9), c=weights(8, 1)), "another shape"),
    "divide a number": (one("Div", "c", "x", c=number(1)), "divides by a computed"),
    "divide by 0": (one("Div", "x", "c", c=number(0)), "divides by 0"),
    "concat batch": (model(node("Concat", "x", "x", axis=0), shape=MAP), "axis is 0"),
    "reshape batch": (one("Reshape", "x", "s", s=ints(-1, 9)), "batch"),
    "flatten all": (one("Flatten", axis=0), "axis is 0"),
    "transpose batch": (one("Transpose"), "the batch first"),
    "pad value": (
        one("Pad", "x", "p", "v", p=ints(0, 0, 1, 1, 0, 0, 1, 1), v=number(2)),
        "allowed: 0",
    ),
    "pad reflect": (
        one("Pad", "x", "p", p=ints(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect"),
        "mode is reflect",
    ),
    "pad all": (one("Pad", "x", "p", p=ints(0, 1, 1, 1, 0, 0, 0, 0)), "pads channels"),
    "pad negative": (one("Pad", "x", "p", p=ints(0, 0, -1, 0, 0, 0, 0, 0)), "from 0"),
    "resize linear": (one("Resize", "x", "", "s", s=number([1, 1, 2, 2]), mode="linear"), "linear"),
    "resize align": (resize(coordinate_transformation_mode="align_corners"), "more often"),
    "resize half": (one("Resize", "x", "", "s", s=number([1, 1, 0.5, 2])), "whole numbers"),
    "cast": (one("Cast", to=6), "casts to"),
    "whole numbers": (
        model(node("Add", "x", "x"), shape=MAP, dtype=UINT8),
        "whole numbers",
    ),
    "half precision": (
        one("Mul", "x", "c", c=np.ones(1, np.float16)),
        "float16",
    ),
    "unknown": (one("LpNormalization"), "LpNormalization_y .LpNormalization."),
    "unknown attribute": (one("Relu", other=1), "'other'"),
    "batch in arithmetic": (
        model(
            node("Shape", "x", out="s"),
            node("Cast", "s", out="f", to=1),
            node("Gather", "f", "zero", out="n"),
            node("Mul", "x", "n"),
            shape=MAP,
            zero=np.array(0, np.int64),
        ),
        "number of images",
    ),
}


@pytest.mark.parametrize("name", EQUAL)
def test_operators_compute_the_same(tmp_path, name):
    assert same(EQUAL[name], tmp_path)


@pytest.mark.parametrize("name", REFUSED)
def test_operators_without_a_meaning_are_refused_by_name(tmp_path, name):
    made, message = REFUSED[name]
    with pytest.raises(ModelError, match=message) as refused:
        read(tmp_path, made)
    assert made.graph.node[-1].name in str(refused.value)


def test_constants_may_be_nodes_and_initializers_may_be_inputs(tmp_path):
    made = EQUAL["conv"]
    listed = onnx.ModelProto()
    listed.CopyFrom(made)
    for tensor in made.graph.initializer:
        shape = list(tensor.dims)
        listed.graph.input.append(
            onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, shape)
        )
    assert same(listed, tmp_path)
    nodes = onnx.ModelProto()
    nodes.CopyFrom(made)
    constants = [
        onnx.helper.make_node("Constant", [], [tensor.name], value=tensor)
        for tensor in made.graph.initializer
    ]
    del nodes.graph.initializer[:], nodes.graph.node[:]
    nodes.graph.node.extend([*constants, *made.graph.node])
    assert same(nodes, tmp_path)


@pytest.mark.parametrize("opset", range(7, 23))
def test_every_opset_is_read(tmp_path, opset):
    made = model(
        node("Conv", "x", "w", out="c", pads=[1, 1, 1, 1]),
        node("Relu", "c", out="r"),
        node("MaxPool", "r", out="p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "p", out="f"),
        node("Gemm", "f", "m", "b", transB=1),
        shape=(3, 6, 6),
        opset=opset,
        w=weights(4, 3, 3, 3),
        m=weights(5, 36),
        b=weights(5),
    )
    made.ir_version = 10
    assert same(made, tmp_path)


def drawn_window(rng, op):
    kernel = [int(n) for n in rng.integers(1, 5, 2)]
    attrs = {"strides": [int(n) for n in rng.integers(1, 4, 2)]}
    if rng.random() < 0.7:
        attrs["pads"] = [int(rng.integers(0, k)) for k in kernel * 2]
    else:
        attrs["auto_pad"] = str(rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    if op == "Conv":
        if rng.random() < 0.3 and "auto_pad" not in attrs:
            attrs["dilations"] = [int(n) for n in rng.integers(1, 3, 2)]
        return kernel, attrs
    if rng.random() < 0.5 and "auto_pad" not in attrs:
        attrs["ceil_mode"] = 1
    if op == "AveragePool" and rng.random() < 0.5:
        attrs["count_include_pad"] = 1
    return kernel, {**attrs, "kernel_shape": kernel}


@pytest.mark.parametrize("op", ["Conv", "MaxPool", "AveragePool"])
def test_random_windows_compute_the_same_or_are_refused(tmp_path, op):
    rng, outcomes = np.random.default_rng(11), []
    for _ in range(150):
        kernel, attrs = drawn_window(rng, op)
        shape = (2, *(int(n) for n in rng.integers(7, 12, 2)))
        nodes = [node("Relu", "x", out="r")] if rng.random() < 0.5 else []
        source = "r" if nodes else "x"
        if op == "Conv":
            made = model(
                *nodes, node(op, source, "w", **attrs), shape=shape, w=weights(3, 2, *kernel)
            )
        else:
            made = model(*nodes, node(op, source, **attrs), shape=shape)
        outcomes.append(same(made, tmp_path))
    assert all(outcomes) if op == "Conv" else 30 < sum(outcomes) < 150


def test_random_transposed_convolutions_compute_the_same_or_are_refused(tmp_path):
    rng, outcomes = np.random.default_rng(5), []
    for _ in range(200):
        strides = [int(n) for n in rng.integers(1, 4, 2)]
        kernel = [int(n) for n in rng.integers(1, 6, 2)]
        attrs = {"strides": strides, "pads": [int(rng.integers(0, k)) for k in kernel * 2]}
        attrs["output_padding"] = [int(rng.integers(0, s)) for s in strides]
        made = model(
            node("ConvTranspose", "x", "w", **attrs), shape=(2, 6, 7), w=weights(2, 3, *kernel)
        )
        outcomes.append(same(made, tmp_path))
    assert 10 < sum(outcomes) < 200

"""Matrix products."""

from __future__ import annotations

import numpy as np

from pipeline.errors import ModelError
from pipeline.importers.onnx.call import Call, Rule
from pipeline.importers.onnx.tensor import Tensor


def gemm(call: Call) -> Tensor:
    """Read a Gemm: alpha, beta and transB are carried into kernel and bias."""
    tensor = call.tensor()
    if len(tensor.shape) != 1 or call.attr("transA", 0):
        raise ModelError(
            f"its input has the sizes {tensor.shape} (transA {call.attr('transA', 0)}); allowed: a"
            " vector for each image; flatten it first"
        )
    kernel = call.weights(1, 2)
    kernel = kernel.T if call.attr("transB", 0) else kernel
    bias = None
    if call.value(2) is not None:
        bias = np.float32(call.attr("beta", 1.0)) * _row(call.weights(2), kernel.shape[1])
    return _dense(call, tensor, np.float32(call.attr("alpha", 1.0)) * kernel, bias)


def matmul(call: Call) -> Tensor:
    """Read a MatMul with a constant matrix; an Add after it becomes the bias."""
    tensor = call.tensor()
    kernel = call.weights(1)
    if kernel.ndim != 2:
        raise ModelError(f"its matrix has the shape {kernel.shape}; allowed: two sizes")
    if len(tensor.shape) > 1 and tensor.order[-1] != len(tensor.shape):
        tensor = call.builder.straight(tensor, call.name)
    return _dense(call, tensor, kernel, None)


def _dense(call, tensor, kernel, bias) -> Tensor:
    rows = tensor.shape[-1]
    if len(kernel) != rows:
        raise ModelError(f"its matrix has {len(kernel)} rows; its input has {rows} values")
    if len(tensor.shape) == 1:
        kernel = kernel[tensor.rows()]
    attrs = {"units": kernel.shape[1], "use_bias": bias is not None}
    weights = {"kernel": kernel} if bias is None else {"kernel": kernel, "bias": bias}
    return call.builder.tensor(call.emit("Dense", (tensor.node,), attrs, weights), tensor.order)


def _row(array, units):
    if array.size != 1 and (array.size, array.shape[-1]) != (units, units):
        raise ModelError(f"its bias has the shape {array.shape}; allowed: {units} values")
    return np.broadcast_to(array.ravel(), (units,))


RULES = {
    "Gemm": Rule(read=gemm, attributes=("alpha", "beta", "transA", "transB")),
    "MatMul": Rule(read=matmul),
}

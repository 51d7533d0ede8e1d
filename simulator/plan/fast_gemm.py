"""The exact 8-bit product of the ``fast`` backend: onnxruntime's MatMulInteger.

Weights wider than 8 bits (an input shift is part of them) are written in digits of base 128, one
product a digit, side by side. On processors whose 16-bit pair sums saturate, digits are kept to
7 bits everywhere: ``255 * 64 * 2`` stays below ``2**15``.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import onnxruntime

NARROW = 64
"""Magnitude of a digit that is safe in any 16-bit pair sum."""


class IntegerProduct:
    """Multiplies uint8 rows by fixed integer weights, exactly.

    Parameters
    ----------
    weights : int64 (depth, filters)
    """

    def __init__(self, weights: np.ndarray):
        digits = _digits(weights, wide=pair_sums_are_exact())
        self.digits = len(digits)
        self._session = _session(np.concatenate(digits, axis=1))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return partial products int32 (positions, digits * filters), lowest digit first."""
        return self._session.run(None, {"rows": rows})[0]


def _digits(weights: np.ndarray, *, wide: bool) -> list[np.ndarray]:
    """Return int8 digits with ``sum(digit * 128**n) == weights``."""
    largest = int(np.abs(weights).max(initial=0))
    if largest < NARROW or (wide and largest < 128):
        return [weights.astype(np.int8)]
    digits, rest = [], weights
    while np.any(rest):
        low = ((rest + NARROW) % (2 * NARROW)) - NARROW
        digits.append(low.astype(np.int8))
        rest = (rest - low) // (2 * NARROW)
    return digits


def _session(weights: np.ndarray):
    """Return an onnxruntime session of one MatMulInteger on one thread."""
    depth, filters = weights.shape
    kinds = onnx.TensorProto
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMulInteger", ["rows", "weights"], ["sums"])],
        "product",
        [onnx.helper.make_tensor_value_info("rows", kinds.UINT8, ["positions", depth])],
        [onnx.helper.make_tensor_value_info("sums", kinds.INT32, ["positions", filters])],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(weights), "weights")],
    )
    opset = onnx.helper.make_opsetid("", 13)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


@cache
def pair_sums_are_exact() -> bool:
    """Say whether this processor multiplies the most extreme bytes exactly."""
    rows = np.full((4, 64), 255, np.uint8)
    for value in (127, -128):
        weights = np.full((64, 8), value, np.int8)
        if not np.all(_session(weights).run(None, {"rows": rows})[0] == 255 * 64 * value):
            return False
    return True


@cache
def works() -> bool:
    """Say whether products are exact here, by a test with random and extreme bytes."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (33, 147), dtype=np.uint8)
    rows[:4] = 255
    weights = rng.integers(-2000, 2000, (147, 19))
    weights[:, 0], weights[:, 1] = 127, -128
    product = IntegerProduct(weights)
    sums = product(rows).astype(np.int64).reshape(33, product.digits, 19)
    values = (sums << (7 * np.arange(product.digits))[:, None]).sum(axis=1)
    return bool(np.array_equal(values, rows.astype(np.int64) @ weights))

"""The input of an ONNX model: its sizes, and in which order images are given."""

from __future__ import annotations

from pipeline.errors import ModelError
from pipeline.importers.onnx.model import OnnxInput, OnnxModel
from pipeline.importers.onnx.operators.activation import RULES as ACTIVATIONS
from pipeline.messages.settings import setting

DTYPES = ("float32", "uint8")
ON_MAPS = (
    *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"),
    *("BatchNormalization", "Resize", "Upsample"),
)
"""Operators whose input is (batch, channels, height, width)."""
PASSING = (*ACTIVATIONS, "Add", "Sub", "Mul", "Div", "Cast", "Identity", "Dropout", "Pad")
"""Operators that keep the order of the axes."""


def only_input(model: OnnxModel, given: tuple[int, ...] | None) -> OnnxInput:
    """Return the model's input with all sizes of one image.

    Parameters
    ----------
    model : OnnxModel
    given : tuple of int or None
        What the user says the sizes are, without the batch.

    Raises
    ------
    ModelError
        When there are several inputs, or sizes that are unknown or contradict each other.
    """
    if len(model.inputs) != 1:
        names = ", ".join(entry.name for entry in model.inputs)
        raise ModelError(
            f"{model.label}: found {len(model.inputs)} inputs ({names or 'none'}); models with"
            " exactly one can be read; cut the model with onnx.utils.extract_model"
        )
    entry = model.inputs[0]
    said = ["batch", *("?" if size is None else size for size in entry.shape[1:])]
    where = f"{model.label}: its input {entry.name} has the sizes ({', '.join(map(str, said))})"
    if entry.dtype not in DTYPES or len(entry.shape) < 2:
        raise ModelError(
            f"{where} of {entry.dtype}; allowed: the batch and at least one size, of"
            f" {', '.join(DTYPES)}"
        )
    sizes = entry.shape[1:]
    if given is not None:
        fits = len(given) == len(sizes) and all(
            known in (None, size) for known, size in zip(sizes, given, strict=True)
        )
        if not fits:
            raise ModelError(f"{where}; found the input shape {','.join(map(str, given))}")
        sizes = given
    if None in sizes:
        example = ",".join(str(224 if size is None else size) for size in sizes)
        raise ModelError(
            f"{where}; say what '?' is with {setting('model.input_shape')}, for example"
            f" {example}, in the order of the file"
        )
    return OnnxInput(name=entry.name, dtype=entry.dtype, shape=(entry.shape[0], *sizes))


def input_order(model: OnnxModel, entry: OnnxInput) -> tuple[int, ...]:
    """Return ONNX' axes of the input in the order in which images are given here.

    Images of models with convolutions are (height, width, channels), which the first operator on
    maps says; others keep the order of the file.
    """
    plain = tuple(range(1, len(entry.shape)))
    if len(plain) != 3:
        return plain
    consumers: dict[str, list] = {}
    for node in model.nodes:
        for name in dict.fromkeys(node.inputs):
            consumers.setdefault(name, []).append(node)
    pending, seen = [(entry.name, (0, *plain))], set()
    while pending:
        name, axes = pending.pop(0)
        for node in consumers.get(name, ()):
            if node.op in ON_MAPS and node.inputs[0] == name:
                return axes[2], axes[3], axes[1]
            if id(node) in seen or not node.outputs:
                continue
            seen.add(id(node))
            perm = node.attrs.get("perm") if node.op == "Transpose" else (0, 1, 2, 3)
            if node.op in (*PASSING, "Transpose") and sorted(perm or ()) == [0, 1, 2, 3]:
                pending.append((node.outputs[0], tuple(axes[axis] for axis in perm)))
    return plain

"""Say what a file is that no importer reads, and what to give instead."""

from __future__ import annotations

import zipfile
from pathlib import Path

from pipeline.messages.settings import setting

KERAS = "save the Keras model as one file, model.save('model.keras') or model.save('model.h5')"
"""Advice for what Keras itself wrote in another form."""
ARRAYS = "holds arrays, no model; give the .h5, .keras or .onnx file of a model"
TORCH = (
    "was saved by PyTorch; export it with torch.onnx.export(model, example, 'model.onnx') and give"
    " that file"
)
UNKNOWN = (
    "it is neither HDF5 (.h5), a .keras archive nor ONNX (.onnx); give one of these, as Keras or an"
    " ONNX exporter wrote it"
)
HEAD = 512


def foreign(path: Path) -> str:
    """Return what the file or folder `path` is, as far as its beginning or its names tell."""
    if path.is_dir():
        return _folder(path)
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith(b"PK\x03\x04"):
        return _archive(path)
    if not head:
        return "is empty (0 bytes); save or copy the model again"
    if head[4:8] == b"TFL3":
        return (
            "is a TFLite model, whose layers are already merged and maybe quantized; give the Keras"
            " or ONNX model that it was converted from"
        )
    if head.startswith(b"\x93NUMPY"):
        return ARRAYS
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return f"is a pickle, which may run code and is never loaded; {KERAS}"
    if path.suffix in (".yaml", ".yml"):
        return (
            "is an architecture without weights; 'python -m pipeline' trains one, 'crossgrade"
            " check' and 'describe' read it"
        )
    if head.lstrip()[:1] == b"{":
        return (
            "is JSON, the layers of a model without weights; give the file of the weights, and this"
            f" one by {setting('model.architecture')}"
        )
    if path.suffix == ".pb":
        return f"is a frozen TensorFlow graph; {KERAS}"
    return UNKNOWN


def _folder(path: Path) -> str:
    if (path / "saved_model.pb").exists():
        return f"is a SavedModel folder; {KERAS}, where the model was made"
    return "is a folder; give the .h5, .keras, .onnx or .npz file of a model"


def _archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return "is a truncated or damaged archive; save or copy it again"
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return TORCH
    if names and all(name.endswith(".npy") for name in names):
        return ARRAYS
    return "the archive has no config.json and model.weights.h5: it is not a .keras file; " + KERAS

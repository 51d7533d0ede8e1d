"""The file that a step reads a model from: the user's own, or one of an object in memory."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.steps.keras_object import is_keras, save_keras


class Source:
    """A model's file.

    Attributes
    ----------
    path : Path
    name : str
        What messages call it: the path that the user gave, or the name of the object.
    is_copy : bool
        True for a temporary file, which lives as long as this object.
    """

    def __init__(self, path: Path, name: str, is_copy: bool = False):
        self.path, self.name, self.is_copy = path, name, is_copy

    @classmethod
    def of(cls, model: Any) -> Source:
        """Return the source of a path, a Keras model, or a graph."""
        if isinstance(model, Source):
            return model
        if not is_keras(model) and not hasattr(model, "nodes"):
            return cls(Path(model), str(model))
        folder = Path(tempfile.mkdtemp(prefix="crossgrade-"))
        try:
            source = cls(_written(model, folder), model.name, True)
        except BaseException:
            shutil.rmtree(folder)
            raise
        weakref.finalize(source, shutil.rmtree, folder, ignore_errors=True)
        return source

    @contextmanager
    def named(self) -> Iterator[None]:
        """Let messages within name the object instead of its temporary file."""
        try:
            yield
        except UserError as error:
            if self.is_copy:
                error.args = (str(error).replace(str(self.path), self.name),)
            raise


def _written(model, folder: Path) -> Path:
    if is_keras(model):
        return save_keras(model, folder)
    from pipeline.graph.archive import save_graph

    path = folder / "model.npz"
    save_graph(path, model)
    return path

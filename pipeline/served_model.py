"""A program as a model that MLflow serves: the emulator's code beside it, NumPy its only need."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from simulator import Program


def save_served_model(program_path, folder) -> None:
    """Write an MLflow model of the program to `folder`.

    Parameters
    ----------
    program_path : path-like
        A program file; it is copied.
    folder : path-like
        Made new.
    """
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    import simulator

    program = Program.load(program_path)
    images = TensorSpec(np.dtype(program.input_dtype), (-1, *program.input_shape))
    outputs = TensorSpec(np.dtype(np.float32), (-1, *program.output_shape))
    with warnings.catch_warnings():
        # It asks for an example to infer what the signature already says.
        warnings.simplefilter("ignore", UserWarning)
        mlflow.pyfunc.save_model(
            path=str(folder),
            loader_module="simulator.serving",
            data_path=str(program_path),
            code_paths=[str(Path(simulator.__file__).parent)],
            pip_requirements=[f"numpy=={np.__version__}"],
            signature=ModelSignature(inputs=Schema([images]), outputs=Schema([outputs])),
        )

"""A program as an MLflow model: the emulator's code is included, NumPy is required."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from simulator import Program

LOADER = "simulator.serving"


def save_served_model(program_path, folder) -> None:
    """Write an MLflow model of the program to `folder`.

    Parameters
    ----------
    program_path : path-like
        A program file; it is copied.
    folder : path-like
        Must not exist.
    """
    import simulator

    program = Program.load(program_path)
    with warnings.catch_warnings():
        # MLflow warns about its own types and asks for an example that the signature already gives.
        warnings.simplefilter("ignore")
        import mlflow.pyfunc

        mlflow.pyfunc.save_model(
            path=str(folder),
            loader_module=LOADER,
            data_path=str(program_path),
            code_paths=[str(Path(simulator.__file__).parent)],
            pip_requirements=[f"numpy=={np.__version__}"],
            signature=_signature(program),
        )


def served_model(program: Program):
    """Return a program as an ``mlflow.pyfunc.PyFuncModel``, without writing files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.models import Model
        from mlflow.pyfunc import PyFuncModel

        from simulator.serving import ServedProgram

        described = Model(signature=_signature(program))
        described.add_flavor("python_function", loader_module=LOADER)
        return PyFuncModel(described, ServedProgram(program))


def _signature(program: Program):
    from mlflow.models import ModelSignature
    from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

    kind = np.float32 if program.gives_floats else np.int32
    outputs = TensorSpec(np.dtype(kind), (-1, *program.output_shape))
    return ModelSignature(
        inputs=_inputs(program),
        outputs=Schema([outputs]),
        params=ParamSchema([ParamSpec("classes", "boolean", default=False)]),
    )


def _inputs(program: Program):
    """Return the types of floats; None for integers, to which the server would cut images of 0..1.

    The loader refuses images that lose values in the program's type.
    """
    from mlflow.types import Schema, TensorSpec

    if program.input_dtype != "float32":
        return None
    return Schema([TensorSpec(np.dtype(np.float32), (-1, *program.input_shape))])

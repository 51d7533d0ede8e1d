"""Read a model of any kind: ``crossgrade.read``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from pipeline.steps.chip_program import ChipProgram
from pipeline.steps.float_model import FloatModel
from pipeline.steps.python import said, step
from pipeline.steps.quantized_model import QuantizedModel
from pipeline.steps.source import Source

OURS = (FloatModel, QuantizedModel, ChipProgram)
ACCEPTED = "a path, the name of an architecture, a Keras model, or what crossgrade.read returns"


@step
def read(
    model: Any,
    *,
    input_shape: Sequence[int] | None = None,
    until: str | Sequence[str] = (),
    architecture: str | None = None,
    input_dtype: str = "auto",
    seed: int = 0,
    **parameters: Any,
) -> FloatModel | QuantizedModel | ChipProgram:
    """Read a model: float, quantized, or a chip's program.

    Parameters
    ----------
    model : path-like, str, mapping or Keras model
        A file (``.h5``, ``.keras``, ``.onnx``, ``.npz``), the name of an architecture such as
        ``akidanet``, an architecture as a mapping (see docs/architecture.md), or a model of Keras 2
        (tf_keras) or Keras 3. Models that QuantizeML or cnn2snn quantized are read as they are. No
        code from a file is run.
    input_shape : sequence of int, optional
        Sizes of one image where a file leaves them open, in its order.
    until : str or sequence of str, optional
        Read the model up to these nodes.
    architecture : str, optional
        For a file of weights only: the model's JSON, or the name of an architecture.
    input_dtype : {"auto", "uint8", "int8", "float32"}
        Images that a model of float inputs takes, as those of Keras do. ``auto`` takes uint8 where
        its Rescaling expects pixels.
    seed : int
        Of an architecture's initial weights.
    **parameters
        Of an architecture: ``alpha``, ``classes``, ``version``, ``boxes``.

    Returns
    -------
    FloatModel, QuantizedModel or ChipProgram

    Raises
    ------
    ModelError
        If it is none of them; lists every layer that cannot be read.
    """
    from pipeline.graph.architecture_file import is_architecture
    from pipeline.models.wanted import Wanted

    if isinstance(model, OURS):
        return model
    sizes = None if input_shape is None else tuple(input_shape)
    wanted = Wanted(input_shape=sizes, until=until, architecture=architecture)
    if isinstance(model, Mapping) or (isinstance(model, str) and is_architecture(model)):
        found = _built(model, wanted, seed, parameters)
        return found if input_dtype == "auto" else as_typed(found, input_dtype)
    if parameters:
        from pipeline.errors import ModelError

        raise ModelError(
            f"{', '.join(parameters)}: belongs to architectures; found {_shown(model)}"
        )
    found = _wrapped(model, wanted)
    return as_typed(found, input_dtype) if isinstance(found, FloatModel) else found


def as_typed(
    model: FloatModel, wanted: str, samples: Any = None, name: str = "the samples"
) -> FloatModel:
    """Return a float model of the images that `wanted`, or the samples called `name`, say."""
    from pipeline.messages.notes import INPUT, Note
    from pipeline.models.input_dtype import choose_input_dtype, with_input_dtype

    chosen = choose_input_dtype(model.graph, wanted, samples, name)
    if chosen.dtype == model.graph.input.attrs["dtype"]:
        return model
    note = Note(kind=INPUT, text=f"{model.name} {chosen}")
    return FloatModel(with_input_dtype(model.graph, chosen.dtype), (*model.notes, note))


def _built(model, wanted, seed: int, parameters: Mapping) -> FloatModel:
    from pipeline.graph.architecture import build_graph
    from pipeline.graph.architecture_file import read_architecture

    values = model if isinstance(model, Mapping) else read_architecture(model)
    given = {key: value for key, value in parameters.items() if value is not None}
    if wanted.input_shape is not None:
        given["input_shape"] = list(wanted.input_shape)
    graph = build_graph({**values, **given}, seed=seed)
    return FloatModel(wanted.ended(graph, graph.name))


def _wrapped(model, wanted):
    """Return the object of a file, a Keras model, or an object of the pipeline."""
    from pipeline.errors import ModelError
    from pipeline.graph.graph import Graph
    from pipeline.models.opened import open_model
    from pipeline.models.program import is_program
    from pipeline.quantization.calibrated_graph import CalibratedGraph
    from pipeline.quantization.legacy_graph import LegacyGraph
    from pipeline.quantization.quantized_graph import QuantizedGraph
    from pipeline.steps.keras_object import is_keras
    from simulator import Program

    if isinstance(model, Program):
        return ChipProgram(model)
    if isinstance(model, QuantizedGraph | CalibratedGraph | LegacyGraph):
        return QuantizedModel(model)
    if isinstance(model, Graph):
        return FloatModel(wanted.ended(model, model.name), model.notes)
    if not isinstance(model, str | PathLike) and not is_keras(model):
        raise ModelError(f"found {_shown(model)}; give {ACCEPTED}")
    source = Source.of(model)
    if is_program(source.path):
        return ChipProgram(Program.load(source.path))
    with source.named():
        loaded = open_model(source.path, wanted)
    if isinstance(loaded, Graph):
        return FloatModel(loaded, loaded.notes, None if wanted.until else source)
    return QuantizedModel(loaded)


def as_float(model: Any) -> FloatModel:
    """Return a float model, read where it is not yet.

    Raises
    ------
    ModelError
        If it is quantized.
    """
    return _as(model, "give the float model that it was made from", FloatModel)


def as_quantized(model: Any) -> QuantizedModel:
    """Return a quantized model, read where it is not yet.

    Raises
    ------
    ModelError
        If it is not quantized, or a program.
    """
    return _as(model, _how_to_quantize(), QuantizedModel)


def as_made(model: Any) -> QuantizedModel | ChipProgram:
    """Return a quantized model or a program, read where it is not yet.

    Raises
    ------
    ModelError
        If it is a float model.
    """
    return _as(model, _how_to_quantize(), QuantizedModel, ChipProgram)


def as_runnable(model: Any) -> ChipProgram:
    """Return a program; of a quantized model, that of the newest chip that takes it.

    Raises
    ------
    ModelError
        If it is a float model.
    """
    advice = said("give what crossgrade.convert returns", "convert it first: crossgrade convert")
    found = _as(model, advice, ChipProgram, QuantizedModel)
    return found.program if isinstance(found, QuantizedModel) else found


WORDS = {FloatModel: "a float model", QuantizedModel: "a quantized model", ChipProgram: "a program"}


def _how_to_quantize() -> str:
    return said("give what crossgrade.quantize returns", "quantize it first: crossgrade quantize")


def _as(model, advice: str, *kinds: type):
    """Return a model of one of `kinds`, of which a refusal names the first."""
    found = read(model)
    if isinstance(found, kinds):
        return found
    from pipeline.errors import ModelError

    label = model if isinstance(model, str | PathLike) else found.name
    raise ModelError(f"{label}: is {WORDS[type(found)]}, not {WORDS[kinds[0]]}; {advice}")


def _shown(model) -> str:
    return (
        str(model)
        if isinstance(model, str | PathLike)
        else f"an object of type {type(model).__name__}"
    )

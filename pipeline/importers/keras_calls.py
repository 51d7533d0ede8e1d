"""Arguments of one call of a layer, in the notations of Keras 2 and Keras 3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import ModelError

CONSTANT = "_CONSTANT_VALUE"


@dataclass(frozen=True)
class Tensor:
    """An output of another call.

    Attributes
    ----------
    layer : str
    call : int
        Number of the call of that layer.
    output : int
        Number among the outputs of that call.
    """

    layer: str
    call: int
    output: int = 0


@dataclass(frozen=True)
class Call:
    """The arguments of one call; tensors are `Tensor`, all else is JSON values.

    Attributes
    ----------
    args : tuple
        Positional arguments; a list of tensors is one argument.
    kwargs : mapping of str to value
    generation : {2, 3}
        Of the Keras that wrote the call.
    """

    args: tuple = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    generation: int = 2

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors, in the order of the arguments."""
        return tuple(_tensors([*self.args, *self.kwargs.values()]))


def _tensors(value) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def read_call(node: Any, names: frozenset[str]) -> Call:
    """Return one entry of ``inbound_nodes``.

    Parameters
    ----------
    node : dict (Keras 3) or list or dict of lists (Keras 2)
    names : set of str
        Layers of the model; a list in an argument is a tensor of Keras 2 if it names one.

    Raises
    ------
    ModelError
        If the call reads an output of a layer other than the first.
    """
    if isinstance(node, Mapping) and set(node) <= {"args", "kwargs"}:
        call = Call(
            tuple(_keras3(value) for value in node.get("args", ())),
            {key: _keras3(value) for key, value in (node.get("kwargs") or {}).items()},
            generation=3,
        )
    else:
        options: dict[str, Any] = {}
        call = Call((_keras2_first(node, names, options),), options)
    for tensor in call.tensors:
        if tensor.output != 0:
            raise ModelError(
                f"{tensor.layer}: its output {tensor.output} is used; only layers and models with"
                " one output can be read"
            )
    return call


def _keras3(value):
    if isinstance(value, Mapping):
        kind, config = value.get("class_name"), value.get("config")
        if kind == "__keras_tensor__":
            layer, call, output = config["keras_history"]
            return Tensor(str(layer), int(call), int(output))
        if kind in ("__numpy__", "__tensor__"):
            return config["value"]
        return {key: _keras3(item) for key, item in value.items()}
    return [_keras3(item) for item in value] if isinstance(value, list) else value


def _keras2_first(node, names, options):
    """Return the first argument; collect the others in `options`."""
    if isinstance(node, Mapping):
        return {key: _keras2_first(value, names, options) for key, value in node.items()}
    if node and isinstance(node[0], str):
        layer, call, last, *rest = node
        for key, value in (rest[0] if rest and rest[0] else {}).items():
            options[key] = _keras2_option(value, names)
        return last if layer == CONSTANT else Tensor(layer, int(call), int(last))
    entries = [_keras2_first(item, names, options) for item in node]
    return entries[0] if len(entries) == 1 else entries


def _keras2_option(value, names):
    if isinstance(value, list):
        if (
            len(value) in (3, 4)
            and isinstance(value[0], str)
            and value[0] in names
            and all(isinstance(number, int) for number in value[1:3])
        ):
            return Tensor(*value[:3])
        return [_keras2_option(item, names) for item in value]
    return value


def check_inference(call: Call) -> None:
    """Raise if the arguments of a call change what a layer computes.

    ``predict`` of Keras 3 overrides the ``training`` argument with which a model was built; Keras 2
    keeps ``training=True``.

    Raises
    ------
    ModelError
        If an argument is not supported; the message lacks the layer's name.
    """
    if call.kwargs.get("training") not in (None, False, 0) and call.generation == 2:
        raise ModelError(
            "it was called with training=True, so that Keras 2 uses the statistics or the noise of"
            " each batch in inference too; build the model without this argument"
        )
    if call.kwargs.get("mask") is not None:
        raise ModelError("it was called with a mask; only calls without one can be read")
    plain = {key: value for key, value in call.kwargs.items() if key != "training"}
    for key, value in [*enumerate(call.args, 1), *plain.items()]:
        for item in _unsupported_values(value):
            raise ModelError(
                f"it was called with the argument {key!r} of {_short(item)}; allowed: tensors and"
                " training=False"
            )


def _unsupported_values(value) -> Iterator[Any]:
    """Yield the values in an argument that are neither tensors nor None."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _unsupported_values(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _unsupported_values(item)
    elif value is not None and not isinstance(value, Tensor):
        yield value


def _short(value):
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."

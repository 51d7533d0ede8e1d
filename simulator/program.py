"""Program: the chip's configuration, layers in order of execution with their registers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from simulator.archive import ArchiveError, read_archive, write_archive
from simulator.errors import ProgramError
from simulator.facts import LayerFacts
from simulator.layer import Layer
from simulator.malformed import MALFORMED, brief
from simulator.origin import Origin, read_origin
from simulator.refusal import Refusal
from simulator.registers import check_types
from simulator.targets import layer_types, limits_of

KIND, FORMAT = "program", 1
INPUT_TYPES = ("uint8", "int8", "int16", "float32")


@dataclass(frozen=True, eq=False, kw_only=True)
class Program:
    """Integer model as layers of one chip.

    Attributes
    ----------
    name : str
    target : str
        Name of the chip: a sub-package of `simulator`.
    input_shape : tuple of int
        Shape of one input, without the batch dimension.
    input_dtype : {"uint8", "int8", "int16", "float32"}
    output_shape : tuple of int
        Shape of one output, without the batch dimension.
    layers : tuple of Layer
        In order of execution; the last one is the output.
    notes : tuple of str
        Remarks of the conversion, for users.
    output_scale : tuple of float or None
        Value of one unit of the last layer's integers, one or one per channel, with which the host
        multiplies them. None where the last layer outputs floats, or integers without a unit.
    origin : Origin or None
        The value of its integers in the float model; programs of other tools lack it.

    Raises
    ------
    ProgramError
        If layers do not fit together, or registers do not fit their layer; lists all problems.
    """

    name: str
    target: str
    input_shape: tuple[int, ...]
    input_dtype: str
    output_shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    notes: tuple[str, ...] = ()
    output_scale: tuple[float, ...] | None = None
    origin: Origin | None = None

    def __post_init__(self):
        """Check everything, so that an invalid program cannot exist."""
        problems = list(self.check())
        if problems:
            raise ProgramError(
                f"{self.name}: not a valid {self.target} program:\n"
                + "\n".join(f"  - {problem}" for problem in problems)
            )

    @cached_property
    def by_name(self) -> dict[str, Layer]:
        """Layers by name."""
        return {layer.name: layer for layer in self.layers}

    def check(self) -> Iterator[str]:
        """Yield every reason why this program cannot run."""
        malformed = list(check_types(self))
        if malformed:
            yield from malformed
            return
        types = tuple(layer_types(self.target).values())
        if not self.layers:
            yield "it has no layers"
            return
        if self.input_dtype not in INPUT_TYPES:
            yield f"input_dtype is '{self.input_dtype}'; allowed: {', '.join(INPUT_TYPES)}"
        broken = False
        for layer in self.layers:
            if type(layer) not in types:
                yield f"{layer.name}: {self.target} has no layer {type(layer).__name__}"
            problems = list(check_types(layer))
            if not problems:
                problems = layer.check() if _has_3d_inputs(layer) else [_shapes_needed(layer)]
            for sentence in problems:
                broken = True
                yield f"{layer.name}: {sentence}"
        if not broken:
            yield from self._check_wiring()

    def _check_wiring(self) -> Iterator[str]:
        """Yield every reason why layers that are valid one by one do not fit together."""
        shapes: dict[str, tuple[int, ...]] = {}
        floats: dict[str, bool] = {}
        for position, layer in enumerate(self.layers):
            if layer.name in shapes:
                yield f"{layer.name}: two layers have this name"
            unknown = [source for source in layer.inputs if source not in shapes]
            if unknown or (position > 0 and not layer.inputs):
                yield f"{layer.name}: reads {unknown or 'nothing'}, not an earlier layer"
                return
            sources = [shapes[source] for source in layer.inputs] or [self.input_shape]
            if [math.prod(s) for s in sources] != [math.prod(s) for s in layer.input_shapes]:
                yield f"{layer.name}: expects inputs of {layer.input_shapes}, gets {tuple(sources)}"
            for source in layer.inputs or ("the program's input",):
                given = floats.get(source, self.input_dtype == "float32")
                if given != layer.reads_floats:
                    reads, gives = _numbers(layer.reads_floats), _numbers(given)
                    yield f"{layer.name}: reads {reads}, but {source} gives {gives}"
            shapes[layer.name] = layer.output_shape
            floats[layer.name] = layer.gives_floats
        yield from self._check_output_scale()
        yield from () if self.origin is None else self.origin.check(self.by_name)
        if math.prod(shapes[self.layers[-1].name]) != math.prod(self.output_shape):
            yield f"output_shape {self.output_shape} is not that of {self.layers[-1].name}"

    def _check_output_scale(self) -> Iterator[str]:
        if self.output_scale is None:
            return
        last, scales = self.layers[-1], np.asarray(self.output_scale, np.float64)
        if last.gives_floats:
            yield f"output_scale belongs to integers, but {last.name} gives floating-point numbers"
        if scales.shape not in ((1,), (last.output_shape[-1],)):
            yield f"output_scale has {scales.size} values; needs 1 or {last.output_shape[-1]}"
        if not (np.isfinite(scales).all() and (scales > 0).all()):
            yield "output_scale has values that are not finite and above 0"

    @property
    def keeps_state(self) -> bool:
        """True if outputs depend on earlier images: a layer has a buffer."""
        return any(hasattr(layer, "step") for layer in self.layers)

    @property
    def gives_floats(self) -> bool:
        """True if outputs are floating-point numbers."""
        return self.layers[-1].gives_floats or self.output_scale is not None

    def valued(self, outputs: np.ndarray) -> np.ndarray:
        """Return outputs of the last layer, channels last, in the unit of the float model."""
        if self.output_scale is None:
            return outputs
        return outputs.astype(np.float32) * np.asarray(self.output_scale, np.float32)

    def exceeded(self) -> Iterator[Refusal]:
        """Yield every violation of a published limit of the chip."""
        limits = limits_of(self.target)
        for facts in self._facts():
            yield from limits.exceeded(facts)

    def remarks(self) -> Iterator[Refusal]:
        """Yield violations under one of several readings of the vendor's page."""
        limits = limits_of(self.target)
        for facts in self._facts():
            yield from limits.remarks(facts)

    def limits(self) -> Iterator[str]:
        """Yield `exceeded` as lines."""
        return map(str, self.exceeded())

    def _facts(self) -> Iterator[LayerFacts]:
        for layer in self.layers:
            consumers = [other for other in self.layers if layer.name in other.inputs]
            yield layer.facts(
                tuple(type(consumer).__name__ for consumer in consumers if not consumer.on_host)
            )

    def save(self, path) -> None:
        """Write the program to `path`: arrays as ``layer/register``, other fields as JSON."""
        arrays = {} if self.origin is None else self.origin.arrays()
        layers = []
        for layer in self.layers:
            entry: dict[str, object] = {"type": type(layer).__name__}
            for field in dataclasses.fields(layer):
                value = getattr(layer, field.name)
                if isinstance(value, np.ndarray):
                    arrays[f"{layer.name}/{field.name}"] = value
                elif value is not None:
                    entry[field.name] = value
            layers.append(entry)
        header = {
            "kind": KIND,
            "format": FORMAT,
            "name": self.name,
            "target": self.target,
            "input_shape": self.input_shape,
            "input_dtype": self.input_dtype,
            "output_shape": self.output_shape,
            "layers": layers,
            "notes": self.notes,
            **({} if self.output_scale is None else {"output_scale": self.output_scale}),
            **({} if self.origin is None else {"origin": self.origin.facts}),
        }
        write_archive(path, header, arrays)

    @classmethod
    def load(cls, path) -> Program:
        """Return the program in a file.

        Raises
        ------
        ProgramError
            If the file is missing, damaged, of another kind or format, or names an unknown chip,
            layer or register.
        """
        try:
            header, arrays = read_archive(path, KIND)
        except ArchiveError as error:
            raise ProgramError(str(error)) from error
        if header.get("format") != FORMAT:
            raise ProgramError(
                f"{path}: program format {header.get('format')}; this version reads {FORMAT}"
            )
        try:
            types = layer_types(header["target"])
            layers = tuple(_layer(entry, arrays, types, path) for entry in header["layers"])
            return cls(
                name=header["name"],
                target=header["target"],
                input_shape=tuple(header["input_shape"]),
                input_dtype=header["input_dtype"],
                output_shape=tuple(header["output_shape"]),
                layers=layers,
                notes=tuple(header["notes"]),
                output_scale=_tuples(header.get("output_scale")),
                origin=read_origin(header, arrays, layers),
            )
        except ProgramError:
            raise
        except MALFORMED as error:
            raise ProgramError(
                f"{path}: damaged program file ({brief(error)}); convert again"
            ) from error


def _has_3d_inputs(layer: Layer) -> bool:
    shapes = layer.input_shapes
    fits = all(min(shape) >= 1 for shape in shapes)
    return fits and len(shapes) == max(len(layer.inputs), 1)


def _shapes_needed(layer: Layer) -> str:
    return (
        f"input_shapes is {layer.input_shapes}; needs height, width and channels for each of"
        f" {max(len(layer.inputs), 1)} inputs"
    )


def _numbers(floats: bool) -> str:
    return "floating-point numbers" if floats else "integers"


def _layer(entry: Mapping, arrays: Mapping[str, np.ndarray], types, path) -> Layer:
    entry = dict(entry)
    kind, name = entry.pop("type"), entry["name"]
    if kind not in types:
        raise ProgramError(
            f"{path}: layer {name} is a '{kind}'; this target has {', '.join(sorted(types))}"
        )
    fields = {field.name for field in dataclasses.fields(types[kind])}
    values = {key: _tuples(value) for key, value in entry.items()}
    values |= {field: arrays[f"{name}/{field}"] for field in fields if f"{name}/{field}" in arrays}
    unknown = sorted(set(values) - fields)
    if unknown:
        raise ProgramError(f"{path}: layer {name} ({kind}) has no register '{unknown[0]}'")
    return types[kind](**values)


def _tuples(value):
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value

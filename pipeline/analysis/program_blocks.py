"""A program of either chip in blocks, run on the emulator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np

from pipeline.analysis.blocks import PRODUCT, Block, Matched, Step, run_chain, unmatched
from pipeline.analysis.expected_program import unexpected_in_program
from pipeline.chips.blocks import Block as ChipBlock
from pipeline.chips.blocks import View
from pipeline.errors import IncompatibleModelError
from pipeline.graph.graph import Graph
from pipeline.preparation import prepare
from pipeline.quantization.schemes import cnn2snn
from pipeline.transforms.exact.unfuse_separable import unfuse_separable
from simulator import Program, simulate
from simulator.layer import Layer
from simulator.refusal import Refusal

ACTIVATIONS = ("ReLU", "Activation")
SUM_BITS = 28


class MatchedProgram(Matched):
    """A float model and a program, matched through folding, splitting and fusing.

    Parameters
    ----------
    graph : Graph
        Float model that was quantized.
    program : Program

    Raises
    ------
    IncompatibleModelError
        If layers have no counterpart, or the program lacks its origin.
    """

    def __init__(self, graph: Graph, program: Program):
        if program.origin is None:
            refusal = Refusal(
                found="a program that does not say what its integers are worth",
                allowed="one that this version converted",
                fix="convert the quantized model again, or give it instead",
            )
            raise IncompatibleModelError(graph.name, [refusal], "be analysed")
        self.program, self.memory = program, {}
        self.graph = _prepared(graph, program)
        self.view = View(self.graph, self.graph)
        self.past: dict[str, dict] = {}
        self.blocks = tuple(
            self._block(program.by_name[chip.name], chip) for chip in self.view.blocks
        )

    @property
    def fitted(self) -> bool:
        """True if registers were refined or trained."""
        return self.program.origin.refined or self.program.origin.trained

    def run(self, batch: np.ndarray) -> Iterator[Step]:
        """Yield what each block that computes gives for a batch."""
        found: dict[str, list[np.ndarray]] = {}
        beyond: Counter[str] = Counter()

        def tally(layer, stage, count) -> None:
            beyond[layer.name] += count if stage == PRODUCT else 0

        self._outputs = simulate(
            self.program,
            batch,
            probe=lambda layer, values: found.setdefault(layer.name, []).append(values),
            tally=tally,
            memory=self.memory,
        ).astype(np.float32)
        made = {name: np.concatenate(parts) for name, parts in found.items()}
        for block in self.blocks:
            if block.computes:
                yield self._step(block, batch, made, beyond[block.name])

    @property
    def outputs(self) -> np.ndarray:
        """Outputs of the last batch, float32."""
        return self._outputs

    def unexpected(self) -> dict[str, list[str]]:
        """Return, by layer, sentences on registers that do not follow from the float model."""
        return unexpected_in_program(self.graph, self.program)

    @cached_property
    def _image_layers(self) -> tuple[str, ...]:
        """Layers that only take in the image: its integers are those of the image."""
        return tuple(
            layer.name
            for layer in self.program.layers
            if not (layer.inputs or layer.macs or layer.reads_floats)
        )

    def _step(self, block: Block, batch: np.ndarray, made, beyond: int) -> Step:
        layer, chip = self.program.by_name[block.name], self.view.by_head[block.name]
        given = []
        feeds = layer.inputs or ("",)
        for name, feed in zip(chip.head.inputs, feeds, strict=True):
            source, between = self.view.origin(name)
            value = batch if feed in ("", *self._image_layers) else self._real(feed, made[feed])
            value = np.asarray(value, np.float32).reshape(-1, *self.graph.shapes[source.name])
            given.append(run_chain(tuple(between), [value], {}))
        past = self.past.setdefault(block.name, {})
        shape = (-1, *self.graph.shapes[block.end])
        out = made[block.name]
        real = self._real(block.name, out).reshape(shape)
        return Step(
            block=block,
            alone=run_chain((chip.head, *chip.tail), given, past),
            sums=real if not block.cuts_off else self._sums(layer, batch, made, shape),
            out=out.reshape(shape),
            real=real,
            beyond=beyond,
        )

    def _real(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return the floats that a layer's integers stand for, float32."""
        layer = self.program.by_name[name]
        if layer.gives_floats:
            return np.asarray(values, np.float32)
        zero = getattr(layer, "zero_points", None)
        values = values if zero is None else values - zero.astype(np.int64)
        return np.asarray(values * self.program.origin.units[name], np.float32)

    def _sums(self, layer: Layer, batch, made, shape) -> np.ndarray | None:
        """Return a layer's sums in floats, by its own output scale; None where it hides them."""
        shift = getattr(layer, "output_shift", None)
        if shift is None or hasattr(layer, "step"):
            return None
        bare = replace(layer, output_shift=None, output_scales=None)
        given = [made[name] for name in layer.inputs] or [batch]
        shaped = (
            np.asarray(values, np.int32).reshape(-1, *size)
            for values, size in zip(given, layer.input_shapes, strict=True)
        )
        scales = 1 if layer.output_scales is None else layer.output_scales.astype(np.float64)
        unit = self.program.origin.units[layer.name] * scales * np.exp2(shift.astype(np.float64))
        return (bare.run(*shaped) * unit).reshape(shape)

    def _block(self, layer: Layer, chip: ChipBlock) -> Block:
        nodes = (chip.head, *chip.tail)
        traits = layer.traits()
        width = layer.output_width(*(None for _ in layer.input_shapes)) or (SUM_BITS, True)
        bits, signed = width
        kernels = (getattr(layer, name, None) for name in ("weights", "weights_pw"))
        return Block(
            name=layer.name,
            type=" > ".join(node.op for node in nodes),
            end=chip.last.name,
            members=(layer.name,),
            inputs=tuple(self.view.origin(name)[0].name for name in chip.head.inputs),
            activated=any(node.op in ACTIVATIONS for node in nodes),
            computes=chip.head.op != "Concatenate",
            channels=layer.output_shape[-1],
            weight_bits=traits.get("weight_bits"),
            output_bits=traits.get("output_bits"),
            kernels=tuple(kernel for kernel in kernels if kernel is not None),
            lowest=-(1 << (bits - 1)) if signed else 0,
            highest=(1 << (bits - signed)) - 1,
            cuts_off=traits.get("output_bits") is not None,
            flattens=False,
            unit=np.asarray(self.program.origin.units.get(layer.name, 1.0)),
        )


def _prepared(graph: Graph, program: Program) -> Graph:
    """Return the float graph with the layers of a program: as it is, split, or by the 1.0 scheme.

    Raises
    ------
    IncompatibleModelError
        If none has them; lists the layers without a counterpart.
    """
    names = {
        layer.name for layer in program.layers if not layer.on_host and (layer.inputs or layer.macs)
    }
    refusals = []
    for prepared in _candidates(graph):
        heads = set(View(prepared, prepared).by_head)
        if heads == names:
            return prepared
        refusals = refusals or unmatched(sorted(names - heads), sorted(heads - names))
    raise IncompatibleModelError(graph.name, refusals, "be analysed")


def _candidates(graph: Graph) -> Iterator[Graph]:
    yield prepare(graph)[0]
    yield prepare(unfuse_separable(graph).graph)[0]
    try:
        yield cnn2snn.prepared(graph)[0]
    except IncompatibleModelError:
        return

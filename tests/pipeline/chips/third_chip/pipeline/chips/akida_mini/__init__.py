"""The made-up chip: its rules, and how an integer model becomes its layers."""

from __future__ import annotations

from functools import reduce

import numpy as np
from simulator.akida_mini import MiniConv, MiniDense

from pipeline.chips.blocks import View, layer_facts, shape3d
from pipeline.chips.chip import Chip
from pipeline.chips.rule import Finding, Rule
from pipeline.chips.shared_rules import SHARED
from pipeline.messages.notes import program_lines
from pipeline.preparation import PASSES
from pipeline.preparation.head import cut_head
from simulator import Program

KINDS = {"Conv2D": "MiniConv", "Dense": "MiniDense"}
TAILS = {"Conv2D": (("ReLU",),), "Dense": ((),)}
SOURCE = "nobody's converter"


def layers(view):
    """Layers are Conv2D with ReLU, and a Dense at the end."""
    for block in view.blocks:
        op, ops = block.head.op, block.ops
        last = block.head.name == view.last.name
        if op not in KINDS or ops not in TAILS[op] or (op == "Dense") != last:
            yield Finding(
                layers=(block.name,),
                found=" > ".join((op, *ops)),
                allowed="Conv2D > ReLU, and Dense at the end",
                fix="use these and retrain",
            )


def normalize(graph):
    cut, notes = cut_head(graph)
    return reduce(lambda before, change: change(before), PASSES, cut), notes


def facts(view):
    kinds = {block.name: KINDS.get(block.head.op, block.head.op) for block in view.blocks}
    return [layer_facts(view, block, kinds) for block in view.blocks]


def lower(graph):
    view, made = View(graph, graph), []
    scales = next(node for node in graph.nodes if node.op == "Dequantizer").registers["scales"]
    for block in view.blocks:
        registers = block.head.registers
        common = {
            "name": block.name,
            "inputs": (made[-1].name,) if made else (),
            "input_shapes": (shape3d(graph.shapes[view.source(block.head).name]),),
            "weights": registers["kernel"],
            "bias": np.left_shift(
                registers["bias"].astype(np.int64), registers["bias_shift"].astype(np.int64)
            ),
        }
        if block.head.op == "Dense":
            made.append(MiniDense(**common, scales=scales))
            continue
        relu = block.member("ReLU")
        top, shift = (relu.registers[key] for key in ("max_value", "max_value_shift"))
        made.append(
            MiniConv(
                **common,
                stride=block.head.attrs["strides"],
                top=np.left_shift(top.astype(np.int64), shift.astype(np.int64)),
                scales=relu.registers.get("output_scales"),
                shift=relu.registers["output_shift"],
                bits=relu.bits["output"] - bool(relu.bits["output_signed"]),
            )
        )
    return Program(
        name=graph.name,
        target="akida_mini",
        input_shape=graph.input.shape,
        input_dtype="uint8",
        output_shape=graph.nodes[-1].shape,
        layers=tuple(made),
        notes=program_lines(graph.notes),
    )


CHIP = Chip(
    name="akida_mini",
    title="Akida Mini",
    schemes=("quantizeml",),
    rules=(Rule(layers, SOURCE), *(Rule(find, SOURCE) for find in SHARED)),
    repairs=("expand_dilation", "expand_groups"),
    normalize=normalize,
    facts=facts,
    lower=lower,
)

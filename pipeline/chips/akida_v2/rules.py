"""Rules of Akida 2.0's converter."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

from pipeline.chips.akida_v2.edge_learning import edge_learning
from pipeline.chips.akida_v2.width_rules import one_product_width
from pipeline.chips.blocks import HEADS, QUANTIZERS, TAIL, VALUE_PRESERVING, View, size
from pipeline.chips.rule import Finding, Rule
from pipeline.chips.shared_rules import CONVERTER, SHARED, pool_padding_name
from pipeline.graph.graph import Graph
from pipeline.messages.notes import texts
from pipeline.preparation import PASSES
from pipeline.preparation.head import cut_head
from pipeline.preparation.support import TABLES, ZERO_POINT_OPS, unsupported
from pipeline.quantization.assignment import first_layer
from simulator.limit import numbers
from simulator.program import INPUT_TYPES

PATTERNS = "cnn2snn 2.19 (Apache-2.0), layer patterns for Akida 2.0"
QUANTIZER = "QuantizeML 1.2 (Apache-2.0), supported layers"
OTHER_RULES = (
    "Input",
    "SeparableConv2D",
    "BatchNormalization",
    "AveragePooling2D",
    "ZeroPadding2D",
    "QuantizedReLU",
    "Outputs",
)
"""Operations that become no layer by themselves, or whose refusal has a rule of its own."""
REPLACED = {
    "Permute": "sink_permutes",
    "Cropping2D": "replace_cropping",
    "UpSampling2D": "replace_upsampling",
    "GlobalMaxPooling2D": "replace_global_max_pooling",
}
"""Operations without a counterpart to the transforms that write them otherwise."""
FIXES = {
    "UpSampling2D": "use Conv2DTranspose of stride 2 and retrain",
    "Multiply": "leave the gate, and what follows, to the host",
}
POOL, RELU, TABLE, MEAN = TAIL
_ZERO_POINT_TEXT = numbers(ZERO_POINT_OPS)
ORDER = {POOL: 0, RELU: 1, TABLE: 1, MEAN: 2}
"""Order of what may follow the sums of a layer, each at most once."""


def fused_separable(view: View) -> Iterator[Finding]:
    """Separable convolutions are not fused."""
    for node in view.nodes("SeparableConv2D"):
        yield Finding(
            layers=(node.name,),
            found="SeparableConv2D",
            allowed="DepthwiseConv2D and 1x1 Conv2D",
            fix="split it in two",
            transform="unfuse_separable",
        )


def pooling_before_activation(view: View) -> Iterator[Finding]:
    """Global average pooling follows the activation, if there is one."""
    for node in view.nodes(MEAN):
        for consumer in view.consumers(node):
            if consumer.op in (RELU, TABLE):
                yield Finding(
                    layers=(node.name,),
                    found=f"before {consumer.name}",
                    allowed="after the activation",
                    fix="put an identity layer between them, or move it and tune the model",
                    transform="gap_after_relu",
                )


def layer_order(view: View) -> Iterator[Finding]:
    """Pooling, activation and average follow a layer in this order, each once."""
    for block in view.blocks:
        ops = block.ops
        late = [
            node.name
            for place, node in enumerate(block.chip_order)
            if block.head.op == "Concatenate"
            or any(ORDER[earlier] >= ORDER[node.op] for earlier in ops[:place])
        ]
        # The first activation after an average has a rule of its own.
        first = ops.index(MEAN) + 1 if MEAN in ops else len(ops)
        if ops[first : first + 1] in ((RELU,), (TABLE,)):
            late = [name for name in late if name != block.chip_order[first].name]
        if late:
            yield Finding(
                layers=tuple(late),
                found=" > ".join((block.head.op, *ops)),
                allowed=f"{POOL} > {RELU} or {TABLE} > {MEAN}, of each one or none",
                fix="put a 1x1 Conv2D before them",
                transform="identity_before_tail",
            )


def orphan_tail(view: View) -> Iterator[Finding]:
    """Pooling and activations follow a neural layer that has no other consumer."""
    for node in view.nodes(POOL, RELU, TABLE, MEAN):
        owner = view.owner(node)
        if owner is None or node not in owner.tail:
            yield Finding(
                layers=(node.name,),
                found=view.outside(node),
                allowed="right after a convolution or Dense",
                fix="put a 1x1 Conv2D before it",
                transform=f"identity_before_{'pooling' if node.op == MEAN else 'tail'}",
            )


def table_activation(view: View) -> Iterator[Finding]:
    """Activations inside the model are ReLU, or functions that fit a look-up table."""
    for node in view.nodes(TABLE):
        if node.attrs["activation"] not in TABLES:
            yield Finding(
                layers=(node.name,),
                found=node.attrs["activation"],
                allowed=f"relu, {', '.join(TABLES)}",
                fix="use one of them and retrain",
            )


def unknown_layer(view: View) -> Iterator[Finding]:
    """Every layer has a counterpart on the chip."""
    for node in view.graph.nodes:
        if node.op in (*HEADS, *TAIL, *VALUE_PRESERVING, *QUANTIZERS, *OTHER_RULES):
            continue
        yield Finding(
            layers=(node.name,),
            found=node.op,
            allowed="a layer with a counterpart",
            fix=FIXES.get(node.op, "use another layer and retrain"),
            transform=_replacement(node),
        )


def _replacement(node) -> str | None:
    if node.attrs.get("interpolation") == "bilinear":
        return "replace_bilinear"
    return REPLACED.get(node.op)


def join(view: View) -> Iterator[Finding]:
    """Add and Concatenate join two tensors, the latter along their channels."""
    for node in view.nodes("Add", "Concatenate"):
        rank = len(view.graph.shapes[node.name])
        sideways = node.op == "Concatenate" and node.attrs["axis"] not in (-1, rank)
        few = len(node.inputs) < 2 or (node.op == "Add" and len(node.inputs) > 2)
        if few or sideways or (len(node.inputs) > 2 and not view.quantized):
            yield Finding(
                layers=(node.name,),
                found=f"{len(node.inputs)} inputs"
                + (f" along axis {node.attrs['axis']}" if sideways else ""),
                allowed="2 inputs, along the channels",
                fix="join in pairs along the channels and retrain",
            )


def input_type(view: View) -> Iterator[Finding]:
    """Inputs are uint8, int8, int16 or float32."""
    node = view.graph.input
    if node.attrs["dtype"] not in INPUT_TYPES:
        yield Finding(
            layers=(node.name,),
            found=f"{node.attrs['dtype']} inputs",
            allowed=", ".join(INPUT_TYPES),
            fix="store them as one of these, scaled, and rescale in the model",
        )


def float_input(view: View) -> Iterator[Finding]:
    """Float inputs go into one {_ZERO_POINT_TEXT}, whose bias takes their zero point."""
    image = view.graph.input
    if view.quantized or image.attrs["dtype"] != "float32":
        return
    first = first_layer(view.graph)
    if first is None or first.op not in ZERO_POINT_OPS:
        where = f"{first.name} ({first.op})" if first else "several layers"
        yield Finding(
            layers=(image.name,),
            found=f"float inputs into {where}",
            allowed=_ZERO_POINT_TEXT,
            fix="make the model's input uint8 (a Rescaling layer may follow)",
        )


def shifting_flatten(view: View) -> Iterator[Finding]:
    """A Flatten of channels with different scales feeds a Dense."""
    for node in view.nodes(*VALUE_PRESERVING):
        if "input_shift" not in getattr(node, "registers", {}):
            continue
        for consumer in view.graph.consumers(node):
            if consumer.op != "Dense" and consumer.op not in VALUE_PRESERVING:
                yield Finding(
                    layers=(node.name,),
                    found=f"a Flatten that shifts, before {consumer.op}",
                    allowed="before Dense",
                    fix="end the model with a Dense, or quantize per tensor",
                )


def requantized_tail(view: View) -> Iterator[Finding]:
    """An activation or average reads the sums of its layer, not its quantized outputs."""
    for block in view.blocks:
        before = block.head
        for node in block.tail:
            if "output_shift" in getattr(before, "registers", {}) and node.op in (RELU, MEAN):
                yield Finding(
                    layers=(node.name,),
                    found=f"{node.op} on the quantized output of {before.name}",
                    allowed="on its sums",
                    fix="put a Conv2D between them",
                )
            before = node


def reshape(view: View) -> Iterator[Finding]:
    """A Reshape or Flatten feeds a Dense layer, or moves no pixel; at the end it keeps channels."""
    for node in view.nodes("Reshape", "Flatten"):
        before, after = view.input_shape(node), view.graph.shapes[node.name]
        moved = [n for n in before if n != 1] != [n for n in after if n != 1]
        consumers = list(view.consumers(node))
        others = [consumer.name for consumer in consumers if consumer.op != "Dense"]
        if moved and (others or (not consumers and before[-1] != after[-1])):
            yield Finding(
                layers=(node.name,),
                found=f"{size(before)} to {size(after)}, before"
                f" {others[0] if others else 'the output'}",
                allowed="before Dense",
                fix="feed a Dense, or keep the shape",
                transform="shape_input" if view.source(node).op == "Input" else "sink_reshapes",
            )


def first_depthwise(view: View) -> Iterator[Finding]:
    """A depthwise convolution does not read a Rescaling."""
    for node in view.nodes("DepthwiseConv2D", "DepthwiseConv2DTranspose"):
        source = view.graph.node(node.inputs[0])
        if source.op == "Rescaling":
            yield Finding(
                layers=(node.name,),
                found=f"after {source.name}",
                allowed="a Conv2D or Dense",
                fix="start the model with a Conv2D",
                transform="identity_after_input",
            )


def quantizable(view: View) -> Iterator[Finding]:
    """Every layer can be quantized to integers."""
    if view.quantized:
        return
    known = {layer for rule in _RULES for finding in rule.find(view) for layer in finding.layers}
    for refusal in unsupported(view.graph):
        if not known.intersection(refusal.layers):
            yield Finding(
                layers=refusal.layers,
                found=refusal.found,
                allowed=refusal.allowed,
                fix=refusal.fix,
            )


def normalize(graph: Graph) -> tuple[Graph, list[str]]:
    """Return the graph as quantization prepares it, and notes on what it drops."""
    cut, notes = cut_head(graph)
    return reduce(lambda before, change: change(before), PASSES, cut), list(texts(notes))


_RULES = (
    *(
        Rule(find, PATTERNS)
        for find in (fused_separable, pooling_before_activation, layer_order, orphan_tail)
    ),
    *(
        Rule(find, QUANTIZER)
        for find in (
            input_type,
            float_input,
            table_activation,
            unknown_layer,
            join,
            reshape,
            first_depthwise,
            shifting_flatten,
            requantized_tail,
            one_product_width,
        )
    ),
    *(Rule(find, CONVERTER) for find in SHARED),
    Rule(pool_padding_name, CONVERTER, emulated=True),
    Rule(edge_learning, "BrainChip documentation, Akida 2.0: no edge learning", emulated=True),
)
RULES = (*_RULES, Rule(quantizable, QUANTIZER))

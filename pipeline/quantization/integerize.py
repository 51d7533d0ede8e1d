"""Turn a calibrated graph into integers: every register, and what every tensor's integers mean.

The walk is topological: each node's `Format` follows from its inputs' formats and its own
quantizers (QuantizeML 1.2.5's arithmetic, see `pipeline.quantization.fixed_point`).
"""

from __future__ import annotations

from pipeline.quantization import kernel_rules, tensor_rules
from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.quantized_graph import QuantizedGraph
from pipeline.quantization.saturation import Held
from pipeline.quantization.walk import Walk


def integerize(calibrated: CalibratedGraph) -> QuantizedGraph:
    """Return the integer model of a calibrated graph.

    Parameters
    ----------
    calibrated : CalibratedGraph

    Returns
    -------
    QuantizedGraph
        Its last node is a ``Dequantizer``.

    Raises
    ------
    ModelError
        When a node's input is not what its arithmetic takes (an accumulator where a quantized
        tensor is needed, say).
    """
    return walked(calibrated)[0]


def walked(calibrated: CalibratedGraph) -> tuple[QuantizedGraph, Held]:
    """Return the integer model, and what was noticed on the way; errors are `integerize`'s."""
    walk = Walk(calibrated, RULES)
    for node in calibrated.graph.nodes:
        walk.add(node)
    output = walk.dequantize()
    graph = calibrated.graph
    quantized = QuantizedGraph(
        name=graph.name,
        scheme="quantizeml",
        nodes=tuple(walk.nodes),
        output=output,
        notes=calibrated.notes,
    )
    return quantized, walk.held


RULES = {
    "Input": tensor_rules.input_rule,
    "Rescaling": tensor_rules.rescaling_rule,
    "Dropout": tensor_rules.same_rule,
    "MaxPooling2D": tensor_rules.same_rule,
    "Flatten": tensor_rules.reshape_rule,
    "Reshape": tensor_rules.reshape_rule,
    "Conv2D": kernel_rules.neural_rule,
    "Conv2DTranspose": kernel_rules.neural_rule,
    "DepthwiseConv2DTranspose": kernel_rules.neural_rule,
    "Dense": kernel_rules.neural_rule,
    "BufferTempConv": kernel_rules.neural_rule,
    "DepthwiseConv2D": kernel_rules.depthwise_rule,
    "SeparableConv2D": kernel_rules.separable_rule,
    "DepthwiseBufferTempConv": kernel_rules.depthwise_buffer_rule,
    "ReLU": tensor_rules.relu_rule,
    "Activation": tensor_rules.activation_rule,
    "GlobalAveragePooling2D": tensor_rules.global_pool_rule,
    "Add": tensor_rules.add_rule,
    "Concatenate": tensor_rules.concatenate_rule,
}
"""Operation to the rule that makes its integers."""

"""Convert a calibrated graph to integers: every register, and the format of every tensor.

Nodes are visited in topological order: each node's `Format` follows from its inputs' formats and
its quantizers (QuantizeML 1.2.5's arithmetic, see `pipeline.quantization.fixed_point`).
"""

from __future__ import annotations

from pipeline.quantization import kernel_rules, tensor_rules
from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.quantized_graph import QuantizedGraph
from pipeline.quantization.saturation import Accumulators
from pipeline.quantization.walk import Walk


def integerize(calibrated: CalibratedGraph) -> QuantizedGraph:
    """Return the integer model of a calibrated graph.

    Parameters
    ----------
    calibrated : CalibratedGraph

    Returns
    -------
    QuantizedGraph
        It ends in a ``Dequantizer``, or in one for each output and ``Outputs``.

    Raises
    ------
    ModelError
        If the arithmetic of a node does not take its input (for example, an accumulator where a
        quantized tensor is needed).
    """
    return integerize_with_sums(calibrated)[0]


def integerize_with_sums(calibrated: CalibratedGraph) -> tuple[QuantizedGraph, Accumulators]:
    """Return the integer model, its sums and saturating constants; raises as `integerize`."""
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
    return quantized, walk.accumulators


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
    "Outputs": tensor_rules.outputs_rule,
}
"""The rule that computes the integers of each operation."""

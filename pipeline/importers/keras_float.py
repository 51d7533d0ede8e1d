"""Turn a float Keras model file into a `Graph`."""

from __future__ import annotations

import math

from pipeline.errors import IncompatibleModelError, ModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.importers.hdf5 import DamagedFileError
from pipeline.importers.keras_model import MALFORMED, KerasLayer, KerasModel, explain
from pipeline.importers.layer_table import (
    ALIASES,
    RULES,
    activation,
    dtype_name,
    input_attrs,
    node_attrs,
    scalar,
)

PYTHON_OPS = {
    "__operators__.add": ("Add", {}),
    "math.add": ("Add", {}),
    "nn.relu": ("ReLU", {}),
    "nn.relu6": ("ReLU", {"max_value": 6.0}),
}
MOST_VALUES = 1 << 28
"""Values of one layer's output for one image."""
NEVER_RUN = "code from a model file is never run; replace it with a Keras layer"


def float_graph(model: KerasModel) -> Graph:
    """Return the graph of a float model.

    Fused activations become nodes of their own, named ``<layer>_activ`` (as QuantizeML names
    them).

    Raises
    ------
    IncompatibleModelError
        Listing every layer that cannot be represented.
    """
    nodes, reasons, renamed = [], [], {}
    for layer in model.layers:
        inputs = [renamed.get(name, name) for name in layer.inputs]
        try:
            made = _nodes(layer, inputs, model)
        except DamagedFileError:
            raise
        except MALFORMED as error:
            reasons.append(explain(layer, error))
            continue
        nodes.extend(made)
        renamed[layer.name] = made[-1].name
    if reasons:
        raise IncompatibleModelError(model.label, reasons, "read the model")
    graph = Graph(model.name, tuple(nodes), renamed[model.output])
    check_last_axis(model.layers, graph, renamed)
    check_weights(graph, model.label)
    return graph


def _nodes(layer: KerasLayer, inputs, model):
    """Return the one or two nodes of a layer."""
    kind, config = ALIASES.get(layer.class_name, layer.class_name), layer.config
    if kind == "InputLayer":
        return [make_node(layer.name, "Input", (), input_attrs(config))]
    if kind == "TFOpLambda":
        function = str(config.get("function"))
        if function not in PYTHON_OPS:
            raise ModelError(f"{layer.name}: the function '{function}' is not known; {NEVER_RUN}")
        op, attrs = PYTHON_OPS[function]
        return [make_node(layer.name, op, inputs, attrs)]
    if kind == "Lambda":
        raise ModelError(f"{layer.name}: Lambda layers are refused; {NEVER_RUN}")
    if kind == "Activation":
        op, attrs = activation(config["activation"])
        if attrs.get("activation") == "leaky_relu" and "alpha" in config:
            attrs["alpha"] = scalar(config["alpha"])
        return [make_node(layer.name, op, inputs, attrs)]
    if kind not in RULES:
        raise ModelError(
            f"{layer.name}: layer type '{kind}' is not known; known: {', '.join(sorted(RULES))}"
        )
    policy = dtype_name(config.get("dtype"))
    if policy.startswith("mixed_") or policy in ("float16", "bfloat16"):
        raise ModelError(f"{layer.name}: its dtype is '{policy}'; only float32 layers can be read")
    weights = short_names(model.weights(layer))
    attrs = node_attrs(RULES[kind], config)
    node = make_node(layer.name, RULES[kind].op, inputs, attrs, weights)
    fused = config.get("activation")
    if fused is None or fused == "linear" or "activation" in node.operation.attributes:
        return [node]
    op, attrs = activation(fused)
    if attrs.get("activation") == "linear":
        return [node]
    return [node, make_node(f"{layer.name}_activ", op, (layer.name,), attrs)]


def short_names(arrays):
    """Return variables under the names of the operations table."""
    arrays = dict(arrays)
    if "depthwise_kernel" in arrays and "pointwise_kernel" not in arrays:
        arrays["kernel"] = arrays.pop("depthwise_kernel")
    return arrays


def check_last_axis(layers, graph: Graph, renamed) -> None:
    """Refuse batch norms over another axis than the last."""
    reasons = []
    for layer in layers:
        if layer.class_name.startswith("BatchNormalization"):
            axis = layer.config.get("axis", -1)
            axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
            if axis not in (-1, len(graph.shapes[renamed[layer.name]])):
                reasons.append(f"{layer.name}: axis is {axis}; allowed: the last one (channels)")
    if reasons:
        raise IncompatibleModelError(graph.name, reasons, "read the model")


def check_weights(graph: Graph, label: str) -> None:
    """Refuse weights that are missing, unknown, or of another shape than the layer's.

    Raises
    ------
    IncompatibleModelError
        Listing every such weight.
    """
    shapes, reasons = graph.shapes, []
    for node in graph.nodes:
        if math.prod(shapes[node.name]) > MOST_VALUES:
            reasons.append(
                f"{node.name}: its output of shape {shapes[node.name]} is beyond any memory;"
                f" allowed: {MOST_VALUES} values"
            )
        if not node.inputs:
            continue
        wanted = node.operation.weights(node.attrs, shapes[node.inputs[0]])
        found = {name: array.shape for name, array in node.weights.items()}
        for name in sorted(set(wanted) | set(found)):
            if wanted.get(name) != found.get(name):
                reasons.append(
                    f"{node.name}: {node.op} has {name} {found.get(name, 'missing')}, expected"
                    f" {wanted.get(name, 'none')}"
                )
    if reasons:
        raise IncompatibleModelError(label, reasons, "read the weights")

"""Convert a float Keras model file to a `Graph`."""

from __future__ import annotations

from pipeline.errors import IncompatibleModelError, LayerError, ModelError, UnknownLayerError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.keras_values import HALF_PRECISION, dtype_name, scalar
from pipeline.graph.node import Node
from pipeline.importers import steps
from pipeline.importers.activation_table import activation
from pipeline.importers.channels_first import (
    TO_FIRST,
    TO_LAST,
    is_channels_first,
    permute,
    with_channels_last,
)
from pipeline.importers.hdf5 import DamagedFileError
from pipeline.importers.input_shape import with_input_shape
from pipeline.importers.integer_tensors import IntegerTensors
from pipeline.importers.keras_calls import check_inference
from pipeline.importers.keras_classes import is_foreign
from pipeline.importers.keras_model import KerasLayer, KerasModel, refusal
from pipeline.importers.layer_table import ALIASES, READ_AS
from pipeline.importers.normalization import rescaling_attrs
from pipeline.importers.option_check import IDENTITIES, SPECIAL, check_options
from pipeline.importers.reading_notes import computed_in_half, reading_notes
from pipeline.importers.rescalings import (
    IMAGES,
    IN_PLACE,
    affine_node,
    extreme,
    merged_rescalings,
)
from pipeline.importers.tensor_functions import (
    NEVER_RUN,
    Affine,
    is_function,
    read_function,
)
from pipeline.importers.weights import check_weights
from pipeline.messages.settings import setting
from simulator.malformed import MALFORMED
from simulator.refusal import Refusal


def float_graph(model: KerasModel) -> Graph:
    """Return the graph of a float model.

    Fused activations become nodes of their own, named ``<layer>_activ`` (as QuantizeML names them).
    Layers that are the identity in inference are left out, or become a Dropout; arithmetic on
    tensors becomes Rescaling, BatchNormalization and Add.

    Raises
    ------
    IncompatibleModelError
        Listing every layer that cannot be represented.
    """
    _check_input(model)
    model = with_input_shape(model)
    reader = _Reader(model)
    refusals = []
    for layer in model.layers:
        try:
            reader.add(layer)
        except DamagedFileError:
            raise
        except _InputRefusedError:
            pass
        except MALFORMED as error:
            refusals.append(refusal(layer, error))
    if refusals:
        raise IncompatibleModelError(model.label, refusals, "read the model")
    notes = reading_notes(model.layers)
    ends = [reader.values[name] for name in model.outputs]
    graph = Graph(model.name, tuple(reader.nodes), ends[0], notes).ended(ends)
    check_last_axis(model.layers, graph, reader.values)
    check_weights(graph, model.label)
    return merged_rescalings(graph)


def _check_input(model):
    """Raise if a model has several inputs."""
    if len(model.inputs) > 1:
        raise ModelError(
            f"{model.label}: found {len(model.inputs)} inputs ({', '.join(model.inputs)}); models"
            f" with exactly one can be read; end it with {setting('model.until')} before the"
            " inputs meet; the rest is for the host"
        )


class _InputRefusedError(Exception):
    """The layer cannot be checked, since one of its producers was refused."""


class _Reader:
    """Builds the nodes layer by layer.

    Attributes
    ----------
    nodes : list of Node
    values : dict of str to str
        The node that computes the output of each call of a layer.
    """

    def __init__(self, model):
        self.model = model
        self.nodes = []
        self.values: dict[str, str] = {}
        self.integers = IntegerTensors()

    def add(self, layer: KerasLayer) -> None:
        """Add the nodes of a layer."""
        kind = ALIASES.get(layer.class_name, layer.class_name)
        # A refused layer has no node; checks that only need its name still run.
        inputs = [self.values.get(name, name) for name in layer.inputs]
        made = self._nodes(kind, layer, inputs)
        self.nodes.extend(made)
        self.values[layer.name] = made[-1].name if made else inputs[0]
        self.integers.follow(kind, layer)

    def _nodes(self, kind, layer, inputs):
        if is_foreign(kind):
            raise LayerError(layer.name, f"'{kind}' is a user-defined class; {NEVER_RUN}")
        if is_function(kind):
            return self._function(layer, inputs)
        if kind == "Lambda":
            raise LayerError(layer.name, f"Lambda layers are refused; {NEVER_RUN}")
        if kind not in READ_AS and kind not in IDENTITIES and kind not in SPECIAL:
            raise UnknownLayerError(layer.name, kind, {*READ_AS, *IDENTITIES, *SPECIAL})
        check_options(kind, layer.config)
        check_inference(layer.call)
        self.integers.check(kind, layer)
        if kind in IDENTITIES:
            return []
        return _MAKERS.get(kind, _Reader._layer)(self, layer, inputs)

    def _input(self, layer, inputs):
        config = layer.config
        if dtype_name(config.get("dtype")) == "float16" and computed_in_half(self.model.layers):
            # The input dtype that a Sequential derives from mixed_float16 if it has no input layer.
            config = {**config, "dtype": HALF_PRECISION}
        attrs = READ_AS["InputLayer"].read_keras("InputLayer", config)
        return [make_node(layer.name, "Input", (), attrs)]

    def _activation(self, layer, inputs):
        op, attrs = activation(layer.config["activation"])
        if attrs.get("activation") == "leaky_relu" and "alpha" in layer.config:
            attrs["alpha"] = scalar(layer.config["alpha"])
        return [make_node(layer.name, op, inputs, attrs)]

    def _normalization(self, layer, inputs):
        config = layer.config
        given = config.get("mean") is not None and config.get("variance") is not None
        weights = {} if given else self.model.weights(layer)
        attrs = rescaling_attrs(config, weights, len(self._shape(inputs[0])) + 1)
        return [make_node(layer.name, "Rescaling", inputs, attrs)]

    def _rescaling(self, layer, inputs):
        attrs = READ_AS["Rescaling"].read_keras("Rescaling", layer.config)
        by_name = {node.name: node for node in self.nodes}
        producer = by_name.get(inputs[0])
        while producer is not None and producer.op in IN_PLACE:
            producer = by_name.get(producer.inputs[0])
        if producer is None or producer.op in IMAGES:
            return [make_node(layer.name, "Rescaling", inputs, attrs)]
        return [self._affine(layer.name, inputs[0], attrs["scale"], attrs.get("offset", 0.0))]

    def _largest(self, layer, inputs):
        """Return the nodes of Maximum and Minimum: a + relu(b - a), and a - relu(a - b)."""
        kind, nodes, total = layer.class_name, [], inputs[0]
        for number, other in enumerate(inputs[1:], 1):
            name = layer.name if number == len(inputs) - 1 else f"{layer.name}_{number}"
            made = extreme(name, total, other, self._shape(inputs[0]), least=kind == "Minimum")
            nodes += made
            total = name
        return nodes

    def _subtract(self, layer, inputs):
        if len(inputs) != 2:
            raise ModelError(f"Subtract takes 2 inputs, found {len(inputs)}")
        minus = self._affine(f"{layer.name}_minus", inputs[1], -1.0, 0.0)
        return [minus, make_node(layer.name, "Add", (inputs[0], minus.name))]

    def _layer(self, layer, inputs):
        """Return the nodes of a layer that corresponds to an operation."""
        if not is_channels_first(layer):
            return self._channels_last(layer, inputs)
        shape = self._shape(inputs[0])
        if len(shape) != 3 and "axis" in layer.config:
            return self._channels_last(layer, inputs)  # a batch norm of vectors
        if len(shape) != 3:
            raise ModelError(f"its channels come first in the shape {shape}; allowed: a map")
        first = permute(f"{layer.name}_last", inputs[0], TO_LAST)
        made = [first, *self._channels_last(with_channels_last(layer), [first.name])]
        if len(self._shape(made[-1].name, made)) == len(shape):
            made.append(permute(f"{layer.name}_first", made[-1].name, TO_FIRST))
        return made

    def _channels_last(self, layer, inputs):
        kind, config = ALIASES.get(layer.class_name, layer.class_name), layer.config
        operation = READ_AS[kind]
        weights = operation.read_weights(self.model.weights(layer))
        if kind in steps.KINDS:
            weights = steps.with_column(weights)
        attrs = operation.read_keras(kind, config)
        node = make_node(layer.name, operation.name, inputs, attrs, weights)
        nodes = [node, *_fused(operation, layer)]
        if kind not in steps.KINDS:
            return nodes
        made = steps.on_column(nodes, self._shape(inputs[0]), config)
        return made + steps.after_column(nodes[-1], self._shape(nodes[-1].name, made))

    def _function(self, layer, inputs):
        """Return the nodes of a function of tensors."""
        feeds = dict(zip(layer.call.tensors, inputs, strict=True))
        found = read_function(layer, lambda: self._shape(inputs[0]))
        if isinstance(found, Affine):
            self.integers.check("arithmetic", layer)
            source = feeds[found.tensor]
            return [self._affine(layer.name, source, found.scale, found.offset)]
        if found.op in (None, "cast"):
            return []
        self.integers.check(found.op, layer)
        before, sources = [], []
        for tensor in found.tensors:
            if isinstance(tensor, Affine):
                name = f"{layer.name}_minus"
                source = feeds[tensor.tensor]
                before.append(self._affine(name, source, tensor.scale, tensor.offset))
                sources.append(name)
            else:
                sources.append(feeds[tensor])
        return [*before, make_node(layer.name, found.op, sources, found.attrs)]

    def _affine(self, name, source, scale, offset):
        shape = self._shape(source)
        producer = next(node for node in self.nodes if node.name == source)
        return affine_node(name, producer, shape, scale, offset)

    def _shape(self, name, more=()):
        """Return the output shape of a node that exists already, or is one of `more`."""
        known: dict[str, Node] = {}
        for node in (*self.nodes, *more):
            if all(source in known for source in node.inputs):
                known[node.name] = node
        if name not in known:
            raise _InputRefusedError
        return Graph(self.model.name, tuple(known.values()), name).shapes[name]


def _fused(operation, layer: KerasLayer) -> list[Node]:
    """Return the node of an activation that a layer has, if any."""
    fused = layer.config.get("activation")
    if fused is None or fused == "linear" or "activation" in operation.attributes:
        return []
    op, attrs = activation(fused)
    if attrs.get("activation") == "linear":
        return []
    return [make_node(f"{layer.name}_activ", op, (layer.name,), attrs)]


_MAKERS = {
    "InputLayer": _Reader._input,
    "Activation": _Reader._activation,
    "Normalization": _Reader._normalization,
    "Rescaling": _Reader._rescaling,
    "Subtract": _Reader._subtract,
    "Maximum": _Reader._largest,
    "Minimum": _Reader._largest,
}


def check_last_axis(layers, graph: Graph, renamed) -> None:
    """Raise if a batch norm is over an axis other than the last."""
    refusals = []
    for layer in layers:
        if layer.class_name.startswith("BatchNormalization"):
            axis = layer.config.get("axis", -1)
            axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
            last = axis in (-1, len(graph.shapes[renamed[layer.name]]))
            if not last and not is_channels_first(layer):
                found = f"axis is {axis}"
                allowed = "the last one (channels)"
                refusals.append(
                    Refusal(layers=(layer.name,), found=found, allowed=allowed, rule="last_axis")
                )
    if refusals:
        raise IncompatibleModelError(graph.name, refusals, "read the model")

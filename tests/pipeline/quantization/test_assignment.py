import pytest

from pipeline.config.sections import Quantization
from pipeline.errors import IncompatibleModelError
from pipeline.quantization.assignment import assign
from pipeline.quantization.calibrated_graph import InputQuantizer, OutputQuantizer
from tests.pipeline.quantization.graphs import RELU, chain, conv

GAP = ("GlobalAveragePooling2D", {})
DENSE = ("Dense", {"units": 5})


def outputs(graph, **options):
    """Return the fields of the output quantizers by node."""
    quantizers = assign(graph, Quantization(**options)).outputs
    return {name: vars(quantizer) for name, quantizer in quantizers.items()}


def fields(**settings):
    """Return the fields of an output quantizer without a range."""
    return vars(OutputQuantizer(**settings))


def test_quantizers_end_their_blocks():
    graph = chain(conv(4), ("MaxPooling2D", {}), RELU, conv(4), RELU, GAP, DENSE)
    assert outputs(graph) == {
        "relu_3": fields(bits=8, signed=True, per_tensor=False),
        "globalaveragepooling2d_6": fields(bits=8, signed=True, per_tensor=True),
    }


def test_pooling_after_relu_is_skipped():
    graph = chain(conv(4), RELU, ("MaxPooling2D", {}), ("Dropout", {}), conv(2))
    assert list(outputs(graph)) == ["relu_2"]


def test_four_bit_activations_are_unsigned_but_pooled_ones_signed():
    graph = chain(conv(4), RELU, conv(4), RELU, GAP, DENSE)
    assert outputs(graph, activation_bits=4) == {
        "relu_2": fields(bits=4, signed=False, per_tensor=False),
        "globalaveragepooling2d_5": fields(bits=4, signed=True, per_tensor=True),
    }


def test_linear_layers_take_output_bits():
    graph = chain(conv(4), conv(4), GAP, DENSE)
    assert outputs(graph, activation_bits=4, output_bits=8) == {
        "conv2d_1": fields(bits=8, per_tensor=False),
        "globalaveragepooling2d_3": fields(bits=8, per_tensor=True),
    }


def test_weight_and_buffer_bits():
    graph = chain(
        conv(4), RELU, ("SeparableConv2D", {"filters": 3, "kernel_size": 3}), RELU, GAP, DENSE
    )
    nodes = assign(graph, Quantization(input_weight_bits=8, weight_bits=4)).nodes
    assert {name: (n.weight_bits, n.buffer_bits) for name, n in nodes.items()} == {
        "conv2d_1": (8, 28),
        "relu_2": (None, 32),
        "separableconv2d_3": (4, 32),
        "relu_4": (None, 32),
        "globalaveragepooling2d_5": (None, 32),
        "dense_6": (4, 28),
    }
    small = assign(graph, Quantization(buffer_bits=24)).nodes
    assert {n.buffer_bits for n in small.values()} == {24}
    assert small["relu_2"].output.buffer_bits == 24


def test_per_tensor_activations():
    graph = chain(conv(4), RELU, conv(4))
    assert outputs(graph, per_tensor_activations=True)["relu_2"]["per_tensor"]


def test_vectors_are_per_tensor():
    graph = chain(DENSE, RELU, DENSE, shape=(7,))
    assert outputs(graph)["relu_2"] == fields(bits=8, per_tensor=True)


@pytest.mark.parametrize("flatten", ["align", "saturate"])
def test_flatten_keeps_its_input_per_channel(flatten):
    graph = chain(conv(4), RELU, ("Flatten", {}), DENSE)
    assert outputs(graph, flatten=flatten) == {
        "relu_2": fields(bits=8, signed=True, per_tensor=False)
    }


def test_look_up_tables_take_eleven_bits_per_tensor():
    lut = ("Activation", {"activation": "leaky_relu", "alpha": 0.1})
    graph = chain(conv(4), lut, conv(4))
    nodes = assign(graph, Quantization(activation_bits=4)).nodes
    assert vars(nodes["conv2d_1"].output) == fields(bits=11, per_tensor=True)
    assert vars(nodes["activation_2"].output) == fields(bits=4, signed=True, per_tensor=False)
    assert nodes["activation_2"].lut_bits == 14
    assert nodes["conv2d_3"].output is None


def test_both_sides_of_an_addition_and_the_sum():
    graph = chain(
        conv(4),
        RELU,
        conv(4),
        ("Add", {}, ("relu_2", "conv2d_3")),
        conv(4),
    )
    assert outputs(graph, activation_bits=4) == {
        "relu_2": fields(bits=4, signed=False, per_tensor=False),
        "conv2d_3": fields(bits=8, per_tensor=False),
        "add_4": fields(bits=8, per_tensor=False),
    }


def test_concatenation_moves_quantizers_to_its_inputs():
    graph = chain(
        conv(4),
        RELU,
        conv(2),
        ("Concatenate", {}, ("relu_2", "conv2d_3")),
        conv(4),
    )
    assert set(outputs(graph)) == {"relu_2", "conv2d_3"}


def test_one_per_tensor_consumer_is_enough():
    lut = ("Activation", {"activation": "gelu"}, ("conv2d_1",))
    after = ("Conv2D", {"filters": 2, "kernel_size": 1}, ("conv2d_1",))
    join = ("Concatenate", {}, ("activation_2", "conv2d_3"))
    graph = chain(conv(4), lut, after, join, conv(1))
    # the later consumer, the convolution, decides on the width
    assert outputs(graph)["conv2d_1"] == fields(bits=8, per_tensor=True)


@pytest.mark.parametrize(("bits", "scale_bits"), [(4, 8), (8, 8), (16, 16)])
def test_last_output_bits(bits, scale_bits):
    graph = chain(conv(4), RELU, GAP, DENSE)
    assert "dense_4" not in outputs(graph)
    assert outputs(graph, last_output_bits=bits)["dense_4"] == fields(
        bits=bits, per_tensor=True, scale_bits=scale_bits
    )


def test_last_output_bits_refuse_a_pooling():
    graph = chain(conv(4), ("MaxPooling2D", {}))
    with pytest.raises(IncompatibleModelError, match=r"maxpooling2d_2: .*last_output_bits"):
        assign(graph, Quantization(last_output_bits=8))


def test_float_images_get_a_quantizer():
    graph = chain(("Rescaling", {"scale": 2.0}), conv(4), dtype="float32")
    assert vars(assign(graph, Quantization()).input) == vars(InputQuantizer(per_tensor=False))
    assert assign(graph, Quantization(per_tensor_activations=True)).input.per_tensor
    assert assign(chain(DENSE, shape=(7,), dtype="float32"), Quantization()).input.per_tensor
    assert assign(chain(conv(4)), Quantization()).input is None


def test_float_images_need_a_layer_that_absorbs_the_zero_point():
    depthwise = ("DepthwiseConv2D", {"kernel_size": 3})
    graph = chain(depthwise, dtype="float32")
    with pytest.raises(IncompatibleModelError, match=r"depthwiseconv2d_1 \(DepthwiseConv2D\)"):
        assign(graph, Quantization())
    assert assign(chain(depthwise), Quantization()).input is None

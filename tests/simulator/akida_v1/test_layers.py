"""Hand-written expectations of every Akida 1.0 layer, and what their checks and limits refuse."""

from dataclasses import replace

import numpy as np
import pytest

from simulator import Program, ProgramError, akida_v1, simulate


def layer(kind, weights, shape, *, threshold=(0,), act_step=(1,), activation=True, **fields):
    """Return a layer with registers written by hand."""
    return getattr(akida_v1, kind)(
        **{
            "name": "layer",
            "inputs": (),
            "input_shapes": (shape,),
            "weights": np.asarray(weights, np.int8),
            "weights_bits": 4,
            "threshold": np.asarray(threshold, np.int32),
            "act_step": np.asarray(act_step, np.float32),
            "activation": activation,
            **fields,
        }
    )


def image(rows):
    """Return one single-channel image."""
    return np.asarray(rows, np.int32)[None, :, :, None]


def plane(kernel):
    """Return the kernel of one channel and one filter."""
    return np.asarray(kernel)[:, :, None, None]


def check(made):
    assert list(made.check()) == []
    return made


def test_input_convolutional_pads_with_its_value_and_does_not_flip():
    made = check(layer("InputConvolutional", plane([[1, 2], [0, 0]]), (2, 2, 1), padding_value=3))
    # "same" with an even kernel pads at the bottom and right only.
    # rows: 1*1+2*2=5, 1*2+2*3=8; 1*0+2*4=8, 1*4+2*3=10
    assert made.run(image([[1, 2], [0, 4]]))[0, :, :, 0].tolist() == [[5, 8], [8, 10]]


def test_input_convolutional_pads_all_around_with_an_odd_kernel():
    ones = np.ones((3, 3))
    made = layer("InputConvolutional", plane(ones), (1, 1, 1), padding_value=1, act_step=(1,))
    assert made.run(image([[2]])).item() == 8 + 2
    assert (
        replace(made, padding="valid", input_shapes=((3, 3, 1),))
        .run(image([[0, 0, 0], [0, 7, 0], [0, 0, 0]]))
        .item()
        == 7
    )


def test_convolutional_flips_and_pads_with_zero():
    made = check(layer("Convolutional", plane([[1, 2], [0, 0]]), (2, 2, 1)))
    # Turned: [[0, 0], [2, 1]] on the rows below, the last of which is padding.
    assert made.run(image([[1, 2], [3, 4]]))[0, :, :, 0].tolist() == [[10, 8], [0, 0]]


def test_separable_mixes_channels_after_filtering_each():
    depthwise = np.zeros((3, 3, 2, 1))
    depthwise[1, 1, :, 0] = [2, 3]
    pointwise = np.asarray([[1, -1], [1, 1]]).reshape(1, 1, 2, 2)
    made = check(
        layer(
            "SeparableConvolutional",
            depthwise,
            (1, 1, 2),
            weights_pw=pointwise.astype(np.int8),
            threshold=(0, 1),
            act_step=(1, 1),
        )
    )
    # channels 4 and 3 become 8 and 9; filters 8 + 9 = 17 -> 15, -8 + 9 = 1, above 1: none
    assert made.run(np.asarray([4, 3], np.int32).reshape(1, 1, 1, 2)).ravel().tolist() == [15, 0]
    assert made.macs == 9 * 2 + 2 * 2
    assert made.weight_bytes == (9 * 2 + 4) // 2
    assert made.kernel_shapes == ((3, 3, 2, 1), (1, 1, 2, 2))
    assert made.type_label == "Sep.Conv."


def test_fully_connected_counts_inputs_column_major():
    # Inputs (channel, column, row), rows fastest: with one channel of 2 rows and 3 columns the
    # weights 1, 2, 3, 4, 5, 6 belong to (0,0) (1,0) (0,1) (1,1) (0,2) (1,2).
    weights = np.arange(1, 7).reshape(1, 1, 6, 1)
    made = check(layer("FullyConnected", weights, (2, 3, 1), activation=False))
    for row, column, weight in [(0, 0, 1), (1, 0, 2), (0, 1, 3), (1, 1, 4), (0, 2, 5), (1, 2, 6)]:
        x = np.zeros((1, 2, 3, 1), np.int32)
        x[0, row, column, 0] = 1
        assert made.run(x).item() == weight


def test_fully_connected_counts_all_positions_of_a_channel_first():
    weights = np.asarray([1, 2, 3, 4, 5, 6, 7, -8]).reshape(1, 1, 8, 1)
    made = check(layer("FullyConnected", weights, (2, 2, 2), activation=False))
    x = np.zeros((1, 2, 2, 2), np.int32)
    x[0, 1, 0, 1] = 1  # row 1, column 0, channel 1: 4 + 0 * 2 + 1
    assert made.run(x).item() == 6


def test_without_activation_the_output_is_the_distance_from_the_threshold():
    made = layer(
        "FullyConnected",
        [[[[3, -3]]]],
        (1, 1, 1),
        threshold=(1, -4),
        act_step=(4, 2),
        activation=False,
    )
    output = made.run(np.full((1, 1, 1, 1), 5, np.int32))
    assert output.dtype == np.float32 and made.gives_floats
    assert output.ravel().tolist() == [3.5, -5.5]


def test_max_pooling_stands_before_the_neuron():
    # Potentials -1 and -9: pooled -1, above -5 by 4; pooled afterwards it would be the same, but
    # the threshold above all of them must give zero whatever the padding holds.
    made = layer(
        "Convolutional",
        plane([[-1]]),
        (1, 3, 1),
        threshold=(-5,),
        padding="same",
        pool_type="max",
        pool_size=(2, 2),
        pool_stride=(2, 2),
    )
    assert check(made).run(image([[1, 9, 3]]))[0, :, :, 0].tolist() == [[4, 2]]
    assert made.output_shape == (1, 2, 1)
    # Levels saturate after pooling: 20 and 3 give the highest level once.
    few = replace(made, weights=plane([[7]]).astype(np.int8), act_bits=1, threshold=-made.threshold)
    assert few.run(image([[0, 1, 0]]))[0, :, :, 0].tolist() == [[1, 0]]


def test_the_global_average_is_a_sum():
    made = check(
        layer(
            "Convolutional",
            plane([[1]]),
            (2, 2, 1),
            threshold=(8,),
            act_step=(4,),
            pool_type="average",
        )
    )
    assert made.output_shape == (1, 1, 1)
    assert made.run(image([[1, 2], [3, 4]])).item() == 1
    assert made.run(image([[1, 2], [1, 4]])).item() == 0
    assert made.run(image([[4, 4], [4, 4]])).item() == 2
    assert made.run(image([[4, 4], [4, 5]])).item() == 3


@pytest.mark.parametrize(
    ("bits", "expected"), [(1, [0, 1, 1, 1]), (2, [0, 1, 1, 3]), (4, [0, 1, 4, 15])]
)
def test_steps_are_on_the_grid_of_four_bits(bits, expected):
    made = layer("FullyConnected", [[[[1]]]], (1, 1, 1), act_step=(1,), act_bits=bits)
    found = made.run(np.asarray([0, 1, 4, 16], np.int32).reshape(-1, 1, 1, 1))
    assert found.ravel().tolist() == expected


def test_saturated_levels_are_counted():
    counts = {}
    made = layer("FullyConnected", [[[[1]]]], (1, 1, 1), act_bits=2)
    made.run(np.asarray([0, 12, 13, 40], np.int32).reshape(-1, 1, 1, 1), tally=counts.__setitem__)
    assert counts == {"output": 2}


CONV = layer("Convolutional", np.ones((3, 3, 2, 2)), (6, 6, 2), threshold=(0, 0), act_step=(1, 1))
IMAGE = layer(
    "InputConvolutional",
    np.ones((3, 3, 1, 2)),
    (6, 6, 1),
    threshold=(0, 0),
    act_step=(1, 1),
    weights_bits=8,
)


def f32(*values):
    return np.asarray(values, np.float32)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"act_step": f32(1, 0)}, "act_step reaches 0.0..1.0; it must lie above 0"),
        ({"act_step": f32(1, -2)}, "act_step reaches -2.0..1.0; it must lie above 0"),
        ({"act_step": f32(1, np.nan)}, "it must lie above 0"),
        ({"act_step": f32(1, np.inf)}, "it must lie above 0"),
        ({"act_step": f32(1, 2**25)}, "up to 2**24"),
        ({"act_step": f32(1)}, "needs float32 (2,)"),
        ({"act_step": np.ones(2)}, "act_step is float64"),
        ({"act_bits": 3}, "act_bits is 3; allowed: 1, 2, 4"),
        ({"act_bits": 8}, "act_bits is 8; allowed: 1, 2, 4"),
        ({"threshold": np.zeros(3, np.int32)}, "threshold has shape (3,)"),
        ({"threshold": np.zeros(2)}, "threshold holds float64"),
        ({"weights": np.full((3, 3, 2, 2), 8, np.int8)}, "weights reaches 8..8"),
        ({"weights": np.ones((3, 3, 1, 2), np.int8)}, "weights has shape (3, 3, 1, 2)"),
        ({"pool_type": "median"}, "pool_type is 'median'; allowed: none, max, average"),
        ({"pool_type": "max"}, "give both or neither"),
        ({"pool_size": (2, 2), "pool_stride": (2, 2)}, "pool_size and pool_stride belong to"),
        ({"padding": "full"}, "padding is 'full'; allowed: same, valid"),
        ({"padding": "valid", "input_shapes": ((2, 2, 2),)}, "larger than its input of 2x2"),
        ({"kernel_stride": (0, 1)}, "both are pairs of at least 1"),
        (
            {"pool_type": "max", "pool_size": (7, 7), "pool_stride": (1, 1), "padding": "valid"},
            "larger than its input of 4x4",
        ),
    ],
)
def test_what_makes_a_layer_meaningless(changes, sentence):
    assert list(CONV.check()) == []
    sentences = list(replace(CONV, **changes).check())
    assert any(sentence in line for line in sentences), sentences


def test_a_padding_value_is_a_pixel():
    assert list(replace(IMAGE, padding_value=255).check()) == []
    (sentence,) = replace(IMAGE, padding_value=256).check()
    assert sentence == "padding_value is 256; allowed: 0 to 255"


def test_a_program_with_a_bad_step_cannot_exist():
    with pytest.raises(ProgramError, match="layer: act_step"):
        Program(
            name="bad",
            target="akida_v1",
            input_shape=(6, 6, 2),
            input_dtype="uint8",
            output_shape=(6, 6, 2),
            layers=(replace(CONV, act_step=f32(0, 1)),),
        )


def test_what_a_program_cannot_sum_is_refused():
    big = layer("FullyConnected", np.full((1, 1, 9000, 1), 127), (1, 1, 9000), weights_bits=8)
    program = Program(
        name="big",
        target="akida_v1",
        input_shape=(1, 1, 9000),
        input_dtype="uint8",
        output_shape=(1,),
        layers=(big,),
    )
    with pytest.raises(ProgramError, match=r"big: layer: a potential lies 2\*\*28 or more"):
        simulate(program, np.full((1, 1, 1, 9000), 255, np.uint8))


def wide(kind, kernel, shape, filters=2, **fields):
    weights = np.zeros((*kernel, shape[2], filters))
    fields = {"weights_bits": 8 if kind == "InputConvolutional" else 4, **fields}
    return layer(
        kind, weights, shape, threshold=np.zeros(filters), act_step=np.ones(filters), **fields
    )


MAX = {"pool_type": "max"}
ALLOWED = [
    wide("InputConvolutional", (3, 3), (256, 5, 3), 192),
    wide("InputConvolutional", (7, 7), (9, 9, 1), 96, kernel_stride=(3, 3)),
    wide("InputConvolutional", (5, 5), (9, 9, 1), **MAX, pool_size=(1, 2), pool_stride=(1, 2)),
    wide("Convolutional", (1, 1), (4096, 1, 2048)),
    wide("Convolutional", (3, 3), (9, 9, 1), kernel_stride=(2, 2)),
    wide("Convolutional", (7, 7), (9, 9, 1), **MAX, pool_size=(2, 2), pool_stride=(1, 1)),
    wide("Convolutional", (3, 3), (3, 32, 1), pool_type="average"),
    wide("FullyConnected", (1, 1), (1, 1, 57334)),
]
BEYOND = [
    (wide("InputConvolutional", (3, 3), (9, 9, 2)), "2 input channels; allowed: 1 or 3"),
    (wide("InputConvolutional", (3, 3), (257, 9, 1)), "input of 257x9"),
    (wide("InputConvolutional", (3, 3), (9, 4, 1)), "input of 9x4"),
    (wide("InputConvolutional", (4, 4), (9, 9, 1)), "kernel 4x4; sides of 3, 5 or 7"),
    (wide("InputConvolutional", (3, 3), (9, 9, 3), 193), "193 filters; a 3x3 kernel allows 192"),
    (wide("InputConvolutional", (7, 7), (9, 9, 1), 97), "97 filters; a 7x7 kernel allows 96"),
    (wide("InputConvolutional", (3, 3), (9, 9, 1), kernel_stride=(4, 4)), "stride (4, 4)"),
    (wide("InputConvolutional", (3, 3), (9, 9, 1), pool_type="average"), "in the input layer"),
    (
        wide("InputConvolutional", (3, 3), (9, 9, 1), **MAX, pool_size=(3, 3), pool_stride=(3, 3)),
        "pooling (3, 3); allowed: 1x2, 2x1, 2x2",
    ),
    (
        wide("InputConvolutional", (3, 3), (9, 9, 1), **MAX, pool_size=(2, 2), pool_stride=(1, 1)),
        "pooling stride (1, 1); it must equal the size",
    ),
    (
        wide("InputConvolutional", (3, 3), (9, 9, 1), weights_bits=4),
        "4-bit weights; allowed: 8",
    ),
    (wide("Convolutional", (3, 3), (4097, 1, 1)), "input of 4097x1; at most 4096"),
    (wide("Convolutional", (1, 1), (1, 1, 2049)), "2049 input channels"),
    (wide("Convolutional", (2, 2), (9, 9, 1)), "kernel 2x2; sides of 1, 3, 5, 7"),
    (wide("Convolutional", (5, 5), (9, 9, 1), kernel_stride=(2, 2)), "stride (2, 2)"),
    (wide("Convolutional", (3, 3), (9, 9, 1), padding="valid"), "padding 'valid'"),
    (wide("Convolutional", (3, 3), (9, 9, 1), weights_bits=8), "8-bit weights; allowed: 1, 2, 4"),
    (
        wide("Convolutional", (3, 3), (9, 9, 1), **MAX, pool_size=(3, 3), pool_stride=(2, 2)),
        "2x2, stride 1 or 2",
    ),
    (
        wide("Convolutional", (3, 3), (2, 9, 1), pool_type="average"),
        "global average over 2x9; width 1 to 32, height at least 3",
    ),
    (wide("FullyConnected", (1, 1), (1, 1, 57335)), "57335 inputs; at most 57334"),
    (wide("FullyConnected", (1, 1), (1, 1, 3), weights_bits=8), "8-bit weights"),
    (
        replace(CONV, act_step=f32(1, 2**16)),
        "act_step reaches 65536; the register holds 16 bits",
    ),
    (
        replace(CONV, threshold=np.asarray([0, -(2**19)], np.int32)),
        "threshold reaches 524288; the register holds 19 bits",
    ),
    (replace(IMAGE, act_step=f32(1, 2**20)), "the register holds 20 bits"),
    (
        replace(IMAGE, threshold=np.asarray([0, 2**23], np.int32)),
        "threshold reaches 8388608; the register holds 23 bits",
    ),
]


@pytest.mark.parametrize("made", ALLOWED, ids=lambda made: made.type_label)
def test_the_edge_of_the_chip(made):
    assert list(made.check()) == []
    assert list(made.limits()) == []


@pytest.mark.parametrize(("made", "sentence"), BEYOND, ids=[s[:30] for _, s in BEYOND])
def test_beyond_the_chip(made, sentence):
    assert list(made.check()) == []
    (found,) = made.limits()
    assert sentence in found


def test_registers_at_their_edge():
    edge = np.asarray([-(2**19) + 1, 2**19 - 1], np.int32)
    assert not list(replace(CONV, act_step=f32(1, 2**16 - 1), threshold=edge).limits())
    last = replace(CONV, activation=False, act_step=f32(1, 2**20))
    assert not list(last.limits())  # the last layer's are in software


@pytest.mark.parametrize(("size", "beyond"), [((1, 1), True), ((3, 3), False)])
def test_a_separable_convolution_reads_a_map(size, beyond):
    made = layer(
        "SeparableConvolutional",
        np.zeros((3, 3, 2, 1)),
        (*size, 2),
        weights_pw=np.zeros((1, 1, 2, 2), np.int8),
        threshold=(0, 0),
        act_step=(1, 1),
    )
    assert bool(list(made.limits())) == beyond
    assert list(replace(made, weights_bits=2).limits()) == list(made.limits())
    assert "1-bit weights; allowed: 2, 4" in list(replace(made, weights_bits=1).limits())


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_input_data_holds_activations(bits):
    made = akida_v1.InputData(name="data", inputs=(), input_shapes=((2, 2, 4),), input_bits=bits)
    assert bool(list(made.limits())) == (bits == 8)
    x = np.arange(16, dtype=np.int32).reshape(1, 2, 2, 4)
    np.testing.assert_array_equal(made.run(x), x)

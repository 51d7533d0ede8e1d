"""Hand-written examples of every Akida 1.0 layer, its checks and limits."""

from dataclasses import replace

import numpy as np
import pytest

from simulator import Program, ProgramError, akida_v1, simulate
from simulator.targets import limits_of
from tests.simulator.akida_v1.handmade import CONV, IMAGE, f32, layer


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


def test_without_activation_the_output_is_the_scaled_distance_from_the_threshold():
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


def test_max_pooling_precedes_the_neuron():
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
        ({"kernel_stride": (0, 1)}, "both must be pairs of integers of at least 1"),
        (
            {"pool_type": "max", "pool_size": (7, 7), "pool_stride": (1, 1), "padding": "valid"},
            "larger than its input of 4x4",
        ),
    ],
)
def test_invalid_registers_are_refused(changes, sentence):
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


def test_potentials_beyond_the_exact_range_are_refused():
    big = layer("FullyConnected", np.full((1, 1, 9000, 1), 127), (1, 1, 9000), weights_bits=8)
    program = Program(
        name="big",
        target="akida_v1",
        input_shape=(1, 1, 9000),
        input_dtype="uint8",
        output_shape=(1,),
        layers=(big,),
    )
    message = r"big: layer: a potential differs from its threshold by 2\*\*28 or more"
    with pytest.raises(ProgramError, match=message):
        simulate(program, np.full((1, 1, 1, 9000), 255, np.uint8))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_input_data_holds_activations(bits):
    made = akida_v1.InputData(name="data", inputs=(), input_shapes=((2, 2, 4),), input_bits=bits)
    assert bool(list(limits_of("akida_v1").exceeded(made.facts()))) == (bits == 8)
    x = np.arange(16, dtype=np.int32).reshape(1, 2, 2, 4)
    np.testing.assert_array_equal(made.run(x), x)


def test_a_step_without_activation_divides_floats_whatever_its_size():
    made = layer("FullyConnected", [[[[3]]]], (1, 1, 1), activation=False)
    made = replace(made, act_step=f32(2.0**60))
    assert list(made.check()) == []
    found = made.run(np.ones((1, 1, 1, 1), np.int32))
    np.testing.assert_array_equal(found, np.float32(3 * 2.0**-60).reshape(1, 1, 1, 1))

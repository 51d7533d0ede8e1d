"""Both tables of a summary, character for character."""

import dataclasses

import numpy as np

from simulator import Program
from simulator.akida_v2 import Dense1D, Dequantizer, InputConv2D
from simulator.summary import summary
from simulator.widths import widths_table
from tests import builders


def tutorial():
    """Return the program of the migration guide's first model, 32x32x3 in, ten classes out."""
    conv = InputConv2D(
        name="conv2d",
        inputs=(),
        input_shapes=((32, 32, 3),),
        weights=np.zeros((3, 3, 3, 32), np.int8),
        kernel_stride=(2, 2),
        activation="relu",
        output_shift=np.zeros(32, np.int8),
    )
    dense = Dense1D(
        name="dense",
        inputs=("conv2d",),
        input_shapes=(conv.output_shape,),
        weights=np.zeros((8192, 10), np.int8),
        weight_bits=4,
    )
    last = Dequantizer(
        name="dequantizer",
        inputs=("dense",),
        input_shapes=((1, 1, 10),),
        scales=np.ones(10, np.float32),
    )
    return Program(
        name="tutorial",
        target="akida_v2",
        input_shape=(32, 32, 3),
        input_dtype="uint8",
        output_shape=(10,),
        layers=(conv, dense, last),
    )


TUTORIAL = """\
                Model Summary
______________________________________________
Input shape  Output shape  Sequences  Layers
==============================================
[32, 32, 3]  [1, 1, 10]    1          3     
______________________________________________

________________________________________________________
Layer (type)               Output shape  Kernel shape 

=========== SW/conv2d-dequantizer (Software) ===========

conv2d (InputConv2D)       [16, 16, 32]  (3, 3, 3, 32)
________________________________________________________
dense (Dense1D)            [1, 1, 10]    (8192, 10)   
________________________________________________________
dequantizer (Dequantizer)  [1, 1, 10]    N/A          
________________________________________________________
"""  # noqa: W291  (rows are padded to their columns)


def test_the_tables_of_the_tutorial():
    got = summary(tutorial())
    assert got.splitlines() == TUTORIAL.splitlines()
    assert got.endswith("\n") and not got.endswith("\n\n")


def test_an_odd_fill_has_one_more_on_the_left():
    whole = tutorial()
    first = dataclasses.replace(whole.layers[0], name="c")
    dense = dataclasses.replace(whole.layers[1], inputs=("c",))
    lines = summary(dataclasses.replace(whole, layers=(first, dense, whole.layers[2])))
    assert f"{'=' * 14} SW/c-dequantizer (Software) {'=' * 13}\n" in lines


def test_rules_are_two_longer_than_rows():
    lines = summary(tutorial()).splitlines()
    rules = [line for line in lines if line and set(line) <= {"_"}]
    assert {len(rule) for rule in rules} == {46, 56}
    assert len(lines[4]) == 44
    assert len(lines[12]) == 54


def test_kernel_shapes_of_akida_1():
    """A fused separable layer has a second line with its pointwise kernel."""
    lines = summary(builders.PROGRAMS["akida_v1"][1](np.random.default_rng(0))).splitlines()
    cells = [line.split("  ") for line in lines if "(" in line or line.startswith(" ")]
    rows = [[cell.strip() for cell in row if cell.strip()] for row in cells]
    assert ["first (InputConv.)", "[4, 5, 4]", "(3, 3, 3, 4)"] in rows
    assert ["conv (Conv.)", "[2, 3, 5]", "(3, 3, 4, 5)"] in rows
    place = rows.index(["separable (Sep.Conv.)", "[2, 3, 6]", "(3, 3, 5, 1)"])
    assert rows[place + 1] == ["(1, 1, 5, 6)"]
    assert ["dense (Fully.)", "[1, 1, 3]", "(1, 1, 36, 3)"] in rows


def test_names_longer_than_the_table_are_not_cut():
    rng = np.random.default_rng(0)
    layer = builders.neural_layer("Conv2D", rng, name="n" * 70)
    text = summary(builders.program([layer]))
    assert "n" * 70 + " (Conv2D)" in text
    assert f" SW/{'n' * 70}-{'n' * 70} (Software) " in text


def test_widths_have_a_table_of_their_own():
    assert widths_table(tutorial()) == (
        "Layer   Weight bits  Output bits\nconv2d  8            8\ndense   4            -\n"
    )

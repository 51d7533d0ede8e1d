"""Inputs beyond the bits of an InputData are refused wherever a program runs."""

import json

import numpy as np
import pytest

from simulator import ProgramError, akida_v1, akida_v2, simulate
from simulator.__main__ import main
from simulator.plan import fast_is_available
from simulator.serving import ServedProgram
from simulator.vectors import write_vectors
from tests import builders, builders_akida_v1

BACKENDS = ("auto", "fast", "numpy", "reference")
V1 = dict.fromkeys((1, 2, 4, 8), False)


def program(target, bits, signed):
    if target == "akida_v1":
        made = builders_akida_v1.levels_program(np.random.default_rng(0))
        data, *rest = made.layers
        data = akida_v1.InputData(
            name="data", inputs=(), input_shapes=data.input_shapes, input_bits=bits
        )
        return type(made)(**(vars(made) | {"layers": (data, *rest)}))
    data = builders.input_data(input_shape=(2, 3, 4), bits=bits, signed=signed)
    dense = builders.neural_layer(
        "Dense1D", np.random.default_rng(0), name="dense", inputs=("data",), input_shape=(2, 3, 4)
    )
    dtype = f"{'int' if signed else 'uint'}{8 if bits <= 8 else 16}"
    return builders.program([data, dense], input_dtype=dtype)


def images(program, value):
    array = np.zeros((3, 2, 3, 4), program.input_dtype)
    array[1, 1, 2, 3] = value
    return array


CASES = [
    ("akida_v1", 4, False, 15, 16),
    ("akida_v1", 4, False, 15, 200),
    ("akida_v1", 1, False, 1, 2),
    ("akida_v2", 4, False, 15, 16),
    ("akida_v2", 4, True, -8, -9),
    ("akida_v2", 4, True, 7, 8),
    ("akida_v2", 10, True, 511, 512),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("target", "bits", "signed", "fits", "beyond"), CASES)
def test_values_beyond_the_bits_are_refused(backend, target, bits, signed, fits, beyond):
    if backend == "fast" and not fast_is_available():
        pytest.skip("the extra 'fast' is not installed")
    made = program(target, bits, signed)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    found = f"{min(0, beyond)}..{max(0, beyond)}"
    with pytest.raises(ProgramError) as caught:
        simulate(made, images(made, beyond), backend=backend)
    assert str(caught.value) == (
        f"{made.name}: images hold {found}; data (InputData) takes {bits}-bit integers,"
        f" {low}..{high}; quantize the images to that range first"
    )
    assert simulate(made, images(made, fits), backend=backend).shape[0] == 3


def test_vectors_serving_and_the_command_refuse_them_too(tmp_path, capsys):
    made = program("akida_v1", 4, False)
    message = r"images hold 0\.\.200; data \(InputData\) takes 4-bit integers, 0\.\.15"
    with pytest.raises(ProgramError, match=message):
        write_vectors(made, images(made, 200), tmp_path / "vectors")
    assert not (tmp_path / "vectors").exists()
    # Where MLflow is installed, its exception sends the message to the client.
    with pytest.raises(Exception, match=message):
        ServedProgram(made).predict(images(made, 200))
    made.save(tmp_path / "program.npz")
    np.save(tmp_path / "images.npy", images(made, 200))
    assert main([str(tmp_path / "program.npz"), str(tmp_path / "images.npy")]) == 1
    assert "takes 4-bit integers, 0..15" in capsys.readouterr().err


def test_other_first_layers_accept_the_range_of_the_dtype():
    rng = np.random.default_rng(0)
    made = builders_akida_v1.image_program(rng)
    assert made.layers[0].input_range is None
    simulate(made, np.full((1, *made.input_shape), 255, np.uint8))
    assert akida_v2.InputData(name="data", inputs=(), input_shapes=((1, 1, 1),)).input_range == (
        0,
        255,
    )


def test_vectors_hold_the_border_of_shifted_inputs(tmp_path):
    """Golden vectors are computed by the default backend, and equal the reference."""
    from tests.simulator.plan.test_plan import shifted_border

    made, inputs = shifted_border((0, 1, 3), (3, 200, 255 << 3))
    write_vectors(made, inputs, tmp_path / "vectors")
    manifest = json.loads((tmp_path / "vectors/manifest.json").read_text(encoding="utf-8"))
    entry = manifest["output"]
    stored = np.fromfile(tmp_path / "vectors" / entry["file"], entry["dtype"])
    expected = simulate(made, inputs, backend="reference")
    np.testing.assert_array_equal(stored.reshape(expected.shape), expected)

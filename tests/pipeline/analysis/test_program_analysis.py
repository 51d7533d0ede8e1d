"""``crossgrade analyze`` of programs, of both chips, and of temporal models."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from conformance.parity import parity_options
from conformance.parity_models import MODELS
from conformance.parity_models import images as pictures
from pipeline.analysis.analysis import analyse
from pipeline.chips import convert
from pipeline.cli.main import cli
from pipeline.config import Calibration, Quantization
from pipeline.errors import IncompatibleModelError
from pipeline.graph.archive import save_graph
from pipeline.graph.forward import forward
from pipeline.quantization.archive import load_quantized, save_quantized
from pipeline.quantization.quantize import quantize
from pipeline.transforms import TRANSFORMS
from simulator import Program, ProgramError, simulate
from tests.pipeline.analysis.faults import FAULTS, changed, images, network, quantized
from tests.pipeline.analysis.networks import legacy
from tests.pipeline.quantization.graphs import RELU, chain, conv

ON_V2 = ("tutorial", "tutorial_float", "ds_cnn", "akidanet", "residual")
WIDTHS = ((8, 8, 8), (8, 4, 4))


def made(name, bits=(8, 8, 8), *, per_tensor=False, refine="none"):
    """Return a float graph and its quantized model."""
    graph = MODELS[name]()
    options = parity_options(bits, per_tensor=per_tensor)
    options = replace(options, flatten="align", refine=refine)
    return graph, quantize(graph, pictures(graph, 40), options)


def faults(analysis):
    return [layer.faults for layer in analysis.layers if layer.faults]


@pytest.mark.parametrize("name", ON_V2)
@pytest.mark.parametrize("bits", WIDTHS, ids=str)
def test_a_program_has_the_figures_of_its_quantized_model(name, bits):
    graph, model = made(name, bits)
    batch = pictures(graph, 7)
    whole = {layer.end: layer for layer in analyse(graph, model, batch).layers}
    analysis = analyse(graph, convert(model, "akida_v2"), batch)
    assert len(analysis.layers) >= len(whole) - 1  # a Flatten is part of the layer after it
    for layer in analysis.layers:
        other = whole[layer.end]
        assert layer.isolated.decibels == pytest.approx(other.isolated.decibels, abs=1e-3)
        assert layer.cumulative.decibels == pytest.approx(other.cumulative.decibels, abs=1e-3)
        assert layer.isolated.channels == other.isolated.channels
        # The rounding of output scales counts with the sums of a program.
        assert layer.weights_share == pytest.approx(other.weights_share, abs=0.1)
        assert (layer.weight_bits, layer.output_bits) == (other.weight_bits, other.output_bits)
        assert layer.dead == other.dead and layer.zeros == other.zeros


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_in_a_program_is_named_first(fault):
    node, layer, change = FAULTS[fault]
    program = convert(changed(quantized(), node, change), "akida_v2")
    worst, *others = analyse(network(), program, images()).worst_first
    assert worst.name == layer
    assert faults(analyse(network(), program, images())) in ([worst.faults], [])
    if worst.isolated.decibels > 20:  # too small to be seen but in the registers
        assert worst.faults
    assert not any(other.faults for other in others)


@pytest.mark.parametrize("name", [*ON_V2, "temporal"])
@pytest.mark.parametrize("bits", WIDTHS, ids=str)
@pytest.mark.parametrize("per_tensor", [False, True])
@pytest.mark.parametrize("refine", ["none", "layers"])
def test_programs_without_a_fault_have_none(name, bits, per_tensor, refine):
    graph, model = made(name, bits, per_tensor=per_tensor, refine=refine)
    analysis = analyse(graph, convert(model, "akida_v2"), pictures(graph, 6))
    assert faults(analysis) == []


def on_v1(refine="none", **options):
    """Return a float graph in the order of 1.0, and its quantized model."""
    settings = Quantization(
        scheme="cnn2snn", weight_bits=4, activation_bits=4, refine=refine, **options
    )
    return legacy(), quantize(legacy(), images(120), settings)


@pytest.mark.parametrize("refine", ["none", "layers"])
def test_models_of_the_first_chip(refine):
    graph, model = on_v1(refine)
    analysis = analyse(graph, model, images())
    assert [layer.name for layer in analysis.layers] == [
        "conv2d_2", "separableconv2d_5", "conv2d_7", "dense_10",
    ]  # fmt: skip
    # A wrong unit of a tensor would leave no decibel.
    assert all(layer.isolated.decibels > 14 for layer in analysis.layers)
    assert all(layer.cumulative.decibels > 6 for layer in analysis.layers)
    assert not faults(analysis)
    outputs = simulate(convert(model, "akida_v1"), images())
    wanted = forward(graph, images())
    assert analysis.agreement == np.mean(outputs.argmax(-1) == wanted.argmax(-1))
    if refine == "layers":
        assert convert(model, "akida_v1").origin.rates
        assert analysis.decibels > analyse(*on_v1(), images()).decibels


@pytest.mark.parametrize("layer", ["conv2d_2", "separableconv2d_5", "conv2d_7"])
@pytest.mark.parametrize("key", ["threshold", "weights", "act_step"])
def test_faults_of_the_first_chip(layer, key):
    graph, model = on_v1()
    program = convert(model, "akida_v1")
    array = getattr(program.by_name[layer], key).copy()
    if key == "act_step":
        array[2] *= 2
    else:
        place = np.unravel_index(array.argmin(), array.shape)
        array[place] += 1
    layers = tuple(
        replace(one, **{key: array}) if one.name == layer else one for one in program.layers
    )
    worst, *others = analyse(graph, replace(program, layers=layers), images()).worst_first
    assert worst.name == layer and worst.faults[0].startswith(f"{layer}: {key} differs")
    assert not any(other.faults for other in others)


@pytest.mark.parametrize("per_tensor", [False, True])
def test_one_quantized_model_on_both_chips(per_tensor):
    relu = ("ReLU", {"max_value": 6.0})
    graph = chain(
        *(("Rescaling", {"scale": 1 / 255}), conv(8), relu, conv(8), relu, ("Flatten", {})),
        ("Dense", {"units": 5}),
        shape=(12, 12, 3),
    )
    options = Quantization(
        weight_bits=4, activation_bits=4, per_tensor_activations=per_tensor,
        calibration=Calibration(batch_size=8),
    )  # fmt: skip
    model = quantize(graph, images(), options)
    analyses = [analyse(graph, convert(model, f"akida_v{n}"), images()) for n in (1, 2)]
    assert [layer.name for layer in analyses[0].layers] == [x.name for x in analyses[1].layers]
    for one, other in zip(*(analysis.layers for analysis in analyses), strict=True):
        assert one.isolated.decibels > other.isolated.decibels - 5
    assert not faults(analyses[0])


def test_frames_of_a_stream_keep_their_state():
    graph, model = made("temporal", (8, 8, 8))
    batch = pictures(graph, 30)
    analysis = analyse(graph, model, batch)
    program = convert(model, "akida_v2")
    outputs, wanted = simulate(program, batch), forward(graph, batch)
    noise = np.square(outputs.reshape(wanted.shape) - wanted, dtype=np.float64).sum()
    varying = np.square(wanted - wanted.mean(0, dtype=np.float64)).sum()
    assert analysis.decibels == pytest.approx(10 * np.log10(varying / noise), abs=1e-3)
    assert analysis.layers[-1].isolated.decibels > 20


def test_a_program_is_matched_before_its_layers_were_split():
    separable = ("SeparableConv2D", {"filters": 4, "kernel_size": 3, "padding": "same"})
    ends = (("GlobalAveragePooling2D", {}), ("Dense", {"units": 3}))
    fused = chain(conv(4), RELU, separable, ("BatchNormalization", {}), RELU, *ends)
    split = TRANSFORMS["unfuse_separable"](fused).graph
    batch = np.random.default_rng(0).integers(0, 256, (20, 6, 6, 3), dtype=np.uint8)
    model = quantize(split, batch, Quantization(calibration=Calibration(batch_size=10)))
    program = convert(model, "akida_v2")
    both = [analyse(graph, program, batch) for graph in (fused, split)]
    assert both[0].layers == both[1].layers or [x.isolated for x in both[0].layers] == [
        x.isolated for x in both[1].layers
    ]
    with pytest.raises(IncompatibleModelError, match="give the model that was quantized"):
        analyse(network(), program, batch)


def test_an_origin_survives_a_file(tmp_path):
    _, model = on_v1("layers")
    program = convert(model, "akida_v1")
    program.save(tmp_path / "p.npz")
    loaded = Program.load(tmp_path / "p.npz")
    assert loaded.origin.facts == {"scheme": "cnn2snn", "refined": True, "trained": False}
    for name in ("units", "rates"):
        mine, other = getattr(program.origin, name), getattr(loaded.origin, name)
        assert mine.keys() == other.keys() != set()
        for key in mine:
            np.testing.assert_array_equal(mine[key], other[key])
    save_quantized(tmp_path / "q.npz", model)
    again = convert(load_quantized(tmp_path / "q.npz"), "akida_v1")
    again.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "p.npz").read_bytes()


@pytest.mark.parametrize(
    ("name", "unit", "reason"),
    [
        ("conv2d_2", np.float64(0), "not finite and above 0"),
        ("conv2d_2", np.ones(3), "one per channel"),
        ("conv2d_2", np.float32(1), "is float32"),
    ],
)
def test_a_damaged_origin_is_refused(name, unit, reason):
    program = convert(quantized(), "akida_v2")
    units = {**program.origin.units, name: np.asarray(unit)}
    with pytest.raises(ProgramError, match=reason):
        replace(program, origin=replace(program.origin, units=units))


def test_programs_on_the_command_line(tmp_path):
    np.save(tmp_path / "x.npy", images())
    save_graph(tmp_path / "m.npz", network())
    program = convert(quantized(), "akida_v2")
    program.save(tmp_path / "p.npz")
    replace(program, origin=None).save(tmp_path / "old.npz")
    paths = {name: str(tmp_path / name) for name in ("m.npz", "p.npz", "old.npz", "x.npy")}
    page = tmp_path / "a.html"
    command = ["analyze", paths["m.npz"], paths["p.npz"], paths["x.npy"]]
    result = CliRunner().invoke(cli, [*command, "-o", str(page), "--json"])
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["layers"]) == 6
    assert "<code>conv2d_2</code>" in page.read_text()
    command[2] = paths["old.npz"]
    result = CliRunner().invoke(cli, command)
    assert isinstance(result.exception, IncompatibleModelError)
    assert "convert the quantized model again" in str(result.exception)
    command[2] = paths["p.npz"]
    result = CliRunner().invoke(cli, [*command, "--each"])
    assert "analyse it in blocks" in str(result.exception)

"""``crossgrade analyze``: errors, planted faults, causes, the page; agreement with QuantizeML."""

import re
from dataclasses import replace

import numpy as np
import pytest

from conformance.parity import parity_options
from conformance.parity_models import MODELS
from conformance.parity_models import images as pictures
from pipeline.analysis.analysis import analyse
from pipeline.analysis.causes import Finding
from pipeline.analysis.error import NO_ERROR, ErrorSums
from pipeline.analysis.table import analysis_json, analysis_text
from pipeline.chips import convert
from pipeline.config import Calibration, LayerWidths, Quantization
from pipeline.errors import DataError, IncompatibleModelError
from pipeline.graph.forward import forward
from pipeline.messages.notes import REFINED, TRAINED, Note
from pipeline.quantization.archive import load_quantized, save_quantized
from pipeline.quantization.quantize import quantize
from pipeline.transforms import TRANSFORMS
from simulator import simulate
from tests.pipeline.analysis.faults import FAULTS, changed, images, network, quantized
from tests.pipeline.quantization.graphs import RELU, chain, conv


def test_a_sound_model_has_no_unexpected_register():
    analysis = analyse(network(), quantized(), images())
    assert not any(layer.faults for layer in analysis.layers)
    assert all(layer.isolated.decibels > 30 for layer in analysis.layers)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named_first(fault):
    node, _, change = FAULTS[fault]
    worst, *others = analyse(network(), changed(quantized(), node, change), images()).worst_first
    assert [text.partition(":")[0] for text in worst.faults] == [node]
    assert not any(layer.faults for layer in others)
    assert "do not follow from the float model" in worst.finding.cause


@pytest.mark.parametrize("model", ["tutorial", "ds_cnn", "residual", "miscellaneous"])
@pytest.mark.parametrize("per_tensor", [False, True])
def test_models_without_a_fault_have_none(model, per_tensor):
    graph = MODELS[model]()
    options = parity_options((8, 4, 4), per_tensor=per_tensor)
    analysis = analyse(graph, quantize(graph, pictures(graph, 10), options), pictures(graph, 6))
    assert not any(layer.faults for layer in analysis.layers)


@pytest.mark.parametrize("ends", [("relu_2", "dense_6"), ("globalaveragepooling2d_5", "dense_6")])
@pytest.mark.parametrize("each", [False, True])
def test_models_with_several_outputs(ends, each):
    graph = chain(
        conv(4), RELU, conv(4), RELU, ("GlobalAveragePooling2D", {}), ("Dense", {"units": 3})
    ).ended(ends)
    x = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 3), np.uint8)
    model = quantize(graph, x, Quantization(calibration=Calibration(samples=40, batch_size=20)))
    analysis = analyse(graph, model, x[:8], each=each)
    assert not any(layer.faults for layer in analysis.layers)
    assert analysis.decibels > 15
    if not each:
        assert analyse(graph, convert(model, "akida_v2"), x[:8]).decibels == analysis.decibels


@pytest.mark.parametrize(
    ("kind", "text", "named"),
    [
        (REFINED, "refined on 20 images", ["relu_4"]),
        (REFINED, "not refined: few images", ["conv2d_7", "relu_4"]),
        (TRAINED, "trained on 20 images", []),
    ],
)
def test_registers_that_were_fitted_are_expected(kind, text, named):
    graph = changed(quantized(), "conv2d_7", FAULTS["one filter off by one"][2])
    graph = changed(graph, "relu_4", FAULTS["scale doubled"][2])
    graph = replace(graph, notes=(Note(kind=kind, text=text),))
    analysis = analyse(network(), graph, images())
    found = [text.partition(":")[0] for layer in analysis.layers for text in layer.faults]
    assert sorted(found) == named


@pytest.mark.parametrize("model", ["tutorial", "ds_cnn", "residual"])
@pytest.mark.parametrize("bits", [(8, 8, 8), (8, 4, 4), (8, 2, 4)], ids=str)
def test_refined_models_have_no_unexpected_register(model, bits):
    graph = MODELS[model]()
    options = replace(parity_options(bits, per_tensor=False), refine="layers", flatten="align")
    refined = quantize(graph, pictures(graph, 40), options)
    assert any(note.kind == REFINED for note in refined.notes)
    analysis = analyse(graph, refined, pictures(graph, 6))
    assert [layer.faults for layer in analysis.layers if layer.faults] == []
    if bits != (8, 8, 8) or model == "residual":  # factors that joins share are not examined
        return
    scaled = next(node for node in refined.nodes if "output_scales" in node.registers)
    shift = scaled.registers["output_shift"] + np.int8(1)
    doubled = changed(refined, scaled.name, lambda node: _with_register(node, shift))
    worst = analyse(graph, doubled, pictures(graph, 6)).worst_first[0]
    assert worst.faults and worst.faults[0].startswith(scaled.name)


def _with_register(node, shift):
    return replace(node, registers=node.registers | {"output_shift": shift})


def test_figures_of_an_error():
    rng = np.random.default_rng(0)
    floats = rng.normal(size=(50, 4, 4, 3)).astype(np.float32)
    found = floats + np.float32([0, 0.1, 0])
    found[:, 0, 0, 2] = 9
    sums, whole = ErrorSums(), ErrorSums()
    for part in (slice(0, 20), slice(20, 50)):
        sums.add(floats[part], found[part], found[part] == 9)
    whole.add(floats, found, found == 9)
    error = sums.result()
    wrong = (found - floats).astype(np.float64)
    assert error.decibels == pytest.approx(whole.result().decibels)
    noise = np.square(wrong).sum()
    varying = np.square(floats - floats.mean((0, 1, 2), dtype=np.float64)).sum()
    expected = 10 * np.log10(varying / noise)
    assert error.decibels == pytest.approx(expected)
    assert error.saturated == pytest.approx(1 / 48)
    assert error.channels[0][0] == 2
    assert error.largest == pytest.approx(np.abs(wrong).max())
    shift = np.square(wrong.mean(axis=(0, 1, 2))).sum() * 800
    assert error.bias == pytest.approx(shift / noise)
    single = ErrorSums()
    single.add(floats[:1, 0, 0], found[:1, 0, 0], found[:1, 0, 0] == 9)
    square = np.square(floats[0, 0, 0], dtype=np.float64).sum()
    noise = np.square(wrong[0, 0, 0]).sum()
    assert single.result().decibels == pytest.approx(10 * np.log10(square / noise))
    same = ErrorSums()
    same.add(floats, floats, floats > 9)
    assert same.result().decibels == NO_ERROR and same.result().bias == 0


def test_cumulative_errors_are_those_of_the_emulator():
    graph = network()
    analysis = analyse(graph, quantized(), images())
    outputs = simulate(convert(quantized(), "akida_v2"), images())
    floats = forward(graph, images())
    noise = np.square(outputs - floats, dtype=np.float64).sum()
    varying = np.square(floats - floats.mean(0, dtype=np.float64)).sum()
    expected = 10 * np.log10(varying / noise)
    assert analysis.decibels == pytest.approx(expected, abs=1e-3)
    assert analysis.layers[-1].cumulative.decibels == pytest.approx(expected, abs=1e-3)
    assert analysis.agreement == np.mean(outputs.argmax(-1) == floats.argmax(-1))


def test_files_give_the_same_figures(tmp_path):
    save_quantized(tmp_path / "q.npz", quantized())
    stored = analyse(network(), load_quantized(tmp_path / "q.npz"), images())
    assert analysis_json(stored) == analysis_json(analyse(network(), quantized(), images()))


def test_a_model_is_matched_before_its_layers_were_split():
    separable = ("SeparableConv2D", {"filters": 4, "kernel_size": 3, "padding": "same"})
    gap, dense = ("GlobalAveragePooling2D", {}), ("Dense", {"units": 3})
    fused = chain(conv(4), RELU, separable, ("BatchNormalization", {}), RELU, gap, dense)
    split = TRANSFORMS["unfuse_separable"](fused).graph
    batch = np.random.default_rng(0).integers(0, 256, (20, 6, 6, 3), dtype=np.uint8)
    made = quantize(split, batch, Quantization(calibration=Calibration(batch_size=10)))
    both = [analysis_json(analyse(graph, made, batch)) for graph in (fused, split)]
    assert both[0] == both[1]
    with pytest.raises(IncompatibleModelError, match="give the model that was quantized"):
        analyse(network(), made, batch)


def options(**values):
    return Quantization(calibration=Calibration(batch_size=8), **values)


def finding(layer, **values):
    """Return the finding on one layer of the network, quantized with options."""
    made = quantize(network(), images(), options(**values))
    found = {entry.name: entry for entry in analyse(network(), made, images()).layers}
    return found[layer]


def test_causes_and_remedies():
    narrow = finding("conv2d_12", layers={"conv2d_12": LayerWidths(weight_bits=2)})
    assert "comes from 2-bit weights" in narrow.finding.cause
    refine, wider = narrow.finding.remedy.split("; or ")
    assert refine.endswith("quantization.refine=layers")
    assert wider == "8 bits for it: quantization.layers.conv2d_12.weight_bits=8"
    coarse = finding("conv2d_2", layers={"conv2d_2": LayerWidths(activation_bits=2)})
    assert "2-bit outputs" in coarse.finding.cause or "became 0" in coarse.finding.cause
    assert coarse.finding.remedy.endswith("quantization.layers.conv2d_2.activation_bits=8")
    good = finding("conv2d_2")
    assert good.finding.cause.startswith("little error") and not good.finding.remedy


def test_following_the_remedies_mends_the_model():
    choices, quality = {}, []
    while True:
        made = quantize(network(), images(), options(weight_bits=2, layers=choices))
        analysis = analyse(network(), made, images())
        quality.append(analysis.decibels)
        named = re.search(r"layers\.(\w+)\.(\w+)=8", analysis.worst_first[0].finding.remedy)
        if named is None:
            break
        choices = {**choices, named[1]: LayerWidths(**{named[2]: 8})}
    assert 3 <= len(choices) <= 5 and quality[-1] > quality[0] + 12


def test_a_cut_off_range_is_seen():
    change = FAULTS["saturating range"][2]
    worst = analyse(network(), changed(quantized(), "relu_6", change), images()).worst_first[0]
    assert worst.clipped > 0.1 and worst.isolated.decibels < 15


def test_a_saturating_flatten_is_seen():
    made = quantize(network(), images(), options(flatten="saturate"))
    found = {layer.name: layer for layer in analyse(network(), made, images()).layers}
    assert "flatten_14" in found


def test_constants_that_saturate_before_they_are_scaled():
    def constant(node):
        kernel, bias = node.weights["kernel"].copy(), node.weights["bias"].copy()
        kernel[..., 1], bias[1] = 1e-8, 3
        return [node.with_weights(kernel=kernel, bias=bias)] if node.name == "conv2d_7" else None

    graph = network().rewrite(lambda node: constant(node) if node.op == "Conv2D" else None)
    made = quantize(graph, images(), options())
    for model in (made, convert(made, "akida_v2")):
        layer = {one.name: one for one in analyse(graph, model, images()).layers}["conv2d_7"]
        assert layer.beyond == pytest.approx(1 / 8) and not layer.faults
        assert layer.finding.cause.startswith("12.5% of the outputs saturate before")
        assert layer.finding.remedy.endswith("quantization.refine=layers")
    fitted = replace(made, notes=(Note(kind=REFINED, text="refined on 20 images"),))
    found = {one.name: one for one in analyse(graph, fitted, images()).layers}["conv2d_7"]
    assert found.finding.remedy.endswith("quantization.per_tensor_activations=true")


def test_a_global_average_that_keeps_its_axes():
    average = ("GlobalAveragePooling2D", {"keepdims": True})
    graph = chain(conv(4), RELU, average, ("Flatten", {}), ("Dense", {"units": 3}))
    batch = np.random.default_rng(0).integers(0, 256, (20, 6, 6, 3), dtype=np.uint8)
    made = quantize(graph, batch, Quantization(calibration=Calibration(batch_size=10)))
    analysis = analyse(graph, made, batch)
    assert len(analysis.layers) == 2
    program = analyse(graph, convert(made, "akida_v2"), batch)
    assert program.decibels == analysis.decibels


def test_labels_give_accuracies():
    labels = forward(network(), images()).argmax(-1)
    analysis = analyse(network(), quantized(), images(), labels)
    assert analysis.float_accuracy == 1 and analysis.accuracy == analysis.agreement
    assert "accuracy: float 100.00%" in analysis_text(analysis)
    with pytest.raises(DataError, match="found 3 labels for 24 images"):
        analyse(network(), quantized(), images(), labels[:3])


def test_tables_fit_a_terminal():
    node, _, change = FAULTS["wrong padding"]
    text = analysis_text(analyse(network(), changed(quantized(), node, change), images()))
    assert max(map(len, text.splitlines())) <= 100
    assert text.index("conv2d_2") < text.index("depthwiseconv2d_5")


@pytest.mark.parametrize(("remedy", "text"), [("", "little error"), ("a", "little error; a")])
def test_a_finding_without_remedy_ends_with_its_cause(remedy, text):
    assert str(Finding(cause="little error", remedy=remedy)) == text

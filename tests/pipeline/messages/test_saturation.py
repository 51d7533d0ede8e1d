"""Saturation is reported with layer, share and verdict by the command in which it occurs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.chips import convert
from pipeline.cli.main import cli
from pipeline.config import Calibration, Evaluate, Quantization
from pipeline.data import Dataset
from pipeline.evaluation.evaluate import evaluate
from pipeline.graph.architecture import build_graph
from pipeline.graph.archive import save_graph
from pipeline.messages.notes import SATURATION
from pipeline.messages.saturation import (
    HARMLESS,
    counted,
    largest_share,
    percent,
    register_notes,
    saturation_notes,
    verdict,
)
from pipeline.quantization import saturation
from pipeline.quantization.quantize import quantize
from simulator import simulate
from simulator.statistics import Saturation, Statistics

CASE = Path(__file__).parents[4] / "shared/cases/S09_saturating_accumulator"
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (64, 6, 6, 3), np.uint8)


def model(**changes):
    """Return a network; `changes` maps layers to replaced weights."""
    layers = [
        {"Rescaling": {"scale": 1 / 255}},
        {"Conv2D": {"name": "first", "filters": 8, "kernel_size": 3}},
        {"ReLU": {"name": "relu"}},
        {"Conv2D": {"name": "second", "filters": 8, "kernel_size": 3}},
        {"ReLU": {"name": "relu_2", "max_value": 4.0}},
        "Flatten",
        {"Dense": {"name": "last", "units": 4}},
    ]
    spec = {"name": "net", "input": {"shape": [6, 6, 3]}, "layers": layers}
    graph = build_graph(spec, seed=1)
    return graph.with_nodes(
        node.with_weights(
            **{k: np.asarray(v, np.float32) for k, v in changes.get(node.name, {}).items()}
        )
        for node in graph.nodes
    )


def options(**settings):
    return Quantization(calibration=Calibration(samples=64, batch_size=32), **settings)


def found(notes):
    return [note for note in notes if note.kind == SATURATION]


BIG_BIAS = {"first": {"bias": np.full(8, 1000)}}


def run(program, images=IMAGES):
    statistics = Statistics(program)
    simulate(program, images, statistics=statistics)
    return counted(statistics)


def test_a_large_bias_is_named_by_every_step():
    quantized = quantize(model(**BIG_BIAS), IMAGES, options())
    program = convert(quantized, "akida_v2")
    notes = [*found(quantized.notes), *register_notes(program)]
    notes += saturation_notes(run(program), "64 images")
    warnings = [note for note in notes if note.is_warning]
    assert len(warnings) == 3
    for note in warnings:
        assert "first 100%" in note.text and "first" in note.layers
        assert "smaller weights or biases" in note.text
        assert any(line.startswith("first: output product") for line in note.details)


def test_an_ordinary_model_has_no_warning():
    quantized = quantize(model(), IMAGES, options())
    program = convert(quantized, "akida_v2")
    assert not [note for note in found(quantized.notes) if note.is_warning]
    assert register_notes(program) == ()
    assert not [note for note in saturation_notes(run(program), "x") if note.is_warning]


@pytest.mark.parametrize("bits", [16, 17, 18, 20])
@pytest.mark.parametrize("scale", [1, 30])
def test_saturation_predicted_by_quantize_equals_the_emulators(bits, scale):
    graph = model(first={"bias": scale * RNG.normal(size=8)})
    quantized = quantize(graph, IMAGES, options(buffer_bits=bits))
    expected = quantize_shares(quantized)
    program = convert(quantized, "akida_v2")
    counts = {(s.layer, s.kind): s.share for s in run(program)}
    # Up to the first layer that saturates both compute the same values, except for rounding.
    first = {key: share for key, share in counts.items() if key[0] == "first"}
    first = {
        key: share
        for key, share in first.items()
        if key[1] in ("accumulator", "bias", "output product")
    }
    for key in {*first, *(key for key in expected if key[0] == "first")}:
        assert expected.get(key, 0) == pytest.approx(first.get(key, 0), abs=0.02), key
    if bits == 16:
        assert first, "the generator must reach saturation"


def quantize_shares(quantized):
    """Return the shares by layer and kind in the details of notes."""
    shares = {}
    for note in found(quantized.notes):
        for line in note.details:
            if " of " in line:
                layer, kind, rest = line.split(": ")[:3]
                count, total = (int(n.replace(",", "")) for n in rest.split(" (")[0].split(" of "))
                shares[layer, kind] = count / total
    return shares


def test_constants_that_are_powers_of_two_are_counted():
    graph = model()
    quantized = quantize(graph, IMAGES, options())
    before = [note for note in found(quantized.notes) if "powers of two" in note.text]
    # A kernel whose largest weight is 127/128 has the scale 2**-7, and so is every bias.
    kernel = np.zeros((3, 3, 3, 8), np.float32)
    kernel[1, 1] = 127 / 128
    exact = model(first={"kernel": kernel, "bias": np.full(8, 1 / 255)})
    (note,) = [
        note
        for note in found(quantize(exact, IMAGES, options()).notes)
        if "powers of two" in note.text
    ]
    assert not note.is_warning and "harmless" in note.text
    assert any(line == "first: constants: 8" for line in note.details)
    assert not before or "first" not in before[0].layers


def test_constants_beyond_a_mantissa_are_counted():
    accumulators = saturation.Accumulators()
    accumulators.count("a", np.array([127.4, 127.5, 128, -128, 64]), 7, np.zeros(5, int))
    accumulators.count("a", np.array([255.0, 254.9]), 7, np.ones(2, int))
    assert accumulators.constants["a"] == 3 + 1


def entry(share, layer="a", kind="accumulator"):
    return Saturation(layer=layer, kind=kind, count=round(share * 10**6), total=10**6)


def test_the_verdict_follows_the_measured_threshold():
    assert verdict(0) == "none"
    assert verdict(HARMLESS).endswith(f"harmless below {HARMLESS:.1%}")
    assert verdict(2 * HARMLESS).endswith(f"classes may change above {HARMLESS:.1%}")
    (good,) = saturation_notes([entry(HARMLESS)], "x")
    (bad,) = saturation_notes([entry(2 * HARMLESS)], "x")
    assert not good.is_warning and bad.is_warning
    both = saturation_notes([entry(0.5), entry(0.001, "b"), *map(entry, [0.2] * 4)], "x")
    assert [note.is_warning for note in both] == [True, False]
    assert "a 50%" in both[0].text and "and 2 more" in both[0].text
    assert len(both[0].details) == 5


def test_shares_are_never_rounded_to_nothing_or_to_all():
    shares = [0, 1e-9, 0.00002, 0.0013, 0.05, 0.9999, 1]
    texts = ["0%", "below 0.001%", "0.002%", "0.13%", "5%", "1e+02%", "100%"]
    assert [percent(s) for s in shares if s != 0.9999] == [
        t for t in texts if "e" not in t or "b" in t
    ]
    assert percent(0.9999) == "99.9%"
    assert largest_share([]) == 0


def test_evaluate_reports_shares_and_a_note():
    quantized = quantize(model(**BIG_BIAS), IMAGES, options())
    labels = np.arange(64) % 4
    data = Dataset(
        name="d",
        source="",
        licence="",
        classes=tuple("abcd"),
        x_train=IMAGES,
        y_train=labels,
        x_test=IMAGES,
        y_test=labels,
    )
    result = evaluate(convert(quantized, "akida_v2"), model(**BIG_BIAS), data, Evaluate())
    assert result.metrics["saturated_share"] == 1.0
    assert [row["saturated_share"] for row in result.layers if row["layer"] == "first"] == [1.0]
    assert [note.is_warning for note in result.notes if note.kind == SATURATION] == [True]


def test_the_highest_level_of_akida_1_is_not_saturation():
    graph = model()
    settings = options(weight_bits=4, activation_bits=4, per_tensor_activations=True)
    legacy = quantize(graph.rewrite(relu6), None, replace(settings, scheme="cnn2snn"))
    program = convert(legacy, "akida_v1")
    statistics = Statistics(program)
    bright = np.full((4, 6, 6, 3), 255, np.uint8)
    simulate(program, bright, statistics=statistics)
    kinds = {s.kind for s in statistics.saturations()}
    assert kinds == {"output"} and counted(statistics) == ()


def relu6(node):
    """Lower the bound of ReLUs so that bright images reach it."""
    return [node.with_attrs(max_value=0.05)] if node.op == "ReLU" else None


def test_commands_name_layer_and_share_within_100_columns(tmp_path):
    save_graph(tmp_path / "m.npz", model(**BIG_BIAS))
    np.save(tmp_path / "x.npy", IMAGES)
    names = {name: str(tmp_path / name) for name in ("m.npz", "x.npy", "q.npz", "p.npz", "y.npy")}
    m, x, q, p, y = names.values()
    for arguments in (
        ("quantize", m, "--samples", x, "-o", q),
        ("convert", q, "-o", p),
        ("simulate", p, x, "-o", y),
    ):
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0
        joined = " ".join(result.stderr.split())
        assert "warning: " in joined and "first 100%" in joined, arguments
        lines = result.output.replace(f"{tmp_path}/", "").splitlines()
        assert max(map(len, lines)) <= 100
    verbose = CliRunner().invoke(cli, ("simulate", p, x, "-o", y, "-v")).stderr
    assert "first: output product: 8,192 of 8,192 (100%)" in verbose


def test_random_samples_judge_no_saturation(tmp_path):
    save_graph(tmp_path / "m.npz", model(**BIG_BIAS))
    arguments = ("quantize", str(tmp_path / "m.npz"), "-o", str(tmp_path / "q.npz"))
    joined = " ".join(CliRunner().invoke(cli, arguments).stderr.split())
    assert "note: numbers saturate on 64 random samples: first 100%" in joined
    assert "warning: numbers saturate" not in joined


@pytest.mark.skipif(not CASE.is_dir(), reason="reference cases are not beside the repository")
def test_a_keras_model_with_a_bias_of_1000(tmp_path):
    q, p = str(tmp_path / "q.npz"), str(tmp_path / "p.npz")
    x = str(CASE / "x.npy")
    for arguments in (
        ("quantize", str(CASE / "bias.keras"), "--samples", x, "-o", q),
        ("convert", q, "-o", p),
        ("simulate", p, x),
    ):
        result = CliRunner().invoke(cli, arguments)
        assert "c 100%" in " ".join(result.stderr.split()), arguments

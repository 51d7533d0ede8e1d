"""Widths that a chip lacks are refused before a model is quantized, as `convert` would after it."""

from collections import Counter

import numpy as np
import pytest
from click.testing import CliRunner

import stages.quantize
from conformance.agreement_models import random_model
from pipeline.chips import chip, convert
from pipeline.chips.check import repaired
from pipeline.chips.chip import only_for
from pipeline.chips.planned_widths import check_planned_widths
from pipeline.cli.main import cli
from pipeline.config import Calibration, Config, LayerWidths, Quantization, Target
from pipeline.errors import ConfigError, IncompatibleModelError
from pipeline.graph.archive import save_graph
from pipeline.preparation.verification import random_images
from pipeline.quantization.quantize import quantize
from tests.pipeline.analysis.networks import legacy

ABOUT_WIDTHS = {
    "akida_v1": {"activation_bits", "separable_bits", "weight_bits"},
    "akida_v2": {"weight_bits", "output_bits", "one_product_width"},
}
WIDTHS = {"weight_bits": (2, 4, 8), "activation_bits": (1, 2, 4, 8)}
COMMON = {
    "akida_v1": {"weight_bits": (2, 4), "activation_bits": (1, 2, 4)},
    "akida_v2": {"weight_bits": (4, 8), "activation_bits": (4, 8)},
}
MODELS = 40
CASES = [("akida_v1", "cnn2snn"), ("akida_v1", "quantizeml"), ("akida_v2", "quantizeml")]


def drawn(seed, target, scheme):
    """Return a model that the chip runs but for its widths, and widths of its layers.

    Every second model has widths that the chip has.
    """
    rng = np.random.default_rng(seed)
    widths_of = COMMON[target] if seed % 2 else WIDTHS
    graph = repaired(random_model(seed, target), target)[0]
    layers = {}
    for node in graph.nodes:
        key = {"ReLU": "activation_bits"}.get(node.op)
        key = "weight_bits" if node.operation.neural else key
        if key and rng.random() < 0.3:
            layers[node.name] = LayerWidths(**{key: int(rng.choice(widths_of[key]))})
    widths = {key: int(rng.choice(values)) for key, values in widths_of.items()}
    options = Quantization(
        scheme=scheme, layers=layers, calibration=Calibration(samples=4, batch_size=4), **widths
    )
    return graph, options


def of(function, *arguments, **settings):
    """Return the refusals of a call about widths; None where other rules end it before."""
    try:
        function(*arguments, **settings)
    except IncompatibleModelError as error:
        target = arguments[-1]
        about = [r for r in error.refusals if r.rule in ABOUT_WIDTHS[target]]
        limits = {limit.name for limit in chip(target).limits.LIMITS}
        if not about and not {r.rule for r in error.refusals} <= limits:
            return None
        return {(r.rule, r.layers, r.found, r.allowed) for r in about}
    return set()


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("target", "scheme"), CASES)
def test_what_is_refused_early_is_refused_by_the_conversion(target, scheme, strict):
    seen = Counter()
    for seed in range(MODELS):
        graph, options = drawn(seed, target, scheme)
        try:
            quantized = quantize(graph, np.maximum(random_images(graph), 0), options)
        except IncompatibleModelError:
            continue  # for other reasons than the widths of a chip
        late = of(convert, quantized, target, strict=strict)
        early = of(check_planned_widths, graph, options, target, strict=strict)
        if late is None:
            seen["other"] += 1
            continue
        # The conversion refuses limits only of programs, after its rules.
        rules = {rule for rule, *_ in late or early}
        assert {one for one in early if one[0] in rules} == late, seed
        seen["refused" if late else "taken"] += 1
    wanted = {"refused", "taken"} if target == "akida_v1" or strict else {"taken"}
    assert all(seen[name] > 3 for name in wanted), seen


def test_every_layer_is_named_with_the_widths_of_the_chip():
    with pytest.raises(IncompatibleModelError) as caught:
        check_planned_widths(legacy(), Quantization(), "akida_v1")
    assert str(caught.value).splitlines()[0].endswith("cannot quantize for akida_v1, 1 reason:")
    layers = [name for refusal in caught.value.refusals for name in refusal.layers]
    assert layers == [node.name for node in legacy().nodes if node.op == "ReLU"]
    assert "8-bit activations; allowed: 1, 2 or 4 on Akida 1.0" in str(caught.value)
    check_planned_widths(legacy(), Quantization(activation_bits=4), "akida_v1")
    check_planned_widths(legacy(), Quantization(), "akida_v2")


def test_the_only_chip_of_a_scheme_needs_no_name():
    assert (only_for("cnn2snn"), only_for("quantizeml")) == ("akida_v1", None)
    with pytest.raises(IncompatibleModelError, match="8-bit activations"):
        check_planned_widths(legacy(), Quantization(scheme="cnn2snn"))
    check_planned_widths(legacy(), Quantization())
    assert "cnn2snn" not in chip("akida_v2").schemes
    with pytest.raises(IncompatibleModelError, match="scheme 'cnn2snn'; akida_v2 takes quantizeml"):
        check_planned_widths(legacy(), Quantization(scheme="cnn2snn"), "akida_v2")


def test_published_limits_are_refused_early_where_it_is_asked_for(tmp_path, never):
    save_graph(tmp_path / "m.npz", legacy())
    widths = ["--weight-bits", "8", "--activation-bits", "4", "-o", str(tmp_path / "q.npz")]
    for options in (["--scheme", "cnn2snn"], ["--target", "akida_v1"]):
        command = ["quantize", str(tmp_path / "m.npz"), *widths, *options, "--strict"]
        error = CliRunner().invoke(cli, command).exception
        assert isinstance(error, IncompatibleModelError)
        assert "8-bit weights" in str(error) and "cannot quantize for akida_v1" in str(error)
    command = ["quantize", str(tmp_path / "m.npz"), *widths, "--strict"]
    error = CliRunner().invoke(cli, command).exception
    assert isinstance(error, ConfigError) and "of which chip?" in str(error)


@pytest.fixture
def never(monkeypatch):
    """Let a test fail where something is quantized."""

    def fail(*arguments, **settings):
        pytest.fail("quantized")

    monkeypatch.setattr("stages.quantize.quantize", fail)
    monkeypatch.setattr("pipeline.quantization.quantize.quantize", fail)


def test_the_stage_refuses_before_it_quantizes(monkeypatch, never):
    config = Config(target=Target(name="akida_v1"))
    monkeypatch.setattr("stages.quantize.load", lambda: config)
    monkeypatch.setattr("stages.quantize.load_graph", lambda path: legacy())
    monkeypatch.setattr("stages.quantize.load_data", lambda data: None)
    with pytest.raises(IncompatibleModelError, match=r"quantization\.activation_bits=4"):
        stages.quantize.main()


@pytest.mark.parametrize("options", [("--target", "akida_v1"), ("--scheme", "cnn2snn")])
def test_the_command_refuses_before_it_quantizes(options, tmp_path, never):
    save_graph(tmp_path / "m.npz", legacy())
    given = ["quantize", str(tmp_path / "m.npz"), "-o", str(tmp_path / "q.npz"), *options]
    found = CliRunner().invoke(cli, given)
    assert isinstance(found.exception, IncompatibleModelError)
    assert str(found.exception).endswith("--activation-bits 4")
    assert not (tmp_path / "q.npz").exists()

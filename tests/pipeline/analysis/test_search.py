"""Sensitivities and the search for widths: shared prefixes, exact optima, verified results."""

import itertools
import json

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from pipeline.analysis.search import Search, macs_bits
from pipeline.analysis.sensitivity import Variants, measure, score
from pipeline.analysis.suffix import SharedPrefix, equal_layers
from pipeline.analysis.widths import WEIGHTS, Choice
from pipeline.chips import convert
from pipeline.cli.main import cli
from pipeline.config import Calibration, LayerWidths, Quantization
from pipeline.errors import ConfigError, DataError, ModelError
from pipeline.graph.archive import save_graph
from pipeline.graph.forward import forward
from pipeline.quantization.quantize import quantize
from simulator import simulate
from tests.pipeline.analysis.faults import images, network
from tests.pipeline.quantization.graphs import RELU, chain, conv

OPTIONS = Quantization(calibration=Calibration(batch_size=8))


def residual():
    return chain(
        conv(4),
        RELU,
        conv(4),
        ("Add", {}, ("relu_2", "conv2d_3")),
        conv(4),
        RELU,
        ("GlobalAveragePooling2D", {}),
        ("Dense", {"units": 3}),
        shape=(12, 12, 3),
    )


@pytest.fixture(scope="module", params=[network, residual])
def variants(request):
    return Variants(request.param(), images(), OPTIONS, "akida_v2")


def test_every_allowed_width_is_a_variant(variants):
    found = {(c.layer, c.key, c.bits) for c in variants.choices()}
    first = next(name for name, node in variants.assignment.nodes.items() if node.weight_bits)
    kernels = {n for n, node in variants.assignment.nodes.items() if node.weight_bits} - {first}
    # The first layer's weights have 8 bits on this chip.
    assert {layer for layer, key, _ in found if key == WEIGHTS} == kernels
    assert {bits for *_, bits in found} == {4}


def test_a_variant_is_the_model_quantized_with_that_width(variants):
    for choice in variants.choices():
        layers = {choice.layer: LayerWidths(**{choice.key: choice.bits})}
        options = Quantization(layers=layers, calibration=OPTIONS.calibration)
        wanted = convert(quantize(variants.graph, images(), options), "akida_v2")
        made = variants.program((choice,))
        assert all(equal_layers(a, b) for a, b in zip(made.layers, wanted.layers, strict=True)), (
            choice
        )


def test_a_shared_prefix_changes_no_integer(variants):
    prefix = SharedPrefix(variants.base, images(), "numpy")
    saved = 0
    for choice in variants.choices():
        program = variants.program((choice,))
        outputs, layers = prefix.run(program)
        np.testing.assert_array_equal(outputs, simulate(program, images()))
        saved += len(program.layers) - layers
    assert saved > len(variants.choices())
    outputs, layers = prefix.run(variants.program(()))
    assert layers == 0
    np.testing.assert_array_equal(outputs, prefix.outputs)


@pytest.fixture(scope="module")
def search():
    made = Variants(network(), images(), OPTIONS, "akida_v2")
    return Search(made, measure(made, images()), images())


def combinations(search):
    """Yield every combination of widths: choices, predicted loss, weight bytes, bits multiplied."""
    sites, base = search.sites, search.variants.base
    ends = search.variants.ends
    for picked in itertools.product(*(sorted(options) for options in sites.values())):
        bits = dict(zip(sites, picked, strict=True))
        loss = sum(sites[site][width][0] for site, width in bits.items())
        saved = sum(sites[s][w][1] for s, w in bits.items() if s[1] == WEIGHTS)
        total = 0
        for layer in base.layers:
            if layer.macs:
                end = ends.get(layer.inputs[0]) if layer.inputs else None
                given = [w for (name, key), w in bits.items() if name == end and key != WEIGHTS]
                # A table's output is read at its own width; other inputs have 8 bits.
                total += layer.macs * bits.get((layer.name, WEIGHTS), 8) * (given or [8])[0]
        yield loss, search.sensitivities.weight_bytes - saved, total


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_the_integer_program_finds_the_best_combination(search, share):
    everything = list(combinations(search))
    assert len(everything) == 2 ** len(search.sites) > 500
    for place, name in ((1, "weight_kib"), (2, "macs_bits")):
        values = sorted(row[place] for row in everything)
        most = values[0] + share * (values[-1] - values[0])
        best = min(row[0] for row in everything if row[place] <= most)
        found = search.within({name: most / 1024 if name == "weight_kib" else most})
        assert found.predicted == pytest.approx(best, abs=1e-9)
        assert (found.weight_bytes if place == 1 else found.macs_bits) <= most
    assert max(row[2] for row in everything) == macs_bits(search.variants.base)


def test_both_budgets_hold_at_once(search):
    budget = {"weight_kib": 1.1, "macs_bits": 3.2e6}
    found = search.within(budget)
    assert found.weight_bytes <= 1.1 * 1024 and found.macs_bits <= 3.2e6


def test_what_is_found_is_no_worse_than_one_width(search):
    uniform = search.uniform(4)
    middle = (search.uniform(8).weight_bytes + uniform.weight_bytes) / 2
    found = search.within({"weight_kib": middle / 1024})
    assert found.score.loss < uniform.score.loss


def test_the_smallest_within_a_loss(search):
    found = search.least(0.1)
    assert 1 - found.score.agreement <= 0.1
    assert found.weight_bytes < search.uniform(8).weight_bytes


def test_what_is_impossible_is_refused(search):
    with pytest.raises(ConfigError, match=r"smallest have weight_kib=0.77"):
        search.within({"weight_kib": 0.1})
    with pytest.raises(ConfigError, match=r"largest loss -0\.5"):
        search.least(-0.5)


def test_scores():
    wanted = np.float32([[2, 0], [0, 1], [0, 3]])
    same = score(wanted, wanted, np.array([0, 1, 0]))
    assert same.loss == pytest.approx(0, abs=1e-12)
    assert (same.agreement, same.accuracy) == (1, pytest.approx(2 / 3))
    other = score(wanted, wanted[:, ::-1])
    assert other.agreement == 0 and other.loss > 1
    maps = np.random.default_rng(0).normal(size=(5, 4, 4, 2)).astype(np.float32)
    found = score(maps, maps + np.float32(0.1))
    expected = 0.01 / maps.var(axis=0, dtype=np.float64).mean()
    assert found.loss == pytest.approx(expected, rel=1e-4) and found.agreement is None


def test_labels_are_counted():
    made = Variants(residual(), images(), OPTIONS, "akida_v2")
    with pytest.raises(DataError, match="24 images, 3 labels"):
        measure(made, images(), np.zeros(3, int))


@pytest.fixture
def files(tmp_path):
    save_graph(tmp_path / "m.npz", residual())
    np.save(tmp_path / "x.npy", np.concatenate([images(), images()[::-1]]))
    np.save(tmp_path / "y.npy", forward(residual(), images()).argmax(-1))
    np.save(tmp_path / "test.npy", images())
    return tmp_path


def run(files, command, *options):
    given = [str(files / o) if o.endswith((".npy", ".yaml")) else o for o in options]
    samples = ("--samples", str(files / "x.npy"))
    return CliRunner().invoke(cli, [command, str(files / "m.npz"), *samples, *given])


def test_a_found_file_is_a_choice_everywhere(files):
    result = run(files, "search", "--budget", "weight_kib=0.4", "-o", "w.yaml")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.output.splitlines())) <= 100
    layers = yaml.safe_load((files / "w.yaml").read_text())["layers"]
    made = run(files, "quantize", "--layers", "w.yaml", "-o", str(files / "q.npz"))
    assert made.exit_code == 0, made.output
    shown = CliRunner().invoke(cli, ["describe", str(files / "q.npz"), "--json"])
    table = {row["name"]: row for row in json.loads(shown.output)["layers"]}
    for name, widths in layers.items():
        for key, bits in widths.items():
            assert table[name]["weight_bits" if key == WEIGHTS else "output_bits"] == bits


def test_the_table_of_sensitivities(files):
    options = ("--images", "test.npy", "--labels", "y.npy")
    result = run(files, "sensitivity", *options)
    assert result.exit_code == 0, result.output
    assert "weight_bits=4" in result.output and "(8 bits everywhere)" in result.output
    found = json.loads(run(files, "sensitivity", *options, "--json").stdout)
    assert {entry["choice"]["bits"] for entry in found["entries"]} == {4}
    assert all(entry["score"]["accuracy"] is not None for entry in found["entries"])


@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        ((), ConfigError, "give --budget or --max-loss"),
        (("--budget", "weight_kib=1", "--max-loss", "0.1"), ConfigError, "one of them only"),
        (("--budget", "size=1"), ConfigError, "found 'size=1'; allowed: weight_kib=NUMBER"),
        (("--budget", "weight_kib=-1"), ConfigError, "found 'weight_kib=-1'"),
        (("--max-loss", "0.1", "--labels", "y.npy"), ConfigError, "give --images as well"),
    ],
)
def test_wrong_options_are_refused(files, options, error, reason):
    result = run(files, "search", *options)
    assert isinstance(result.exception, error) and reason in str(result.exception)


def test_a_quantized_model_is_refused(files):
    run(files, "quantize", "-o", str(files / "m.npz"))
    result = run(files, "search", "--max-loss", "0.1")
    assert isinstance(result.exception, ModelError)


def test_choices_are_those_of_the_quantizer():
    choice = Choice(layer="conv2d_7", key=WEIGHTS, bits=2)
    made = Variants(network(), images(), OPTIONS, "akida_v2").program((choice,))
    assert made.by_name["conv2d_7"].weight_bits == 2

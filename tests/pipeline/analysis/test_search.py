"""Sensitivities and the search for widths: shared prefixes, exact optima, verified results."""

import itertools

import numpy as np
import pytest

from pipeline.analysis.budget import BUDGETS, cost
from pipeline.analysis.integer_program import IntegerProgram
from pipeline.analysis.refined_search import RefinedSearch
from pipeline.analysis.score import score
from pipeline.analysis.search import Search
from pipeline.analysis.sensitivity import measure
from pipeline.analysis.suffix import SharedPrefix, equal_layers
from pipeline.analysis.variants import variants as variants_of
from pipeline.analysis.widths import WEIGHTS, Choice, layer_widths
from pipeline.chips import convert
from pipeline.config import Calibration, LayerWidths, Quantization
from pipeline.errors import ConfigError, DataError, IncompatibleModelError
from pipeline.quantization.quantize import quantize
from simulator import Program, simulate
from simulator.refusal import Refusal
from tests.pipeline.analysis.faults import images, network
from tests.pipeline.analysis.networks import legacy, residual

OPTIONS = Quantization(calibration=Calibration(batch_size=8))


@pytest.fixture(scope="module", params=[network, residual])
def variants(request):
    return variants_of(request.param(), images(), OPTIONS, "akida_v2")


def test_every_allowed_width_is_a_variant(variants):
    found = {(c.layer, c.key, c.bits) for c in variants.choices()}
    first, *others = (node.name for node in variants.graph.nodes if node.operation.neural)
    kernels = set(others)
    assert first not in kernels
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


def test_a_branch_that_does_not_change_is_not_run():
    made = variants_of(residual(), images(), OPTIONS, "akida_v2")
    prefix = SharedPrefix(made.base, images(), "numpy")
    program = made.program((Choice(layer="conv2d_3", key=WEIGHTS, bits=4),))
    outputs, layers = prefix.run(program)
    # The layer beside it, which the Add reads too, is not run.
    names = [layer.name for layer in program.layers]
    assert layers == len(names[names.index("conv2d_3") :]) == len(names) - 2
    np.testing.assert_array_equal(outputs, simulate(program, images()))


@pytest.mark.parametrize("memory", [0, 1000, 20000])
def test_what_is_not_held_is_computed_again(variants, memory):
    prefix = SharedPrefix(variants.base, images(), "numpy", memory=memory)
    for choice in variants.choices():
        program = variants.program((choice,))
        np.testing.assert_array_equal(prefix.run(program)[0], simulate(program, images()))


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
    made = variants_of(network(), images(), OPTIONS, "akida_v2")
    return Search(made, measure(made, images()), images())


def combinations(search):
    """Yield every combination of widths: predicted loss and cost, from the registers' sizes."""
    base, ends = search.variants.base, search.variants.ends
    readers = {name: n for n, layer in enumerate(base.layers) for name in layer.inputs}
    for picked in itertools.product(*(sorted(options) for options in search.losses.values())):
        bits = dict(zip(search.losses, picked, strict=True))
        loss = sum(search.losses[site][width] for site, width in bits.items())
        weights = macs = 0
        # Look-up tables and global averages have sites as well; the last sums have 32 bits.
        outputs = {n.name: bits.get(ends.get(n.name), 32) * np.prod(n.output_shape) / 8
                   for n in base.layers}  # fmt: skip
        largest = 0
        for place, layer in enumerate(base.layers):
            if layer.on_host:
                continue
            if layer.macs:
                width = bits.get((layer.name, WEIGHTS), layer.weight_bits)
                weights += -(-layer.weights.size * width // 8)
                given = bits.get(ends.get(layer.inputs[0]), 8) if layer.inputs else 8
                macs += layer.macs * width * given
            alive = {n.name for n in base.layers[:place] if readers.get(n.name, 0) >= place}
            largest = max(largest, sum(outputs[name] for name in {*alive, layer.name}))
        figures = {"weight_kib": weights / 1024, "macs_bits": macs}
        figures |= {"activation_kib": largest / 1024, "memory_kib": (weights + largest) / 1024}
        yield loss, *(figures[name] for name in BUDGETS)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", BUDGETS)
def test_the_integer_program_finds_the_best_combination(search, name, share):
    everything = list(combinations(search))
    assert len(everything) == 2 ** len(search.losses) > 500
    place = 1 + list(BUDGETS).index(name)
    values = sorted(row[place] for row in everything)
    most = values[0] + share * (values[-1] - values[0])
    best = min(row[0] for row in everything if row[place] <= most)
    program = IntegerProgram(search.losses, search.variants.base, search.variants.ends)
    program.within({name: most})
    widths = program.solve()
    found = search.verified(widths)
    assert found.predicted == pytest.approx(best, abs=1e-9)
    assert found.cost.within({name: most})
    assert max(row[place] for row in everything) == pytest.approx(
        cost(search.variants.base).of(name), abs=1e-3
    )


def test_several_budgets_hold_at_once(search):
    budget = {"weight_kib": 1.1, "macs_bits": 3.2e6, "activation_kib": 1.3}
    found = search.within(budget)
    assert found.cost.within(budget)
    assert not search.uniform().cost.within(budget)


def test_a_repair_mends_misleading_losses(search):
    budget = {"weight_kib": 1.0}
    told = []
    honest = search.within(budget)
    misled = Search(search.variants, search.sensitivities, images(), progress=told.append)
    # The losses of single layers, turned upside down: the integer program chooses the worst.
    top = max(loss for options in misled.losses.values() for loss in options.values())
    misled.losses = {
        site: {
            bits: (top - loss if bits != max(options) else 0.0) for bits, loss in options.items()
        }
        for site, options in misled.losses.items()
    }
    found = misled.within(budget)
    assert told and found.cost.within(budget)
    assert found.score.loss < 2 * honest.score.loss


def test_limits_of_the_chip_are_hard(search, monkeypatch):
    """A made-up limit: outputs of two layers together have at least 12 bits."""
    real = Program.exceeded

    def exceeded(program):
        yield from real(program)
        widths = [program.by_name[name].output_bits for name in ("conv2d_2", "depthwiseconv2d_5")]
        if sum(widths) < 12:
            yield Refusal(found=f"{sum(widths)} bits", allowed="12", layers=("conv2d_2",))

    monkeypatch.setattr(Program, "exceeded", exceeded)
    assert search.uniform(4) is None
    macs = 1 + list(BUDGETS).index("macs_bits")
    smallest = min(row[macs] for row in combinations(search))
    found = search.within({"macs_bits": 1.3 * smallest})
    widths = [found.program.by_name[name].output_bits for name in ("conv2d_2", "depthwiseconv2d_5")]
    assert sum(widths) >= 12
    with pytest.raises(ConfigError, match="within the chip's limits"):
        search.within({"macs_bits": smallest})


def test_widths_that_a_chip_does_not_take_are_left_out(monkeypatch):
    real = Program.exceeded

    def exceeded(program):
        yield from real(program)
        if program.by_name["conv2d_7"].weight_bits < 8:
            yield Refusal(found="4 bits", allowed="8", layers=("conv2d_7",))

    monkeypatch.setattr(Program, "exceeded", exceeded)
    made = variants_of(network(), images(), OPTIONS, "akida_v2")
    found = measure(made, images()[:4])
    assert [choice.layer for choice, _ in found.refused] == ["conv2d_7"]
    assert "conv2d_7: found 4 bits" in found.refused[0][1] or "4 bits" in found.refused[0][1]
    search = Search(made, found, images()[:4])
    least = search.smallest().program
    assert least.by_name["conv2d_7"].weight_bits == 8
    assert least.by_name["conv2d_10"].weight_bits == 4


def test_what_is_found_is_no_worse_than_one_width(search):
    uniform = search.uniform(4)
    middle = (search.uniform(8).cost.weight_bytes + uniform.cost.weight_bytes) / 2
    found = search.within({"weight_kib": middle / 1024})
    assert found.score.loss < uniform.score.loss


def test_the_smallest_within_a_loss(search):
    found = search.least(0.1)
    assert 1 - found.score.agreement <= 0.1
    assert found.cost.weight_bytes < search.uniform(8).cost.weight_bytes


def test_what_is_impossible_is_refused(search):
    with pytest.raises(ConfigError, match=r"smallest have weight_kib=0.765625"):
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
    made = variants_of(residual(), images(), OPTIONS, "akida_v2")
    with pytest.raises(DataError, match="24 images, 3 labels"):
        measure(made, images(), np.zeros(3, int))


@pytest.fixture(scope="module")
def first_chip():
    made = variants_of(legacy(), images(), OPTIONS, "akida_v1")
    return Search(made, measure(made, images()), images())


def test_the_first_chip_has_its_own_widths(first_chip):
    widths = {key: bits for (_, key), bits in first_chip.variants.sites.items()}
    assert widths == {WEIGHTS: (2, 4), "activation_bits": (1, 2, 4)}
    assert first_chip.variants.base.target == "akida_v1"
    everything = list(combinations(first_chip))
    assert len(everything) == 2**3 * 3**3
    budget = {"weight_kib": 2.2, "activation_kib": 1.0}
    best = min(row[0] for row in everything if row[1] <= 2.2 and row[3] <= 1.0)
    program = IntegerProgram(first_chip.losses, first_chip.variants.base, first_chip.variants.ends)
    program.within(budget)
    assert first_chip.verified(program.solve()).predicted == pytest.approx(best, abs=1e-9)
    found = first_chip.within(budget)
    assert found.cost.within(budget)
    options = Quantization(
        scheme="cnn2snn", weight_bits=4, activation_bits=4, refine="none",
        layers=layer_widths(found.choices),
    )  # fmt: skip
    made = convert(quantize(legacy(), images(), options), "akida_v1")
    assert all(equal_layers(a, b) for a, b in zip(made.layers, found.program.layers, strict=True))


def test_choices_are_those_of_the_quantizer():
    choice = Choice(layer="conv2d_7", key=WEIGHTS, bits=2)
    made = variants_of(network(), images(), OPTIONS, "akida_v2").program((choice,))
    assert made.by_name["conv2d_7"].weight_bits == 2


@pytest.fixture(scope="module")
def refined():
    made = variants_of(network(), images(), OPTIONS, "akida_v2")
    return RefinedSearch(made, measure(made, images()), images())


def test_refined_widths_are_judged_as_they_are_quantized(refined):
    found = refined.within({"weight_kib": 1.1})
    options = Quantization(
        layers=layer_widths(found.choices), refine="layers", calibration=OPTIONS.calibration
    )
    wanted = convert(quantize(network(), images(), options), "akida_v2")
    pairs = zip(found.program.layers, wanted.layers, strict=True)
    assert all(equal_layers(a, b) for a, b in pairs)
    assert found.score == refined.score(simulate(wanted, images()))
    plain = refined.variants.program(found.choices)
    assert not all(equal_layers(a, b) for a, b in zip(plain.layers, wanted.layers, strict=True))


def test_losses_of_a_kind_sum_to_what_it_loses_refined(refined):
    base = refined.uniform().score.loss
    for key in (WEIGHTS, "activation_bits"):
        widths = {site: 4 for site in refined.losses if site[1] == key}
        total = sum(refined.losses[site][4] for site in widths)
        wanted = max(refined.verified(widths).score.loss - base, 0.0)
        assert widths and total == pytest.approx(wanted, abs=1e-9)
    # What refinement takes back differs between them: that is why single layers mislead.
    factors = {
        key: sum(refined.losses[s][4] for s in refined.losses if s[1] == key)
        / sum(refined.plain[s][4] for s in refined.plain if s[1] == key)
        for key in (WEIGHTS, "activation_bits")
    }
    assert factors[WEIGHTS] < factors["activation_bits"]


def test_what_is_found_refined_is_no_worse_than_one_width_or_the_first_choice(refined):
    budget = {"macs_bits": 0.8 * refined.uniform(8).cost.macs_bits}
    found = refined.within(budget)
    others = [refined._solved(budget), *refined._uniform_within(budget)]
    assert found.cost.within(budget) and len(others) > 1
    assert found.score.loss <= min(other.score.loss for other in others)


def test_widths_that_refine_beyond_a_register_are_left_out(refined, monkeypatch):
    def refuse(choices):
        raise IncompatibleModelError("net", [Refusal(found="a step beyond 20 bits")], "convert")

    made = variants_of(network(), images(), OPTIONS, "akida_v2")
    search = RefinedSearch(made, refined.sensitivities, images())
    kept = search.uniform()
    monkeypatch.setattr(made, "refined", refuse)
    assert search.uniform() is kept and search.uniform(4) is not kept
    assert search.verified({next(iter(search.losses)): 4}) is None
    assert search.within({"weight_kib": 64}).choices == ()


def test_combinations_are_found_in_the_order_of_their_losses(search):
    budget = {"weight_kib": 1.1}
    wanted = sorted(row[0] for row in combinations(search) if row[1] <= 1.1)
    tried = []
    for loss in wanted[:12]:
        program = IntegerProgram(search.losses, search.variants.base, search.variants.ends)
        program.within(budget)
        for known in tried:
            program.exclude(known)
        tried.append(program.solve())
        found = sum(search.losses[site][bits] for site, bits in tried[-1].items())
        assert found == pytest.approx(loss, abs=1e-9)
    assert len({tuple(widths.items()) for widths in tried}) == 12

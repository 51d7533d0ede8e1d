"""Any quantized model is exported and read back as the same program, or refused by name."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.exports.case import equal_registers
from conformance.exports.trained import LAYERS as SMALL
from conformance.exports.trained import moved
from conformance.networks import random_network
from pipeline.chips import convert
from pipeline.config import Calibration, Quantization
from pipeline.config.layer_widths import LayerWidths
from pipeline.errors import CrossgradeError, IncompatibleModelError
from pipeline.exporters.formats import export
from pipeline.graph.traits import NEURAL, TEMPORAL
from pipeline.importers import load_model
from pipeline.quantization.integers import integers
from pipeline.quantization.quantize import quantize
from simulator import simulate
from tests.pipeline.exporters.quantized_models import quantized

pytestmark = pytest.mark.slow
CHIPS = {"quantizeml": "akida_v2", "cnn2snn": "akida_v1"}


V2 = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10**6),
        "index": st.integers(0, 23),
        "flatten": st.sampled_from(("align", "saturate")),
        "refine": st.sampled_from(("none", "layers")),
        "widths": st.lists(st.tuples(st.integers(0, 9), st.sampled_from((2, 4, 8))), max_size=3),
        "moved": st.one_of(st.none(), st.integers(0, 99)),
    }
)
V1 = st.fixed_dictionaries(
    {
        "name": st.sampled_from(sorted(SMALL["cnn2snn"])),
        "weight_bits": st.sampled_from((2, 4)),
        "activation_bits": st.sampled_from((1, 2, 4)),
        "refine": st.sampled_from(("none", "layers")),
        "moved": st.one_of(st.none(), st.integers(0, 99)),
    }
)


def network_model(seed, index, flatten, refine, widths, **_):
    """Return a quantized random network and images; None if it cannot be quantized or run."""
    network = random_network(seed, index)
    names = [node.name for node in network.graph.nodes if node.op in NEURAL]
    wanted = dict(network.settings)
    wanted.pop("input_dtype")
    options = Quantization(
        **wanted,
        layers={names[n % len(names)]: LayerWidths(weight_bits=bits) for n, bits in widths},
        flatten=flatten,
        refine=refine,
        calibration=Calibration(batch_size=1 if network.temporal else len(network.samples) // 2),
    )
    try:
        model = quantize(network.graph, network.samples, options)
        convert(model, CHIPS["quantizeml"])
    except CrossgradeError:
        return None
    return model, network.images


def has_zero_point(model):
    return any(np.any(node.registers.get("zero_points", 0)) for node in model.nodes)


def check(model, images, folder):
    """Compare what is read from an export with the model."""
    notes = export(folder / "model.h5", model, model.scheme)
    chip = CHIPS[model.scheme]
    wanted, found = (convert(m, chip) for m in (model, integers(load_model(folder / "model.h5"))))
    same = equal_registers(wanted, found)
    assert notes or same
    outputs = [simulate(program, images).ravel() for program in (wanted, found)]
    assert (outputs[0] == outputs[1]).all()
    return same


def test_models_of_akida_v2(tmp_path):
    seen = Counter()

    @settings(max_examples=60, derandomize=True, database=None)
    @given(V2)
    def run(drawn):
        made = network_model(**drawn)
        if made is None:
            seen["unusable"] += 1
            return
        model, images = made
        trained = drawn["moved"] is not None and not any(n.op in TEMPORAL for n in model.nodes)
        model = moved(model, drawn["moved"]) if trained else model
        seen.update({drawn["refine"], f"trained {trained}", f"mixed {bool(drawn['widths'])}"})
        seen.update({f"zero point {has_zero_point(model)}", *(node.op for node in model.nodes)})
        try:
            seen["same"] += check(model, images, tmp_path)
        except IncompatibleModelError as error:
            # QuantizeML's Flatten saturates, and its vectors have one rate.
            assert drawn["flatten"] == "saturate" and trained and "output_scales" in str(error)
            seen["refused"] += 1

    run()
    kinds = {"trained True", "mixed True", "layers", "none", "zero point True"}
    kinds |= {"Add", "Concatenate", "DepthwiseConv2D", "Conv2DTranspose", "BufferTempConv"}
    assert kinds <= set(seen), seen
    assert seen["same"] > 25 > seen["unusable"] and seen["refused"] < 6, seen


def test_models_of_akida_v1(tmp_path):
    seen = Counter()

    @settings(max_examples=40, derandomize=True, database=None)
    @given(V1)
    def run(drawn):
        options = {key: value for key, value in drawn.items() if key not in ("name", "moved")}
        model, images = quantized(SMALL["cnn2snn"][drawn["name"]], scheme="cnn2snn", **options)
        trained = drawn["moved"] is not None
        model = moved(model, drawn["moved"]) if trained else model
        widths = f"{drawn['weight_bits']}/{drawn['activation_bits']}"
        seen.update({drawn["name"], drawn["refine"], f"trained {trained}", widths})
        assert check(model, images, tmp_path)

    run()
    assert {*SMALL["cnn2snn"], "layers", "trained True", "2/1", "4/4"} <= set(seen), seen

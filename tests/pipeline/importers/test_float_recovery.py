"""Float models recovered from files of both vendor quantizers compute the same outputs."""

import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.chips.check import check
from pipeline.config import Quantization
from pipeline.errors import ModelError
from pipeline.graph.forward import forward
from pipeline.importers import load_float, quantized_by
from pipeline.migration import migrate
from pipeline.migration.compare import outputs_of
from pipeline.quantization.quantize import quantize
from pipeline.transforms import Images
from pipeline.transforms.approximate.continuous_activations import GAIN, continuous_activations
from simulator import simulate
from tests.pipeline.importers.keras_files import FIXTURES, edited

SMALL = FIXTURES / "cnn2snn_small.h5"


def recorded(name):
    with np.load(FIXTURES / f"{name}.npz") as arrays:
        return {key: arrays[key] for key in arrays.files}


def test_a_recovered_cnn2snn_file_computes_the_same():
    expected = recorded("cnn2snn_small")
    assert quantized_by(SMALL) == "cnn2snn"
    graph = load_float(SMALL)
    assert graph.node(graph.output).op == "Softmax"
    logits = expected["logits"] - expected["logits"].max(1, keepdims=True)
    wanted = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    # Float32 sums against float64 ones.
    np.testing.assert_allclose(forward(graph, expected["images"]), wanted, atol=1e-5)


def test_the_check_names_every_activation_with_steps():
    report = check(load_float(SMALL), "akida_v2")
    found = {v.layer: v for v in report.violations if v.rule == "discrete_activation"}
    assert list(found) == ["first/relu", "fused/relu", "last/relu"]
    assert all(v.fixable and v.transform == "continuous_activations" for v in found.values())
    assert "2-bit activation up to 3" in found["last/relu"].found


def test_steps_become_relus_within_half_a_step():
    images = recorded("cnn2snn_small")["images"]
    graph = load_float(SMALL)
    rewrite = continuous_activations(graph, None, Images(images=images))
    assert not rewrite.equivalent
    assert [n.op for n in rewrite.graph.nodes if n.name in rewrite.changed] == ["ReLU"] * 3
    first = rewrite.details["activations"]["first/relu"]
    assert first["bits"] == 4 and first["step"] == pytest.approx(6 / 15)
    # Layers before the first activation are unchanged.
    assert first["largest_steps"] <= 0.5 + 1e-5
    assert continuous_activations(rewrite.graph).changed == ()


def test_a_one_bit_activation_becomes_a_steep_relu(tmp_path):
    def edit(layers):
        layers["first/relu"]["config"].update(bitwidth=1, max_value=2.0)

    images = recorded("cnn2snn_small")["images"]
    graph = load_float(edited(tmp_path, SMALL.name, edit))
    rewrite = continuous_activations(graph, None, Images(images=images))
    assert rewrite.details["activations"]["first/relu"]["gain"] == GAIN
    seen = {}
    forward(graph, images, probe=lambda name, values: seen.setdefault(("old", name), values))
    forward(
        rewrite.graph, images, probe=lambda name, values: seen.setdefault(("new", name), values)
    )
    before = seen["old", "pool"]
    far = np.abs(before - 1) > 2 / GAIN
    assert 0.9 < far.mean() < 1
    np.testing.assert_array_equal(seen["new", "first/relu"][far], seen["old", "first/relu"][far])


def test_two_bit_weights_are_kept_at_four_bits():
    images = recorded("cnn2snn_small")["images"]
    graph = load_float(SMALL)
    migration = migrate(graph, "akida_v2", images)
    assert migration.steps[0]["transform"] == "continuous_activations"
    assert migration.equivalence == "approximate"
    options = Quantization(weight_bits=4, activation_bits=4)
    quantized = quantize(migration.after, images, options)
    (node,) = (node for node in quantized.nodes if node.name == "last")
    kernel = migration.after.node("last").weights["kernel"]
    # 7 is the largest 4-bit weight; equalization may have made one of -w, 0, w a little smaller.
    np.testing.assert_array_equal(np.sign(node.registers["kernel"]), np.sign(kernel))
    assert set(np.unique(np.abs(node.registers["kernel"]))) <= {0, 6, 7}
    # Random 4-bit weights, and 2-bit activations that were refined.
    outputs = simulate(convert(quantized, "akida_v2"), images).reshape(len(images), -1)
    wanted = recorded("cnn2snn_small")["logits"]
    assert np.corrcoef(outputs.ravel(), wanted.ravel())[0, 1] > 0.7


@pytest.mark.parametrize(
    ("name", "correlation"),
    # The first has 4 bits; the second a zero point, and a Flatten in which QuantizeML saturates.
    [("quantized_residual", 0.98), ("quantized_flatten", 0.998)],
)
def test_a_float_model_is_recovered_from_a_quantizeml_file(name, correlation):
    path = FIXTURES / f"{name}.h5"
    assert quantized_by(path) == "QuantizeML"
    expected, graph = recorded(name), load_float(path)
    outputs = outputs_of(graph, expected["images"])
    wanted = expected["outputs"].reshape(outputs.shape)
    assert np.corrcoef(outputs.ravel(), wanted.ravel())[0, 1] > correlation
    assert check(graph, "akida_v2").verdict != "incompatible"


def test_integers_are_still_refused(tmp_path):
    from pipeline.models.file import read_float
    from pipeline.quantization.archive import save_quantized

    images = recorded("cnn2snn_small")["images"]
    graph = migrate(load_float(SMALL), "akida_v2", images).after
    save_quantized(tmp_path / "q.npz", quantize(graph, images, Quantization()))
    with pytest.raises(ModelError, match="give the float model it was made from"):
        read_float(tmp_path / "q.npz")

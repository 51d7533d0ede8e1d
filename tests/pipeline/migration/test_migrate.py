import numpy as np
import pytest

from pipeline.chips.check import check
from pipeline.config.sections import Gap, Transforms
from pipeline.errors import IncompatibleModelError, ModelError
from pipeline.graph.architecture import build_graph
from pipeline.graph.forward import forward
from pipeline.migration import migrate
from pipeline.migration.compare import compare_layers, compare_outputs, equivalence, outputs_of
from pipeline.preparation.editing import replaced
from pipeline.preparation.verification import random_images
from pipeline.transforms import Images
from tests.pipeline.chips.models import (
    BN,
    FIX,
    FLAT,
    GAP,
    MATRIX,
    NO,
    RELU,
    conv,
    dense,
    image,
)

ROWS = [
    pytest.param(model, target, verdict, id=f"{name}-{target}")
    for name, (model, *verdicts) in MATRIX.items()
    for target, verdict in zip(("akida_v1", "akida_v2"), verdicts, strict=True)
]


def old_model():
    """Return a 1.0 model: fused separable, pooling before batch norm and ReLU."""
    separable = conv(op="SeparableConv2D", use_bias=False)
    return image(separable, BN, RELU, separable, GAP, BN, RELU, dense(), ("Softmax", {}))


@pytest.mark.parametrize("model, target, verdict", ROWS)
def test_the_matrix(model, target, verdict):
    samples = random_images(model, 5)
    if verdict == NO:
        with pytest.raises(IncompatibleModelError) as error:
            migrate(model, target, samples)
        assert error.value.reasons == check(model, target).reasons()
        return
    found = migrate(model, target, samples)
    assert found.check_after.verdict == "compatible"
    # A compatible model is unchanged, except for layers that quantization removes, and what brings
    # it within the chip's limits.
    steps = {step["transform"] for step in found.steps}
    if verdict == FIX:
        assert steps - {"fold_zero_padding"}
    else:
        assert steps <= {"fold_zero_padding", "identity_before_pooling"}
    assert not any(node.op == "ZeroPadding2D" for node in found.after.nodes)
    assert found.equivalence == ("float noise" if found.outputs["max_abs_difference"] else "exact")
    assert found.outputs["agreement"] == 1.0


def test_the_steps_of_an_upgrade():
    model = old_model()
    found = migrate(model, "akida_v2", random_images(model, 6))
    assert [step["transform"] for step in found.steps] == ["unfuse_separable", "gap_after_relu"]
    assert [step["equivalence"] for step in found.steps] == ["exact", "float noise"]
    assert found.steps[1]["added_parameters"] == 16
    statuses = {(entry["after"] or {}).get("name"): entry["status"] for entry in found.layers}
    assert statuses["dw_n2"] == statuses["pw_n2"] == "split"
    assert statuses["n6"] == "moved" and statuses["n6_identity"] == "added"
    assert statuses["n8"] == statuses["n10"] == "kept"
    assert all(
        entry["max_abs_difference"] < 1e-5
        for entry in found.layers
        if entry["max_abs_difference"] is not None
    )


def test_logits_are_compared_not_softmax():
    model = old_model()
    found = migrate(model, "akida_v2", random_images(model, 6))
    assert found.outputs["largest_output"] > 1
    assert forward(found.after, random_images(model, 2)).sum() == pytest.approx(2, rel=1e-5)


def test_a_compatible_model_is_unchanged():
    model = MATRIX["conv relu flatten dense"][0]
    found = migrate(model, "akida_v2", random_images(model, 2))
    assert found.after is model and found.steps == () and found.equivalence == "exact"


def test_relocation_is_approximate_and_measured():
    model = old_model()
    samples = random_images(model, 40)
    labels = forward(model, samples).argmax(axis=1)
    options = Transforms(gap=Gap(strategy="relocate", recalibrate="bn_ridge", samples=40))
    found = migrate(
        model, "akida_v2", samples, options, labels=labels, calibration=Images(images=samples)
    )
    assert found.equivalence == "approximate"
    assert found.steps[-1]["equivalence"] == "approximate"
    assert found.outputs["max_abs_difference"] > 0
    assert found.outputs["accuracy_before"] == 1.0
    assert found.check_after.verdict == "compatible"


def test_the_quality_gate():
    model = old_model()
    samples = random_images(model, 40)
    logits = outputs_of(model, samples)
    head = model.node("n9")
    centred = head.with_weights(bias=head.weights["bias"] - logits.mean(axis=0))
    model = replaced(model, {"n9": centred})
    labels = forward(model, samples).argmax(axis=1)
    strict = Transforms(gap=Gap(strategy="relocate", recalibrate="none"), max_accuracy_drop=0.1)
    with pytest.raises(ModelError, match="max_accuracy_drop"):
        migrate(model, "akida_v2", samples, strict, labels=labels)
    with pytest.raises(ModelError, match="max_accuracy_drop"):
        migrate(model, "akida_v2", samples, strict)


def test_the_clip_is_opt_in():
    model = image(FLAT, dense())
    samples = random_images(model, 4)
    found = migrate(model, "akida_v2", samples, Transforms(names=("power_of_two_clip",)))
    (step,) = found.steps
    assert step["equivalence"] == "approximate" and step["changed"] == ["n1"]
    assert 0 < step["clipped_share"]["n1"] <= 1
    assert found.after.node("n1").attrs["max_value"] == 8.0


def test_the_message_contains_refusals_of_the_pooling_transform():
    model = image(conv(), GAP, RELU, dense(), shape=(16, 16, 3))
    with pytest.raises(IncompatibleModelError, match="migrate to akida_v2"):
        migrate(model, "akida_v2", random_images(model, 2))
    assert any("at most 144 on Akida 2.0" in note for note in check(model, "akida_v2").notes)


@pytest.mark.parametrize(
    "difference, largest, equivalent, expected",
    [
        (0.0, 5.0, True, "exact"),
        (1e-6, 5.0, True, "float noise"),
        (0.0, 5.0, False, "approximate"),
        (1.0, 5.0, True, "approximate"),
        (float("nan"), 5.0, True, "approximate"),
    ],
)
def test_classes_of_equivalence(difference, largest, equivalent, expected):
    assert equivalence(difference, largest, equivalent) == expected


def test_compared_outputs():
    before, after = np.float32([[1, 2], [4, 3]]), np.float32([[1, 2], [3, 4]])
    assert compare_outputs(before, after, np.array([1, 0])) == {
        "max_abs_difference": 1.0,
        "largest_output": 4.0,
        "agreement": 0.5,
        "accuracy_before": 1.0,
        "accuracy_after": 0.5,
    }


def test_removed_and_changed_layers_are_listed():
    model = MATRIX["bn behind relu, before dense"][0]
    found = migrate(model, "akida_v2", random_images(model, 2))
    entries = compare_layers(model, found.after, random_images(model, 2))
    assert [(e["before"]["name"], e["after"]) for e in entries if e["status"] == "removed"] == [
        ("n4", None)
    ]
    assert [e["after"]["name"] for e in entries if e["status"] == "changed"] == ["n6"]


def test_split_layers_are_found_whatever_they_are_called():
    window = {"filters": 2, "kernel_size": 3, "padding": "same"}
    body = [
        {"Conv2D": {"name": "dw_s", **window}},
        {"ReLU": {"max_value": 6}},
        {"SeparableConv2D": {"name": "s", **window}},
        {"ReLU": {"name": "last", "max_value": 6}},
    ]
    graph = build_graph({"name": "net", "input": {"shape": [8, 8, 3]}, "layers": body})
    found = migrate(graph, "akida_v2", random_images(graph, 2))
    entries = {e["after"]["name"]: e for e in found.layers}
    assert [name for name, e in entries.items() if e["status"] == "split"] == ["dw_s_1", "pw_s"]
    assert entries["dw_s_1"]["max_abs_difference"] is None
    assert entries["pw_s"]["max_abs_difference"] == 0
    assert entries["dw_s"]["status"] == entries["last"]["status"] == "kept"


def test_a_repair_that_refuses_says_why():
    body = [
        {"Conv2D": {"name": "c", "filters": 4, "kernel_size": 1}},
        {"GlobalAveragePooling2D": {"name": "gap"}},
        {"ReLU": {"max_value": 6}},
        {"Dense": {"units": 2}},
    ]
    graph = build_graph({"name": "net", "input": {"shape": [16, 16, 3]}, "layers": body})
    with pytest.raises(IncompatibleModelError, match="gap: averages a map of 16x16 = 256 pixels"):
        migrate(graph, "akida_v2", np.zeros((1, 16, 16, 3), np.uint8))

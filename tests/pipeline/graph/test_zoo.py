"""The included architectures have their published sizes."""

import json
from pathlib import Path

import pytest

from pipeline.errors import ModelError
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture, read_assignments, zoo_names
from pipeline.graph.describe import WIDTH, describe, layer_table, non_trainable
from pipeline.graph.document import page
from pipeline.graph.macs import count_macs

IMAGENET = "input_shape=[224,224,3] classes=1000"
# name, parameters, total, trainable, millions of MACs (None: not published), decimals of these
SIZES = [
    ("akidanet", f"{IMAGENET} alpha=1", 4_445_000, 4_433_032, 1381.8, 1),
    ("akidanet", f"{IMAGENET} alpha=0.5", 1_384_856, 1_378_872, 350.5, 1),
    ("akidanet", "input_shape=[160,160,3] alpha=0.5", 1_384_856, 1_378_872, 179.1, 1),
    ("akidanet", f"{IMAGENET} alpha=0.25", 483_392, 480_400, 90.15, 2),
    ("akidanet", "alpha=0.25 input_shape=[96,96,3] classes=2", 226_906, 223_914, 16.51, 2),
    ("akidanet", "alpha=0.5 classes=38", 891_350, 885_366, 350.0, 1),
    ("mobilenet", "alpha=1", 4_233_024, 4_221_056, 568.7, 1),
    ("mobilenet", "alpha=0.5", 1_331_616, 1_325_632, 149.5, 1),
    ("mobilenet", "alpha=0.25", 469_584, 466_592, 41.03, 2),
    ("akidanet18", "", 2_366_312, 2_358_504, 969.5, 1),
    ("akidanet18", "input_shape=[160,160,3]", 2_366_312, 2_358_504, 494.9, 1),
    ("ds_cnn", "", 23_713, 23_073, 2.538, 3),
    ("vgg", "", 120_561, 119_881, 24.62, 2),
    ("gxnor", "", 167_346, 165_854, 5.214, 3),
    ("convtiny", "", 139_040, 138_016, 11.83, 2),
    ("convtiny", "input_shape=[120,160,2] classes=9", 137_632, 136_608, 33.58, 2),
    ("pointnet_plus", "", 279_816, 277_000, 17.76, 2),
    ("yolo", "", 3_665_965, 3_653_837, 486.3, 1),
    ("yolo", "classes=2", 3_573_715, 3_561_587, 481.8, 1),
    ("yolo", "classes=1 boxes=3", 3_556_290, 3_544_162, 480.9, 1),
    ("centernet", "", 2_383_256, 2_373_272, None, 0),
    ("akida_unet", "", 1_058_865, 1_051_889, None, 0),
    # Keras' own: its applications.MobileNetV2
    ("mobilenet_v2", "", 3_538_984, 3_504_872, 300.8, 1),
]


def versions(name):
    rows = read_architecture(name).get("versions") or [{}]
    return [row.get("version") for row in rows]


def build(name, parameters=()):
    return build_graph(read_architecture(name, parameters))


@pytest.mark.parametrize(("name", "parameters", "total", "trainable", "macs", "decimals"), SIZES)
def test_published_sizes(name, parameters, total, trainable, macs, decimals):
    for version in versions(name):
        graph = build(name, [*parameters.split(), f"version={version}"])
        assert graph.parameters == total
        assert graph.parameters - non_trainable(graph) == trainable
        if macs is not None:
            assert round(sum(count_macs(graph).values()) / 1e6, decimals) == macs


@pytest.mark.parametrize("name", zoo_names())
def test_tables_fit_the_screen_and_say_the_same(name):
    graph = build(name)
    text, table = describe(graph), layer_table(graph)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert f"Total params: {table['parameters']} (" in text
    assert f"MACs per image: {table['macs']}" in text
    assert table["macs"] == sum(layer["macs"] for layer in table["layers"])
    assert json.loads(json.dumps(table)) == table


@pytest.mark.parametrize("name", [name for name in zoo_names() if len(versions(name)) > 1])
def test_versions_differ_in_fusing_pooling_and_clipping(name):
    old, new = build(name, ["version=1.0"]), build(name, ["version=2.0"])
    assert not [node for node in new.nodes if node.op == "SeparableConv2D"]
    assert old.parameters == new.parameters
    for graph, after in ((old, False), (new, True)):
        order = [node.op for node in graph.nodes]
        for pooling in (n for n in graph.nodes if n.op == "GlobalAveragePooling2D"):
            before = order[graph.nodes.index(pooling) - 1]
            assert (before == "ReLU") is after
    clips = {node.attrs["max_value"] for node in new.nodes if node.op == "ReLU"} - {2.0}
    assert clips in ({7.5}, {3.75})


def test_a_layers_own_alpha_overrides_the_models():
    layers = [
        {"Conv2D": {"filters": 5, "kernel_size": 1}},
        {"Conv2D": {"filters": 5, "kernel_size": 1, "alpha": 1}},
        {"Conv2D": {"filters": "3 * (classes + 1)", "kernel_size": 1, "alpha": 2.5}},
    ]
    model = {"name": "net", "input": {"shape": [4, 4, 1]}, "layers": layers}
    graph = build_graph({**model, "alpha": 0.5, "classes": 2})
    assert [node.attrs["filters"] for node in graph.nodes[1:]] == [2, 5, 22]


def test_blocks_share_options_but_keep_their_own():
    layers = [
        {"conv_block": {"name": "a", "filters": 2}},
        {"conv_block": {"name": "b", "filters": 2, "kernel_size": 1}},
        "Flatten",
        {"dense_block": {"name": "d", "units": 2}},
    ]
    blocks = {"kernel_size": 3, "add_batchnorm": True, "use_bias": False}
    model = {"name": "net", "input": {"shape": [8, 8, 1]}, "blocks": blocks, "layers": layers}
    graph = build_graph(model)
    assert [graph.node(name).attrs["kernel_size"] for name in "ab"] == [(3, 3), (1, 1)]
    assert graph.node("d/BN").inputs == ("d",)


def test_inverted_residuals_add_their_input():
    block = {"name": "r", "filters": 4, "expanded_filters": 8, "residual": True}
    layers = [
        {"Conv2D": {"name": "c", "filters": 4, "kernel_size": 1}},
        {"inverted_residual_block": {**block, "batchnorm_momentum": 0.9}},
    ]
    graph = build_graph({"name": "net", "input": {"shape": [8, 8, 1]}, "layers": layers})
    assert graph.node("r/add").inputs == ("r/project/BN", "c")
    assert graph.node("r/expand/BN").attrs["momentum"] == 0.9


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("akidanet", ["version=3"], "version: found 3; allowed: 1.0, 2.0"),
        ("centernet", ["version=1.0"], "version: found 1.0; allowed: 2.0"),
        ("mlp", ["version=2.0"], "version: found 2.0; this model has no versions"),
        ("akidanet", ["alpha=0"], "alpha: found 0; allowed: a number above 0"),
        ("akidanet", ["alpha=0.01"], "filters is 32, times alpha 0.01 is below 1"),
        ("akidanet", ["classes=1.5"], "classes: found 1.5; allowed: a whole number above 0"),
        ("akidanet", ["boxes=5"], "boxes: no layer of this model depends on it"),
        ("akidanet", ["input_shape=[96,96]"], "conv_0: Conv2D needs (height, width, channels)"),
        ("akidanet", ["input_shape=96"], "input.shape: found 96"),
        ("akidane", [], "akidane: no such model; did you mean akidanet?"),
        ("nowhere.yaml", [], "nowhere.yaml: no such file"),
    ],
)
def test_wrong_parameters_are_refused(name, parameters, message):
    with pytest.raises(ModelError) as error:
        build(name, parameters)
    assert message in str(error.value)


def test_wrong_assignments_are_all_named():
    with pytest.raises(ModelError) as error:
        read_assignments(["alpa=1", "classes", "input_shape=[1"])
    for text in ("did you mean alpha=...?", "'classes': not a parameter", "input_shape: found '[1"):
        assert text in str(error.value)


@pytest.mark.parametrize(
    "size", ["clases", "classes / 2", "classes + 1.5", "__import__('os')", "("]
)
def test_sizes_are_sums_and_products(size):
    model = {"name": "net", "classes": 2, "input": {"shape": [8]}}
    layers = [{"Dense": {"units": size}}, {"Dense": {"units": "classes"}}]
    with pytest.raises(ModelError, match=r"units is .* allowed: a whole number above 0, or a sum"):
        build_graph({**model, "layers": layers})


@pytest.mark.parametrize("content", ["- 1", "name: x", "a: [", "model: 3"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "net.yaml"
    path.write_text(content)
    with pytest.raises(ModelError, match=r"no architecture|not readable as YAML"):
        read_architecture(str(path))


def test_a_composed_configuration_holds_an_architecture(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("seed: 0\nmodel: {name: net, input: {shape: [4]}, layers: [Flatten]}\n")
    assert build(str(path)).name == "net"


def test_the_page_of_models_is_current():
    found = (Path(__file__).parents[3] / "docs" / "models.md").read_text(encoding="utf-8")
    assert found == page(), "run 'make docs'"

"""Configuration: every choice composes, every mistake is reported."""

import subprocess
from pathlib import Path

import pytest
import yaml

from pipeline.chips import chip, known_targets
from pipeline.config import Config, LayerWidths, check, load
from pipeline.config.choices import other_choices
from pipeline.config.compose import compose, write_params
from pipeline.config.overrides import with_quoted_paths
from pipeline.data import known_sources
from pipeline.errors import ConfigError
from pipeline.graph.architecture import build_graph
from pipeline.transforms import TRANSFORMS

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
MODEL = {"name": "m", "input": {"shape": [8, 8, 1]}, "layers": [{"Flatten": {}}]}
NEEDED = {
    "data=arrays": ["data.path=images.npz"],
    "data=image_folder": ["data.path=images"],
    "experiment=before_migration": ["model.path=old.h5"],
    "experiment=face_age": ["data.path=ages.npz"],
    "experiment=migrate": ["model.path=old.h5"],
    "model=import": ["model.path=old.h5"],
}


def choices():
    return [f"{path.parent.name}={path.stem}" for path in sorted(CONF.glob("*/*.yaml"))]


@pytest.mark.parametrize("choice", choices())
def test_every_choice_composes(choice):
    config = check(compose([choice, *NEEDED.get(choice, ())], folder=CONF))
    assert isinstance(config, Config)


@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_repairs_are_those_of_migrate(generation):
    config = check(compose([f"transforms=repair_{generation}"], folder=CONF))
    assert sorted(config.transforms.names) == sorted(chip(f"akida_{generation}").repairs)


def test_committed_params_are_the_composed_default():
    """The file itself holds the choices of whoever used the checkout."""
    shown = subprocess.run(
        ["git", "show", ":params.yaml"], cwd=ROOT, capture_output=True, check=False
    )
    if shown.returncode:
        pytest.skip("needs git and its history")
    assert yaml.safe_load(shown.stdout) == compose(folder=CONF)


@pytest.mark.parametrize(
    "path",
    [
        "a=b.npz",
        "with space.npz",
        "dätä=1/画.npz",
        "a(1)/[2]/{3}.npz",
        "it's.npz",
        "C:\\x.npz",
        "~/x",
    ],
)
def test_paths_need_no_quotes(path):
    for name in ("data.path", "training.weights", "+model.path"):
        values = compose([f"{name}={path}"], folder=CONF)
        section, key = name.lstrip("+").split(".")
        assert values[section][key] == path
    quoted = path.replace("'", "\\'")
    assert compose([f"data.path='{quoted}'"], folder=CONF)["data"]["path"] == path


def test_values_of_a_sweep_over_paths_are_quoted_one_by_one():
    sweep = ["data.path=a=1.npz,b.npz,c d.npz", "seed=1,2", "data=arrays"]
    wanted = ["data.path='a=1.npz',b.npz,'c d.npz'", "seed=1,2", "data=arrays"]
    assert with_quoted_paths(sweep) == wanted == with_quoted_paths(wanted)
    assert with_quoted_paths(["data.path=null", "seed=1"]) == ["data.path=null", "seed=1"]


def test_choices_other_than_the_defaults_are_named():
    defaults = compose(folder=CONF)

    def changed(*overrides):
        return other_choices(compose(overrides, folder=CONF), defaults)

    assert changed() == []
    assert changed("quantization=w4a4") == [
        f"quantization.{name}=4" for name in ("weight_bits", "activation_bits")
    ]
    assert sorted(changed("target=akida_v1", "seed=3")) == ["seed=3", "target.name=akida_v1"]
    assert changed("target=akida_v1", "transforms=none")[-1].startswith("transforms.")
    assert changed("model=ds_cnn")[0] == "model=ds_cnn"
    assert changed("model.layers=[]") == ["model.layers=..."]


@pytest.mark.parametrize("group", ["data", "training", "transforms", "quantization", "target"])
def test_choices_of_a_group_have_the_same_keys(group):
    """A key missing in one choice would keep the value of the previous choice."""
    keys = {
        tuple(sorted(compose([f"{group}={path.stem}"], folder=CONF)[group]))
        for path in (CONF / group).glob("*.yaml")
    }
    assert len(keys) == 1


@pytest.mark.parametrize("name", known_sources())
def test_every_data_source_is_allowed(name):
    check({"model": MODEL, "data": {"name": name, "path": None if "digits" in name else "x"}})


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_transform_is_allowed(name):
    assert check({"model": MODEL, "transforms": {"names": [name]}}).transforms.names == (name,)


@pytest.mark.parametrize("name", known_targets())
def test_every_target_has_a_choice(name):
    assert check(compose([f"target={name}"], folder=CONF)).target.name == name


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"quantisation": {}}, "quantisation: unknown key; did you mean quantization?"),
        ({"quantization": {"weight_bitz": 4}}, "did you mean quantization.weight_bits?"),
        (
            {"quantization": {"weight_bits": 3}},
            "quantization.weight_bits: found 3; allowed: 2, 4, 8",
        ),
        ({"quantization": {"weight_bits": "8"}}, "quantization.weight_bits: found '8'"),
        ({"quantization": {"weight_bits": True}}, "quantization.weight_bits: found True"),
        ({"quantization": {"equalize": 1}}, "quantization.equalize: found 1; allowed: true or fal"),
        ({"quantization": 8}, "quantization: found 8; allowed: the keys scheme,"),
        ({"quantization": {"buffer_bits": 64}}, "allowed: a whole number from 16 to 32"),
        ({"quantization": {"calibration": {"samples": 0}}}, "calibration.samples: found 0"),
        ({"quantization": {"calibration": {"samples": 8}}}, "batch_size: found 100; allowed: at"),
        ({"training": {"learning_rate": 0}}, "found 0.0; allowed: a number above 0"),
        ({"training": {"learning_rate": float("nan")}}, "training.learning_rate: found nan"),
        ({"training": {"epochs": 1.5}}, "training.epochs: found 1.5; allowed: a whole number"),
        ({"transforms": {"names": "unfuse_separable"}}, "allowed: a list of continuous_"),
        ({"transforms": {"names": ["gap_after_relu"] * 2}}, "found gap_after_relu twice"),
        ({"transforms": {"gap": {"strategy": "guess"}}}, "transforms.gap.strategy: found 'guess'"),
        ({"target": {"name": "akida_v7"}}, "target.name: found 'akida_v7'; allowed: akida_"),
        ({"data": {"name": "arrays"}}, "data.path: found null; data.name=arrays needs"),
        ({"data": {"name": "digits", "path": "x.npz"}}, "takes no path"),
        ({"data": {"name": "cifar"}}, "data.name: found 'cifar'; allowed: arrays, digits"),
        ({"model": {}}, "model.layers: found nothing"),
        ({"quantization": {"refine": "all"}}, "found 'all'; allowed: none, layers"),
        (
            {"quantization": {"refine": "layers", "flatten": "saturate"}},
            "quantization.flatten=saturate takes quantization.refine=none",
        ),
        (
            {"export": {"formats": ["cnn2snn"]}},
            "export.formats: found cnn2snn, which holds models of quantization.scheme=cnn2snn",
        ),
        ({"model": None}, "model: found None"),
        ({"seed": None}, "seed: found None"),
    ],
)
def test_a_wrong_value_is_named(values, message):
    with pytest.raises(ConfigError) as error:
        check({"model": MODEL, **values})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_all_mistakes_are_reported_at_once():
    with pytest.raises(ConfigError) as error:
        check({"sed": 1, "training": {"epochs": -1}, "quantization": {"weight_bits": 5}})
    for name in ("sed: unknown key", "training.epochs", "quantization.weight_bits"):
        assert name in str(error.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("quantisation=w4a4", "did you mean quantization?"),
        ("quantization=w3", "quantization: found 'w3'; allowed: "),
        ("weight_bits=4", "did you mean quantization.weight_bits?"),
        ("alpha=0.5", "did you mean model.alpha?"),
        ("quantization.weight_bitz=4", "did you mean quantization.weight_bits?"),
        ("quantization", "not an override"),
        ("seed=[1", "'[1'"),
        ("~quantization", "~quantization: no value can be removed; give another one, such as quan"),
        ("~training.epochs", "such as training.epochs=..., or leave this out"),
        ("~data=digits", "~data=digits: no value can be removed; give another one, such as data=."),
    ],
)
def test_a_wrong_override_is_named(override, message):
    with pytest.raises(ConfigError) as error:
        check(compose([override], folder=CONF))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["{", "a: 1\na: 2", "- 1", "\x00", "a: ${b}", ""])
def test_a_damaged_file_is_refused(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "params.yaml")


def test_params_survive_the_file(tmp_path):
    path = tmp_path / "params.yaml"
    values = compose(["training.learning_rate=1e-3"], folder=CONF)
    write_params(values, path)
    assert load(path) == check(values)
    assert [p.name for p in tmp_path.iterdir()] == ["params.yaml"]
    before = path.stat().st_mtime_ns
    write_params(values, path)
    assert path.stat().st_mtime_ns == before


def test_an_override_reaches_the_model():
    values = compose(["model.layers.1.conv_block.filters=8"], folder=CONF)
    assert values["model"]["layers"][1]["conv_block"]["filters"] == 8


@pytest.mark.parametrize(
    "experiment", [path.stem for path in sorted((CONF / "experiment").glob("*.yaml"))]
)
def test_the_models_of_experiments_build(experiment):
    choice = f"experiment={experiment}"
    config = check(compose([choice, *NEEDED.get(choice, ())], folder=CONF))
    if "path" not in config.model:
        assert build_graph(config.model).parameters > 0


LAYERS = ["pw_*", "block/conv.1", "*_[0-9]?", "a b:c", "größe", "1", "x$002A_y", "weight_bits"]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("sign", ["", "+", "++"])
def test_widths_of_single_layers_compose(layer, sign):
    values = compose([f"{sign}quantization.layers.{layer}.weight_bits=2"], folder=CONF)
    assert values["quantization"]["layers"] == {layer: {"weight_bits": 2}}
    assert check(values).quantization.layers == {layer: LayerWidths(weight_bits=2)}


def test_widths_of_single_layers_change_and_go():
    choice = "quantization=w4a4_mixed"
    changed = compose([choice, "quantization.layers.DepthwiseConv2D.weight_bits=2"], folder=CONF)[
        "quantization"
    ]["layers"]
    assert changed["DepthwiseConv2D"] == {"weight_bits": 2}
    assert changed["GlobalAveragePooling2D"] == {"activation_bits": 8}
    gone = compose([choice, "~quantization.layers.DepthwiseConv2D"], folder=CONF)
    assert list(gone["quantization"]["layers"]) == ["GlobalAveragePooling2D"]


def test_wrong_widths_of_single_layers_are_refused_together():
    wrong = ["a*.weight_bits=3", "b.bits=4", "c=4", "d.activation_bits=16"]
    with pytest.raises(ConfigError) as caught:
        check(compose([f"quantization.layers.{text}" for text in wrong], folder=CONF))
    for name in ("a*.weight_bits: found 3", "b.bits: found 4", "c: found 4", "d.activation_bits"):
        assert f"quantization.layers.{name}" in str(caught.value)


def test_widths_that_the_scheme_lacks_are_refused():
    layer = "quantization.layers.relu*.activation_bits=8"
    with pytest.raises(ConfigError, match=r"layers.relu\*.activation_bits: found 8"):
        check(compose(["quantization=legacy_w4a4", layer], folder=CONF))

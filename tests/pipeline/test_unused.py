"""Settings without effect are refused by name, and rightly: no integer depends on them."""

from dataclasses import fields, replace

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli.main import cli
from pipeline.config import Calibration, Config, Gap, Quantization, Transforms
from pipeline.config.combinations import impossible
from pipeline.config.sections import RegisterTraining
from pipeline.config.unused import TABLE, unused
from pipeline.errors import ConfigError
from pipeline.graph.archive import save_graph
from pipeline.quantization.archive import save_quantized
from pipeline.quantization.quantize import quantize
from tests.pipeline.quantization.graphs import RELU, chain, conv

GAP, HEAD = ("GlobalAveragePooling2D", {}), ("Dense", {"units": 3})
GRAPH = chain(("Rescaling", {"scale": 1 / 255}), conv(4), RELU, conv(4), GAP, RELU, HEAD)
IMAGES = np.random.default_rng(1).integers(0, 256, (120, 6, 6, 3), dtype=np.uint8)
LEGACY = Quantization(scheme="cnn2snn", weight_bits=4, activation_bits=4, refine="layers")
OTHER = {
    "output_bits": 4, "last_output_bits": 8, "buffer_bits": 16, "per_tensor_activations": True,
    "observer": "max", "momentum": 0.5, "equalize": False, "flatten": "saturate",
    "batch_size": 10, "epochs": 2, "samples": 7, "learning_rate": 0.02, "strategy": "relocate",
    "recalibrate": "bn", "seed": 3, "optimizer": "sgd", "schedule": "constant", "temperature": 3.0,
}  # fmt: skip
CAUSES = {
    ("quantization", "quantization.scheme"): {"quantization": LEGACY},
    ("quantization.calibration", "quantization.scheme"): {"quantization": LEGACY},
    ("quantization", "quantization.observer"): {"quantization": Quantization(observer="max")},
    ("quantization.training", "quantization.train"): {},
    ("transforms.gap", "transforms.names"): {},
    ("transforms.gap", "transforms.gap.strategy"): {
        "transforms": Transforms(names=("gap_after_relu",))
    },
    ("transforms.gap", "transforms.gap.recalibrate"): {
        "transforms": Transforms(
            names=("gap_after_relu",), gap=Gap(strategy="relocate", recalibrate="none")
        )
    },
}
"""For each section and cause of the table: a configuration that has the cause."""


def changed(config, dotted, value):
    """Return a configuration with another value of one setting."""
    section, _, rest = dotted.partition(".")
    inner = getattr(config, section)
    new = changed(inner, rest, value) if rest else value
    return replace(config, **{section: new})


def rows():
    return [(row.section, row.cause, key) for row in TABLE for key in row.keys]


@pytest.mark.parametrize(("section", "cause", "key"), rows())
def test_every_unused_setting_is_refused_by_name(section, cause, key):
    config = Config(**CAUSES[section, cause])
    assert not list(unused(config))
    found = list(impossible(changed(config, f"{section}.{key}", OTHER[key])))
    assert any(text.startswith(f"{section}.{key}: found ") and cause in text for text in found)


@pytest.mark.parametrize("key", [*TABLE[0].keys, "calibration"])
def test_the_integers_of_the_1_0_scheme_do_not_depend_on_them(tmp_path, key):
    value = Calibration(epochs=2) if key == "calibration" else OTHER[key]
    for name, options in (("a", LEGACY), ("b", replace(LEGACY, **{key: value}))):
        save_quantized(tmp_path / name, quantize(GRAPH, IMAGES, options))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_other_setting_of_the_scheme_counts():
    """A setting that is added to the section must be used by the scheme, or be in the table."""
    listed = {key for row in TABLE if row.cause == "quantization.scheme" for key in row.keys}
    used = {
        "scheme", "input_weight_bits", "weight_bits", "activation_bits", "layers", "refine",
        "train", "training", "calibration", "source", "samples", "seed", "batch_size",
    }  # fmt: skip
    sections = (Quantization, Calibration)
    assert {field.name for section in sections for field in fields(section)} == listed | used


def test_defaults_and_used_settings_pass():
    assert not list(unused(Config()))
    used = Quantization(train="distill", training=RegisterTraining(epochs=3), momentum=0.5)
    moved = Gap(strategy="distill", recalibrate="bn", samples=9, epochs=2, temperature=3.0, seed=1)
    transforms = Transforms(names=("gap_after_relu",), gap=moved)
    assert not list(unused(Config(quantization=used, transforms=transforms)))


def test_the_command_names_its_options(tmp_path):
    save_graph(tmp_path / "m.npz", GRAPH)
    command = ["quantize", str(tmp_path / "m.npz"), "-o", str(tmp_path / "q.npz")]
    options = ["--scheme", "cnn2snn", "-a", "4", "--per-tensor", "--output-bits", "4"]
    result = CliRunner().invoke(cli, [*command, *options])
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == (
        "--output-bits: found 4; --scheme cnn2snn does not use it; leave it out, which is 8;"
        " --per-tensor: found true; --scheme cnn2snn does not use it; leave it out, which is false"
    )
    assert not (tmp_path / "q.npz").exists()

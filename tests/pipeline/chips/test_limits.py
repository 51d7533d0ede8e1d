"""Every hardware limit, with one model within it and one beyond."""

from pathlib import Path

import pytest

from pipeline.chips import chip, known_targets
from pipeline.chips.check import check, repaired
from pipeline.chips.rules_page import document
from tests.pipeline.chips.models import FLAT, GAP, RELU, conv, dense, depthwise, first
from tests.pipeline.chips.models import image as after_conv
from tests.pipeline.graph.chains import chain


def pool(size, stride=None):
    return "MaxPooling2D", {"pool_size": size, "strides": stride, "padding": "same"}


SEPARABLE = conv(op="SeparableConv2D")


def gray(*layers, shape=(8, 8, 1)):
    return first(*layers, RELU, shape=shape)


LIMITS = [
    # target, rule, within, beyond
    ("akida_v2", "input_kernel", gray(conv(4, 4, strides=4)), gray(conv(4, 3, strides=4))),
    ("akida_v2", "input_kernel", gray(conv(4, 7, strides=6)), gray(conv(4, 1))),
    ("akida_v2", "input_size", gray(conv(), shape=(5, 5, 1)), gray(conv(), shape=(4, 8, 1))),
    ("akida_v2", "input_size", gray(conv(), shape=(500, 384, 1)), gray(conv(), shape=(5, 385, 1))),
    ("akida_v2", "input_filters", gray(conv(512)), gray(conv(513))),
    ("akida_v2", "kernel_and_stride", after_conv(conv(kernel=7)), after_conv(conv(kernel=9))),
    (
        "akida_v2",
        "kernel_and_stride",
        after_conv(conv(strides=2)),
        after_conv(conv(kernel=5, strides=2)),
    ),
    ("akida_v2", "kernel_and_stride", after_conv(depthwise()), after_conv(depthwise(strides=3))),
    ("akida_v2", "padding", after_conv(conv()), after_conv(conv(padding="valid"))),
    (
        "akida_v2",
        "map_size",
        chain((4, 4, 2048), conv(1, 1)),
        chain((4, 4, 2049), conv(1, 1)),
    ),
    ("akida_v2", "max_pooling", first(conv(), pool(3, 2), RELU), first(conv(), pool(2, 1), RELU)),
    (
        "akida_v2",
        "max_pooling",
        after_conv(conv(), pool(2, 1), RELU),
        after_conv(conv(), pool(3, 2), RELU),
    ),
    (
        "akida_v2",
        "pooled_table",
        after_conv(conv(), ("LeakyReLU", {}), conv(), pool(2), RELU),
        after_conv(conv(), pool(2), ("Activation", {"activation": "gelu"})),
    ),
    (
        "akida_v2",
        "global_pooling",
        after_conv(conv(), RELU, GAP, shape=(12, 12, 3)),
        after_conv(conv(), RELU, GAP, shape=(12, 13, 3)),
    ),
    (
        "akida_v2",
        "pooling_follower",
        after_conv(conv(), pool(2), RELU, conv(), RELU, FLAT, dense()),
        after_conv(conv(), pool(2), RELU, FLAT, dense()),
    ),
    (
        "akida_v2",
        "padding_value",
        first(("Rescaling", {"scale": 1 / 255, "offset": -0.5}), conv(), RELU),
        first(("Rescaling", {"scale": 1 / 255, "offset": 0.5}), conv(), RELU),
    ),
    (
        "akida_v2",
        "input_channels",
        chain((8, 8, 8), conv(), RELU, dtype="uint8"),
        chain(
            (8, 8, 8), ("Rescaling", {"scale": 1.0, "offset": -9.0}), conv(), RELU, dtype="uint8"
        ),
    ),
    (
        "akida_v2",
        "data_bits",
        chain((8, 8, 8), conv(), RELU, dtype="int8"),
        chain((8, 8, 8), conv(), RELU, dtype="int16"),
    ),
    ("akida_v2", "dense_inputs", chain((2048,), dense(2)), chain((2049,), dense(2))),
    ("akida_v2", "signed_input", after_conv(), first(depthwise(), conv(), shape=(8, 8, 4))),
    (
        "akida_v2",
        "buffers",
        chain((4, 4, 2), ("BufferTempConv", {"filters": 3, "fifo_size": 10})),
        chain((4, 4, 2), ("BufferTempConv", {"filters": 3, "fifo_size": 11})),
    ),
    ("akida_v1", "input_kernel", gray(conv(4, 7, strides=3)), gray(conv(4, 3, strides=4))),
    ("akida_v1", "input_size", gray(conv(), shape=(300, 256, 1)), gray(conv(), shape=(5, 257, 1))),
    ("akida_v1", "input_size", gray(conv(), shape=(300, 140, 1)), gray(conv(), shape=(4, 140, 1))),
    ("akida_v1", "input_filters", gray(conv(192, 5)), gray(conv(193, 5))),
    (
        "akida_v1",
        "input_filters",
        gray(conv(192, 3), shape=(8, 8, 3)),
        gray(conv(193, 3), shape=(8, 8, 3)),
    ),
    ("akida_v1", "input_pooling", gray(conv(), pool((2, 1))), gray(conv(), pool(3, 2))),
    ("akida_v1", "input_average", after_conv(conv(), GAP), first(conv(), GAP)),
    ("akida_v1", "kernel_and_stride", after_conv(conv(kernel=1)), after_conv(conv(kernel=2))),
    ("akida_v1", "padding", after_conv(conv()), after_conv(conv(padding="valid"))),
    (
        "akida_v1",
        "map_size",
        chain((4, 4, 2048), conv(1, 1), RELU),
        chain((4, 4, 2049), conv(1, 1), RELU),
    ),
    (
        "akida_v1",
        "max_pooling",
        after_conv(conv(), pool(2), RELU, conv()),
        after_conv(conv(), pool(3), RELU, conv()),
    ),
    (
        "akida_v1",
        "pooling_follower",
        after_conv(conv(), pool(2), RELU, conv()),
        after_conv(conv(), pool(2), RELU, FLAT, dense()),
    ),
    (
        "akida_v1",
        "separable_input",
        after_conv(conv(op="SeparableConv2D"), RELU),
        after_conv(conv(), GAP, RELU, ("Reshape", {"target_shape": (1, 1, 4)}), SEPARABLE, RELU),
    ),
    (
        "akida_v1",
        "data_bits",
        first(conv(), RELU),
        first(conv(), RELU, shape=(8, 8, 8)),
    ),
    (
        "akida_v1",
        "global_pooling",
        after_conv(conv(), GAP, shape=(3, 33, 3)),
        after_conv(conv(), GAP, shape=(2, 2, 3)),
    ),
    ("akida_v1", "dense_inputs", chain((57334,), dense(1)), chain((57335,), dense(1))),
]


@pytest.mark.parametrize("target, rule, within, beyond", LIMITS)
def test_limits(target, rule, within, beyond):
    assert rule not in [violation.rule for violation in check(within, target).violations]
    found = [violation for violation in check(beyond, target).hardware if violation.rule == rule]
    assert len(found) == 1
    assert found[0].found and found[0].allowed and found[0].fix


@pytest.mark.parametrize("target", known_targets())
def test_every_rule_is_documented_sourced_and_named_once(target):
    found = chip(target)
    limits = [limit for limit in found.limits.LIMITS if not limit.remark]
    assert len({entry.name for entry in (*found.rules, *limits)}) == len(found.rules) + len(limits)
    for entry in (*found.rules, *limits):
        assert entry.sentence.endswith(".") and "{" not in entry.sentence
    assert found.limits.SOURCE and all(rule.source for rule in found.rules)


QUANTIZED = {
    "akida_v1": {"input_channels", "weight_bits", "step_register", "threshold_register"},
    "akida_v2": {"weight_bits", "output_bits", "saturating_flatten"},
}
"""Limits of properties that a float model does not have; tests/simulator tests them."""


@pytest.mark.parametrize("target", known_targets())
def test_every_limit_has_a_test(target):
    found = chip(target)
    limits = {limit.name for limit in found.limits.LIMITS if not limit.remark}
    tested = {rule for name, rule, *_ in LIMITS if name == target}
    # Those of windows are in the matrix of verdicts.
    refused = {*found.refused_limits, *found.emulated_limits}
    assert limits - QUANTIZED[target] - refused == tested


@pytest.mark.parametrize(
    ("target", "shape", "said"),
    [
        ("akida_v1", (33, 3, 3), "at most 32 high"),
        ("akida_v1", (2, 9, 3), "at least 3 rows"),
        ("akida_v2", (72, 2, 3), "at most 64 high"),
    ],
)
def test_a_map_that_one_reading_excludes_gets_a_remark(target, shape, said):
    tail = (GAP,) if target == "akida_v1" else (RELU, GAP)
    report = check(after_conv(conv(), *tail, shape=shape), target)
    assert "global_pooling" not in [violation.rule for violation in report.violations]
    assert any(said in note and "one reading" in note for note in report.notes)


def test_limits_do_not_touch_the_verdict():
    report = check(gray(conv(513)), "akida_v2")
    assert (report.verdict, report.fits_chip) == ("compatible", False)


def test_all_violations_come_at_once_in_the_order_of_layers():
    graph = after_conv(
        conv(dilation_rate=4), RELU, ("Activation", {"activation": "tanh"}), conv(groups=2), RELU
    )
    found = [(*v.layers, v.rule) for v in check(graph, "akida_v2").conversion]
    assert ("n2", "dilation") in found and ("n5", "groups") in found
    assert found == sorted(found, key=lambda pair: pair[0])


def test_what_repairs_bring_to_light_is_repaired():
    model = after_conv(GAP, RELU, RELU)
    assert check(model, "akida_v2").verdict == "compatible after migrate"
    fixed, _, _ = repaired(model, "akida_v2")
    assert check(fixed, "akida_v2").verdict == "compatible"


def test_the_document_is_current():
    path = Path(__file__).parents[3] / "docs" / "compatibility.md"
    assert path.read_text(encoding="utf-8") == document(), "run: make docs"

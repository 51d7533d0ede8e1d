"""Text of refusals: repeated reasons are merged, with all their layers."""

from simulator.refusal import Refusal, refusal_lines

SPLIT = {"found": "SeparableConv2D", "allowed": "two layers", "fix": "split it", "rule": "fused"}


def test_one_reason_in_one_line():
    refusal = Refusal(layers=("a",), found="9 filters", allowed="at most 8", fix="use fewer")
    assert str(refusal) == "a: 9 filters; allowed: at most 8; use fewer"
    assert str(Refusal(found="it has no layers")) == "it has no layers"


def test_layers_of_one_rule_are_listed_once():
    refusals = [Refusal(layers=(f"sep{n}",), **SPLIT) for n in range(3)]
    assert refusal_lines([*refusals, refusals[0]]) == [
        "sep0, sep1, sep2: SeparableConv2D; allowed: two layers; split it"
    ]


def test_different_findings_share_the_allowed_values():
    refusals = [
        Refusal(layers=(layer,), found=found, allowed="1, 3 or 5", rule="kernel")
        for layer, found in (("a", "kernel 2"), ("b", "kernel 4"), ("c", "kernel 2"))
    ]
    assert refusal_lines(refusals) == ["a, c: kernel 2; b: kernel 4; allowed: 1, 3 or 5"]


def test_other_findings_without_a_rule_and_other_fixes_are_separate():
    plain = [Refusal(layers=(layer,), found=f"odd {layer < 'c'}") for layer in "abc"]
    assert refusal_lines(plain) == ["a, b: odd True", "c: odd False"]
    cured = [Refusal(layers=(layer,), found="odd", fix=layer, rule="r") for layer in "ab"]
    assert refusal_lines(cured) == ["a: odd; a", "b: odd; b"]


def test_of_many_layers_and_findings_the_first_are_named():
    same = [Refusal(layers=(f"c{n}",), found="no weights") for n in range(152)]
    (line,) = refusal_lines(same)
    assert line == ", ".join(f"c{n}" for n in range(10)) + ", 142 other layers: no weights"
    assert "other" not in refusal_lines(same[:11])[0]
    other = [Refusal(layers=(f"c{n}",), found=f"width {n}", rule="width") for n in range(152)]
    (line,) = refusal_lines(other)
    assert line.startswith("c0: width 0; c1: ")
    assert line.endswith("c9: width 9; and 142 other findings of this kind")

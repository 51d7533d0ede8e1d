"""Names of parameters: accepted by MLflow, and different where they were different."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tracking.names import LONGEST, parameter_name

LAYER = st.text(st.sampled_from("aB1_*?[]:/.- $\u00e9"), min_size=1, max_size=300)


def test_ordinary_names_stay():
    name = "quantization.layers.block/conv_1.weight_bits"
    assert parameter_name(name) == name
    assert parameter_name("layers.pw_*") == "layers.pw_:2A"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@given(LAYER)
def test_names_are_accepted(layer):
    name = parameter_name(f"quantization.layers.{layer}.weight_bits")
    assert re.fullmatch(r"[/\w.\- :]*", name) and len(name) <= LONGEST
    from mlflow.utils.validation import _validate_param_name

    _validate_param_name(name)


@given(LAYER, LAYER)
def test_different_names_stay_different(a, b):
    assert (parameter_name(f"p.{a}.bits") == parameter_name(f"p.{b}.bits")) == (a == b)

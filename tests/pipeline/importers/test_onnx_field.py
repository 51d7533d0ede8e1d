"""Models of other people, exported by several tools: read and equal."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.importers import load_float
from pipeline.models.wanted import Wanted
from tests.pipeline.importers.onnx_models import assert_equal, computed

FIELD = Path(__file__).parents[4] / "shared" / "field"
FOLDERS = sorted(FIELD.glob("onnx_*")) or [None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FOLDERS == [None], reason="needs ../shared/field"),
]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: getattr(path, "name", "none"))
def test_every_output_is_equal(folder):
    images = np.load(folder / "inputs.npy")
    with np.load(folder / "outputs.npz") as outputs:
        for name in outputs:
            wanted = Wanted(input_shape=images.shape[1:], until=name)
            graph = load_float(folder / "model.onnx", wanted)
            assert_equal(computed(graph, images), [outputs[name]])

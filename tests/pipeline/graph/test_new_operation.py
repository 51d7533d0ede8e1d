"""A new operation needs one new file: run in a copy of the code with that file."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]

FAMILY = '''"""Gains."""

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.attributes import COUNT, FLAG, Attribute
from pipeline.graph.keras_form import KerasRule
from pipeline.graph.neural import Neural


class Gain(Neural):
    """The product with a learned gain per channel, repeated.

    ``repeats`` is the number of copies of each channel.
    """

    attributes = {"repeats": Attribute(COUNT), "use_offset": Attribute(FLAG, True)}
    depthwise = pointwise = True
    keras = {"Gain": KerasRule(aliases=("GainV1",)), "OldGain": KerasRule(renamed={"repeats": "n"})}
    keras_variables = {"kernel": "factors"}

    def weights(self, attrs, shape):
        offset = {"offset": (shape[-1],)} if attrs["use_offset"] else {}
        return {"kernel": (1, shape[-1]), **offset}

    def output_shape(self, node, shape):
        if shape[-1] > 99:
            raise ModelError(f"{node.name}: found {shape[-1]} channels; allowed: 99")
        return (*shape[:-1], shape[-1] * node.attrs["repeats"])

    def forward(self, node, x):
        y = x * node.weights["kernel"][0] + node.weights["offset"]
        return np.repeat(y, node.attrs["repeats"], -1)

    def keras_obstacle(self, attrs, generation):
        return "Keras 2 has no gain" if generation == 2 else None


OPERATIONS = (Gain(),)
'''

SCRIPT = """
import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.exporters import save_keras2_h5, save_keras3
from pipeline.graph.architecture import build_graph
from pipeline.graph.archive import load_graph, save_graph
from pipeline.graph.describe import describe
from pipeline.graph.forward import forward
from pipeline.graph.macs import count_macs
from pipeline.graph.operations_page import page
from pipeline.graph.traits import DEPTHWISE, NEURAL
from pipeline.importers import load_model
from pipeline.importers.layer_table import ALIASES, READ_AS

layers = [{"Gain": {"repeats": "2 * classes", "name": "g"}}, {"Flatten": {}}]
model = {"name": "m", "input": {"shape": [2, 3, 4], "dtype": "float32"}, "classes": 1}
graph = build_graph({**model, "layers": layers})
assert graph.shapes["g"] == (2, 3, 8)
assert "Gain" in NEURAL and "Gain" in DEPTHWISE
assert count_macs(graph) == {"g": 2 * 3 * 4}
assert "g (Gain)" in describe(graph) and "(None, 2, 3, 8)" in describe(graph)
assert "## Gains" in page() and "| `Gain` | The product with a learned gain" in page()

node = graph.node("g").with_weights(offset=np.float32([1, 2, 3, 4]))
graph = graph.with_nodes(node if n.name == "g" else n for n in graph.nodes)
x = np.random.default_rng(0).normal(size=(5, 2, 3, 4)).astype(np.float32)
y = forward(graph, x)
expected = np.repeat(x * node.weights["kernel"][0] + [1, 2, 3, 4], 2, -1)
np.testing.assert_allclose(y, expected.reshape(5, -1), rtol=1e-6)

save_graph("m.npz", graph)
save_keras3("m.keras", graph)
for again in (load_graph("m.npz"), load_model("m.keras")):
    np.testing.assert_array_equal(forward(again, x), y)
assert READ_AS["OldGain"].read_keras("OldGain", {"n": 3}) == {"repeats": 3}
assert ALIASES["GainV1"] == "Gain"

with pytest.raises(ModelError, match="g: Keras 2 has no gain"):
    save_keras2_h5("m.h5", graph)
for options, message in (({}, "needs the attribute 'repeats'"), ({"repeats": 0}, "repeats is 0")):
    with pytest.raises(ModelError, match=message):
        build_graph({**model, "layers": [{"gain": options}], "classes": None})
print("known everywhere")
"""


def test_an_operation_is_one_new_file(tmp_path):
    for ring in ("pipeline", "simulator"):
        shutil.copytree(ROOT / ring, tmp_path / ring, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pipeline/graph/operations/gain.py").write_text(FAMILY)
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "known everywhere\n"

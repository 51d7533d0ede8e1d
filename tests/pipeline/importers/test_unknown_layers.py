import json

import h5py
import pytest

from pipeline.errors import IncompatibleModelError
from pipeline.exporters import save_keras2_h5
from pipeline.importers import load_float
from tests.pipeline.graph.chains import chain

RELU = ("ReLU", {})


def test_known_layers_are_listed_once_and_the_rest_is_checked(tmp_path):
    graph = chain((5, 5, 3), *[RELU] * 3, ("Conv2D", {"filters": 2, "kernel_size": 3}))
    save_keras2_h5(tmp_path / "m.h5", graph)
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        model = json.loads(file.attrs["model_config"])
        kinds = {"n0": "Cropping4D", "n1": "Cropping4D", "n2": "Dot"}
        for layer in model["config"]["layers"]:
            layer["class_name"] = kinds.get(layer["name"], layer["class_name"])
            if layer["name"] == "n3":
                layer["config"]["padding"] = "causal"
        file.attrs["model_config"] = json.dumps(model)
    with pytest.raises(IncompatibleModelError) as caught:
        load_float(tmp_path / "m.h5")
    text = str(caught.value)
    assert text.count("SeparableConv2D") == 1
    assert "n0, n1: layer type 'Cropping4D' is not known; allowed:" in text
    assert "n2: Dot has no counterpart: it multiplies tensors" in text and "--until" in text
    assert "n3: padding is 'causal'" in text

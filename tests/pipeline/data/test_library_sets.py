"""Data sets of Keras and TensorFlow Datasets, read by those libraries from generated files."""

import gzip
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from pipeline.config import Data
from pipeline.data import load_data, store

pytestmark = pytest.mark.slow

LOAD = """
import json, sys
from pipeline.config import Data
from pipeline.data import load_data
from pipeline.stage import run

def main():
    data = load_data(Data(name=sys.argv[1]))
    names = ("x_train", "y_train", "x_test", "y_test")
    found = {name: getattr(data, name).tolist() for name in names}
    print("found", json.dumps(found | {"classes": data.classes, "shape": data.shape}))

run("load", main)
"""
# Keras expects the hash of the complete data set.
ANY_HASH = "import keras.src.utils.file_utils as f; f.validate_file = lambda *a, **k: True\n"


def load_with_keras(home, name, prelude=""):
    """Load a data set as a user does, with Keras's downloads in `home` and no network."""
    nowhere = "http://127.0.0.1:9"
    return subprocess.run(
        [sys.executable, "-c", prelude + LOAD, name],
        env=os.environ
        | {"KERAS_HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "3"}
        | {"http_proxy": nowhere, "https_proxy": nowhere, "no_proxy": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def found(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.partition("found ")[2])


def made(rng=None):
    rng = rng or np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (4, 28, 28), np.uint8),
        "y_train": np.array([0, 2, 1, 2], np.uint8),
        "x_test": rng.integers(0, 256, (2, 28, 28), np.uint8),
        "y_test": np.array([1, 0], np.uint8),
    }


def check(data, arrays):
    assert data["shape"] == [28, 28, 1] and data["classes"] == ["0", "1", "2"]
    for name, array in arrays.items():
        assert np.array_equal(np.squeeze(data[name]), array), name


def test_keras_reads_mnist(tmp_path):
    (tmp_path / "datasets").mkdir()
    arrays = made()
    np.savez(tmp_path / "datasets" / "mnist.npz", **arrays)
    check(found(load_with_keras(tmp_path, "keras:mnist", ANY_HASH)), arrays)


def is_one_message(text):
    """Return True if all lines but the first continue it."""
    return all(line.startswith("    ") for line in text.splitlines()[1:])


def test_keras_reads_fashion_mnist(tmp_path):
    folder = tmp_path / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    arrays = made()
    for split, name in (("train", "train"), ("test", "t10k")):
        for kind, file, header in (("x", "images-idx3", 16), ("y", "labels-idx1", 8)):
            raw = bytes(header) + arrays[f"{kind}_{split}"].tobytes()
            (folder / f"{name}-{file}-ubyte.gz").write_bytes(gzip.compress(raw))
    check(found(load_with_keras(tmp_path, "keras:fashion_mnist")), arrays)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(99)))
    refused = load_with_keras(tmp_path, "keras:fashion_mnist")
    assert refused.returncode == 1
    assert refused.stderr.startswith("load: keras:fashion_mnist: Keras could not")
    assert is_one_message(refused.stderr)


def test_without_a_network_one_line_reports_it(tmp_path):
    (tmp_path / "datasets").mkdir()
    for name in ("mnist", "cifar10"):
        refused = load_with_keras(tmp_path, f"keras:{name}")
        assert refused.returncode == 1
        assert refused.stderr.startswith(f"load: keras:{name}: Keras could not")
        assert "needs a network the first time" in refused.stderr
        assert is_one_message(refused.stderr)


@pytest.fixture
def tiny(tmp_path):
    """Write a data set with TensorFlow Datasets; return its folder and examples."""
    tfds = pytest.importorskip("tensorflow_datasets", reason="tensorflow-datasets is optional")
    rng = np.random.default_rng(0)
    examples = {
        split: [
            {"image": rng.integers(0, 256, (6, 5, 3), np.uint8), "label": int(rng.integers(2))}
            for _ in range(count)
        ]
        for split, count in (("train", 12), ("test", 4))
    }

    class TinyPictures(tfds.core.GeneratorBasedBuilder):
        """Noise."""

        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(6, 5, 3)),
                "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            }
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
                supervised_keys=("image", "label"),
                license="CC0",
            )

        def _split_generators(self, manager):
            return {split: enumerate(examples[split]) for split in examples}

        def _generate_examples(self):
            raise NotImplementedError

    TinyPictures(data_dir=tmp_path).download_and_prepare()
    return tmp_path, examples


@pytest.mark.filterwarnings("ignore")  # imports of TensorFlow Datasets emit many warnings
def test_tensorflow_datasets_reads_its_own_files(tiny, tmp_path, monkeypatch):
    folder, examples = tiny
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sets = []
    for limit in (10**6, 100):  # in memory, and from the cache
        monkeypatch.setattr(store, "LARGE", limit)
        sets += [load_data(Data(name="tfds:tiny_pictures", path=str(folder))) for _ in range(2)]
    for data in sets:
        assert data.classes == ("cat", "dog") and data.licence == "CC0"
        assert data.shape == (6, 5, 3) and len(data.x_train) == 12 and len(data.x_test) == 4
        for split, known in examples.items():
            images, labels = getattr(data, f"x_{split}"), getattr(data, f"y_{split}")
            # TensorFlow Datasets shuffles once, when it writes.
            pairs = {
                (image.tobytes(), label) for image, label in zip(images[:], labels, strict=True)
            }
            assert pairs == {(one["image"].tobytes(), one["label"]) for one in known}
    part = Data(name="tfds:tiny_pictures", path=str(folder), train_samples=5, image_size=8)
    assert load_data(part).x_train.shape == (5, 8, 8, 3)

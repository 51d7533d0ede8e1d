"""Data sets larger than memory: the same images and results, in bounded memory."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from pipeline.chips import convert
from pipeline.config import Calibration, Data, Evaluate, Quantization, Training
from pipeline.data import StoredImages, calibration_samples, choose, load_data, store
from pipeline.errors import DataError
from pipeline.evaluation.evaluate import evaluate
from pipeline.graph.architecture import build_graph
from pipeline.quantization.quantize import quantize
from pipeline.training.train import train

MODEL = {
    "name": "small",
    "input": {"shape": [16, 16, 3]},
    "layers": [
        {"Conv2D": {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}},
        {"BatchNormalization": {}},
        {"ReLU": {"max_value": 6}},
        "Flatten",
        {"Dense": {"units": 2}},
    ],
}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Use a temporary cache folder; data sets of a kilobyte count as large."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "LARGE", 1000)
    return tmp_path / "cache"


def arrays(count=20, size=16):
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (count, size, size, 3), np.uint8),
        "y_train": rng.integers(0, 2, count),
        "x_test": rng.integers(0, 256, (count // 2, size, size, 3), np.uint8),
        "y_test": rng.integers(0, 2, count // 2),
    }


def as_folder(path, content):
    path.mkdir()
    for name, array in content.items():
        np.save(path / f"{name}.npy", array)
    return Data(name="arrays", path=str(path))


def as_archive(path, content, save=np.savez_compressed):
    save(path, **content)
    return Data(name="arrays", path=str(path))


def test_indexing_is_that_of_an_array(tmp_path):
    array = arrays()["x_train"]
    np.save(tmp_path / "x.npy", array)
    images = StoredImages(tmp_path / "x.npy")
    assert (images.shape, images.dtype, images.ndim, len(images)) == (array.shape, np.uint8, 4, 20)
    for key in (3, slice(2, 9), slice(15, 99), np.array([4, 1, 4])):
        np.testing.assert_array_equal(images[key], array[key])
    order = np.random.default_rng(1).permutation(20)[:7]
    some, known = choose(images, order), choose(array, order)
    assert isinstance(some, StoredImages) and some.shape == known.shape
    for key in (slice(1, 5), np.array([6, 0])):
        np.testing.assert_array_equal(some[key], known[key])
    np.testing.assert_array_equal(choose(some, slice(3))[:], known[:3])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_large_arrays_stay_on_the_disk(tmp_path, cache, save):
    content = arrays()
    for options in (
        as_archive(tmp_path / "a.npz", content, save),
        as_folder(tmp_path / "a", content),
    ):
        for _ in range(2):  # the second time from the cache
            data = load_data(options)
            assert isinstance(data.x_train, StoredImages) and data.classes == ("0", "1")
            for name, array in content.items():
                np.testing.assert_array_equal(getattr(data, name)[:], array)
    (file,) = cache.rglob("x_train.npy")
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    with pytest.raises(DataError, match="its content has changed since it was written"):
        load_data(Data(name="arrays", path=str(tmp_path / "a.npz")))
    # A new archive replaces the damaged unpacked one.
    changed = content | {"x_train": content["x_train"][::-1]}
    data = load_data(as_archive(tmp_path / "a.npz", changed))
    np.testing.assert_array_equal(data.x_train[:], changed["x_train"])


def test_wrong_folders_of_arrays_are_refused(tmp_path, cache):
    content = arrays()
    options = as_folder(tmp_path / "a", content)
    (tmp_path / "a" / "x_test.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match=r"x_test\.npy: not a readable \.npy array"):
        load_data(options)
    np.save(tmp_path / "a" / "x_test.npy", content["x_test"].astype(np.float32))
    with pytest.raises(DataError, match="x_test is float32"):
        load_data(options)
    (tmp_path / "a" / "x_test.npy").unlink()
    with pytest.raises(DataError, match="lacks x_test; it holds x_train, y_test, y_train"):
        load_data(options)


def test_large_picture_folders_are_read_once(tmp_path, cache, monkeypatch):
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            folder = tmp_path / "pictures" / split / label
            folder.mkdir(parents=True)
            for number in range(4):
                pixels = rng.integers(0, 256, (12, 10, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    options = Data(name="image_folder", path=str(tmp_path / "pictures"))
    stored = load_data(options)
    assert isinstance(stored.x_train, StoredImages)
    monkeypatch.setattr(store, "LARGE", 10**6)
    held = load_data(options)
    assert isinstance(held.x_train, np.ndarray)
    for split in ("train", "test"):
        for kind in "xy":
            name = f"{kind}_{split}"
            np.testing.assert_array_equal(getattr(stored, name)[:], getattr(held, name))
    monkeypatch.setattr(store, "LARGE", 1000)
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.npy")}
    load_data(options)
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.npy")} == before
    Image.new("RGB", (10, 12)).save(tmp_path / "pictures/train/cat/0.png")
    assert load_data(options).x_train[0].max() == 0


@pytest.mark.slow
def test_a_stored_set_gives_the_same_bits(tmp_path, cache, monkeypatch):
    """Training with held-out images, calibration, evaluation by one and by two processes."""
    options = as_folder(tmp_path / "a", arrays(120))
    stored = load_data(options)
    monkeypatch.setattr(store, "LARGE", 10**9)
    held = load_data(options)
    assert isinstance(stored.x_train, StoredImages) and isinstance(held.x_train, np.ndarray)
    results = []
    for data in (stored, held):
        data = data.subset(100, 40, seed=3)
        training = Training(epochs=3, batch_size=16, patience=2)
        graph, history = train(
            build_graph(MODEL), data.x_train, data.y_train, options=training, seed=5
        )
        settings = Quantization(calibration=Calibration(samples=64))
        samples = calibration_samples(data, settings.calibration)
        program = convert(quantize(graph, samples, settings), "akida_v2")
        program.save(tmp_path / "program.npz")
        found = [
            evaluate(program, graph, data, Evaluate(batch_size=4, workers=workers)).metrics
            for workers in (1, 2)
        ]
        results.append((history, (tmp_path / "program.npz").read_bytes(), found))
    assert results[0] == results[1]


def test_unpacking_and_decoding_need_little_memory(tmp_path, cache):
    """A data set of 30 MB is processed with less than 5 MB of memory."""
    zeros = {
        name: np.zeros((count, 64, 64, 3), np.uint8)
        for name, count in (("x_train", 2000), ("x_test", 500))
    }
    labels = {"y_train": np.arange(2000) % 2, "y_test": np.arange(500) % 2}
    options = as_archive(tmp_path / "a.npz", zeros | labels)
    del zeros
    for label in range(2):
        folder = tmp_path / "pictures" / str(label)
        folder.mkdir(parents=True)
        for number in range(50):
            Image.new("RGB", (320, 320)).save(folder / f"{number}.png")
    for chosen in (options, Data(name="image_folder", path=str(tmp_path / "pictures"))):
        tracemalloc.start()
        try:
            data = load_data(chosen)
            assert tracemalloc.get_traced_memory()[1] < 5 * 10**6, chosen
        finally:
            tracemalloc.stop()
        assert np.prod(data.x_train.shape) > 20 * 10**6


STAGES = """
import resource, sys
from stages import build, compose, evaluate, quantize, transform, convert

def run(images):
    text = open("params.txt").read().replace("FOLDER", images)
    open("params.yaml", "w").write(text)
    for stage in (build, transform, quantize, convert, evaluate):
        stage.main()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

run("small")
before = run("small")  # what TensorFlow needs more for a second training is not the images'
print(before, run("large"), file=sys.stderr)
"""
PARAMS = """
model:
  name: small
  input: {shape: [64, 64, 3]}
  layers:
    - Conv2D: {filters: 4, kernel_size: 3, strides: 2, padding: same}
    - BatchNormalization: {}
    - ReLU: {max_value: 6}
    - GlobalAveragePooling2D: {}
    - Dense: {units: 2}
data: {name: arrays, path: FOLDER, train_samples: null}
training: {epochs: 1, batch_size: 64, patience: 1}
transforms: {names: []}
quantization: {calibration: {samples: 1024}}
target: {name: akida_v2}
evaluate: {batch_size: 64}
"""


@pytest.mark.slow
def test_stages_need_little_memory_for_a_large_set(tmp_path):
    """Stages process almost 500 MB with little additional memory."""
    # The small one is held in memory, and fills every batch as well.
    for name, train_images, test_images in (("small", 2000, 1000), ("large", 40000, 2000)):
        (tmp_path / name).mkdir()
        for split, images in (("train", train_images), ("test", test_images)):
            # A sparse file: nothing is written, all of it is read.
            path = tmp_path / name / f"x_{split}.npy"
            np.lib.format.open_memmap(path, "w+", np.uint8, (images, 64, 64, 3))
            np.save(tmp_path / name / f"y_{split}.npy", np.arange(images) % 2)
    assert (tmp_path / "large" / "x_train.npy").stat().st_size > 460 * 2**20
    (tmp_path / "params.txt").write_text(PARAMS)
    done = subprocess.run(
        [sys.executable, "-c", STAGES], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    before, after = (float(text) for text in done.stderr.split()[-2:])
    assert after - before < 100, (before, after)

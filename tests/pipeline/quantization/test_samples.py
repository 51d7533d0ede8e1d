import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.quantization.samples import check_samples, check_unsigned, random_samples
from tests.pipeline.quantization.graphs import chain, conv

IMAGES = np.zeros((2, 6, 6, 3), np.uint8)


def test_good_samples_pass():
    assert check_samples(chain(conv(2)), IMAGES) is IMAGES
    floats = check_samples(chain(conv(2), dtype="float32"), IMAGES.astype(np.float64))
    assert floats.dtype == np.float32
    for dtype in (np.float32, np.float64, np.int64, bool):
        assert check_samples(chain(conv(2)), IMAGES.astype(dtype)).dtype == np.uint8


@pytest.mark.parametrize(
    ("dtype", "samples", "message"),
    [
        ("uint8", IMAGES[:0], "found none"),
        ("uint8", IMAGES[0], r"found shape \(6, 6, 3\).*\(n, 6, 6, 3\)"),
        ("uint8", np.zeros((2, 6, 6, 1), np.uint8), r"found shape \(2, 6, 6, 1\)"),
        ("uint8", IMAGES + np.float32(0.5), "found float32 .*needs uint8; give raw pixels"),
        ("uint8", IMAGES - np.int64(1), "found int64 .*needs uint8"),
        ("float32", IMAGES.astype(complex), "found complex128"),
        ("float32", np.full(IMAGES.shape, np.nan), "found 216 NaN or infinite"),
        ("float32", np.full(IMAGES.shape, np.inf), "found 216 NaN or infinite"),
        ("uint8", np.float32(3), r"found shape \(\)"),
    ],
)
def test_bad_samples_are_refused(dtype, samples, message):
    with pytest.raises(DataError, match=message):
        check_samples(chain(conv(2), dtype=dtype), samples)


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("uint8", 0, 255), ("int8", -128, 127), ("float32", 0, 255)]
)
def test_random_samples_cover_the_dtype(dtype, low, high):
    graph = chain(conv(2), dtype=dtype)
    samples = random_samples(graph, 100, np.random.default_rng(0))
    assert samples.shape == (100, 6, 6, 3) and samples.dtype == dtype
    assert samples.min() == low and samples.max() == high
    np.testing.assert_array_equal(samples, random_samples(graph, 100, np.random.default_rng(0)))


def test_akida_1_takes_no_negative_samples():
    graph = chain(conv(2), dtype="int8")
    check_unsigned(graph, IMAGES.astype(np.int8))
    with pytest.raises(DataError, match=r"found values down to -3; Akida 1\.0 takes unsigned"):
        check_unsigned(graph, IMAGES.astype(np.int8) - np.int8(3))

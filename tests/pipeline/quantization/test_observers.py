import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.quantization.observers import Ema, Max, Percentile, make_observer

BATCH = np.array([[[[1.0, 8.0], [3.0, -2.0]]]], np.float32)


@pytest.mark.parametrize("observer", [Ema(), Max(), Percentile(100.0)])
def test_measure_reduces_all_but_channels(observer):
    per_axis = observer.measure(BATCH, per_tensor=False)
    np.testing.assert_array_equal(per_axis, np.array([3, 8], np.float32))
    assert per_axis.dtype == np.float32
    per_tensor = observer.measure(BATCH, per_tensor=True)
    assert per_tensor.shape == () and per_tensor.dtype == np.float32 and per_tensor == 8


def test_percentile_drops_outliers():
    values = np.arange(101, dtype=np.float32)[:, None]
    assert Percentile(90.0).measure(values, per_tensor=True) == 90


def merged(observer, values, lower=False):
    state = None
    for value in values:
        state = observer.merge(state, np.asarray(value, np.float32), lower=lower)
    return state


def test_ema_starts_at_the_first_batch_and_moves_a_tenth():
    assert merged(Ema(), [10.0]) == 10
    # 10 - (10 - 20) / 10, then 11 - (11 - 1) / 10
    assert merged(Ema(), [10.0, 20.0]) == np.float32(11)
    np.testing.assert_allclose(merged(Ema(), [10.0, 20.0, 1.0]), 10, rtol=1e-7)  # one rounding
    assert merged(Ema(0.5), [10.0, 20.0]) == 15


def test_ema_stays_float32():
    state = merged(Ema(), [[3.0, 4.0], [5.0, 6.0]])
    decay = np.float32(1 - 0.9)
    expected = np.float32([3, 4]) - (np.float32([3, 4]) - np.float32([5, 6])) * decay
    assert state.dtype == np.float32
    np.testing.assert_array_equal(state, expected)


def test_ema_takes_a_range_of_exactly_one_for_an_unused_one():
    assert merged(Ema(), [1.0, 5.0]) == 5
    np.testing.assert_array_equal(merged(Ema(), [[1.0, 1.0], [5.0, 7.0]]), [5, 7])
    # one channel at 1 is not enough
    np.testing.assert_allclose(merged(Ema(), [[1.0, 2.0], [5.0, 7.0]]), [1.4, 2.5], rtol=1e-7)


def test_ema_does_not_take_a_lower_end_of_minus_one_for_an_unused_one():
    np.testing.assert_allclose(merged(Ema(), [-1.0, -2.0], lower=True), -1.1, rtol=1e-7)


def test_max_keeps_the_wider_end():
    assert merged(Max(), [3.0, 5.0, 4.0]) == 5
    assert merged(Max(), [-3.0, -5.0, 4.0], lower=True) == -5
    assert merged(Max(), [1.0, 0.5]) == 1


def test_observers_by_name():
    assert make_observer("ema", 0.8) == Ema(0.8)
    assert make_observer("max") == Max()
    with pytest.raises(ConfigError, match=r"'median'; allowed: ema, max, percentile"):
        make_observer("median")

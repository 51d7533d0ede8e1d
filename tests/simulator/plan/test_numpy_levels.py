"""Levels in NumPy equal their staircase next to every step, where alone they could differ."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.plan.float_form import float_form
from simulator.plan.numpy_levels import FloatLevels, RecheckedLevels
from simulator.plan.proofs import NEVER, Staircase
from simulator.plan.workspace import Workspace

CHANNELS = 24
SURPLUS = 2


def drawn(rng) -> tuple[Staircase, int]:
    """Return a requantization by an 8-bit scale and a shift as a staircase, and a bound."""
    bits, signed = int(rng.choice([1, 4, 7, 8])), bool(rng.integers(2))
    shift, bound = rng.integers(6, 22), int(2 ** rng.uniform(4, 24)) - 1
    if rng.integers(2):
        # Float32 is a few accumulators short of being exact.
        bits, signed, shift, bound = 8, False, rng.integers(15, 17), (1 << 22) - 1
    low, top = (-(1 << bits) if signed else 0), (1 << bits) - 1
    scale = rng.integers(64, 256, CHANNELS)
    shift = shift + rng.integers(0, 2, CHANNELS)
    bias = rng.integers(-100, 101, CHANNELS) << rng.integers(0, 10)
    levels = np.arange(low, top + 2)[:, None]
    first = -(-((2 * levels - 1) << (shift - 1)) // scale) - bias
    high = rng.integers(low + 1, top + 1, CHANNELS) if rng.integers(2) else np.full(CHANNELS, top)
    counted = (high == top) & bool(rng.integers(4))
    slope = scale / 2.0**shift
    if slope.max() < 1 / 8:
        move(rng, first)
    stairs = Staircase(
        low=low,
        high=high,
        first=np.where(levels[1:-1] <= high, first[1:-1], NEVER),
        slope=slope,
        over=np.where(counted, first[-1], NEVER),
        under=first[0] if signed else np.full(CHANNELS, -NEVER),
    )
    return stairs, near_first_steps(rng, stairs, bound) if rng.integers(2) else bound


def move(rng, first: np.ndarray) -> None:
    """Move single steps by up to 3 accumulators, the first or the last one of every second."""
    for _ in range(rng.integers(3)):
        level = rng.integers(len(first)) if rng.integers(2) else -rng.integers(2)
        first[level, rng.integers(CHANNELS)] += rng.integers(-3, 4)


def near_first_steps(rng, stairs: Staircase, bound: int) -> int:
    """Return a bound beside one of the steps next to 0: most channels have few steps within it."""
    steps = np.sort(np.abs(stairs.first), axis=None)
    return min(bound, max(1, int(rng.choice(steps[:40])) - 1))


def around_steps(stairs: Staircase, bound: int) -> np.ndarray:
    """Return both ends and the accumulators next to every step, int64 (n, channels)."""
    _, first = stairs.table()
    near = [np.clip(first, -bound, bound) + step for step in range(-3, 4)]
    ends = np.array([[-bound], [bound], [0]]).repeat(CHANNELS, axis=1)
    return np.clip(np.vstack([*near, ends]), -bound, bound)


def defined(stairs: Staircase, sums: np.ndarray) -> np.ndarray:
    """Return the levels of sums by the definition of the staircase."""
    columns = zip(stairs.first.T, sums.T, strict=True)
    return stairs.low + np.stack([np.searchsorted(*pair, side="right") for pair in columns], axis=1)


def written(levels, sums: np.ndarray) -> tuple[np.ndarray, int]:
    """Return levels and the number of saturated values; surplus sums must not count."""
    rows = sums.astype(np.float32)[None, :, None]
    # The surplus holds sums at exceptions, and some that saturate.
    wide = np.concatenate([rows, *([rows[:, ::-1]] * SURPLUS)], axis=2)
    out, counts = np.empty_like(rows), []
    tiled = levels.tiled(1 + SURPLUS)
    tiled.write(wide.copy(), out, Workspace(), lambda stage, count: counts.append(count))
    silent = np.empty_like(rows)
    tiled.write(wide, silent, Workspace(), None)
    np.testing.assert_array_equal(silent, out)
    return out[0, :, 0], sum(counts)


def assert_equal(levels, stairs: Staircase, bound: int) -> None:
    """Compare levels and counts with the definition of the staircase."""
    sums = around_steps(stairs, bound)
    found, count = written(levels, sums)
    np.testing.assert_array_equal(found, defined(stairs, sums))
    assert count == np.count_nonzero((sums < stairs.under) | (sums >= stairs.over))


def test_every_form_of_levels_equals_the_staircase():
    seen = Counter()
    for seed in range(160):
        stairs, bound = drawn(np.random.default_rng(seed))
        for dtype in (np.float32, np.float64):
            if (form := float_form(stairs, bound, dtype)) is not None:
                levels = FloatLevels(stairs, form)
                seen[levels.name] += 1
                assert_equal(levels, stairs, bound)
        if (integers := stairs.integers(bound)) is not None:
            levels = RecheckedLevels(stairs, integers)
            seen[levels.name] += levels.usable
            if levels.usable:
                assert_equal(levels, stairs, bound)
    assert min(seen[name] for name in ("float32", "float32 corrected", "float64")) > 10, seen
    assert seen["float32 rechecked"] > 20, seen


def unsaturated(low, high, first, slope):
    never = np.full(len(slope), NEVER)
    return Staircase(low=low, high=high, first=first, slope=slope, under=-never, over=never)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_proven_floats_equal_the_staircase_everywhere(data):
    """A staircase that the proof accepts is compared at every reachable accumulator."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    bound = data.draw(st.integers(1, 4000))
    levels = data.draw(st.sampled_from([1, 3, 15, 127, 255]))
    slope = np.exp2(rng.uniform(-12, 2, 6))
    low = data.draw(st.sampled_from([0, -8, -128]))
    offset = rng.uniform(-2000, 2000, 6)
    rows = np.arange(1, levels + 1)[:, None]
    first = np.ceil((low + rows - 0.5) / slope - offset).astype(np.int64)
    high = low + rng.integers(0, levels + 1, 6)
    first = np.where(low + rows <= high, first, NEVER)
    stairs = unsaturated(low, high, first, slope)
    everywhere = np.arange(-bound, bound + 1)[:, None].repeat(6, axis=1)
    for dtype in (np.float32, np.float64):
        if (form := float_form(stairs, bound, dtype)) is not None:
            levels = FloatLevels(stairs, form)
            np.testing.assert_array_equal(written(levels, everywhere)[0], stairs.at(everywhere))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_integers_and_rechecked_floats_equal_the_staircase_everywhere(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    bound = data.draw(st.integers(1, 3000))
    centre = data.draw(st.sampled_from([0, 1 << 16, -(1 << 23)]))
    levels = data.draw(st.sampled_from([1, 3, 15, 127, 255]))
    slope = np.exp2(rng.uniform(-22, -1.1, 6))
    low = data.draw(st.sampled_from([0, -8, -128]))
    offset = rng.uniform(-2000, 2000, 6) - centre
    rows = np.arange(1, levels + 1)[:, None]
    first = np.ceil((low + rows - 0.5) / slope - offset).astype(np.int64)
    stairs = unsaturated(low, np.full(6, low + levels), first, slope)
    reach = abs(centre) + bound
    integers = stairs.integers(reach)
    if integers is None:
        return
    everywhere = np.arange(centre - bound, centre + bound + 1)[:, None].repeat(6, axis=1)
    expected = stairs.at(everywhere)
    scale, shift = integers
    found = np.clip((everywhere * scale + shift) >> 32, low, low + levels)
    np.testing.assert_array_equal(found, expected)
    rechecked = RecheckedLevels(stairs, integers)
    if rechecked.usable and reach < 1 << 24:
        np.testing.assert_array_equal(written(rechecked, everywhere)[0], expected)


def test_float32_is_refused_if_neighbours_round_to_the_same_value():
    """Steps every 2**20 + 1 accumulators: float32 rounds both sides of a step equally."""
    slope = np.array([2.0**-22])
    first = (np.arange(1, 256)[:, None] << 15) + 1
    stairs = unsaturated(0, np.array([255]), first, slope)
    assert float_form(stairs, 1 << 23, np.float32) is None

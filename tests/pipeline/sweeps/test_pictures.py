"""Pictures of a sweep: labels cover nothing, far points do not flatten the rest, the page works."""

import random
import re
import shutil

import pytest

from pipeline.sweeps.outcome import FINISHED, REFUSED, Outcome
from pipeline.sweeps.page import page
from pipeline.sweeps.panel import OFF, ON, spots
from pipeline.sweeps.pareto import COSTS, compare
from pipeline.sweeps.picture import draw_fronts
from pipeline.sweeps.placing import POINT, Box, place
from pipeline.sweeps.scale import far_below

CHROMIUM = "/usr/bin/chromium"


def outcome(number, accuracy, weights, macs=1000, over=0, **changed):
    metrics = {
        "evaluate.accuracy": accuracy, "evaluate.weight_bytes": weights, "evaluate.macs": macs,
        "evaluate.effective_macs": macs, "convert.exceeded_limits": over,
    }  # fmt: skip
    changed = {"quantization.weight_bits": str(number), **changed}
    return Outcome(number=number, state=FINISHED, changed=changed, params={}, metrics=metrics)


def sweep(count=9, seed=0):
    rng = random.Random(seed)
    made = [
        outcome(n, 0.95 + rng.random() / 50, 1000 * (1 + n // 3) + n, 9000 + n, int(n == 4))
        for n in range(count)
    ]
    made.append(outcome(count, 0.1, 900))
    refused = Outcome(
        number=count + 1, state=REFUSED, changed={"quantization.weight_bits": "<3>"}, params={},
        reason="weight_bits: found <3>",
    )  # fmt: skip
    return compare([*made, refused])


@pytest.mark.parametrize("count", [1, 5, 40, 150])
def test_labels_cover_neither_each_other_nor_points(count):
    rng = random.Random(count)
    points = [(rng.uniform(50, 450), rng.uniform(50, 300)) for _ in range(count)]
    points[count // 2 :] = [(250.0, 150.0 + n) for n in range(count - count // 2)]
    sizes = [(rng.uniform(20, 120), 11) for _ in points]
    area = Box(50, 50, 450, 300)
    found = place(points, sizes, area)
    placed = [box for box in found if box is not None]
    assert placed and (count > 5 or len(placed) == count)
    for index, box in enumerate(placed):
        assert area.holds(box)
        assert not any(box.overlaps(other) for other in placed[:index])
        for x, y in points:
            assert not box.overlaps(Box(x - POINT, y - POINT, x + POINT, y + POINT))


@pytest.mark.parametrize(
    ("merits", "far"),
    [
        ([0.977, 0.975, 0.96, 0.31, 0.12], {3, 4}),
        ([0.98, 0.97, 0.1, 0.1, 0.1], {2, 3, 4}),
        ([0.98, 0.97, 0.9, 0.85, 0.8], set()),
        ([0.98, 0.979, 0.95], set()),
        ([0.9, 0.1], set()),
        ([-2.0, -2.1, -9.0], {2}),
        ([0.5, 0.5, 0.5], set()),
        ([0.9], set()),
        ([], set()),
    ],
)
def test_what_is_far_below_the_others(merits, far):
    assert far_below(merits) == far


def test_marks_and_order():
    found = spots(sweep(), "weight_bytes")
    by_index = {spot.index: spot for spot in found}
    assert by_index[4].mark == OFF and by_index[9].far and by_index[9].mark == ON
    assert [spot.mark == ON for spot in found] == sorted(s.mark == ON for s in found)[::-1]
    assert by_index[0].x == 1000 / 1024, "KiB"


@pytest.mark.parametrize(
    "comparison", [sweep(), sweep(80), compare([])], ids=["few", "many", "none"]
)
def test_pictures_are_drawn(comparison):
    assert draw_fronts(comparison).startswith(b"\x89PNG")
    text = page(comparison, "sweep <weight_bits>")
    assert "<weight_bits>" not in text and "<3>" not in text
    assert not re.search(r"(?:src|href)=|https?:", text), "self-contained"


def test_the_page_has_every_point_and_each_cost_in_both_scales():
    text = page(sweep(), "sweep")
    for index in range(10):
        assert len(re.findall(rf'<g class="spot \w+" data-point="{index}"', text)) == 2 * len(COSTS)
        assert f'<tr data-point="{index}"' in text
    assert "weight memory on the chip, KiB" in text and "effective MACs per image" in text
    assert "weight_bits: found &lt;3&gt;" in text


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which(CHROMIUM), reason=f"needs {CHROMIUM} (Debian: chromium)")
def test_the_page_in_a_browser(tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
    path = tmp_path / "pareto.html"
    path.write_text(page(sweep(), "sweep"))
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 1300, "height": 1100})
        errors = []
        shown.on("pageerror", lambda error: errors.append(error))
        shown.goto(path.as_uri())
        visible = shown.locator(".chart:visible")
        assert visible.count() == len(COSTS)
        visible.first.locator('.spot[data-point="0"]').hover()
        assert "weight_bits: 0" in shown.inner_text("#tip")
        assert "lit" in shown.get_attribute('tr[data-point="0"]', "class")
        shown.check("#everything")
        assert shown.locator('.chart[data-scale="all"]:visible').count() == len(COSTS)
        shown.uncheck("#over")
        assert not shown.locator('[data-point="4"]:visible').count()
        shown.get_by_text("accuracy", exact=True).click()
        assert shown.locator("tbody tr:visible td").first.inner_text() in ("9", "10")
        browser.close()
    assert not errors

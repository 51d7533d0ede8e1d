"""MLflow's pages in a browser: points of a sweep can be selected and compared."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from pipeline.tracking.address import local_store
from pipeline.tracking.record import Record
from pipeline.tracking.server import responds
from pipeline.tracking.store import begin_sweep, end_sweep, track
from tests.waiting import PATIENCE_SECONDS, wait_for

# MLflow's database layer uses what the next version deprecates.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

CHROMIUM = "/usr/bin/chromium"
BITS = (2, 4, 8)
EXPAND = "button[data-component-id*=runnamecellrenderer]"
RUNS = "runs: "
SELECT = ".ag-row .ag-selection-checkbox input"


@pytest.fixture
def store(tmp_path):
    """Return the URI of a store with one sweep of three points."""
    address = local_store(tmp_path)
    parent = begin_sweep(address, key="one", name="sweep weight_bits=2,4,8", params={}, tags={})
    for bits in BITS:
        record = Record(
            name=f"point {bits}",
            params={"quantization.weight_bits": str(bits), "target.name": "akida_v2"},
            metrics={
                "evaluate.accuracy": 0.9 + bits / 100,
                "evaluate.float_accuracy": 0.99,
                "evaluate.weight_bytes": 1024.0 * bits,
            },
            artifacts=(),
            fingerprint=str(bits),
        )
        track(record, address, parent=parent)
    end_sweep(address, parent, status="FINISHED", metrics={"points": 3}, note="", artifacts=())
    return address


def serving(tmp_path, store):
    """Start `crossgrade ui` on a free port; return the process and the address that it prints."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    log = tmp_path / "log"
    # A shell starts what it leaves in the background with SIGINT ignored: these tests, perhaps.
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    start += " from pipeline.cli import main; main()"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", start, "ui", "--port", port, "--store", store],
            cwd=tmp_path,
            env=environment,
            stdout=file,
            stderr=file,
            process_group=0,
        )
    wait_for(lambda: RUNS in log.read_text(), process, log)
    line = next(line for line in log.read_text().splitlines() if RUNS in line)
    return process, line.removeprefix(RUNS)


@pytest.fixture
def server(tmp_path, store):
    """Yield the address of the list of runs."""
    process, address = serving(tmp_path, store)
    yield address
    process.terminate()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_server_ends_with_the_command(tmp_path, store, number):
    process, address = serving(tmp_path, store)
    port = urlsplit(address).port
    assert responds(f"http://127.0.0.1:{port}/health")
    process.send_signal(number)
    assert process.wait(PATIENCE_SECONDS) == (130 if number == signal.SIGINT else 128 + number)
    assert not responds(f"http://127.0.0.1:{port}/health")


@pytest.mark.skipif(not shutil.which(CHROMIUM), reason=f"needs {CHROMIUM} (Debian: chromium)")
def test_the_points_of_a_sweep_can_be_compared(server, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(1000 * PATIENCE_SECONDS)
        page.goto(server)
        page.locator(EXPAND).first.click()
        page.get_by_text("point 8").wait_for()
        page.get_by_text("loss_to_float").first.wait_for()
        assert "MLflow Assistant" not in page.inner_text("body")
        page.screenshot(path=tmp_path / "runs.png")
        boxes = page.locator(SELECT)
        assert boxes.count() == 1 + len(BITS)
        for row in range(1, 1 + len(BITS)):
            boxes.nth(row).check(force=True)
        page.get_by_role("button", name="Compare").click()
        page.get_by_text("Comparing 3 Runs").first.wait_for()
        page.get_by_text("weight_kib").first.wait_for()
        text = page.inner_text("body")
        page.screenshot(path=tmp_path / "compare.png")
        browser.close()
    for name in ("quantization.weight_bits", "target.name", "accuracy", "weight_kib"):
        assert name in text
    for bits in BITS:
        assert f"{0.9 + bits / 100:.2g}"[:4] in text

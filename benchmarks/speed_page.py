"""Page of speed figures: ``python -m benchmarks.speed_page`` (part of `make bench`)."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from pathlib import Path

DOCS = Path("docs")
BASE, RIVAL, OTHER = "QuantizeML call", "TFLite int8", "ORT int8"
KINDS = {
    "avx512-vnni": "With products of bytes of 512 bits (AVX-512 VNNI)",
    "avx-vnni": "With products of bytes of 256 bits (AVX-VNNI)",
    "avx512": "Without products of bytes, 512 bits (AVX-512)",
    "avx2": "Without products of bytes, 256 bits (AVX2)",
    "any": "Other processors",
}
"""Name of a kind of processor to its title, in order of the page."""
REMARKS = """\
QuantizeML emulates the same integers in float32 TensorFlow. TFLite (XNNPACK) and onnxruntime (QDQ)
compute other integers; their networks have ReLU6 instead of our ReLU7.5 or ReLU3.75, since they
fuse only ReLU6 into the layer before, and compute other bounds as separate layers at several times
the cost. Keras computes floats. All weights are random: speed is compared, not accuracy."""


def table(results: dict) -> str:
    """Return all figures as a Markdown table: networks and batches by tools."""
    tools = list(dict.fromkeys(tool for figures in results.values() for tool in figures))
    lines = ["| network, batch | " + " | ".join(tools) + " |", "|---|" + "---:|" * len(tools)]
    for case, figures in results.items():
        cells = []
        for tool in tools:
            if tool not in figures:
                cells.append("-")
                continue
            cpu = figures[tool]["cpu"]
            cell = f"{statistics.median(cpu):.3g} ({min(cpu):.3g}-{max(cpu):.3g})"
            if BASE in figures and tool.startswith("crossgrade"):
                cell += f" **{_ratio(figures, BASE, tool):.2g}x**"
            cells.append(cell)
        lines.append(f"| {case} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ratios(results: dict) -> str:
    """Return the ratios to other tools, by network and batch size, as a Markdown table."""
    lines = [
        f"| network, batch | numpy: faster than {BASE} | fast: faster than {BASE} |"
        f" fast: time of {RIVAL} | fast: time of {OTHER} |",
        "|---|---:|---:|---:|---:|",
    ]
    pairs = (
        (BASE, "crossgrade numpy", ".2f"),
        (BASE, "crossgrade fast", ".1f"),
        ("crossgrade fast", RIVAL, ".2f"),
        ("crossgrade fast", OTHER, ".2f"),
    )
    for case, figures in results.items():
        cells = [
            f"{_ratio(figures, one, other):{form}}x" if {one, other} <= set(figures) else "-"
            for one, other, form in pairs
        ]
        lines.append(f"| {case} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _ratio(figures: dict, one: str, other: str, kind: str = "cpu") -> float:
    """Return the median over rounds of the ratio of two tools."""
    pairs = zip(figures[one][kind], figures[other][kind], strict=True)
    return statistics.median(a / b for a, b in pairs)


def processes(results: dict) -> str:
    """Return the comparisons of whole processes as a Markdown table."""
    lines = ["| what | CPU s | wall s | |", "|---|---:|---:|---|"]

    def row(figures, name, remark=""):
        cpu, wall = (statistics.median(figures[name][kind]) for kind in ("cpu", "wall"))
        lines.append(f"| {name} | {cpu:.3g} | {wall:.3g} | {remark} |")

    quantize = results["quantize"]
    ours, theirs = quantize
    row(quantize, theirs)
    wall, cpu = (_ratio(quantize, theirs, ours, kind) for kind in ("wall", "cpu"))
    row(quantize, ours, f"{wall:.1f} times as fast, {cpu:.1f} times less CPU time")
    workers = results["workers"]
    for name in workers:
        one = f"{name.partition(',')[0]}, 1 worker"
        faster = f"{_ratio(workers, one, name, 'wall'):.2f} times as fast"
        row(workers, name, faster if name != one else "")
    for name in results["start"]:
        row(results["start"], name)
    return "\n".join(lines)


def counting(results: dict) -> str:
    """Return the cost of statistics as a Markdown table."""
    lines = ["| network | numpy | fast |", "|---|---:|---:|"]
    for name, figures in results.items():
        if name.startswith("statistics "):
            shares = [
                _ratio(figures, f"{backend}, with statistics", f"{backend}, plain") - 1
                for backend in ("numpy", "fast")
            ]
            net = name.removeprefix("statistics ")
            lines.append(f"| {net} | " + " | ".join(f"{share:+.0%}" for share in shares) + " |")
    return "\n".join(lines)


def by_layer(rows: list[dict]) -> str:
    """Return the time of each layer as a Markdown table."""
    lines = [
        "| layer | type | MMACs | numpy ms | fast ms | fast GMAC/s | fast path |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        numpy, fast = (f"{row[key]:.3f}" if row[key] else "-" for key in ("numpy", "fast"))
        rate = f"{row['macs'] / row['fast'] / 1e6:.1f}" if row["fast"] else "-"
        lines.append(
            f"| {row['name']} | {row['type']} | {row['macs'] / 1e6:.2f} | {numpy} | {fast} |"
            f" {rate} | {row['path']} |"
        )
    total = [sum(row[key] or 0 for row in rows) for key in ("macs", "numpy", "fast")]
    lines.append(
        f"| **all** | | {total[0] / 1e6:.1f} | {total[1]:.2f} | {total[2]:.2f} |"
        f" {total[0] / total[2] / 1e6:.1f} | |"
    )
    return "\n".join(lines)


def measured() -> Iterator[tuple[str, dict]]:
    """Yield the title of the kind of processor, and the figures, of every measured machine."""
    for name, title in KINDS.items():
        for place in (*DOCS.glob(f"speed_{name}.json"), *sorted(DOCS.glob(f"speed_{name}_*.json"))):
            yield title, json.loads(place.read_text(encoding="utf-8"))


def claims() -> str:
    """Return the smallest and largest ratio of all networks, by machine, as a Markdown table."""
    columns = (
        (f"fast: time of {RIVAL}, batch 1", "crossgrade fast", RIVAL, (1,)),
        ("batch 32, 128", "crossgrade fast", RIVAL, (32, 128)),
        (f"fast: time of {OTHER}, batch 1", "crossgrade fast", OTHER, (1,)),
        ("batch 32, 128", "crossgrade fast", OTHER, (32, 128)),
        (f"fast: faster than {BASE}", BASE, "crossgrade fast", (1, 32, 128)),
        (f"numpy: faster than {BASE}", BASE, "crossgrade numpy", (1, 32, 128)),
    )
    lines = [
        "| machine | " + " | ".join(title for title, *_ in columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for _, speed in measured():
        cells = [_range(speed["results"], *column[1:]) for column in columns]
        lines.append(f"| {speed['machine'].partition(';')[0]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _range(results: dict, one: str, other: str, batches) -> str:
    """Return the range of the ratio of two tools over the networks, at some batch sizes."""
    found = [
        _ratio(figures, one, other)
        for case, figures in results.items()
        if int(case.partition(", ")[2]) in batches and {one, other} <= set(figures)
    ]
    return f"{min(found):.2f} to {max(found):.2f}" if found else "-"


def kinds() -> str:
    """Return the ratios and figures of every machine."""
    return "\n\n".join(_measured(*each) for each in measured())


def _measured(title: str, speed: dict) -> str:
    """Return the ratios and figures of one machine."""
    return f"""\
## {title}

Machine: {speed["machine"]}.

{ratios(speed["results"])}

CPU milliseconds per image, median (smallest-largest) of {speed["rounds"]} rounds; **bold**: times
faster than QuantizeML's compiled call.

{table(speed["results"])}"""


def page() -> str:
    """Return the page, made from the files that the benchmarks have written."""
    whole = json.loads((DOCS / "speed_processes.json").read_text(encoding="utf-8"))
    layers, growth = (
        json.loads((DOCS / f"speed_{name}.json").read_text(encoding="utf-8"))
        for name in ("layers", "growth")
    )
    return f"""\
# Speed

Made by `make bench`, which measures this machine's kind of processor and keeps the tables of the
other kinds. Tools are interleaved in one run, on one thread; ratios are medians over rounds, each
of adjacent runs. `CROSSGRADE_PROCESSOR` forces the kernels of another kind.

{claims()}

{kinds()}

{REMARKS}

## Whole processes

Machine: {whole["machine"]}.

Quantization is of akidanet 0.5 at 160 with 256 calibration images, from process start to written
file. The workers run the emulator and the float model on 10,000 images of ds_cnn, on one thread
each, including the start of the second worker. Two independent runs of half of the images show the
largest speed-up that two processes can reach on this machine.

{processes(whole)}

## Cost of statistics

Extra time to collect sparsity, extremes and saturated values of every layer, as `evaluate` does:

{counting(whole)}

## Time by layer

One image of {layers["net"]}, in batches of 8, CPU time on one thread
({layers["machine"]}):

{by_layer(layers["layers"])}

## Growth

Machine: {growth["machine"]}.

![Time by batch, image size, channels, number of images and workers](images/speed_growth.png)

## Limits of speed

Where the processor has products of bytes (`vpdpbusd`: 64 products in an instruction of 512 bits),
the `fast` backend multiplies unsigned by signed bytes and adds four products to a 32-bit sum, which
is exact for all bytes; signed inputs are offset by 128, and the sums of the weights taken off.
Levels that fit 8 bits are kept in 8 bits. Elsewhere, and for layers whose factors need more than a
byte, it multiplies pairs of 16-bit integers (`vpmaddwd`); products of bytes without a 32-bit sum
(`vpmaddubsw`) would saturate. Convolutions of 3 by 3 with complete tiles need fewer 16-bit products
by Winograd's F(2x2, 3x3), computed in integers; with products of bytes, which are twice as many in
an instruction, the transforms would cost more than the method saves.

All layers of a batch run in one native call, which works through a table of kernels and their
arguments; layers without a kernel (joins, look-up tables, temporal layers) run in Python between
two calls. The kernels do not depend on the program: LLVM compiles them once for a kind of processor
(2.5 s of CPU time, announced on standard error) and keeps the machine code in
`~/.cache/crossgrade`, from where later processes load it in milliseconds.

In NumPy, the product is BLAS's float32, of which OpenBLAS computes small parts without copying them
first; convolutions copy their inputs once for each row of the kernel, and BLAS reads overlapping
windows there. Kernels of three rows in steps of one take two thirds of the products by Winograd's
F(2, 3) over the rows, where a bound shows that float32 holds all halves of integers that occur. The
remaining time is spent on passes over memory that NumPy cannot fuse. A level takes four (multiply,
add, clip, floor): for each channel, float32 factors are searched that give every step of the
requantization, and the few sums at which the best ones do not, known when the plan is made, are
looked for and corrected. A depthwise sum takes as many passes as a window has taps. Processors
whose BLAS is as fast as TensorFlow's gain least from it, at large batches.

Kernels for ARM are those of the kind `any`, in vectors of 128 bits. The tests compile them for
aarch64; `sh tests/simulator/plan/aarch64.sh` runs them on a processor that QEMU emulates, where
480 drawn programs gave the reference's integers (how fast they are on ARM was not measured). The
backend tests itself before its first use, and is not offered where an integer differs.

Calibration computes in float32, where the order of sums matters. It runs parts of a batch on all
cores and each product on one, so that neither the number of cores nor the extra `fast` changes a
file that `crossgrade quantize` writes; kernels of the extra would.

`crossgrade summary --plan` shows each layer's path and proof. The tests draw layers of both
chips until every pair of states of two registers, inputs, widths and shapes has occurred (some
50,000 pairs in about 1,900 layers), and compare every integer and every count of saturated values
with the reference, for the kernels of every kind that the processor can run;
`CROSSGRADE_CASES=1000 pytest tests/simulator/plan/test_drawn_layers.py` draws more. `make
mutations` plants faults in the plans and prints which test finds each.
"""


def main() -> None:
    """Write the page."""
    (DOCS / "speed.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()

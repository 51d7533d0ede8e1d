"""Limits of the made-up chip."""

from __future__ import annotations

from simulator.limit import Limits, excess_inputs, numbers, window

SOURCE = "nobody's documentation"
SIDES, FILTERS, INPUTS = (1, 3), 40, 9000

limit = Limits(globals())
LIMITS, exceeded, remarks = limit.declared, limit.exceeded, limit.remarks


@limit("MiniConv")
def kernel(facts):
    """Kernels have sides of {SIDES}."""
    if not set(facts.kernel) <= set(SIDES):
        yield window(facts), numbers(SIDES), "use another kernel and retrain"


@limit("MiniConv")
def filters(facts):
    """A convolution has at most {FILTERS} filters."""
    if facts.filters > FILTERS:
        yield f"{facts.filters} filters", f"at most {FILTERS}", "use fewer filters"


@limit("MiniDense")
def dense_inputs(facts):
    """A Dense layer has at most {INPUTS} inputs."""
    yield from excess_inputs(facts, INPUTS)

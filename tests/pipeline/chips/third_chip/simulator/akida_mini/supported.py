"""What the layers of the made-up chip support, for the page of targets."""

from simulator.akida_mini import limits

from simulator.limit import numbers

SUPPORTED = {
    "MiniConv": {"kernel": numbers(limits.SIDES), "filters": f"up to {limits.FILTERS}"},
    "MiniDense": {"input": f"up to {limits.INPUTS} values"},
}
NOTES = ("It does not exist.",)

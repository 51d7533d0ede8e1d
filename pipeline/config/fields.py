"""Fields of configuration sections that declare their allowed values."""

from __future__ import annotations

from dataclasses import field


def one_of(default, *allowed, prefixes=()):
    """Return a field that takes one of `allowed`, or what follows one of `prefixes`."""
    return field(default=default, metadata={"allowed": allowed, "prefixes": prefixes})


def number(default, low=None, high=None, *, above=None):
    """Return a field whose value is in ``[low, high]``, or greater than `above`."""
    return field(default=default, metadata={"low": low, "high": high, "above": above})

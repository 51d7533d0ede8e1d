"""What reading a damaged file may raise."""

MALFORMED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
"""Raised on values of other types, sizes or nesting than expected. Errors with a message for users
are ValueErrors too: let them pass first."""
MOST = 300
"""Characters of another library's message; some quote whole parts of the file."""


def brief(error: object) -> str:
    """Return another library's error, or a value of a file, as one short line."""
    text = " ".join(str(error).split())
    return text if len(text) <= MOST else f"{text[:MOST]}..."

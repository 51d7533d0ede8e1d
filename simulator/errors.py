"""Errors that users read."""

MOST_CHARACTERS = 4000
"""Longest message, about a screen."""
MOST_IN_A_LINE = 1500


class UserError(ValueError):
    """Base class of errors whose message is for users, and short enough to be read."""

    def __init__(self, message: str):
        super().__init__(readable(message))


class ProgramError(UserError):
    """A program or its input is invalid; the message says what to do."""


def readable(message: str) -> str:
    """Shorten a message that quotes long values or has many lines; others are unchanged."""
    lines = [_line(line) for line in message.split("\n")]
    kept, left = [], MOST_CHARACTERS - 100  # for the line that counts the others
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            return "\n".join([*kept, f"... and {len(lines) - len(kept)} more lines"])
        kept.append(line)
    return "\n".join(kept)


def _line(line: str) -> str:
    """Shorten a line in its middle: the object is at its start, and what to do at its end."""
    if len(line) <= MOST_IN_A_LINE:
        return line
    half = MOST_IN_A_LINE // 2
    return f"{line[:half]} ... {line[-half:]}"

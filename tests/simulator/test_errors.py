"""Messages for users are short enough to be read."""

from simulator.archive import ArchiveError
from simulator.errors import MOST_CHARACTERS, ProgramError, readable
from simulator.malformed import MOST, brief


def test_ordinary_messages_are_unchanged():
    text = "model.h5: cannot read the model, 2 reasons:\n  - a\n  - b"
    assert readable(text) == text == str(ProgramError(text)) == str(ArchiveError(text))


def test_a_long_line_keeps_its_object_and_its_advice():
    text = readable("conv: found " + "0, " * 5000 + "; allowed: one number")
    assert text.startswith("conv: found 0, 0") and text.endswith("0, ; allowed: one number")
    assert " ... " in text and len(text) < 2000


def test_of_many_lines_the_first_are_kept_and_the_others_counted():
    lines = [f"  - layer{n}: has no weights" for n in range(1000)]
    first, *kept, last = readable("\n".join(["m: 1000 reasons:", *lines])).split("\n")
    assert first == "m: 1000 reasons:" and kept == lines[: len(kept)]
    assert last == f"... and {1000 - len(kept)} more lines"
    assert MOST_CHARACTERS * 0.9 < len(str(ProgramError("\n".join(lines)))) <= MOST_CHARACTERS


def test_messages_of_other_libraries_become_one_short_line():
    assert brief(ValueError("one\n  two")) == "one two"
    assert len(brief(ValueError(repr(bytes(range(256)) * 40)))) == MOST + 3

"""The code of pages in docs/ runs, in order, and prints what the page shows.

A block ``text`` after a block ``python`` is its output; ``...`` in it matches anything, runs of
blanks are equal, and an empty line of the page may be missing.
"""

import contextlib
import doctest
import io
import re
import warnings
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
BLOCKS = re.compile(r"```python\n(.*?)```\n(?:```text\n(.*?)```)?", re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(name):
    return BLOCKS.findall((DOCS / name).read_text(encoding="utf-8"))


def run(name, folder, monkeypatch):
    """Run the page in a folder; return each block with what it printed, warnings among it."""
    import keras

    keras.backend.clear_session()  # Keras numbers the layers of all tests of a process.
    monkeypatch.chdir(folder)
    names, found = {"__name__": name}, []
    for code, shown in blocks(name):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            exec(compile(code, name, "exec"), names)
        texts = [f"{w.category.__name__}: {w.message}\n" for w in caught if is_ours(w)]
        found.append((code, shown, "".join(texts) + out.getvalue()))
    return found


def is_ours(warning):
    return warning.category.__name__ == "CrossgradeWarning"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["python.md", "tutorial.md"])
def test_the_code_prints_what_the_page_shows(name, tmp_path, monkeypatch):
    found = run(name, tmp_path, monkeypatch)
    assert len(found) > 5
    checker = doctest.OutputChecker()
    for code, shown, printed in found:
        assert checker.check_output(shown, printed, FLAGS), f"{code}\nprints\n{printed}"

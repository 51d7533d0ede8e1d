"""A virtual environment whose folder was moved."""

import os
import subprocess
import sys

from pipeline.repro.environment import correct_scripts

LONG = "#!/bin/sh\n'''exec' \"/old place/.venv/bin/python\" \"$0\" \"$@\"\n' '''\nprint(1)\n"


def test_only_scripts_with_the_old_path_change(tmp_path):
    files = {
        "dvc": "#!/old place/.venv/bin/python\n# /old place/ in the text\n" + 3 * "/old place/\n",
        "long": LONG,
        "other": "#!/usr/bin/python3\n",
        "data": "/old place/",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "python").symlink_to("dvc")
    assert correct_scripts(tmp_path, "/old place", "/new") == ["dvc", "long"]
    assert (tmp_path / "dvc").read_text().startswith("#!/new/.venv/bin/python\n")
    assert (tmp_path / "dvc").read_text().count("/old place/") == 2
    assert '"/new/.venv/bin/python"' in (tmp_path / "long").read_text()
    assert [(tmp_path / name).read_text() for name in ("other", "data")] == [
        files["other"],
        files["data"],
    ]


def test_a_moved_script_runs(tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    (before / "bin").mkdir(parents=True)
    (before / "bin/python").symlink_to(sys.executable)
    script = before / "bin/hello"
    script.write_text(f"#!{before}/bin/python\nprint('hello')\n")
    script.chmod(0o755)
    before.rename(after)
    assert correct_scripts(after / "bin", str(before), str(after)) == ["hello"]
    assert subprocess.check_output([after / "bin/hello"], env=os.environ, text=True) == "hello\n"

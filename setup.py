"""What pyproject.toml cannot say: the wheel holds conf/ and dvc.yaml inside of pipeline/.

There they cannot clash with folders of other packages. `pipeline.files.shipped` finds them.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("conf", "dvc.yaml")


class BuildWithProject(build_py):
    """Copies the files of a project folder; an editable installation reads the checkout's."""

    def run(self):
        """Build the packages, and copy."""
        super().run()
        if self.editable_mode:
            return
        folder = Path(self.build_lib, "pipeline", "shipped")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in SHIPPED:
            copy = shutil.copytree if Path(name).is_dir() else shutil.copy2
            copy(name, folder / name)


setup(cmdclass={"build_py": BuildWithProject})

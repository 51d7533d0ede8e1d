"""Copy of the repository with a tiny default configuration, for tests that run its commands."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.repro.workspace import CODE
from pipeline.tracking.address import local_store
from pipeline.tracking.record import gather
from pipeline.tracking.store import EXPERIMENT, PARENT, SWEEP

SOURCE = Path(__file__).parents[1]
FRONT = (sys.executable, "-m", "pipeline")
TOUCHED = re.compile(r"Running stage '(\w+)'|Stage '(\w+)' is cached")
# No training (and no TensorFlow), few images: only the order of stages is tested.
TINY = """# @package _global_
training: {epochs: 0}
data: {train_samples: 40, test_samples: 20}
quantization: {calibration: {samples: 20, batch_size: 10}}
"""


def sentences(output):
    """Return what was printed without its line breaks, which depend on lengths of paths."""
    return " ".join(output.split())


class Repository:
    """Copy of the code with a tiny default configuration."""

    def __init__(self, root):
        self.root = root
        ignore = shutil.ignore_patterns("__pycache__")
        for name in CODE:
            if (SOURCE / name).is_dir():
                shutil.copytree(SOURCE / name, root / name, ignore=ignore)
            else:
                shutil.copy2(SOURCE / name, root / name)
        (root / ".dvc").mkdir()
        shutil.copy2(SOURCE / ".dvc" / "config", root / ".dvc" / "config")
        shutil.copy2(SOURCE / ".gitignore", root / ".gitignore")
        (root / "conf/experiment/tiny.yaml").write_text(TINY)
        self.edit("conf/config.yaml", "experiment: null", "experiment: tiny")
        # Each build writes a line, also within a sweep.
        self.builds = root / "builds.log"
        mark = f"    open({str(self.builds)!r}, 'a').write('build\\n')\n    config = load()\n"
        self.edit("stages/build.py", "    config = load()\n", mark)
        self.run("git", "init", "--quiet")
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message=tiny")

    def edit(self, path, old, new):
        text = (self.root / path).read_text()
        assert old in text
        (self.root / path).write_text(text.replace(old, new))

    def environment(self, **more):
        """Environment of a user's terminal."""
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        author = {
            f"GIT_{who}_{what}": "x@y"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
        return kept | author | {"PATH": path, "DVC_NO_ANALYTICS": "1"} | more

    def run(self, *command, fails=False, **environment):
        result = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (result.returncode != 0) == fails, result.stdout + result.stderr
        return result.stdout + result.stderr

    def touched(self, *command, **environment):
        """Run a command; return the stages that it ran or took from the cache."""
        found = TOUCHED.findall(self.run(*command, **environment))
        return [first or second for first, second in found]

    def param(self, dotted):
        return gather(self.root).params[dotted]

    def runs(self, store=None):
        """Return a client and all runs in a store, by default this repository's own."""
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=store or local_store(self.root))
        experiment = client.get_experiment_by_name(EXPERIMENT)
        return client, client.search_runs([experiment.experiment_id])

    def sweep_runs(self, store=None):
        """Return a client, the runs of sweeps, oldest first, and the points of each by its id."""
        client, runs = self.runs(store)
        parents = sorted((r for r in runs if SWEEP in r.data.tags), key=lambda r: r.info.start_time)
        points = {
            p.info.run_id: [r for r in runs if r.data.tags.get(PARENT) == p.info.run_id]
            for p in parents
        }
        return client, parents, points

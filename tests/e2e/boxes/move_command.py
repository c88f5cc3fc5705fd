"""Command `secondunit move`, as somebody types it."""

import json
import os
import subprocess
import sys
from typing import Any


def said(*words: str) -> subprocess.CompletedProcess[str]:
    """What the command came to."""
    environment = {"PATH": os.environ["PATH"], "SECONDUNIT_CONFIG": os.devnull}
    argv = [sys.executable, "-m", "secondunit", "move", *words]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


def moved(source: str, target: str) -> Any:
    done = said("--from", source, "--to", target, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)

"""The job type of the how-to, and its test, work as they are written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import CHECKOUT

pytestmark = pytest.mark.e2e
BLOCKS = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_job_type_passes_its_own_test(tmp_path: Path) -> None:
    handler, test = BLOCKS.findall((CHECKOUT / "docs" / "how-to" / "job-type.md").read_text())
    (tmp_path / "doubler.py").write_text(handler)
    (tmp_path / "test_doubler.py").write_text(test)
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{tmp_path}{os.pathsep}{CHECKOUT}"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

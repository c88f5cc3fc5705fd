"""The job type of the how-to, and its test, work as they are written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.shown import blocks
from tests.e2e.conftest import CHECKOUT

pytestmark = pytest.mark.e2e
HOW_TO = (CHECKOUT / "docs" / "how-to" / "job-type.md").read_text()
BLOCKS = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_job_type_passes_its_own_test(tmp_path: Path) -> None:
    handler, _ = BLOCKS.findall(HOW_TO)
    passes(handler, tmp_path)


def test_the_job_type_of_the_page_about_them_passes_it_too(tmp_path: Path) -> None:
    [handler] = [block for block in blocks((CHECKOUT / "docs" / "job-types.md").read_text()) if "def build" in block]
    passes(handler, tmp_path)


def passes(handler: str, tmp_path: Path) -> None:
    """Run the how-to's test of this handler."""
    _, test = BLOCKS.findall(HOW_TO)
    (tmp_path / "doubler.py").write_text(handler)
    (tmp_path / "test_doubler.py").write_text(test)
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{tmp_path}{os.pathsep}{CHECKOUT}"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

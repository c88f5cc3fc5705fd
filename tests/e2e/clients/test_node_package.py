"""The Node client's own tests, where Node is."""

import shutil
import subprocess
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[3] / "clients" / "node"


@pytest.mark.skipif(shutil.which("node") is None, reason="THE NODE CLIENT IS NOT TESTED: no node on PATH")
def test_the_tests_of_the_node_client_pass() -> None:
    tests = sorted(map(str, (CLIENT / "test").glob("*.test.js")))
    done = subprocess.run(["node", "--test", *tests], capture_output=True, text=True, timeout=110, check=False)
    assert len(tests) > 1 and done.returncode == 0, done.stdout

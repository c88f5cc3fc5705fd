"""The tests' own PostgreSQL: it outlives no process that started it."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.postgres_server import PostgresServer

ROOT = Path(__file__).parents[2]
STARTS = """
import sys
from tests.postgres_server import started
server = started()
print(server.process_id, server.folder, flush=True)
sys.stdin.read()
"""


@pytest.mark.usefixtures("server")  # which skips where there is no PostgreSQL
def test_a_server_ends_with_a_process_that_is_killed() -> None:
    argv = [sys.executable, "-c", STARTS]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid, folder = starter.stdout.readline().split()
        os.kill(int(pid), 0)
        starter.kill()
    deadline = time.monotonic() + 30
    while Path("/proc", pid).exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    shutil.rmtree(folder)


def test_a_server_that_is_ended_leaves_no_file(server: PostgresServer) -> None:
    argv = [sys.executable, "-c", STARTS]
    ended = subprocess.run(argv, cwd=ROOT, input="", capture_output=True, text=True, check=True, timeout=60)
    pid, folder = ended.stdout.split()
    assert int(pid) != server.process_id
    assert not Path("/proc", pid).exists() and not Path(folder).exists()

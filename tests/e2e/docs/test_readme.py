"""The README's job by hand, typed as it stands there, on a port of its own."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.shown import blocks
from tests.e2e.conftest import CHECKOUT
from tests.ports import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.media]
README = (CHECKOUT / "README.md").read_text()
BY_HAND = blocks(README.partition("A job by hand")[2].partition("## ")[0])


@contextmanager
def shell(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """A terminal in a fresh clone; what was started there ends with it."""
    (folder / ".venv").symlink_to(CHECKOUT / ".venv")
    shutil.copytree(CHECKOUT / "examples", folder / "examples")
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PORT": str(port)}
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            ["bash", "-s"], cwd=folder, env=environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=said, start_new_session=True,
        )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def typed(process: subprocess.Popen[str], commands: str) -> Sequence[str]:
    """What these commands print."""
    assert process.stdin and process.stdout
    process.stdin.write(f"{commands}\necho; echo THE END\n")
    process.stdin.flush()
    return list(iter(lambda: process.stdout.readline().rstrip("\n"), "THE END"))  # type: ignore[union-attr]


@pytest.mark.skipif(shutil.which("curl") is None, reason="THE README'S JOB IS NOT RUN: no curl on PATH")
def test_a_job_by_hand_goes_as_the_readme_says(tmp_path: Path) -> None:
    port = free_port()
    by_curl, without = (block.replace("127.0.0.1:8000", f"127.0.0.1:{port}") for block in BY_HAND)
    submitting, _, looking = by_curl.partition("\n\ncurl -sN")
    events, state = f"curl -sN{looking}".splitlines()
    with shell(tmp_path, port) as terminal:
        [job_id] = [json.loads(line)["jobId"] for line in typed(terminal, submitting) if line.startswith("{")]
        assert any(job_id in line for line in typed(terminal, events.replace("curl", "timeout 3 curl")))
        told = typed(terminal, without)  # it waits until this one has ended; the first has, too, or ends soon
        assert any('"status": "completed"' in line for line in told) and any("thumbnail" in line for line in told), told
        until_ended = f'until {state.partition("#")[0].strip()} | grep \'"status":"completed"\'; do sleep 0.2; done'
        job = json.loads(typed(terminal, until_ended.replace("job_...", job_id))[0])
    assert job["jobId"] == job_id and job["result"]["masterPath"] == str(tmp_path / "data/media/film/master.m3u8")

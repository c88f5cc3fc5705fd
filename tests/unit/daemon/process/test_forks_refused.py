"""No Python code forks a guarded process; programs are started as ever. In processes of their own: it is for good."""

import subprocess
import sys

import pytest

GUARDED = """
import asyncio, multiprocessing, os, pty, subprocess, sys
import uvloop
from secondunit.daemon.process.lock import refuse_forks
from secondunit.queue.outcome import HandlerBroke
refuse_forks()
def refused(call, *arguments):
    ours = os.getpid()
    try:
        call(*arguments)
    except HandlerBroke as error:
        print(error)
    if os.getpid() != ours:
        os._exit(1)
"""


def said(script: str) -> str:
    """What a guarded process prints."""
    command = [sys.executable, "-c", GUARDED + script]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.parametrize(
    ("call", "event"),
    [
        ("os.fork", "os.fork "),
        ("os.forkpty", "os.forkpty "),
        ("pty.fork", "os.forkpty "),
        ("multiprocessing.get_context('fork').Process(target=print, args=['child']).start", "os.fork "),
    ],
)
def test_a_fork_is_refused_and_says_what_to_do(call: str, event: str) -> None:
    [line] = said(f"refused({call})").splitlines()
    assert line.startswith(event) and "tools.programs" in line


def test_programs_are_no_forks() -> None:
    script = """
def in_child():
    pass
async def main():
    for more in ({}, {"preexec_fn": in_child}, {"start_new_session": True}):
        child = await asyncio.create_subprocess_exec("true", **more)
        print(await child.wait())
for more in ({}, {"preexec_fn": in_child}, {"close_fds": False}):
    print(subprocess.run(["true"], **more).returncode)
print(os.waitstatus_to_exitcode(os.system("true")))
os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
asyncio.run(main())
uvloop.run(main())
"""
    assert said(script).split() == ["0"] * 10

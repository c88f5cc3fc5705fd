"""A root's shell inside a booted container: standard library only, everything it runs is in its output."""

import json
import shlex
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHARED = Path("/shared")
STATE, MEDIA = Path("/var/lib/secondunit"), Path("/srv/media")
BEGUN = time.monotonic()


def say(text: str) -> None:
    """Into the log, with the seconds since the start."""
    print(f"[{time.monotonic() - BEGUN:6.1f}] {text}", flush=True)


def sh(command: str, *, fails: bool = False) -> str:
    """Run a command as root in a folder that is nobody's; its output. It must succeed, or fail."""
    say(f"$ {command}")
    argv, pipe = ["bash", "-c", command], subprocess.PIPE
    done = subprocess.run(argv, cwd="/", stdout=pipe, stderr=subprocess.STDOUT, text=True, timeout=400, check=False)
    print(done.stdout, end="", flush=True)
    assert (done.returncode != 0) is fails, f"exit {done.returncode}: {command}"
    return done.stdout


def until(what: str, true: Callable[[], object], within: float = 120.0) -> None:
    """Wait for it."""
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.2)
    say(f"now: {what}")


def of_unit(name: str, unit: str = "secondunit.service") -> str:
    """A property of a unit."""
    argv = ["systemctl", "show", "--property", name, "--value", unit]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def asked(path: str) -> Any:
    """What the API answers root on this machine."""
    with urllib.request.urlopen(f"http://127.0.0.1:8000{path}", timeout=10) as answer:
        return json.load(answer)


def serving() -> bool:
    """Whether the daemon answers."""
    try:
        return bool(asked("/health"))
    except OSError:
        return False


def completed(type: str, **payload: object) -> Any:
    """A job of this type, run to its end, by the command line and without a word of where the service is."""
    body = shlex.quote(json.dumps(payload))
    job = json.loads(sh(f"secondunit submit {type} --wait --json -p {body}").strip().splitlines()[-1])
    assert job["status"] == "completed", job
    return job


def listed() -> list[str]:
    """The jobs that there are."""
    return [job["jobId"] for job in json.loads(sh("secondunit jobs list --json"))["jobs"]]

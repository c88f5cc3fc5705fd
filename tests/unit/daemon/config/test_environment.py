"""What a process was started with is hidden from those who look at it from outside."""

import os
import subprocess
import sys
from pathlib import Path

from secondunit.daemon.config import environment

ROOT = Path(__file__).parents[4]
CODE = f"""
import ctypes, os, pathlib
from {environment.__name__} import hide
hide(["API_KEY"])
libc = ctypes.CDLL(None)
libc.getenv.restype = ctypes.c_char_p
try:
    print(pathlib.Path("/proc/self/environ").read_bytes().strip(b"\\0"))
except PermissionError:  # an ordinary account is kept from reading it at all
    print(b"")
print(os.environ.get("API_KEY"), libc.getenv(b"API_KEY"))
print(os.environ.get("OTHER"), libc.getenv(b"OTHER"))
print(libc.prctl(3))
"""


def test_the_environment_can_not_be_read_from_outside_and_serves_inside() -> None:
    given = {"PATH": os.environ["PATH"], "API_KEY": "canary", "OTHER": "stays", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=given, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == ["b''", "None None", "stays b'stays'", "0"]

"""The ffmpeg of the tests: the one that a daemon without settings finds, on PATH, else in the wheel."""

import os
import subprocess
from pathlib import Path

import pytest

from secondunit.handlers.tools.media.ffmpeg import located

FFMPEG = located(None, None, os.environ.get("PATH", ""))


def programs() -> tuple[str, str]:
    """ffmpeg and ffprobe; a test that needs them is skipped where there are none (`make setup` sees to it)."""
    ffmpeg, ffprobe = FFMPEG
    if ffmpeg is None or ffprobe is None:
        pytest.skip("NO FILM IS MADE: no ffmpeg is on PATH, and its wheel is not installed (`make setup`)")
    return ffmpeg, ffprobe


def made(path: Path, *arguments: str) -> Path:
    """What ffmpeg makes with these arguments."""
    subprocess.run([programs()[0], "-v", "error", "-nostdin", *arguments, str(path)], check=True, timeout=60)
    return path

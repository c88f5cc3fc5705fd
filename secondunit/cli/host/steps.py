"""Steps of an installation: what is to be done to the machine as values, told in a line each, then taken."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

COMMAND_WITHIN = 900.0  # to stop is to drain, for DRAIN_SECONDS and what ending the last jobs takes


class StepFailed(Exception):
    """A step could not be taken; the message says which, and why."""


@dataclass(frozen=True, slots=True)
class Write:
    """A file with this content; the one before is kept beside it, since it may have been changed by hand."""

    path: Path
    content: str
    mode: int = 0o644
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A command."""

    argv: Sequence[str]


@dataclass(frozen=True, slots=True)
class Remove:
    """A file, or a folder with all that is in it."""

    path: Path


@dataclass(frozen=True, slots=True)
class Tell:
    """Nothing to do, something to know."""

    text: str


Step = Write | Run | Remove | Tell


def before(path: Path) -> Path:
    """Where the version before is kept; systemd reads no file of such a name."""
    return path.with_name(f"{path.name}.old")


def told(step: Step) -> str:
    """What a step does, as it stands before it is taken."""
    match step:
        case Tell(text):
            return text
        case Run(argv):
            return f"run      {' '.join(argv)}"
        case Remove(path):
            return f"remove   {path}"
        case Write(path, content):
            if not path.exists():
                return f"write    {path}"
            same = path.read_text("utf-8", "replace") == content
            return f"as it is {path}" if same else f"update   {path} (the one before: {before(path)})"


def take(step: Step) -> None:
    """Do it; StepFailed says what could not be done."""
    try:
        match step:
            case Tell():
                return
            case Run(argv):
                _run(argv)
            case Remove(path):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
            case Write():
                _write(step)
    except OSError as error:
        raise StepFailed(f"{told(step)}: {error}") from None


def _run(argv: Sequence[str]) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=COMMAND_WITHIN, check=False)
    except subprocess.TimeoutExpired:
        raise StepFailed(f"{' '.join(argv)} did not end within {COMMAND_WITHIN:.0f} s") from None
    if done.returncode:
        raise StepFailed(f"{' '.join(argv)} failed ({done.returncode}): {done.stderr.strip()}")


def _write(step: Write) -> None:
    path = step.path
    if path.exists():
        if path.read_text("utf-8", "replace") == step.content:
            return
        shutil.copy2(path, before(path))
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(step.content)
        if step.group:
            shutil.chown(name, group=step.group)
        os.fchmod(file.fileno(), step.mode)
    Path(name).replace(path)

"""Archive extraction: the files of a commit out of git's tar, in a program of its own (`archive_child.py`)."""

import json
from pathlib import Path

from secondunit.handlers.tools.programs.failures import failure
from secondunit.handlers.tools.programs.ports import Limits, Profile, Programs
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic

CHILD = Path(__file__).parent / "archive_child.py"
ADDRESS_SPACE, CPU_SECONDS = 1 << 30, 1800


async def unpack(
    programs: Programs, python: str, ctx: JobContext, archive: Path, folder: Path, most_bytes: int
) -> None:
    """Fill an empty `folder` with files of at most so many bytes; Deterministic("unsafe_tree") for no honest commit."""
    answers: list[str] = []

    async def on_line(line: str) -> None:
        answers.append(line)

    finished = await programs.run(
        [python, "-I", str(CHILD), str(archive), str(folder)],
        cwd=ctx.workspace.run,
        log=ctx.workspace.log,
        limits=Limits(address_space=ADDRESS_SPACE, cpu_seconds=CPU_SECONDS, file_size=most_bytes),
        profile=Profile("archive", writes=[folder]),
        on_line=on_line,
        beat=ctx.beat,
    )
    if finished.returncode != 0:
        raise failure("taking the commit's files out", finished, ctx.attempt)
    if answers:
        told = json.loads(answers[-1])
        raise Deterministic(told["message"], type=told["error"])

"""Every program that runs for a job beats for it: one that is forgotten is killed as stalled."""

import ast
from collections.abc import Iterator
from pathlib import Path

HANDLERS = Path(__file__).parents[2] / "secondunit" / "handlers"
# What ffmpeg can do, and what the sandbox keeps off, is found out at start.
FOR_NO_JOB = {"tools/media/ffmpeg.py", "tools/programs/sandbox/measuring.py"}


def silent(tree: ast.Module) -> Iterator[int]:
    """The lines in which a program is run whose signs of life nobody gets."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    runs = [call for call in calls if ast.unparse(call.func).endswith("programs.run")]
    yield from (run.lineno for run in runs if "beat" not in {keyword.arg for keyword in run.keywords})


def test_every_program_of_a_job_beats_for_its_run() -> None:
    found = {file.relative_to(HANDLERS).as_posix(): ast.parse(file.read_text()) for file in HANDLERS.rglob("*.py")}
    assert {(name, line) for name, tree in found.items() if name not in FOR_NO_JOB for line in silent(tree)} == set()


def test_a_program_that_is_forgotten_is_found() -> None:
    assert list(silent(ast.parse("self._programs.run(argv)\nprograms.run(argv, beat=ctx.beat)"))) == [1]

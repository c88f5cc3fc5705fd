"""Programs that meet what strangers made have limits: of memory, of time, of what they write."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "secondunit"
# What runs without them, and why.
WITHOUT = {
    "handlers/tools/deployment/commands.py": "the operator's own commands",
    "handlers/tools/media/ffmpeg.py": "ffmpeg is asked for its version",
    "daemon/sight/programs.py": "deno and systemd-analyze are asked about themselves",
}


def unlimited(source: str) -> Iterator[int]:
    """The lines on which a program is run without saying its limits."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("programs.run"):
            named = {keyword.arg for keyword in node.keywords}
            if "limits" not in named:
                yield node.lineno


def test_every_program_that_meets_foreign_bytes_has_limits() -> None:
    found = {file.relative_to(PACKAGE).as_posix(): list(unlimited(file.read_text())) for file in PACKAGE.rglob("*.py")}
    assert {file for file, lines in found.items() if lines} == set(WITHOUT)


def test_a_program_without_limits_is_found() -> None:
    assert list(unlimited("await self._programs.run(argv, cwd=here)\nawait programs.run(argv, limits=Limits())")) == [1]

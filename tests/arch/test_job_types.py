"""The daemon knows no job type by name: what it must know of one stands on its HandlerSpec."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from secondunit.daemon.config.sources import installed

DAEMON = Path(__file__).parents[2] / "secondunit" / "daemon"
TYPES = sorted(source.type for source in installed() if source.name.startswith("secondunit.handlers."))
WORD = re.compile(rf"(?<![\w/.-])({'|'.join(TYPES)})(?![\w.-])", re.IGNORECASE)
ROOM = re.compile(rf"secondunit\.handlers\.({'|'.join(TYPES)})\b")

# What each of these does is done for one type: the wire has calls of its own for it, TrailTag a field
MAY = ("http/endpoints/", "http/contract/trailtag.py", "automation/poller.py")


def named_types(tree: ast.Module) -> Iterator[str]:
    """Each text of the code (docstrings are none) in which a type stands as a word, each import of a type's room."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield from (f"line {node.lineno}: {name!r}" for name in WORD.findall(node.value))
        elif isinstance(node, ast.Import):
            yield from (f"line {node.lineno}: {alias.name}" for alias in node.names if ROOM.match(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (f"line {node.lineno}: {name}" for name in names if ROOM.match(name))


def test_the_types_are_those_that_ship() -> None:
    assert TYPES == ["analyze", "deploy", "download", "hls", "locations", "thumbnail", "webp"]


def test_the_daemon_names_no_job_type() -> None:
    files = {file.relative_to(DAEMON).as_posix(): file for file in sorted(DAEMON.rglob("*.py"))}
    found = {
        name: told
        for name, file in files.items()
        if not name.startswith(MAY) and (told := list(named_types(ast.parse(file.read_text()))))
    }
    assert found == {}, "let the type say it on its HandlerSpec"


@pytest.mark.parametrize(
    "breach",
    [
        'PAID = ("analyze", "locations")',
        'TYPE = "hls"',
        'NAMES = ["CONCURRENCY", "Webp"]',
        'message = f"no {kind} of download {n}"',
        "from secondunit.handlers.hls.plan import plan",
        "from secondunit.handlers import deploy",
        "import secondunit.handlers.locations.result",
    ],
)
def test_a_planted_name_is_found(breach: str) -> None:
    assert list(named_types(ast.parse(breach)))


@pytest.mark.parametrize(
    "innocent",
    ['PATH = "/analyze"', 'WORD = "locations-not-found"', '"""An `hls` stream."""', 'TABLE = "tables [deploy.ID]"'],
)
def test_paths_words_and_docstrings_name_none(innocent: str) -> None:
    assert not list(named_types(ast.parse(innocent)))

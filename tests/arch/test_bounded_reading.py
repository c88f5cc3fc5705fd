"""What comes over HTTP is read through our own bounds: aiohttp's conveniences parse heads and bodies without any."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "secondunit"
# What each does to bytes that others chose.
UNBOUNDED = {
    "content_type": "parses the header in quadratic time",
    "charset": "parses the header in quadratic time",
    "cookies": "parses every cookie there is",
    "links": "matches patterns",
    "post": "decodes by any of Python's codecs",
    "json": "reads the whole body",
    "text": "reads the whole body, and decodes it by any of Python's codecs",
    "read": "reads the whole body",
}
FOREIGN = {"request", "response"}


def unbounded(source: str) -> Iterator[tuple[int, str]]:
    """Where one of these is used, and which."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in FOREIGN and attribute in UNBOUNDED:
                yield node.lineno, attribute


def test_no_request_and_no_response_is_read_without_a_bound() -> None:
    rooms = [*(PACKAGE / "daemon").rglob("*.py"), *(PACKAGE / "handlers").rglob("*.py")]
    found = {
        f"{file.relative_to(PACKAGE)}:{line}": UNBOUNDED[attribute]
        for file in rooms
        if not file.name.endswith("child.py")  # programs of their own, under limits
        for line, attribute in unbounded(file.read_text())
    }
    # `BoundedResponse` has a content_type of its own; yt-dlp's are read in its program; Gemini's is a value of ours.
    allowed = {
        "handlers/tools/fetching/http_download.py",
        "handlers/tools/fetching/ytdlp/resume.py",
        "handlers/tools/gemini/conversation.py",
    }
    assert {at: why for at, why in found.items() if at.partition(":")[0] not in allowed} == {}


def test_a_convenience_is_found() -> None:
    assert list(unbounded("kind = request.content_type\nbody = await response.text()\nown.read()")) == [
        (1, "content_type"),
        (2, "text"),
    ]


def test_every_session_of_the_daemon_has_responses_with_bounds() -> None:
    made = [
        f"{file.relative_to(PACKAGE)}:{node.lineno}"
        for room in ("daemon", "handlers")
        for file in (PACKAGE / room).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "ClientSession"
        if "response_class" not in {keyword.arg for keyword in node.keywords}
    ]
    assert made == []

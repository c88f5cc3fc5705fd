"""Examples: each file of examples/ is used by a test, by itself or through one that is; none lies there untried."""

from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = {
    path.name: path for path in (ROOT / "examples").rglob("*") if path.is_file() and path.suffix not in (".md", ".pyc")
}
TESTS = "".join(
    path.read_text()
    for path in (ROOT / "tests").rglob("*.py")
    if path != Path(__file__) and "node_modules" not in path.parts
)
BY_HAND: Mapping[str, str] = {"render.sh": "a minute of CPU; what it made, clip.mp4 and still.jpg, is what tests use"}


def used(name: str, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a test names it, or an example that is used."""
    if name in TESTS:
        return True
    others = [
        other for other, path in EXAMPLES.items()
        if other not in seen | {name} and path.suffix == ".mjs" and f"./{name}" in path.read_text()
    ]  # fmt: skip
    return any(used(other, seen | {name}) for other in others)


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - BY_HAND))
def test_an_example_is_used_by_a_test(name: str) -> None:
    assert used(name), "no test runs or reads it"


def test_one_that_is_used_by_none_is_found() -> None:
    assert not used("no" + "-such-example.mjs") and EXAMPLES.keys() >= BY_HAND.keys()

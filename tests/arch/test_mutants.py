"""The lists of planted bugs can be read, and each bug still has its place and the tests that find it."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CONTRACT = "\n".join(file.read_text() for file in (ROOT / "secondunit" / "testing" / "contract").rglob("*.py"))


def bugs() -> list[Mapping[str, Any]]:
    """All of them."""
    lists = sorted((ROOT / "tests" / "mutants").glob("*.toml"))
    return [bug for path in lists for bug in tomllib.loads(path.read_text())["bug"]]


def test_each_planted_bug_still_has_its_place() -> None:
    times = {bug["name"]: (ROOT / "secondunit" / "queue" / bug["file"]).read_text().count(bug["old"]) for bug in bugs()}
    assert {name: n for name, n in times.items() if n != 1} == {}


def test_each_planted_bug_has_tests_that_are_there() -> None:
    gone = {
        (bug["name"], killer)
        for bug in bugs()
        for killer in bug["killers"]
        if not there(*killer.partition("[")[0].split("::"))
    }
    assert gone == set()


def there(path: str, *names: str) -> bool:
    """Whether the file has the test, or the store contract, which every store's file takes over, has it."""
    file = ROOT / path
    return file.exists() and all(f"def {name}(" in file.read_text() + CONTRACT for name in names[-1:])

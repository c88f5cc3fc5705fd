"""The lists of planted bugs apply: a rename that forgets them would plant nothing."""

import ast
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def faults(bug: dict[str, Any], root: Path) -> list[str]:
    """Why this bug can't be planted, or why the tests that are named can't find it."""
    file = root / "secondunit" / "queue" / bug["file"]
    stands = file.read_text().count(bug["old"]) if file.is_file() else 0
    found = [] if stands == 1 else [f"its text stands {stands} times in {bug['file']}"]
    return found + [f"there is no {killer}" for killer in bug["killers"] if not _is_there(killer, root)]


def _is_there(killer: str, root: Path) -> bool:
    """Whether the file is there and the test in it; the stores' tests are inherited, so that their file is enough."""
    path, *names = killer.split("::")
    file = root / path
    if not file.is_file():
        return False
    found = {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, _NAMED)}
    return names[0].partition("[")[0] in found


_NAMED = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def test_every_planted_bug_applies_and_its_killers_are_there() -> None:
    lists = sorted((ROOT / "tests" / "mutants").glob("*.toml"))
    bugs = [bug for file in lists for bug in tomllib.loads(file.read_text())["bug"]]
    assert {bug["name"]: found for bug in bugs if (found := faults(bug, ROOT))} == {}


def test_a_bug_that_does_not_apply_is_found(tmp_path: Path) -> None:
    for path, text in {
        "secondunit/queue/state.py": "x = 1\n",
        "tests/test_a.py": "def test_x(): ...\nTestY = object()\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    good = {"file": "state.py", "old": "x = 1", "killers": ["tests/test_a.py::test_x[a-b]"]}
    assert faults(good, tmp_path) == []
    assert faults(good | {"old": "x = 2"}, tmp_path) == ["its text stands 0 times in state.py"]
    assert faults(good | {"file": "stage.py"}, tmp_path) == ["its text stands 0 times in stage.py"]
    for killer in ("tests/test_b.py::test_x", "tests/test_a.py::test_z"):
        assert faults(good | {"killers": [killer]}, tmp_path) == [f"there is no {killer}"]
